"""Files of one folder, opened so that nothing outside of it can be reached.

Each step of a path is opened below the descriptor of the one before, and never through a link (openat with O_NOFOLLOW).
What was opened is judged by its own descriptor, and what is written goes in beside it and takes its place in one step.
So it does not matter what others do to the folders meanwhile. Needs a POSIX system.
"""

import errno
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from hector.core.errors import ToolError
from hector.core.record import dataclass

AVAILABLE: Final = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW") and hasattr(os, "O_DIRECTORY")
_FOLDER: Final = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_FILE: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_NOCTTY: Final = getattr(os, "O_NOCTTY", 0)
_SPECIAL: Final = ("/proc", "/sys", "/dev")
NEW_FILE: Final = 0o666
TEMPORARY: Final = ".hector-writing-"
"""How files are named that are being written."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a folder. `kind` is file, folder, link or other; `size` in bytes."""

    name: str
    kind: str
    size: int


@dataclass(frozen=True, slots=True)
class Content:
    """A file as it was read. `seen` tells whether it is still the same when it is written."""

    data: bytes
    mode: int
    owner: tuple[int, int]
    seen: tuple[int, ...]


class Root:
    """One folder. `hard_links`: files that have other names are used, too, which may lie anywhere."""

    def __init__(self, path: str, *, hard_links: bool = False) -> None:
        self.path = path
        self._hard_links = hard_links
        self._special = _devices()

    @contextmanager
    def folder(self, names: Sequence[str], *, make: bool = False) -> Iterator[int]:
        """The descriptor of a folder below; `make` creates what is missing. Raises ToolError."""
        current = self._begin()
        try:
            for at, name in enumerate(names):
                following = self._step(current, name, "/".join(names[: at + 1]), make=make)
                os.close(current)
                current = following
            yield current
        finally:
            os.close(current)

    def _begin(self) -> int:
        try:
            return os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise ToolError(f"the folder {self.path} cannot be opened: {error.strerror}") from None

    def _step(self, folder: int, name: str, shown: str, *, make: bool) -> int:
        try:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(name, 0o777, dir_fd=folder)
            opened = os.open(name, os.O_RDONLY | _FOLDER, dir_fd=folder)
        except OSError as error:
            raise _refused(error, shown, folder, name) from None
        if os.fstat(opened).st_dev in self._special:
            os.close(opened)
            raise ToolError(f"{shown} belongs to the system and is no folder of files")
        return opened

    def read(self, names: Sequence[str], most: int) -> Content:
        """A whole file. Raises ToolError: missing, no plain file, reached by other names, or above `most` bytes."""
        shown = "/".join(names)
        with self.folder(names[:-1]) as folder:
            opened = self._open(folder, names[-1], shown)
            try:
                facts = self._judged(os.fstat(opened), shown)
                if facts.st_size > most:
                    raise ToolError(f"{shown} has {facts.st_size} bytes; files of more than {most} are not read")
                data = _all(opened, most + 1)
            except OSError as error:
                raise ToolError(f"{shown} cannot be read: {error.strerror}") from None
            finally:
                os.close(opened)
        if len(data) > most:
            raise ToolError(f"{shown} has more than {most} bytes, which are not read")
        return Content(data, stat.S_IMODE(facts.st_mode), (facts.st_uid, facts.st_gid), _identity(facts))

    def _open(self, folder: int, name: str, shown: str) -> int:
        try:
            return os.open(name, os.O_RDONLY | _FILE | _NOCTTY, dir_fd=folder)
        except OSError as error:
            raise _refused(error, shown, folder, name) from None

    def _judged(self, facts: os.stat_result, shown: str) -> os.stat_result:
        if stat.S_ISDIR(facts.st_mode):
            raise ToolError(f"{shown} is a folder")
        if not stat.S_ISREG(facts.st_mode) or facts.st_dev in self._special:
            raise ToolError(f"{shown} is no plain file")
        if facts.st_nlink > 1 and not self._hard_links:
            raise ToolError(
                f"{shown} is the same file as another name, maybe outside of this folder (a hard link), and is not used"
            )
        return facts

    def write(self, names: Sequence[str], data: bytes, before: Content | None) -> None:
        """Put a whole file in its place in one step; missing folders are made.

        `before` is the file as it was read, None for one that must not exist yet. Raises ToolError, with nothing
        changed, where it is not so any more.
        """
        shown = "/".join(names)
        temporary = f"{TEMPORARY}{secrets.token_hex(8)}"
        with self.folder(names[:-1], make=True) as folder:
            try:
                self._fill(folder, temporary, data, before)
                self._place(folder, temporary, names[-1], before, shown)
            except OSError as error:
                raise ToolError(f"{shown} cannot be written: {error.strerror}") from None
            finally:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)

    def _fill(self, folder: int, temporary: str, data: bytes, before: Content | None) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE
        opened = os.open(temporary, flags, NEW_FILE if before is None else 0o600, dir_fd=folder)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(opened, left) :]
            if before is not None:
                with suppress(PermissionError):  # only the administrator may give files away
                    os.fchown(opened, *before.owner)
                os.fchmod(opened, before.mode & 0o777)
            os.fsync(opened)
        finally:
            os.close(opened)

    def _place(self, folder: int, temporary: str, name: str, before: Content | None, shown: str) -> None:
        if before is None:
            _place_new(folder, temporary, name, shown)
            return
        try:
            facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            raise ToolError(f"{shown} was deleted by somebody else; nothing was changed") from None
        if _identity(facts) != before.seen:
            raise ToolError(f"{shown} was changed by somebody else meanwhile; nothing was changed: read it again")
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)

    def remove(self, names: Sequence[str], before: Content) -> None:
        """Delete a file that is still as it was read. Raises ToolError."""
        shown = "/".join(names)
        with self.folder(names[:-1]) as folder:
            try:
                facts = os.stat(names[-1], dir_fd=folder, follow_symlinks=False)
                if _identity(facts) != before.seen:
                    raise ToolError(f"{shown} was changed by somebody else meanwhile; nothing was changed")
                os.unlink(names[-1], dir_fd=folder)
            except OSError as error:
                raise ToolError(f"{shown} cannot be deleted: {error.strerror}") from None

    def kind(self, names: Sequence[str]) -> str:
        """What a path is: file, folder, link, other, or missing. Raises ToolError for steps that are no folders."""
        if not names:
            return "folder"
        try:
            with self.folder(names[:-1]) as folder:
                return _kind(os.stat(names[-1], dir_fd=folder, follow_symlinks=False).st_mode)
        except (MissingFileError, FileNotFoundError):
            return "missing"
        except OSError as error:
            raise ToolError(f"{'/'.join(names)} cannot be looked at: {error.strerror}") from None

    def entries(self, names: Sequence[str], most: int) -> list[Entry]:
        """What stands in a folder, by name; `most` at most. Raises ToolError."""
        found: list[Entry] = []
        with self.folder(names) as folder, os.scandir(folder) as scan:
            for one in scan:
                if len(found) >= most or one.name.startswith(TEMPORARY):
                    continue
                try:
                    facts = one.stat(follow_symlinks=False)
                except OSError:
                    continue  # gone meanwhile
                found.append(Entry(one.name, _kind(facts.st_mode), facts.st_size))
        return sorted(found, key=lambda one: one.name)


