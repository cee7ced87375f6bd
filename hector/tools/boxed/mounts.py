"""Namespaces: a command of its own world, with the system to read, its folder to write, and nothing else.

No network but a loopback of its own, no processes but its own, and a root that holds only what was put there.
"""

import os
from collections.abc import Iterable
from typing import Final

from hector.tools.boxed import kernel

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_BASE: Final = "/tmp"  # noqa: S108 - is there everywhere, and hidden behind a file system of our own
_DEVICES: Final = ("null", "zero", "full", "random", "urandom", "tty")
_TEMPORARY: Final = "size=256m,mode=1777"


def enter(*, network: bool) -> None:
    """Make the namespaces; the next child is the first process in there. Raises OSError."""
    user, group = os.geteuid(), os.getegid()
    kernel.unshare(_NEWUSER | _NEWPID | _NEWIPC | _NEWUTS | (0 if network else _NEWNET))
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{user} {user} 1")
    _write("/proc/self/gid_map", f"{group} {group} 1")


def build(read: Iterable[str], write: Iterable[str], hide: Iterable[str]) -> None:
    """Give this process, the first of its namespace, a root of its own. Its parent keeps its own. Raises OSError."""
    kernel.unshare(_NEWNS)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", _BASE, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=0755")
    os.mkdir(f"{_BASE}/old")
    os.mkdir(f"{_BASE}/new")
    kernel.pivot_root(_BASE, f"{_BASE}/old")
    os.chdir("/")
    kernel.mount("tmpfs", "/new", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=1m,mode=0755")
    _fill(read, write, hide)
    kernel.mount("proc", "/new/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    kernel.unmount("/old")
    os.mkdir("/new/.old")
    kernel.pivot_root("/new", "/new/.old")
    os.chdir("/")
    kernel.unmount("/.old")
    os.rmdir("/.old")
    kernel.restrict_mount("/", kernel.ATTR_RDONLY, below=False)


def _fill(read: Iterable[str], write: Iterable[str], hide: Iterable[str]) -> None:
    places = list(write)
    for folder in ("proc", "dev", "tmp"):
        os.mkdir(f"/new/{folder}")
    kernel.mount("tmpfs", "/new/tmp", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, _TEMPORARY)
    os.mkdir("/new/dev/shm")
    kernel.mount("tmpfs", "/new/dev/shm", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, _TEMPORARY)
    for name in _DEVICES:
        _bind(f"/dev/{name}", 0)
    for name, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(f"/proc/self/{target}", f"/new/dev/{name}")
    for path in read:
        _bind(path, kernel.ATTR_RDONLY | kernel.ATTR_NOSUID | kernel.ATTR_NODEV)
    for path in places:
        _bind(path, kernel.ATTR_NOSUID | kernel.ATTR_NODEV)
    for path in hide:
        _hold(path, places)
    for path in hide:
        _cover(path)


def _hold(path: str, places: Iterable[str]) -> None:
    """Make mounts of the folders between one to write to and what is hidden in it, so that they cannot be renamed.

    With the name of its folder a hidden file would come into sight.
    """
    for place in places:
        inner = os.path.relpath(os.path.dirname(path), place)
        if inner.split("/")[0] not in {".", ".."}:
            names = inner.split("/")
            for n in range(1, len(names) + 1):
                target = os.path.join(f"/new{place}", *names[:n])
                if os.path.isdir(target):
                    kernel.mount(target, target, flags=kernel.MS_BIND | kernel.MS_REC)


def _bind(path: str, attributes: int) -> None:
    """The same path in the new root. A link is made again, so that it leads to what the new root has there."""
    source, target = f"/old{path}", f"/new{path}"
    if os.path.islink(source):
        if not os.path.lexists(target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.symlink(os.readlink(source), target)
        return
    if not os.path.exists(source):
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        _write(target, "")
    kernel.mount(source, target, flags=kernel.MS_BIND | kernel.MS_REC)
    if attributes:
        kernel.restrict_mount(target, attributes)


def _cover(path: str) -> None:
    """Put an empty folder or file over what must not be seen."""
    target = f"/new{path}"
    if os.path.islink(target) or not os.path.exists(target):
        return
    if os.path.isdir(target):
        kernel.mount("tmpfs", target, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=4k,mode=0555")
        kernel.restrict_mount(target, kernel.ATTR_RDONLY)
    else:
        kernel.mount("/new/dev/null", target, flags=kernel.MS_BIND)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
