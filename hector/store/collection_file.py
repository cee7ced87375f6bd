"""The index.db of one document store: opened by everybody, written by one process at a time.

It is a cache of its source: what cannot be used any more is made again, never migrated. So a folder of another format
is emptied by the process that may write, and a damaged one is for whoever asks for a rebuild to delete.
"""

import asyncio
import os
import secrets
import shutil
import sqlite3
from collections.abc import Awaitable
from contextlib import ExitStack, suppress
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

from hector.core.errors import HectorError, StartupError, StoreError, StoreUnavailable
from hector.store.database import Work
from hector.store.faults import translate
from hector.store.groupcommit import Pool
from hector.store.lock import FileLock
from hector.store.queries import text
from hector.store.sqlite import Reader, SqliteConnection, Writer, statements

T = TypeVar("T")

FORMAT: Final = 1
"""Of the tables, of the words in them (store/terms.py), and of the files of vectors beside them: raised with each."""
NAME: Final = "index.db"
_READERS: Final = 2
_BATCH: Final = 64
_PRAGMAS: Final = (
    "PRAGMA synchronous = NORMAL",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA journal_size_limit = 67108864",
)


class IndexDamaged(StoreError):  # noqa: N818 - a state
    """The index cannot be read; nothing is lost by deleting its folder but the time to index again."""

    code = "index_damaged"


