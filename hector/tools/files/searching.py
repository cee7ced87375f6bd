"""Looking through folders: which files there are, and which lines of them fit a pattern."""

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from itertools import product
from typing import Final

from hector.core.errors import ToolError
from hector.core.record import dataclass
from hector.tools.files.linear import Pattern
from hector.tools.files.rooted import Entry
from hector.tools.files.text import decode
from hector.tools.files.workspace import Place, Workspace
from hector.tools.threads import is_awaited

PATIENCE: Final = 20.0
"""Seconds that a search may take."""
MOST_FILES: Final = 20_000
MOST_BYTES: Final = 256 * 2**20
"""What a search looks at."""
MOST_PATTERNS: Final = 200
"""Patterns that braces may stand for."""
LONGEST: Final = 500
"""Characters of a line that are shown; of longer ones, what is around cannot be told by the line."""
SKIPPED: Final = frozenset((".git", ".hg", ".svn", ".bzr", "node_modules", "__pycache__", ".venv", ".tox"))
"""Folders that are looked into only when they are named."""
ROUND: Final = 0.005
"""Seconds of work after which a search steps aside, so that the threads that serve are not late."""
ASIDE: Final = 0.001
STEP: Final = 0.05
"""Seconds between two looks whether a search that waits for its turn is still wanted."""
SEARCHING: Final = threading.Lock()
"""Held by the one search of this process that is at work: several at once would only take turns with all else."""


@contextmanager
def turn() -> Iterator[None]:
    """Be the one search at work. Raises ToolError when others take too long."""
    until = time.monotonic() + PATIENCE
    while not SEARCHING.acquire(timeout=STEP):
        _go_on()
        if time.monotonic() > until:
            raise ToolError(f"other searches were at work for {PATIENCE:g} seconds; try again later")
    try:
        yield
    finally:
        SEARCHING.release()


def _go_on() -> None:
    """Raises ToolError, which nobody hears, when nobody waits any more."""
    if not is_awaited():
        raise ToolError("the search was given up")


@dataclass(slots=True)
class Walk:
    """Goes through folders, by name, and says when it has had enough."""

    workspace: Workspace
    until: float
    files: int = 0
    stopped: str = ""
    rested: float = 0.0

    @classmethod
    def of(cls, workspace: Workspace) -> "Walk":
        """One that begins now."""
        return cls(workspace, time.monotonic() + PATIENCE)

    def rest(self) -> None:
        """Step aside after a round of work, and end when nobody waits any more. Raises ToolError."""
        if time.monotonic() - self.rested > ROUND:
            _go_on()
            time.sleep(ASIDE)
            self.rested = time.monotonic()

    def below(self, place: Place, *, recursive: bool, depth: int = 64) -> Iterator[tuple[Place, Entry]]:
        """The entries of a folder and, with `recursive`, of those in it."""
        try:
            found = self.workspace.entries(place)
        except ToolError:
            return  # gone meanwhile, or not ours to read
        for one in found:
            self.files += 1
            self.rest()
            if self.files > MOST_FILES or time.monotonic() > self.until:
                self.stopped = self.stopped or f"the search ended after {self.files - 1} files; name a narrower folder"
                return
            inner = Place(place.root, (*place.names, one.name))
            yield inner, one
            if recursive and depth and one.kind == "folder" and one.name not in SKIPPED:
                yield from self.below(inner, recursive=True, depth=depth - 1)


def fits(glob: str) -> Callable[[str], bool]:
    """Whether a path fits a pattern: of its name, or, with a slash in it, of the whole path; ** is any folders."""
    found = _spread(glob.strip().removeprefix("./"))
    rows = [tuple((one if "/" in one else f"**/{one}").split("/")) for one in found]
    return lambda path: any(_along(row, path.split("/")) for row in rows)


def _along(row: Sequence[str], names: Sequence[str]) -> bool:
    places = _passed(row, {0})
    for name in names:
        steps = {at if row[at] == "**" else at + 1 for at in places if at < len(row) and _step(name, row[at])}
        places = _passed(row, steps)
    return len(row) in places


def _step(name: str, step: str) -> bool:
    return step == "**" or fnmatchcase(name, step)


def _passed(row: Sequence[str], places: set[int]) -> set[int]:
    """The same places, and those behind ** that stands for no folder."""
    for at in range(len(row)):
        if at in places and row[at] == "**":
            places.add(at + 1)
    return places


def _spread(glob: str) -> list[str]:
    """{a,b} written out, and a list of patterns taken apart."""
    pieces: list[list[str]] = []
    rest = glob
    while "{" in rest and "}" in rest.partition("{")[2]:
        head, _, tail = rest.partition("{")
        inner, _, rest = tail.partition("}")
        pieces += [[head], inner.split(",")]
    if math.prod(map(len, pieces)) > MOST_PATTERNS:
        raise ToolError(f"the braces of the pattern stand for more than {MOST_PATTERNS} patterns")
    whole = ["".join(row) for row in product(*pieces, [rest])]
    return [part.strip() for one in whole for part in (one.split(",") if not pieces else [one]) if part.strip()]


@dataclass(frozen=True, slots=True)
class Hit:
    """A line that fits, and those around it; `number` counts from 1."""

    path: str
    number: int
    line: str
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(slots=True)
class Search:
    """Looks for a pattern in files; `most` lines at most, with `around` lines before and after each."""

    walk: Walk
    pattern: Pattern
    most: int
    around: int
    hits: list[Hit]
    read: int = 0

    def look_into(self, place: Place) -> None:
        """One file; what is no text is passed over."""
        try:
            data = self.walk.workspace.read(place)
            text = decode(data, place.shown).text
        except ToolError:
            return
        self.read += len(data)
        if self.read > MOST_BYTES:
            self.walk.stopped = f"the search ended after {MOST_BYTES >> 20} MiB; name a narrower folder"
            return
        self._lines(place.shown, text.removesuffix("\n").split("\n"))

    def _lines(self, path: str, lines: list[str]) -> None:
        for at, line in enumerate(lines):
            self.walk.rest()
            if self.pattern.found_in(line, self.walk.rest):
                before = tuple(map(_short, lines[max(0, at - self.around) : at]))
                after = tuple(map(_short, lines[at + 1 : at + 1 + self.around]))
                self.hits.append(Hit(path, at + 1, _short(line), before, after))
                if len(self.hits) >= self.most:
                    self.walk.stopped = f"these are the first {self.most} lines that fit; there may be more"
                    return
            if at % 256 == 0 and time.monotonic() > self.walk.until:
                self.walk.stopped = f"the search ended after {PATIENCE:g} seconds; name a narrower folder"
                return


def _short(line: str) -> str:
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}... ({len(line)} characters)"


def shown(hits: list[Hit]) -> str:
    """Hits as grep shows them: the line after a colon, what is around it after a dash."""
    rows: list[str] = []
    last: tuple[str, int] = ("", 0)
    known = {(hit.path, hit.number) for hit in hits}
    for hit in hits:
        first = hit.number - len(hit.before)
        block = [(first + at, line) for at, line in enumerate((*hit.before, hit.line, *hit.after))]
        if rows and (last[0] != hit.path or first > last[1] + 1):
            rows.append("--")
        for number, line in block:
            if (hit.path, number) > last or last[0] != hit.path:
                mark = ":" if (hit.path, number) in known else "-"
                rows.append(f"{hit.path}{mark}{number}{mark}{line}")
                last = (hit.path, number)
    return "\n".join(rows)
