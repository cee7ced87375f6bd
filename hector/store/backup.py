"""Writing a backup: everything on one snapshot, beside whoever works with the database."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from hector.core.clock import Clock
from hector.core.errors import StoreError
from hector.core.record import dataclass
from hector.store.archive import Digest, Manifest, Member, Writer, lines
from hector.store.database import Connection, Database
from hector.store.queries import load
from hector.store.tables import Table, count, pages, tables
from hector.version import __version__

ENGINES: Final = {"sqlite": "SQLite", "postgres": "PostgreSQL"}


class Watcher(Protocol):
    """Whoever is told how far it has come; may be told from another thread."""

    def begin(self, title: str, total: int, unit: str) -> None:
        """There is this much to do, from the start."""

    def advance(self, by: int = 1) -> None:
        """So much more is done."""


class Stoppable:
    """Passes on how far it has come, and ends the work when the task that waits for it is cancelled, as by Ctrl-C.

    The work may run elsewhere, in a thread or in another task, which cancelling does not reach.
    """

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._waiting = asyncio.current_task()

    def begin(self, title: str, total: int, unit: str) -> None:
        """See `Watcher`."""
        self._watcher.begin(title, total, unit)

    def advance(self, by: int = 1) -> None:
        """See `Watcher`. Raises StoreError when nobody waits any more."""
        if self._waiting is not None and self._waiting.cancelling():
            raise StoreError("stopped: nothing was written")
        self._watcher.advance(by)


@dataclass(frozen=True, slots=True)
class Saved:
    """A backup that was written; `size` in bytes."""

    manifest: Manifest
    size: int


async def save(database: Database, path: Path, clock: Clock, watcher: Watcher) -> Saved:
    """Write a backup to `path`. Raises StartupError where none can begin, StoreError where the disk or reading fails.

    Everything is of one moment. Who writes meanwhile is not held up; on SQLite the write-ahead log grows until the end.
    """
    stoppable = Stoppable(watcher)
    return await database.read(lambda con: _save(con, database.dialect, path, clock.now(), stoppable))


async def _save(con: Connection, dialect: str, path: Path, now: float, watcher: Watcher) -> Saved:
    found = await tables(con, dialect)
    schema = await con.one(load("backup", dialect)["schema"]) or (0,)
    watcher.begin("backing up", sum([await count(con, table, dialect) for table in found]), "rows")
    with Writer(path) as writer:
        members = tuple([await _copy(con, dialect, table, writer, watcher.advance) for table in found])
        manifest = Manifest(__version__, ENGINES[dialect], schema[0], now, members)
        return Saved(manifest, writer.finish(manifest))


async def _copy(con: Connection, dialect: str, table: Table, writer: Writer, advance: Callable[[int], Any]) -> Member:
    digest = Digest()
    with writer.table(table.name) as write:
        async for rows in pages(con, table, dialect):
            text = lines(rows)
            write(text)
            digest.add(text, len(rows))
            advance(len(rows))
    return digest.member(table.name, table.columns)
