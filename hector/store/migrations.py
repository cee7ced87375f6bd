"""The schema's history: numbered files, applied once each, in order, never back."""

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple

from hector.core.errors import SchemaTooNew, StartupError
from hector.store.database import Connection
from hector.store.queries import text
from hector.version import __version__

NAMES: Final = (
    "0001_base",
    "0002_durable",
    "0003_tenants",
    "0004_egress",
    "0005_artifacts",
    "0006_mcp_pins",
    "0007_memories",
    "0008_memory_vectors",
    "0009_memory_words",
    "0010_mcp_told",
)
"""All migrations; a list and not a folder's content, because a packed installation has no folder to read."""

TABLE: Final = """
CREATE TABLE IF NOT EXISTS migrations (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    hector TEXT NOT NULL,
    applied BIGINT NOT NULL
)"""


class EmptyDatabaseError(StartupError):
    """Nothing of Hector is there: every migration is missing."""


class Step(NamedTuple):
    """A migration as it stands in a database: applied by a version of Hector at a time (ms), or missing (both None)."""

    number: int
    name: str
    hector: str | None
    at: int | None


class Migration(NamedTuple):
    """One step. `checksum` is the SHA-256 of its text."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """What is recorded beside the number when it has been applied."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def known(dialect: str = "sqlite") -> tuple[Migration, ...]:
    """All migrations of this version of Hector, in the words of one engine."""
    suffix = "" if dialect == "sqlite" else f".{dialect}"
    return tuple(Migration(int(name[:4]), name, text(f"migrations/{name}{suffix}.sql")) for name in NAMES)


async def applied(con: Connection) -> list[tuple[int, str, str, str]]:
    """(number, name, checksum, version of Hector) of what the database has seen."""
    await con.execute(TABLE)
    return await history(con)


async def history(con: Connection) -> list[tuple[int, str, str, str]]:
    """The same of a database that is known to be ours, changing nothing."""
    return [
        (number, name, checksum, version)
        for number, name, checksum, version in await con.all(
            "SELECT number, name, checksum, hector FROM migrations ORDER BY number"
        )
    ]


async def steps(con: Connection, migrations: Sequence[Migration], place: str) -> list[Step]:
    """All migrations, those that are missing included. Raises as `pending` does; changes nothing."""
    pending(await history(con), migrations, place)
    found = {row[0]: Step(*row) for row in await con.all("SELECT number, name, hector, applied FROM migrations")}
    return [found.get(one.number, Step(one.number, one.name, None, None)) for one in migrations]


def missing_steps(migrations: Sequence[Migration]) -> list[Step]:
    """What `steps` says of an empty database."""
    return [Step(one.number, one.name, None, None) for one in migrations]


async def require_current(con: Connection, migrations: Sequence[Migration], place: str) -> None:
    """Whether a visitor can work with the database. Raises StartupError and SchemaTooNew; changes nothing."""
    if missing := pending(await history(con), migrations, place):
        raise StartupError(
            f"database {place} lacks the migration{'s' * (len(missing) > 1)} {', '.join(one.name for one in missing)}\n"
            "Run `hector migrate`, or start `hector serve`, which applies what is missing"
        )


def pending(seen: Sequence[tuple[int, str, str, str]], migrations: Sequence[Migration], place: str) -> list[Migration]:
    """What is still to be applied. Raises SchemaTooNew, and StartupError when an applied migration has been changed."""
    newest = migrations[-1].number
    if seen and seen[-1][0] > newest:
        raise SchemaTooNew(
            f"database {place} has schema {seen[-1][0]}, made by Hector {seen[-1][3]}; this is Hector {__version__}, "
            f"which knows schema {newest}: use the newer Hector, or choose another database with --database"
        )
    by_number = {migration.number: migration for migration in migrations}
    for number, name, checksum, version in seen:
        found = by_number.get(number)
        if found is None or found.checksum != checksum:
            raise StartupError(
                f"database {place}: migration {name}, applied by Hector {version}, is not the one that Hector "
                f"{__version__} carries: reinstall Hector, or restore the database from a backup"
            )
    done = {number for number, *_ in seen}
    return [migration for migration in migrations if migration.number not in done]


def unfit(migration: Migration, place: str, error: Exception) -> StartupError:
    """What to say of a migration that the tables which are there do not allow, as when it was half applied by hand."""
    return StartupError(
        f"database {place}: migration {migration.name} does not fit what is there ({error}); nothing was changed\n"
        "Restore the database from a backup (hector restore FILE --replace), or undo what was changed by hand"
    )


async def apply(con: Connection, migration: Migration, statements: Sequence[str], at: int) -> None:
    """Run one migration and note it; the caller wraps both in one transaction."""
    for statement in statements:
        await con.execute(statement)
    await con.execute(
        "INSERT INTO migrations (number, name, checksum, hector, applied) VALUES (?, ?, ?, ?, ?)",
        (migration.number, migration.name, migration.checksum, __version__, at),
    )
