"""What went wrong in SQLite, in words that name the remedy."""

import sqlite3
from typing import Final

from hector.core.errors import HectorError, InvalidRequest, StoreError, StoreUnavailable

_AWAY: Final = {
    sqlite3.SQLITE_BUSY: "another program holds a lock on it: close that program",
    sqlite3.SQLITE_LOCKED: "another program holds a lock on it: close that program",
    sqlite3.SQLITE_FULL: "the disk is full: free some space",
    sqlite3.SQLITE_IOERR: "the disk reports an error ({error}): check the disk and its free space",
    sqlite3.SQLITE_READONLY: "it is read-only: give this user write permission on the file and its folder",
    sqlite3.SQLITE_PERM: "access is denied: give this user read and write permission on the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: check that its folder exists and that this user may write there",
    sqlite3.SQLITE_NOMEM: "there is not enough memory",
}
_BROKEN: Final = {
    sqlite3.SQLITE_NOTADB: "it is not an SQLite database: choose another file with --database",
    sqlite3.SQLITE_CORRUPT: "it is damaged ({error}): restore it from a backup, or choose another with --database",
}


def translate(error: Exception, place: str) -> Exception:
    """A StoreError for an SQLite error at `place` (a file); an error that speaks for itself stays as it is."""
    if isinstance(error, UnicodeEncodeError):
        return InvalidRequest("the text holds half a surrogate pair, which is not valid Unicode")
    if isinstance(error, HectorError):
        return error.with_traceback(None)  # said on purpose: where is of no interest, and the frames hold much
    if not isinstance(error, sqlite3.Error):
        return error
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
    if code in _AWAY:
        return StoreUnavailable(f"database {place}: " + _AWAY[code].format(error=error))
    if code in _BROKEN:
        return StoreError(f"database {place}: " + _BROKEN[code].format(error=error))
    return StoreError(f"database {place}: {error}")
