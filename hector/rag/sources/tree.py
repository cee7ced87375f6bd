"""The documents below a folder: found, looked at, read. Everything here blocks, and runs in threads."""

import errno
import os
import stat
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import field
from typing import Final

from hector.core.record import dataclass
from hector.rag.sources import choice as reasons
from hector.rag.sources import ignores, opening, sensitive
from hector.rag.sources.choice import Choice
from hector.rag.sources.ignores import Ignores

DEEPEST: Final = 100
"""Folders within each other that are looked into."""
_SNIFF: Final = 2048
"""Bytes of a file that are looked at where its name does not tell whether it is a text."""
_GONE: Final = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP))
"""What opening says of something that was deleted meanwhile, or replaced by a link."""
_SYSTEM: Final = ("/proc", "/sys", "/dev")
LINK: Final = "a link"
SPECIAL: Final = "no plain file"
OWN: Final = "the server's own"


@dataclass(frozen=True, slots=True)
class Found:
    """A file. `path` is relative, with `/`; names that are no UTF-8 are as the system hands them (surrogates)."""

    path: str
    size: int
    changed: int
    """Nanoseconds."""
    inode: int

    @property
    def name(self) -> str:
        """Its own."""
        return self.path.rpartition("/")[2]


@dataclass(slots=True)
class Tally:
    """What a walk left out. `unseen`: folders, with a slash at the end, that could not be looked at, and why."""

    counts: Counter[str] = field(default_factory=Counter)
    unseen: dict[str, str] = field(default_factory=dict)


