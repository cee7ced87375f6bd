"""Bringing a PostgreSQL database to this version's schema, however many instances try at once."""

from typing import Final

import asyncpg

import hector.store.migrations as migrations
from hector.core import points
from hector.core.clock import SystemClock, milliseconds
from hector.core.errors import StartupError
from hector.store.postgres_connection import PostgresConnection

OLDEST: Final = 12
"""The first major version with everything that the statements use."""

_MINE: Final = (
    "SELECT c.relname::text, a.attname::text "
    "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 "
    "WHERE c.relnamespace = current_schema()::regnamespace AND c.relname IN ('migrations', 'sessions')"
)
"""The columns of two tables, in one look: between two looks another instance may have created them.

The information schema would not show those that this user has no right to.
"""
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('hector migrations ' || current_schema(), 0))"


async def prepare(con: PostgresConnection, place: str, *, visitor: bool) -> None:
    """Check the server and bring the schema up to date. Raises StartupError, SchemaTooNew, and asyncpg's own errors."""
    await _check_server(con, place)
    seen = await migrations.history(con) if await _is_ours(con, place) else []
    if visitor:
        if not seen:
            raise migrations.EmptyDatabaseError(
                f"database {place} holds nothing of Hector\n"
                "Start `hector serve` once, or `hector migrate`, or name another with --database"
            )
    elif migrations.pending(seen, migrations.known("postgres"), place):
        await _migrate(con, place)


async def _check_server(con: PostgresConnection, place: str) -> None:
    version = con.raw.get_server_version()
    if version.major < OLDEST:
        raise StartupError(f"PostgreSQL at {place} is version {version.major}: {OLDEST} or newer is needed")
    found = await con.one("SELECT current_schema(), current_setting('transaction_read_only'), pg_is_in_recovery()")
    assert found is not None  # noqa: S101 - a query of constants has a row
    schema, read_only, standby = found
    if schema is None:
        raise StartupError(f"PostgreSQL at {place}: no schema of its search_path exists: create it (CREATE SCHEMA)")
    if standby or read_only == "on":
        raise StartupError(f"PostgreSQL at {place} is read-only, perhaps a standby: name the primary server instead")


async def _is_ours(con: PostgresConnection, place: str) -> bool:
    """Whether Hector has been here; tables of others with our names are an error."""
    found = await con.all(_MINE)
    columns = {column for table, column in found if table == "migrations"}
    if not {"number", "checksum", "hector"} <= columns if columns else found:
        raise StartupError(
            f"database {place} holds tables of another program with names that Hector uses: choose another database, "
            "or a schema of its own (?search_path=hector, after CREATE SCHEMA hector)"
        )
    return bool(columns)


async def _migrate(con: PostgresConnection, place: str) -> None:
    """Everything that is missing in one transaction; whoever comes second waits, and finds it done."""
    async with con.raw.transaction():
        await con.raw.execute("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
        await con.raw.fetchval(_LOCK, timeout=3600)
        now = milliseconds(SystemClock().now())
        for migration in migrations.pending(await migrations.applied(con), migrations.known("postgres"), place):
            try:
                await con.raw.execute(migration.sql, timeout=86_400)
            except asyncpg.PostgresError as error:
                state = error.sqlstate or ""
                if state.startswith(("23", "42")) and not isinstance(error, asyncpg.InsufficientPrivilegeError):
                    raise migrations.unfit(migration, place, error) from None
                raise
            points.reach("migration.applying")
            await migrations.apply(con, migration, (), now)


def explain(error: Exception, place: str) -> StartupError | None:
    """What stands in the way of the schema, where the general text would not do."""
    if isinstance(error, asyncpg.InsufficientPrivilegeError) and "for schema" in str(error):
        return StartupError(
            f"PostgreSQL at {place}: this user may not create tables: GRANT CREATE, USAGE ON SCHEMA public to it, or "
            "name a database that it owns"
        )
    return None
