"""SQLite: one file, write-ahead log, one writing thread, readers apart."""

import sqlite3
from asyncio import Future
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias, TypeVar, cast

import hector.store.migrations as migrations
from hector.core import points
from hector.core.clock import SystemClock, milliseconds
from hector.core.errors import HectorError, StartupError, StoreUnavailable
from hector.store.database import Connection, Row, Shortcut, Work
from hector.store.faults import translate
from hector.store.groupcommit import Outcome, Pool, Unit
from hector.store.groupcommit import Work as AnyWork
from hector.store.notices import Board, Notice
from hector.store.sqlite_file import check_not_theirs, check_ours, has_log, identity, prepare

T = TypeVar("T")

Explain: TypeAlias = Callable[[Exception, str], Exception]
"""What to say of an error at a place."""

MEMORY: Final = ":memory:"
READERS: Final = 2
BATCH: Final = 256
OLDEST: Final = (3, 24, 0)
"""The first SQLite with `ON CONFLICT DO UPDATE`."""

_PRAGMAS: Final = (
    "PRAGMA temp_store = MEMORY",
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA journal_size_limit = 67108864",
)


def complete(unit: Coroutine[Any, Any, T]) -> T:
    """Run a unit to its end. Nothing that SQLite is asked suspends it: the answer is there when the call returns."""
    try:
        unit.send(None)
    except StopIteration as end:
        return cast(T, end.value)
    unit.close()
    raise RuntimeError("a unit of work may wait for nothing but its connection")


class SqliteConnection:
    """`database.Connection` over the standard library's module."""

    again: Final = False  # a commit here has an answer

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw
        self.notices: list[Notice] = []
        self._cursor = raw.cursor()

    async def execute(self, sql: str, args: Sequence[Any] = ()) -> int:
        return self._cursor.execute(sql, args).rowcount

    async def send(self, sql: str, args: Sequence[Any] = ()) -> None:
        self._cursor.execute(sql, args)

    async def insert(self, sql: str, args: Sequence[Any]) -> int:
        cursor = self._cursor.execute(sql, args)
        return (cursor.lastrowid or 0) if cursor.rowcount else 0

    async def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._cursor.executemany(sql, rows)

    async def one(self, sql: str, args: Sequence[Any] = ()) -> Row | None:
        found = self._cursor.execute(sql, args).fetchall()
        return found[0] if found else None

    async def all(self, sql: str, args: Sequence[Any] = ()) -> list[Row]:
        return self._cursor.execute(sql, args).fetchall()

    async def notify(self, channel: str, payload: str = "") -> None:
        self.notices.append((channel, payload))


