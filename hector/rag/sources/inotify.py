"""Linux's notices of changes in folders (inotify), by ctypes: no watch follows a link, and nothing is installed for it.

Each folder needs a watch of its own. Notices tell of a name in a folder; what became of it has to be looked at.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from hector.core.record import dataclass
from hector.rag.sources import opening

CLOSE_WRITE: Final = 0x8
MOVED_FROM: Final = 0x40
MOVED_TO: Final = 0x80
CREATE: Final = 0x100
DELETE: Final = 0x200
OVERFLOW: Final = 0x4000
IGNORED: Final = 0x8000
IS_FOLDER: Final = 0x40000000
_MASK: Final = CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE | 0x01000000 | 0x04000000
"""With: folders only, and nothing about files that have lost their name already."""
_HEAD: Final = struct.Struct("iIII")
_BUFFER: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Notice:
    """`folder` is the path of a folder as it was when it was watched, None where nobody knows; `name` is in it."""

    folder: str | None
    name: str
    mask: int


@cache
def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


class Inotify:
    """Watches of the folders below `root`. Raises OSError where the system has none, or none left."""

    def __init__(self, root: str) -> None:
        if sys.platform != "linux":
            raise OSError("this system has no inotify")
        self._root = root
        self._folders: dict[int, str] = {}
        self.descriptor: int = _checked(_libc().inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def watch(self, path: str) -> None:
        """Watch a folder; nothing happens where it is gone."""
        try:
            with opening.folder(self._root, path.split("/") if path else []) as opened:
                place = os.fsencode(f"/proc/self/fd/{opened}")
                number = _checked(_libc().inotify_add_watch(self.descriptor, place, _MASK))
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return
        self._folders[number] = path

    def keep(self, paths: set[str]) -> None:
        """Watch no other folders than these any more."""
        for number in [number for number, path in self._folders.items() if path not in paths]:
            _libc().inotify_rm_watch(self.descriptor, number)
            del self._folders[number]

    def notices(self) -> Iterator[Notice]:
        """What has come by now."""
        while data := self._read():
            at = 0
            while at < len(data):
                number, mask, _, length = _HEAD.unpack_from(data, at)
                at += _HEAD.size
                name = os.fsdecode(data[at : at + length].rstrip(b"\0"))
                at += length
                if mask & IGNORED:
                    self._folders.pop(number, None)
                else:
                    yield Notice(self._folders.get(number), name, mask)

    def close(self) -> None:
        """End all watches."""
        os.close(self.descriptor)

    def _read(self) -> bytes:
        try:
            return os.read(self.descriptor, _BUFFER)
        except BlockingIOError:
            return b""


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
