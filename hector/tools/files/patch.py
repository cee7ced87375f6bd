"""Unified diffs: read, held against the files as they are, and applied as a whole or not at all. Pure.

The line numbers of a hunk are a hint, since models count badly: what counts are its lines, which have to stand in the
file as they are written, in one place only or in the one nearest to the hint.
"""

import re
from collections import Counter
from collections.abc import Iterator
from heapq import nsmallest
from typing import Final

from hector.core.errors import ToolError
from hector.core.record import dataclass
from hector.tools.files.places import Work, places

_HEAD: Final = re.compile(r"@@ -(\d+)(?:,\d+)? \+\d+(?:,\d+)? @@|@@(?: .*)?$")
_NOWHERE: Final = "/dev/null"
MOST_FILES: Final = 500
"""Files of one patch."""
_ASIDE: Final = ("\\", "diff ", "index ", "new file", "deleted file", "old mode", "new mode")
"""How lines begin that stand between hunks."""


@dataclass(frozen=True, slots=True)
class Hunk:
    """One stretch of a change: the lines before and after, and the line at which they should stand; 0: unknown."""

    at: int
    old: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FilePatch:
    """What happens to one file. `old` or `new` is empty where it is created or deleted."""

    old: str
    new: str
    hunks: tuple[Hunk, ...]
    no_newline: bool = False

    @property
    def path(self) -> str:
        """The file that it is about."""
        return self.new or self.old


def parse(diff: str) -> list[FilePatch]:
    """The files of a diff in their order. Raises ToolError."""
    lines = diff.replace("\r\n", "\n").removesuffix("\n").split("\n")
    starts = [at for at in range(len(lines) - 2) if _begins(lines[at : at + 3])]
    if not starts:
        raise ToolError("this is no unified diff: it needs the lines '--- a/file' and '+++ b/file' before the hunks")
    for line in lines:
        if line.startswith(("rename from ", "rename to ", "copy from ", "GIT binary patch", "new file mode 120000")):
            raise ToolError(f"patches that rename, copy, link or hold binary data are not applied: {line[:80]}")
    if len(starts) > MOST_FILES:
        raise ToolError(f"the patch changes {len(starts)} files; {MOST_FILES} are possible at once")
    ends = [*starts[1:], len(lines)]
    found = [_file(lines[start:end]) for start, end in zip(starts, ends, strict=True)]
    twice = [path for path, count in Counter(one.path for one in found).items() if count > 1]
    if twice:
        raise ToolError(f"the patch names {', '.join(sorted(twice))} twice; put its hunks together")
    return found


def _begins(lines: list[str]) -> bool:
    """Whether a file begins here, rather than lines of text that look alike."""
    return lines[0].startswith("--- ") and lines[1].startswith("+++ ") and lines[2].startswith("@@")


def _file(lines: list[str]) -> FilePatch:
    old, new = _name(lines[0], "a/"), _name(lines[1], "b/")
    if not old and not new:
        raise ToolError("the patch names no file")
    if old and new and old != new:
        raise ToolError(f"the patch turns {old} into {new}; renaming is not possible with it")
    hunks = tuple(_hunks(lines[2:], new or old))
    if not hunks:
        raise ToolError(f"the patch has no hunk for {new or old}")
    last = next((at for at in range(len(lines) - 1, 1, -1) if lines[at][:1] in {"+", " "}), 0)
    no_newline = last > 0 and last + 1 < len(lines) and lines[last + 1].startswith("\\")
    return FilePatch(old, new, hunks, no_newline)


def _name(line: str, prefix: str) -> str:
    name = line[4:].split("\t")[0].strip()
    return "" if name == _NOWHERE else name.removeprefix(prefix)


def _hunks(lines: list[str], path: str) -> Iterator[Hunk]:
    at, old, new, inside = 0, list[str](), list[str](), False
    for line in [*lines, "@@"]:
        if line.startswith("@@"):
            if inside and (old or new):
                yield Hunk(at, tuple(old), tuple(new))
            head = _HEAD.match(line)
            if head is None:
                raise ToolError(f"the patch of {path} has a hunk that begins with {line[:80]!r}")
            at, old, new, inside = int(head[1] or 0), [], [], True
        elif inside and line[:1] in {" ", "-", "+"}:
            _take(line, old, new)
        elif inside and line == "":
            _take(" ", old, new)  # a blank was lost
        elif inside and not line.startswith(_ASIDE):
            raise ToolError(f"the patch of {path} has a line that begins with neither ' ', '-' nor '+': {line[:80]!r}")


def _take(line: str, old: list[str], new: list[str]) -> None:
    if line[0] in " -":
        old.append(line[1:])
    if line[0] in " +":
        new.append(line[1:])


def apply(patch: FilePatch, text: str) -> str:
    """The text after the change. Raises ToolError where a hunk fits nowhere, or in several places."""
    lines = text.split("\n")
    shift, floor, work = 0, 0, Work()
    for number, hunk in enumerate(patch.hunks, 1):
        hunk = _fit_end(hunk, lines, work)
        work.spend(len(lines))
        at = _place(lines, hunk, floor, shift, f"hunk {number} of {patch.path}")
        lines[at : at + len(hunk.old)] = hunk.new
        floor, shift = at + len(hunk.new), shift + len(hunk.new) - len(hunk.old)
    return _ended("\n".join(lines), patch)


def _ended(text: str, patch: FilePatch) -> str:
    if patch.old or not text:
        return text
    return text.rstrip("\n") if patch.no_newline else text if text.endswith("\n") else text + "\n"


def _fit_end(hunk: Hunk, lines: list[str], work: Work) -> Hunk:
    """Without empty lines at its end that stand in no file: they end the message rather than the hunk."""
    old, new = list(hunk.old), list(hunk.new)
    while old and new and old[-1] == new[-1] == "" and not places(lines, old):
        work.spend(len(lines) + len(old))
        old.pop()
        new.pop()
    return Hunk(hunk.at, tuple(old), tuple(new))


def _place(lines: list[str], hunk: Hunk, floor: int, shift: int, what: str) -> int:
    hint = hunk.at - 1 + shift
    if not hunk.old:
        return min(max(hunk.at + shift, floor), len(lines)) if hunk.at or len(lines) > 1 else 0
    fitting = places(lines, hunk.old, floor)
    if not fitting:
        shown = "\n".join(hunk.old[:6])
        raise ToolError(f"{what} does not fit: these lines do not stand in the file as they are written:\n{shown}")
    if len(fitting) == 1:
        return fitting[0]
    if hunk.at == 0:
        raise ToolError(f"{what} fits in {len(fitting)} places, and its '@@' names no line; give more lines around it")
    near = nsmallest(2, fitting, key=lambda at: abs(at - hint))
    if abs(near[0] - hint) == abs(near[1] - hint):
        raise ToolError(f"{what} fits equally well in two places; give more lines around it")
    return near[0]
