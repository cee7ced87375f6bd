"""Calls to the Linux kernel that Python has no functions for."""

import ctypes
import os
import platform
import sys
from typing import Any, Final

LINUX: Final = sys.platform == "linux"
MACHINE: Final = platform.machine()
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_SET_CHILD_SUBREAPER = 1, 38, 36
PR_SET_DUMPABLE: Final = 4
PR_CAPBSET_DROP, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, PR_SET_SECCOMP = 24, 47, 4, 22
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
MNT_DETACH: Final = 2
_MOUNT_SETATTR: Final = 442
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV = 1, 2, 4
_PIVOT_ROOT: Final = {"x86_64": 155, "aarch64": 41}
_LAST_CAPABILITY: Final = 63
_CAPABILITY_V3: Final = 0x20080522

_libc: Any = ctypes.CDLL(None, use_errno=True) if LINUX else None


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number).lower()}")
    return result


def syscall(number: int, *args: Any) -> int:
    """A raw system call; whole numbers and pointers. Raises OSError."""
    wide = [ctypes.c_long(one) if isinstance(one, int) else one for one in args]
    return _checked(_libc.syscall(ctypes.c_long(number), *wide), f"system call {number}")


def prctl(option: int, *args: Any) -> int:
    """prctl(2). Raises OSError."""
    wide = [ctypes.c_ulong(one) if isinstance(one, int) else one for one in (*args, *(0,) * (4 - len(args)))]
    return _checked(_libc.prctl(option, *wide), f"prctl {option}")


def unshare(flags: int) -> None:
    """Raises OSError."""
    _checked(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2). Raises OSError, which names the target."""
    texts = [os.fsencode(text) if text else None for text in (source, target, kind)]
    result = _libc.mount(*texts, ctypes.c_ulong(flags), data.encode() or None)
    _checked(result, f"mounting {target}")


def unmount(target: str) -> None:
    """Take a mount away as soon as nobody uses it. Raises OSError."""
    _checked(_libc.umount2(os.fsencode(target), MNT_DETACH), f"unmounting {target}")


def pivot_root(new: str, old: str) -> None:
    """Raises OSError."""
    number = _PIVOT_ROOT.get(MACHINE)
    if number is None:
        raise OSError(f"namespaces are not supported on {MACHINE}")
    syscall(number, os.fsencode(new), os.fsencode(old))


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64), ("clear", ctypes.c_uint64), ("propagation", ctypes.c_uint64), ("ns", ctypes.c_uint64),
    )  # fmt: skip


def restrict_mount(target: str, attributes: int, *, below: bool = True) -> None:
    """Add attributes to a mount, and to all below it. Raises OSError."""
    asked = _Attributes(set=attributes)
    place = os.fsencode(target)
    syscall(_MOUNT_SETATTR, _AT_FDCWD, place, _AT_RECURSIVE if below else 0, ctypes.byref(asked), ctypes.sizeof(asked))


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Capabilities(ctypes.Structure):
    _fields_ = (("words", ctypes.c_uint32 * 6),)


def drop_capabilities() -> None:
    """For this process and all that it starts, programs with the set-user-id bit included. Raises OSError."""
    for number in range(_LAST_CAPABILITY + 1):
        try:
            prctl(PR_CAPBSET_DROP, number)
        except OSError:  # unknown to this kernel, or we have no right to drop it, and so none of the rights either
            continue
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header, none = _Header(_CAPABILITY_V3, 0), _Capabilities()
    _checked(_libc.capset(ctypes.byref(header), ctypes.byref(none)), "capset")
