"""Landlock: a process takes rights away from itself, for files, TCP, and signals. See landlock(7)."""

import ctypes
import os
import stat
from collections.abc import Iterable
from typing import Final

from hector.tools.boxed import kernel

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION: Final = 1
_PATH: Final = 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
_REFER, _TRUNCATE, _IOCTL = 1 << 13, 1 << 14, 1 << 15
_OF_FILES: Final = EXECUTE | WRITE_FILE | READ_FILE | _TRUNCATE | _IOCTL
READ: Final = EXECUTE | READ_FILE | READ_DIR
DEVICE: Final = READ_FILE | WRITE_FILE | _TRUNCATE | _IOCTL
_BY_VERSION: Final = ((1, (1 << 13) - 1), (2, _REFER), (3, _TRUNCATE), (5, _IOCTL))
_TCP, _SCOPES = 3, 3


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_, _layout_ = 1, "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def version() -> int:
    """Of Landlock in this kernel; 0: there is none, or it is not switched on."""
    if not kernel.LINUX:
        return 0
    try:
        return kernel.syscall(_CREATE, 0, 0, _VERSION)
    except OSError:
        return 0


def everything(known: int) -> int:
    """All rights to files that this version knows."""
    return sum(rights for since, rights in _BY_VERSION if known >= since)


def restrict(rules: Iterable[tuple[str, int]], *, network: bool) -> None:
    """Leave this process the rights at these paths and no others. Paths that are not there are passed over.

    Raises OSError.
    """
    known = version()
    handled = everything(known)
    asked = _Ruleset(handled, _TCP if known >= 4 and not network else 0, _SCOPES if known >= 6 else 0)
    size = 8 if known < 4 else 16 if known < 6 else 24
    ruleset = kernel.syscall(_CREATE, ctypes.byref(asked), size, 0)
    for path, rights in rules:
        _allow(ruleset, path, rights & handled)
    kernel.syscall(_RESTRICT, ruleset, 0)
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not stat.S_ISDIR(os.fstat(place).st_mode):
        rights &= _OF_FILES
    rule = _Beneath(rights, place)
    kernel.syscall(_ADD, ruleset, _PATH, ctypes.byref(rule), 0)
    os.close(place)
