"""The files of a commit that are documents. Opens nothing; whoever wrote the repository decides nothing but names."""

import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from typing import Final, Protocol

from hector.core.record import dataclass
from hector.rag.errors import SourceError
from hector.rag.sources import choice as reasons
from hector.rag.sources import ignores
from hector.rag.sources.choice import Choice
from hector.rag.sources.git_pack import COMMIT, TAG, TREE, Damaged
from hector.rag.sources.git_wire import is_id
from hector.rag.sources.ignores import Ignores
from hector.rag.sources.tree import DEEPEST, LINK

IGNORE_FILES: Final = frozenset(name.encode() for name in ignores.NAMES if name != ".gitignore")
"""Those that mean more than git: what git holds is not ignored by it."""
EMPTY: Final = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
"""The id of a file without content."""
_LARGEST: Final = 32 * 2**20
"""Bytes of a commit or a folder."""
_MOST: Final = 2_000_000
_STEPS: Final = 5
_KIND: Final = 0o170000
_FILE: Final = 0o100000
_FOLDER: Final = 0o040000
_LINK: Final = 0o120000
SUBMODULE: Final = "a submodule"
ODD: Final = "a name that no file can have"


class Objects(Protocol):
    """Objects of a repository by their ids, in hexadecimal digits."""

    def content(self, identity: str, largest: int) -> tuple[int, bytes]:
        """Kind and content. Raises TooLarge, SourceError."""

    def size(self, identity: str) -> int | None:
        """Of a file, where that is known."""


@dataclass(frozen=True, slots=True)
class File:
    """A document. `path`: with `/`; names that are no UTF-8 are as the system hands them (surrogates)."""

    path: str
    identity: str
    size: int | None

    @property
    def name(self) -> str:
        """Its own."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: int
    name: bytes
    identity: str


def root_of(objects: Objects, name: str) -> tuple[str, str]:
    """The ids of a commit, or of the one that a tag leads to, and of its topmost folder. Raises SourceError."""
    commit = name
    for _ in range(_STEPS):
        kind, data = objects.content(name, _LARGEST)
        if kind == TREE:
            return commit, name
        commit = name
        word = {COMMIT: b"tree ", TAG: b"object "}.get(kind, b"")
        first = data.partition(b"\n")[0]
        name = first.removeprefix(word).decode("ascii", "replace")
        if not word or not first.startswith(word) or not is_id(name):
            break
    raise SourceError(f"{commit} is no commit")


def texts_of_ignores(objects: Objects, root: str) -> tuple[str, ...]:
    """The ids of all ignore files. Each folder is looked at once, however often it is there."""
    found: dict[str, None] = {}
    todo, seen = [root], {root}
    while todo:
        for entry in _entries(objects, todo.pop()):
            if entry.kind == _FOLDER and entry.identity not in seen:
                seen.add(entry.identity)
                todo.append(entry.identity)
            elif entry.kind == _FILE and entry.name in IGNORE_FILES:
                found[entry.identity] = None
    return tuple(found)


class Walk:
    """One look at a commit. `text` gives what an ignore file says, None: nothing; `counts`: what was left out."""

    def __init__(self, objects: Objects, choice: Choice, text: Callable[[str], bytes | None]) -> None:
        self._objects, self._choice, self._text = objects, choice, text
        self.counts: Counter[str] = Counter()

    def files(self, root: str) -> Generator[File]:
        """Every document. Raises SourceError where there is no end of them."""
        todo: list[tuple[str, str, Ignores | None]] = [("", root, None)]
        count = 0
        while todo:
            path, identity, above = todo.pop()
            inner: list[tuple[str, str, Ignores | None]] = []
            entries = list(_entries(self._objects, identity))
            rules = self._rules(path, entries, above)
            for entry in entries:
                count += 1
                if count > _MOST:
                    raise SourceError(f"the repository has more than {_MOST} files, which is more than is looked at")
                inside = f"{path}/{os.fsdecode(entry.name)}" if path else os.fsdecode(entry.name)
                if rules and rules.leaves_out(inside, is_folder=entry.kind == _FOLDER):
                    continue
                if entry.kind == _FOLDER and _can_be(entry.name):
                    self._enter(inside, entry, rules, inner)
                elif (file := self._file(inside, entry)) is not None:
                    yield file
            todo += reversed(inner)

    def _enter(
        self, path: str, entry: _Entry, rules: Ignores | None, inner: list[tuple[str, str, Ignores | None]]
    ) -> None:
        if self._choice.folder(path):
            return
        if path.count("/") >= DEEPEST:
            self.counts[f"more than {DEEPEST} folders deep"] += 1
        else:
            inner.append((path, entry.identity, rules))

    def _file(self, path: str, entry: _Entry) -> File | None:
        if not _can_be(entry.name):
            self.counts[ODD] += 1
            return None
        size = 0 if entry.identity == EMPTY else None
        reason = self._choice.file(path, 1 if size is None else size)
        if reason != reasons.NOT_MEANT and entry.kind != _FILE:
            reason = LINK if entry.kind == _LINK else SUBMODULE
        if not reason:
            size = self._objects.size(entry.identity)
            reason = self._choice.file(path, 1 if size is None else size)
        if reason:
            self.counts[reason] += reason != reasons.NOT_MEANT
            return None
        return File(path, entry.identity, size)

    def _rules(self, path: str, entries: list[_Entry], above: Ignores | None) -> Ignores | None:
        here = {entry.name: entry.identity for entry in entries if entry.name in IGNORE_FILES and entry.kind == _FILE}
        texts = (self._text(here[name]) for name in sorted(here, key=lambda name: ignores.NAMES.index(name.decode())))
        rules = tuple(rule for text in texts if text for rule in ignores.parse(os.fsdecode(text[: ignores.LARGEST])))
        return Ignores(f"{path}/" if path else "", rules, above) if rules else above


def _entries(objects: Objects, identity: str) -> Iterator[_Entry]:
    """What stands in a folder. Raises SourceError."""
    kind, data = objects.content(identity, _LARGEST)
    if kind != TREE:
        raise Damaged(f"{identity} of the repository is no folder")
    at, seen = 0, set[bytes]()
    while at < len(data):
        blank, end = data.find(b" ", at), data.find(b"\0", at)
        if not at < blank < end or end + 21 > len(data):
            raise Damaged(f"the folder {identity} of the repository is damaged")
        mode, name = data[at:blank], data[blank + 1 : end]
        at = end + 21
        if name not in seen and len(mode) <= 6 and mode.isdigit():
            seen.add(name)
            yield _Entry(
                int(mode, 8) & _KIND if b"8" not in mode and b"9" not in mode else 0, name, data[end + 1 : at].hex()
            )


def _can_be(name: bytes) -> bool:
    return b"/" not in name and name.lower() not in {b"", b".", b"..", b".git"}