class _SpoiledError(Exception):
    """A unit failed after its first change, or the transaction is gone: nobody's changes may be committed."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Writer:
    """Runs units many to a commit. `announce` is given, in this thread, what they had to tell once it is committed."""

    def __init__(
        self,
        con: SqliteConnection,
        place: str,
        announce: Callable[[list[Notice]], None],
        explain: Explain = translate,
    ) -> None:
        self.con = con
        self.place = place
        self._announce = announce
        self._explain = explain
        self._file = identity(place)

    def run(self, batch: Sequence[Unit]) -> list[Outcome]:
        """All in one transaction; when one of them spoils it, each again in its own.

        Nothing is written into a file that was moved or deleted, which SQLite itself would not notice.
        """
        if self._file != identity(self.place):
            text = f"database {self.place}: the file was moved or deleted while Hector ran: stop it and put it back"
            return [(future, None, self._explain(StoreUnavailable(text), self.place)) for _, future in batch]
        try:
            self.con.raw.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            return [(future, None, self._explain(error, self.place)) for _, future in batch]
        try:
            outcomes = [self._outcome(work, future) for work, future in batch]
            self.con.raw.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - a thread must live on, and the error belongs to the unit's caller
            self._rollback()
            if len(batch) > 1:
                return [outcome for unit in batch for outcome in self.run((unit,))]
            cause = error.cause if isinstance(error, _SpoiledError) else error
            return [(batch[0][1], None, self._explain(cause, self.place))]
        if self.con.notices:
            notices, self.con.notices = self.con.notices, []
            self._announce(notices)
        return outcomes

    def close(self) -> None:
        """Give the connection back."""
        self.con.raw.close()

    def _outcome(self, work: AnyWork, future: "Future[Any]") -> Outcome:
        before = self.con.raw.total_changes
        try:
            return future, complete(work(self.con)), None
        except Exception as error:
            if self.con.raw.total_changes != before or not self.con.raw.in_transaction:
                raise _SpoiledError(error) from error
            return future, None, self._explain(error, self.place)

    def _rollback(self) -> None:
        self.con.notices.clear()
        with suppress(sqlite3.Error):  # the next transaction tries again
            if self.con.raw.in_transaction:
                self.con.raw.rollback()


class Reader:
    """Runs units one by one, each on one snapshot."""

    def __init__(self, con: SqliteConnection, place: str, explain: Explain = translate) -> None:
        self.con = con
        self.place = place
        self._explain = explain

    def run(self, batch: Sequence[Unit]) -> list[Outcome]:
        """Each in a read transaction of its own."""
        return [self._one(unit) for unit in batch]

    def close(self) -> None:
        """Give the connection back."""
        self.con.raw.close()

    def _one(self, unit: Unit) -> Outcome:
        work, future = unit
        try:
            self.con.raw.execute("BEGIN")
            return future, complete(work(self.con)), None
        except Exception as error:  # noqa: BLE001 - belongs to the unit's caller
            return future, None, self._explain(error, self.place)
        finally:
            with suppress(sqlite3.Error):
                self.con.raw.rollback()


class SqliteDatabase:
    """`database.Database` on one file, or in memory."""

    dialect = "sqlite"
    writing: ClassVar[type[Writer]] = Writer
    synchronous: ClassVar[str] = "NORMAL"
    """Unless an address asks for FULL: NORMAL outlives the death of the process, FULL also that of the machine."""

    def __init__(self, path: str, *, visitor: bool = False, synchronous: str = "normal") -> None:
        """Open, create and migrate. Raises StartupError or SchemaTooNew.

        A visitor opens a file that is there, beside the process that serves from it: neither locks nor migrates it.
        """
        self._place = path if path == MEMORY else str(Path(path).absolute())
        mode = self.synchronous if synchronous == "normal" else synchronous.upper()
        self._flushed = mode == "FULL"
        self._lock = None if visitor or path == MEMORY else prepare(Path(self._place))
        try:
            writer, *readers = _open_all(self._place, mode, visitor=visitor)
        except HectorError:
            self._unlock()
            raise
        self._board = Board()
        self._writer = Pool("hector-store-write", [self.writing(writer, self._place, self._board.post)], BATCH)
        engines = [Reader(con, self._place) for con in readers]
        self._readers = Pool("hector-store-read", engines, 1) if engines else self._writer

    @property
    def dsn(self) -> str:
        """The address that it was opened with, its path made absolute."""
        return f"sqlite://{self._place}"

    def describe(self) -> str:
        """Engine, version and place."""
        place = "in memory" if self._place == MEMORY else self._place
        return f"SQLite {sqlite3.sqlite_version}, {place}" + (", flushed at each commit" if self._flushed else "")

    def write(self, work: Work[T], key: Hashable = None, shortcut: Shortcut[T] | None = None) -> Awaitable[T]:
        """One unit, committed together with its neighbours and run after those that came before it.

        There is no shortcut: nothing has to travel.
        """
        return self._writer.submit(work)

    def read(self, work: Work[T]) -> Awaitable[T]:
        """One unit on a snapshot."""
        return self._readers.submit(work)

    def listen(self, channel: str, heard: Callable[[str], None]) -> Callable[[], None]:
        """Within this process: nobody else serves from this file."""
        return self._board.listen(channel, heard)

    async def ping(self) -> None:
        """Write something."""
        await self._writer.submit(_touch)

    async def aclose(self) -> None:
        """Readers first: the last connection to close folds the log into the file."""
        await self._readers.aclose()
        await self._writer.aclose()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


async def _touch(con: Connection) -> None:
    """Write a page that changes nothing: an empty transaction also succeeds on a full disk."""
    await con.execute("PRAGMA user_version = 0")  # ours has no meaning: migrations keep a table of their own


def _open_all(place: str, synchronous: str, *, visitor: bool) -> list[SqliteConnection]:
    """The writer's connection, after the migrations, and those of the readers."""
    if sqlite3.sqlite_version_info < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise StartupError(f"SQLite {sqlite3.sqlite_version} is too old: {oldest} or newer is needed")
    with ExitStack() as undo:
        try:
            if visitor:
                check_ours(place)
            elif place != MEMORY and not has_log(place):
                check_not_theirs(place)
            writer = _open(place, undo)
            require_json(writer.raw)
            require_words(writer.raw)
            writer.raw.execute(f"PRAGMA synchronous = {synchronous}")
            if not visitor:
                complete(_migrate(writer, place))
            # A database in memory exists on one connection only.
            readers = [_open(place, undo) for _ in range(0 if place == MEMORY else READERS)]
            for reader in readers:
                reader.raw.execute("PRAGMA query_only = 1")
        except sqlite3.Error as error:
            raise StartupError(str(translate(error, place))) from error
        undo.pop_all()
        return [writer, *readers]