def explain(error: Exception, place: str) -> Exception:
    """What to say of an error in an index, which may be deleted where a database must be restored."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF if isinstance(error, sqlite3.Error) else 0
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        folder = Path(place).parent
        return IndexDamaged(f"index {place} is damaged ({error}): index again with --force, or delete {folder}")
    said = translate(error, place)
    if isinstance(said, StoreError) and str(said).startswith("database "):
        return type(said)("index " + str(said).removeprefix("database "))
    return said


class IndexFile:
    """Connections to one index.db and the lock of whoever may write."""

    def __init__(self, folder: Path, opened: "Opened") -> None:
        """Made by `open_file`, on the event loop that it is used on."""
        self.folder = folder
        self.fresh = opened.fresh
        self.is_readonly = opened.is_readonly
        """Whether this process may not write there, whoever else does."""
        self._lock = opened.lock
        self._place = str(folder / NAME)
        self._frozen = opened.frozen
        writer = Writer(opened.writer, self._place, lambda _: None, explain)
        self._writer = Pool("hector-index-write", [writer], _BATCH)
        self._readers = Pool("hector-index-read", [Reader(con, self._place, explain) for con in opened.readers], 1)

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return self._lock is not None

    def lead(self) -> bool:
        """Try to become the one that writes."""
        if self._lock is None and not self.is_readonly:
            self._lock = _lock(self.folder)
        return self._lock is not None

    def write(self, work: Work[T]) -> Awaitable[T]:
        """One unit, together with its neighbours. Raises StoreUnavailable where another process writes."""
        if self._lock is None:
            raise StoreUnavailable(f"index {self._place}: another process of Hector writes it: this one only reads")
        return self._writer.submit(work)

    def read(self, work: Work[T]) -> Awaitable[T]:
        """One unit on a snapshot; waits for no writer. Raises StoreUnavailable where one came that cannot be seen."""
        if self._frozen is not None and _state(self._place) != self._frozen:
            raise StoreUnavailable(
                f"index {self._place}: another process writes it now, which this one cannot follow without write "
                "permission in the folder: start it again"
            )
        return self._readers.submit(work)

    async def aclose(self) -> None:
        """Finish what was handed over."""
        await self._readers.aclose()
        await self._writer.aclose()
        if self._lock is not None:
            self._lock.release()
            self._lock = None


class Opened:
    """What opening a file in a thread brings back."""

    def __init__(self, folder: Path, *, lead: bool) -> None:
        """Raises StartupError, IndexDamaged, StoreUnavailable."""
        place = str(folder / NAME)
        self.is_readonly = is_readonly(folder)
        if not self.is_readonly:
            _make_folder(folder)
        self.lock = _lock(folder) if lead and not self.is_readonly else None
        self.frozen: tuple[int, ...] | None = None
        connect = _connect
        if self.is_readonly:
            self.frozen, connect = _state(place), _look
            if self.frozen[0]:
                self.frozen = None  # somebody writes, and SQLite sees what
        try:
            with ExitStack() as undo:
                self.writer = connect(place, undo)
                self.fresh = _fit(self.writer.raw, folder, self.lock is not None)
                self.readers = [connect(place, undo) for _ in range(_READERS)]
                for reader in self.readers:
                    reader.raw.execute("PRAGMA query_only = 1")
                undo.pop_all()
        except (sqlite3.Error, HectorError) as error:
            if self.lock is not None:
                self.lock.release()
            raise explain(error, place) from None


async def open_file(folder: Path, *, lead: bool) -> IndexFile:
    """Open or create, without making the event loop wait. `lead`: write, if nobody else does."""
    opened = await asyncio.to_thread(Opened, folder, lead=lead)
    return IndexFile(folder, opened)


async def delete_folder(folder: Path) -> None:
    """Everything of one collection, damaged or not. Raises StoreUnavailable while a process writes it."""

    def delete() -> None:
        if not folder.exists():
            return
        lock = _lock(folder)
        if lock is None:
            raise StoreUnavailable(f"index {folder}: another process of Hector writes it: stop that one first")
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()

    await asyncio.to_thread(delete)


def is_readonly(folder: Path) -> bool:
    """Whether there is an index that this process may read and not write."""
    writable = os.access(folder, os.W_OK | os.X_OK) and os.access(folder / NAME, os.W_OK)
    return not writable and os.access(folder / NAME, os.R_OK)


def _state(place: str) -> tuple[int, ...]:
    """Whether there is a log beside a file, and what changes when the file does."""
    facts = os.stat(place)
    return int(os.path.exists(f"{place}-wal")), facts.st_ino, facts.st_size, facts.st_mtime_ns


def _look(place: str, undo: ExitStack) -> SqliteConnection:
    """For reading alone. Beside a log SQLite follows who writes; without one the file is taken to stay as it is."""
    still = "" if os.path.exists(f"{place}-wal") else "&immutable=1"
    raw = sqlite3.connect(
        f"file:{quote(place)}?mode=ro{still}", uri=True, timeout=5.0, isolation_level=None, check_same_thread=False,
        cached_statements=128,
    )  # fmt: skip
    undo.callback(raw.close)
    raw.execute("PRAGMA temp_store = MEMORY")
    return SqliteConnection(raw)


def _make_folder(folder: Path) -> None:
    try:
        for parent in reversed((folder, *folder.parents)):
            if not parent.exists():
                parent.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> StartupError:
    todo = "Free some space" if error.errno in {ENOSPC, EDQUOT} else "Give this user write permission there"
    return StartupError(
        f"index {folder}: {error.strerror or error}. {todo}, or choose another place with "
        "vector_stores.<id>.persist_path"
    )


def _lock(folder: Path) -> FileLock | None:
    try:
        return FileLock(folder / NAME)
    except StartupError:
        return None
    except OSError as error:
        raise _unwritable(folder, error) from error


def _connect(place: str, undo: ExitStack) -> SqliteConnection:
    raw = sqlite3.connect(place, timeout=5.0, isolation_level=None, check_same_thread=False, cached_statements=128)
    undo.callback(raw.close)
    raw.execute("PRAGMA journal_mode = WAL").fetchone()
    for pragma in _PRAGMAS:
        raw.execute(pragma)
    return SqliteConnection(raw)


def _fit(raw: sqlite3.Connection, folder: Path, leads: bool) -> bool:
    """Make the tables, or empty those of an older format; whether they are new."""
    (found,) = raw.execute("PRAGMA user_version").fetchone()
    if found == FORMAT:
        if leads:
            raw.execute("CREATE INDEX IF NOT EXISTS chunks_stale ON chunks (key) WHERE embedded > 1")  # once had none
        return False
    if found > FORMAT:
        raise StoreError(
            f"index {folder} has format {found}, made by a newer Hector; this one knows {FORMAT}: use the newer one, "
            "or delete the folder to index again"
        )
    if found and not leads:
        raise StoreUnavailable(f"index {folder}: the process that writes it makes it anew; try again later")
    raw.execute("BEGIN IMMEDIATE")
    try:
        (again,) = raw.execute("PRAGMA user_version").fetchone()
        if again == FORMAT:  # somebody else was faster
            return False
        _create(raw)
        raw.execute("COMMIT")
    finally:
        with suppress(sqlite3.Error):
            if raw.in_transaction:
                raw.rollback()
    return True


def _create(raw: sqlite3.Connection) -> None:
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND sql IS NOT NULL"
    for (name,) in raw.execute(tables).fetchall():
        raw.execute(f'DROP TABLE IF EXISTS "{name}"')
    for statement in statements(text("collection/schema.sql")):
        raw.execute(statement)
    raw.execute("INSERT INTO meta (name, value) VALUES ('identity', ?)", (secrets.token_hex(8),))
    # Keys begin somewhere else in each index: those that a remote store still holds of an earlier one mean nothing.
    raw.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('chunks', ?)", (secrets.randbelow(1 << 46),))
    raw.execute(f"PRAGMA user_version = {FORMAT}")
