"""Ignore files, as git reads .gitignore: the last line that fits decides, the nearest file is the last. Pure."""

import re
from collections.abc import Iterator
from typing import Final

from hector.core.record import dataclass
from hector.rag.sources.globs import expression

NAMES: Final = (".gitignore", ".ignore", ".hectorignore")
"""In the order in which they are read: a later one has the last word."""
LARGEST: Final = 1 << 20
"""Bytes of an ignore file that are read."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line. `back`: it takes back what an earlier one left out."""

    whole: "re.Pattern[str]"
    folders_only: bool
    back: bool


@dataclass(frozen=True, slots=True)
class Ignores:
    """The rules of one folder, `folder` being its path with a slash at the end, or empty; `above`: of those above."""

    folder: str
    rules: tuple[Rule, ...]
    above: "Ignores | None" = None

    def leaves_out(self, path: str, *, is_folder: bool) -> bool:
        """Whether a path of this folder is ignored, given that no folder that it lies in is."""
        level: Ignores | None = self
        while level is not None:
            inner = path[len(level.folder) :]
            for rule in reversed(level.rules):
                if (is_folder or not rule.folders_only) and rule.whole.fullmatch(inner):
                    return not rule.back
            level = level.above
        return False


def parse(text: str) -> tuple[Rule, ...]:
    """The rules of an ignore file."""
    return tuple(_rules(text))


def _rules(text: str) -> Iterator[Rule]:
    for line in text.removeprefix("\ufeff").split("\n"):
        written = _without_end(line.removesuffix("\r"))
        if not written or written.startswith("#"):
            continue
        back = written.startswith("!")
        written = written[1:] if back else written
        folders_only = written.endswith("/")
        inner = written.removesuffix("/")
        anchored = "/" in inner
        inner = inner.removeprefix("/")
        if inner:
            whole = re.compile(expression(inner if anchored else f"**/{inner}", exact=True), re.DOTALL)
            yield Rule(whole, folders_only, back)


def _without_end(line: str) -> str:
    """Without blanks at its end, unless a backslash stands before them."""
    bare = line.rstrip(" \t")
    return bare + line[len(bare) : len(bare) + 1] if bare.endswith("\\") and not bare.endswith("\\\\") else bare