def require_json(raw: sqlite3.Connection) -> None:
    """Before 3.38, SQLite could be built without JSON, which our statements need. Raises StartupError."""
    try:
        raw.execute("SELECT json_extract(value, '$') FROM json_each('[1]')").fetchone()
    except sqlite3.DatabaseError as error:
        if "json" not in str(error):
            raise
        raise StartupError(
            f"SQLite {sqlite3.sqlite_version} was built without its JSON functions: install a Python whose SQLite has "
            "them (each does from 3.38 on), or use PostgreSQL with --database postgres://..."
        ) from None


def require_words(raw: sqlite3.Connection) -> None:
    """The index of memories needs FTS5, which SQLite can be built without. Raises StartupError."""
    try:
        raw.execute("SELECT fts5_source_id()").fetchone()
    except sqlite3.DatabaseError as error:
        if "fts5" not in str(error):
            raise
        raise StartupError(
            f"SQLite {sqlite3.sqlite_version} was built without FTS5: install a Python whose SQLite has it (nearly all "
            "do), or use PostgreSQL with --database postgres://..."
        ) from None


def _open(place: str, undo: ExitStack) -> SqliteConnection:
    raw = sqlite3.connect(place, timeout=5.0, isolation_level=None, check_same_thread=False, cached_statements=128)
    undo.callback(raw.close)
    con = SqliteConnection(raw)
    if raw.execute("PRAGMA journal_mode = WAL").fetchone() not in (("wal",), ("memory",)):
        raise StartupError(
            f"database {place}: its file system cannot hold a write-ahead log: choose a place on a local disk with "
            "--database sqlite://<path>"
        )
    for pragma in _PRAGMAS:
        raw.execute(pragma)
    return con


async def _migrate(con: SqliteConnection, place: str) -> None:
    tables = {name for (name,) in await con.all("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and "migrations" not in tables:
        raise StartupError(f"database {place} belongs to another program: choose another file with --database")
    now = milliseconds(SystemClock().now())
    for migration in migrations.pending(await migrations.applied(con), migrations.known(), place):
        await con.execute("BEGIN IMMEDIATE")
        try:
            await migrations.apply(con, migration, statements(migration.sql), now)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT):
                raise migrations.unfit(migration, place, error) from None
            raise
        points.reach("migration.applying")
        await con.execute("COMMIT")


def statements(script: str) -> list[str]:
    """The statements of a script (executescript would commit before it begins)."""
    found, pending = [], ""
    for piece in script.split(";")[:-1]:
        pending += piece + ";"
        if sqlite3.complete_statement(pending):
            found.append(pending.strip())
            pending = ""
    return found