class Tree:
    """One folder, and what of it is meant."""

    def __init__(self, root: str, choice: Choice, own: Sequence[str] = (), *, ignore_files: bool = True) -> None:
        self.root = root
        self.choice = choice
        self._ignore_files = ignore_files
        self._own_paths = own
        self._own: frozenset[tuple[int, int]] = frozenset()
        self._system = _devices(_SYSTEM) - _devices(("/", root))

    def walk(self, tally: Tally, start: str = "", entered: Callable[[str], None] | None = None) -> Generator[Found]:
        """Every document, or those below one folder. `entered` is told of each folder before it is listed.

        Raises OSError where the root itself cannot be opened.
        """
        self._own = _identities(self._own_paths)
        todo = [(start, self._rules_of(_steps(start)[:-1]) if start else None)]
        while todo:
            path, above = todo.pop()
            if entered is not None:
                entered(path)
            inner: list[tuple[str, Ignores | None]] = []
            try:
                yield from self._listed(path, above, inner, tally)
            except OSError as error:
                if not path:
                    raise
                if error.errno not in _GONE:
                    tally.unseen[f"{path}/"] = error.strerror or str(error)
            todo += reversed(inner)

    def is_meant(self, path: str) -> bool:
        """Whether a folder is looked into, and all those that it lies in."""
        steps = _steps(path)
        if any(self.choice.folder("/".join(steps[: count + 1])) for count in range(len(steps))):
            return False
        rules = self._rules_of(steps[:-1])
        return not (rules and rules.leaves_out(path, is_folder=True))

    def look(self, path: str) -> Found | None:
        """One document, if it is there and is one. Raises OSError where that cannot be told."""
        if not _is_path(path):
            return None
        steps = _steps(path)
        self._own = self._own or _identities(self._own_paths)
        try:
            with opening.folder(self.root, steps[:-1]) as opened:
                facts = os.stat(steps[-1], dir_fd=opened, follow_symlinks=False)
                if self.choice.whole(path, facts.st_size) or _of_what_kind(facts) or self._is_ignored(path):
                    return None
                return None if self._is_binary(opened, steps[-1]) else _found(path, facts)
        except OSError as error:
            if error.errno in _GONE:
                return None
            raise

    def read(self, path: str, most: int) -> tuple[Found, bytes, Found]:
        """A file as it was, its first `most` bytes, and as it was when they had been read. Raises OSError."""
        if not _is_path(path):
            raise FileNotFoundError(errno.ENOENT, "no such file")
        steps = _steps(path)
        with opening.folder(self.root, steps[:-1]) as within, opening.file(within, steps[-1]) as opened:
            before = os.fstat(opened)
            data = opening.read(opened, most)
            return _found(path, before), data, _found(path, os.fstat(opened))

    def _listed(
        self, path: str, above: Ignores | None, inner: list[tuple[str, Ignores | None]], tally: Tally
    ) -> Iterator[Found]:
        """The documents of one folder; the folders in it are put into `inner`."""
        if path.count("/") >= DEEPEST:
            raise OSError(errno.ENAMETOOLONG, f"more than {DEEPEST} folders deep")
        with opening.folder(self.root, _steps(path)) as opened, os.scandir(opened) as entries:
            if os.fstat(opened).st_dev in self._system:
                return
            rules = self._rules(opened, path, above)
            for entry in entries:
                inside = f"{path}/{entry.name}" if path else entry.name
                facts = _facts(entry)
                if facts is None or (rules and rules.leaves_out(inside, is_folder=stat.S_ISDIR(facts.st_mode))):
                    continue
                if stat.S_ISDIR(facts.st_mode):
                    if not self.choice.folder(inside) and (facts.st_dev, facts.st_ino) not in self._own:
                        inner.append((inside, rules))
                elif reason := self._left_out(opened, inside, entry.name, facts):
                    if reason != reasons.NOT_MEANT:
                        tally.counts[reason] += 1
                else:
                    yield _found(inside, facts)

    def _left_out(self, within: int, path: str, name: str, facts: os.stat_result) -> str:
        """Why a file is no document, or the empty text."""
        reason = self.choice.file(path, facts.st_size)
        if reason != reasons.NOT_MEANT:
            reason = _of_what_kind(facts) or reason
        if reason:
            return reason
        if (facts.st_dev, facts.st_ino) in self._own and not self.choice.names(path):
            return OWN
        return reasons.NO_TEXT if self._is_binary(within, name) else ""

    def _is_binary(self, within: int, name: str) -> bool:
        return not self.choice.is_certain(name) and sensitive.looks_binary(opening.start(within, name, _SNIFF))

    def _is_ignored(self, path: str) -> bool:
        steps, rules = _steps(path), None
        for count in range(len(steps)):
            rules = self._rules_below(steps[:count], rules)
            is_folder = count + 1 < len(steps)
            if rules and rules.leaves_out("/".join(steps[: count + 1]), is_folder=is_folder):
                return True
        return False

    def _rules_of(self, steps: Sequence[str]) -> Ignores | None:
        """The rules that hold in a folder."""
        rules = None
        for count in range(len(steps) + 1):
            rules = self._rules_below(steps[:count], rules)
        return rules

    def _rules_below(self, steps: Sequence[str], above: Ignores | None) -> Ignores | None:
        with opening.folder(self.root, steps) as opened:
            return self._rules(opened, "/".join(steps), above)

    def _rules(self, opened: int, path: str, above: Ignores | None) -> Ignores | None:
        """The rules that hold in an open folder, given those of the one above."""
        if not self._ignore_files:
            return None
        texts = (opening.start(opened, name, ignores.LARGEST) for name in ignores.NAMES)
        rules = tuple(rule for text in texts if text for rule in ignores.parse(os.fsdecode(text)))
        return Ignores(f"{path}/" if path else "", rules, above) if rules else above


def _of_what_kind(facts: os.stat_result) -> str:
    if stat.S_ISLNK(facts.st_mode):
        return LINK
    return "" if stat.S_ISREG(facts.st_mode) else SPECIAL


def _facts(entry: "os.DirEntry[str]") -> os.stat_result | None:
    """None: it is gone meanwhile."""
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


def _steps(path: str) -> list[str]:
    return path.split("/") if path else []


def _is_path(path: str) -> bool:
    return "\0" not in path and not any(step in {"", ".", ".."} for step in path.split("/"))


def _found(path: str, facts: os.stat_result) -> Found:
    return Found(path, facts.st_size, facts.st_mtime_ns, facts.st_ino)


def _identities(paths: Iterable[str]) -> frozenset[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    for path in paths:
        with suppress(OSError):
            facts = os.stat(path)
            found.add((facts.st_dev, facts.st_ino))
    return frozenset(found)


def _devices(paths: Iterable[str]) -> frozenset[int]:
    return frozenset(device for device, _ in _identities(paths))
