"""From an address to an open store."""

from functools import cached_property
from typing import TYPE_CHECKING

import hector.store.migrations as migrations
from hector.config import sqlite
from hector.config.postgres import is_postgres
from hector.core.errors import HectorError, StartupError
from hector.store.approvals import Approvals
from hector.store.apps import AppConfigs
from hector.store.audit import AuditLog
from hector.store.counters import Counters
from hector.store.credentials import Credentials
from hector.store.database import Database
from hector.store.deletion import Deletion
from hector.store.instances import Instances
from hector.store.jobs import Jobs
from hector.store.push import PushConfigs
from hector.store.sessions import Sessions
from hector.store.sqlite import SqliteDatabase
from hector.store.switches import Switches
from hector.store.tasks import Tasks
from hector.store.usage import UsageTable

if TYPE_CHECKING:
    from hector.store.artifacts import Artifacts
    from hector.store.egress import EgressTable
    from hector.store.inspection import Inspection
    from hector.store.mcp_pins import McpPins
    from hector.store.memories import Memories
    from hector.store.memory_vectors import MemoryVectors
    from hector.store.purge import Purge
    from hector.store.queue import Queue


class Store:
    """All repositories over one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.apps = AppConfigs(database)
        self.jobs = Jobs(database)
        self.instances = Instances(database, self.jobs)
        self._deletion = Deletion(database)
        self.sessions = Sessions(database, self._deletion)
        self.push = PushConfigs(database, self.jobs)
        self.approvals = Approvals(database, self.jobs)
        self.credentials = Credentials(database)
        self.audit = AuditLog(database)
        self.usage = UsageTable(database)
        self.counters = Counters(database, self.usage)
        self.switches = Switches(database)
        self.tasks = Tasks(database, self.sessions, self.jobs, self.push, self.approvals, self.counters, self.audit)
        self.tasks.artifacts = lambda: self.artifacts

    @cached_property
    def artifacts(self) -> "Artifacts":
        """Artifacts that are kept, in all versions."""
        from hector.store.artifacts import Artifacts  # noqa: PLC0415 - loaded on first use

        return Artifacts(self.database, self.sessions)

    @cached_property
    def memories(self) -> "Memories":
        """What is known of users across their sessions."""
        from hector.store.memories import Memories  # noqa: PLC0415 - loaded on first use

        return Memories(self.database, self.sessions)

    @cached_property
    def memory_vectors(self) -> "MemoryVectors":
        """What that means, as vectors."""
        from hector.store.memory_vectors import MemoryVectors  # noqa: PLC0415 - loaded on first use

        return MemoryVectors(self.database)

    @cached_property
    def queue(self) -> "Queue":
        """Jobs, as those see them who look after them."""
        from hector.store.queue import Queue  # noqa: PLC0415 - loaded on first use

        return Queue(self.database, self.jobs, self.push.announce_reopened)

    @cached_property
    def egress(self) -> "EgressTable":
        """Where connections went."""
        from hector.store.egress import EgressTable  # noqa: PLC0415 - loaded on first use

        return EgressTable(self.database)

    @cached_property
    def mcp_pins(self) -> "McpPins":
        """What was kept of the tools of MCP servers."""
        from hector.store.mcp_pins import McpPins  # noqa: PLC0415 - loaded on first use

        return McpPins(self.database)

    @cached_property
    def inspection(self) -> "Inspection":
        """Conversations, as those see them who look after them."""
        from hector.store.inspection import Inspection  # noqa: PLC0415 - loaded on first use

        return Inspection(self.database)

    @cached_property
    def purge(self) -> "Purge":
        """The removal of an app with all that is its."""
        from hector.store.purge import Purge  # noqa: PLC0415 - loaded on first use

        return Purge(self.database, self._deletion)

    @property
    def dsn(self) -> str:
        """The address of the database."""
        return self.database.dsn

    def describe(self) -> str:
        """Engine, version and place, for a log line."""
        return self.database.describe()

    async def ping(self) -> None:
        """Return when the database takes writes. Raises StoreError."""
        await self.database.ping()

    async def aclose(self) -> None:
        """Finish what was handed over, then close."""
        await self.database.aclose()


async def open_store(dsn: str, *, visitor: bool = False) -> Store:
    """Open (and create, and migrate) the database at `sqlite://<path>`, `sqlite://:memory:` or `postgres://...`.

    `sqlite://a/b.db` is relative to the working directory, `sqlite:///a/b.db` absolute; `config.postgres` says what an
    address of PostgreSQL holds. Must be closed on the event loop that opened it. Raises StartupError and SchemaTooNew,
    each with what to do.

    A visitor works beside the processes that serve: it creates, migrates and locks nothing, and refuses a schema that
    is not this version's.
    """
    database = await connect(dsn, visitor=visitor)
    if visitor:
        try:
            known = migrations.known(database.dialect)
            await database.read(lambda con: migrations.require_current(con, known, _place(database.dsn)))
        except HectorError:
            await database.aclose()
            raise
    return Store(database)


async def connect(dsn: str, *, visitor: bool = False) -> Database:
    """The engine alone; that of a visitor whatever its schema is."""
    scheme, separator, rest = dsn.partition("://")
    if scheme == "sqlite" and rest:
        path, synchronous = sqlite_of(dsn)
        return SqliteDatabase(path, visitor=visitor, synchronous=synchronous)
    if is_postgres(dsn):
        from hector.store.postgres import PostgresDatabase  # noqa: PLC0415 - its driver is loaded on first use

        return await PostgresDatabase.open(dsn, visitor=visitor)
    # The address may hold a password: only its scheme is shown.
    found = f"{scheme}://..." if separator else "an address without a scheme"
    raise StartupError(
        f"the database address must be sqlite://<path>, sqlite://:memory: or postgres://..., not {found}"
    )


def sqlite_of(dsn: str) -> tuple[str, str]:
    """Path and mode of an SQLite address. Raises StartupError."""
    try:
        return sqlite.parse(dsn.partition("://")[2])
    except ValueError as error:
        raise StartupError(f"the database address is wrong: {error}") from None


def _place(dsn: str) -> str:
    """The file or the server, for messages."""
    return dsn.partition("://")[2]
