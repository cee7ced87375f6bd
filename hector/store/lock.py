"""One Hector process per SQLite file: an advisory lock that the system drops with the process."""

import os
import sys
from pathlib import Path

from hector.core.errors import StartupError

if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> None:
        os.lseek(handle, 1 << 30, os.SEEK_SET)  # beyond the text, which others may read
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try_lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


class FileLock:
    """Held from construction until `release`. The file stays: removing it would race with the next owner."""

    def __init__(self, database: Path) -> None:
        path = database.with_name(database.name + ".lock")
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _try_lock(self._handle)
        except OSError:
            owner = os.pread(self._handle, 20, 0).decode(errors="replace").strip() if hasattr(os, "pread") else ""
            os.close(self._handle)
            raise StartupError(
                f"database {database} is in use by another Hector process{f' (pid {owner})' if owner else ''}: "
                "stop that one, or choose another database with --database sqlite://<path>"
            ) from None
        os.truncate(self._handle, 0)
        os.write(self._handle, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let the next process in."""
        os.close(self._handle)
