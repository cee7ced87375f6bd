"""The file of an SQLite database: made for its owner alone, told from others, looked into before it is changed."""

import errno
import os
import sqlite3
import stat
from pathlib import Path
from typing import Final
from urllib.parse import quote

from hector.core.errors import StartupError
from hector.store.lock import FileLock

_START: Final = "Start `hector serve` once, or name another with --database sqlite://<path>"


def prepare(path: Path) -> FileLock:
    """Create folder and file for this user alone, then lock."""
    try:
        for parent in reversed(path.parents):
            if not parent.exists():
                parent.mkdir(mode=0o700, exist_ok=True)
        lock = FileLock(path.resolve())
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "Free some space" if full else "Give this user write permission on the file and its folder"
        raise StartupError(
            f"database {path}: {error.strerror or error}. {advice}, or choose another with --database sqlite://<path>"
        ) from error
    return lock


def identity(place: str) -> tuple[int, int] | None:
    """Which file this is, whatever its name."""
    try:
        found = os.stat(place)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def has_log(place: str) -> bool:
    """Whether the file's header says that it has a write-ahead log, as all of ours do once they were served from."""
    with open(place, "rb") as file:
        return file.read(20)[18:] == b"\2\2"


def open_to_read(place: str | Path) -> sqlite3.Connection:
    """A connection that creates and changes nothing. `Path.as_uri` would load Python's web client, from 3.14 on."""
    path = quote(os.fsencode(Path(place).absolute().as_posix()))
    return sqlite3.connect(f"file:///{path.lstrip('/')}?mode=ro", timeout=5.0, uri=True)


def _tables(place: str) -> set[str]:
    """Looked up without changing anything, not even the journal mode. Raises SQLite's own errors."""
    raw = open_to_read(place)
    try:
        return {name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    finally:
        raw.close()


def check_not_theirs(place: str) -> None:
    """Raises StartupError for a database of another program."""
    tables = _tables(place)
    if tables and "migrations" not in tables:
        raise StartupError(f"database {place} belongs to another program: choose another file with --database")


def check_ours(place: str) -> None:
    """Raises StartupError where a visitor finds nothing, and SQLite's own errors."""
    try:
        there = stat.S_ISREG(os.stat(place).st_mode)
    except OSError as error:
        what = "there is no such file" if isinstance(error, FileNotFoundError) else f"{error.strerror}"
        raise StartupError(f"database {place}: {what}\n{_START}") from None
    if not there:
        raise StartupError(f"database {place}: this is no file\n{_START}")
    if "migrations" not in _tables(place):
        raise StartupError(f"database {place} holds nothing of Hector\n{_START}")