class MissingFileError(ToolError):
    """There is no such file or folder."""


def _refused(error: OSError, shown: str, folder: int, name: str) -> ToolError:
    if isinstance(error, FileNotFoundError):
        return MissingFileError(f"there is no {shown}")
    if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.EMLINK} and _is_link(folder, name):
        return ToolError(f"{shown} is a symbolic link, which is not followed; name the file itself")
    if error.errno == errno.ENOTDIR:
        return ToolError(f"{shown} is no folder")
    if error.errno in {errno.ENXIO, errno.ENODEV}:
        return ToolError(f"{shown} is no plain file")
    return ToolError(f"{shown} cannot be opened: {error.strerror}")


def _place_new(folder: int, temporary: str, name: str, shown: str) -> None:
    try:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        raise ToolError(f"{shown} exists already, or was made by somebody else at this moment") from None
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.ENOSYS}:
            raise
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)  # a file system without links


def _is_link(folder: int, name: str) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    return "folder" if stat.S_ISDIR(mode) else "link" if stat.S_ISLNK(mode) else "other"


def _identity(facts: os.stat_result) -> tuple[int, ...]:
    return (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_mode)


def _all(opened: int, most: int) -> bytes:
    pieces: list[bytes] = []
    while most > 0 and (piece := os.read(opened, min(most, 1 << 20))):
        pieces.append(piece)
        most -= len(piece)
    return b"".join(pieces)


def _devices() -> frozenset[int]:
    """The file systems that hold no files, unless the system's own root stands on them."""
    found: set[int] = set()
    for path in _SPECIAL:
        with suppress(OSError):
            found.add(os.stat(path).st_dev)
    with suppress(OSError):
        found.discard(os.stat("/").st_dev)
    return frozenset(found)
