"""Patterns of paths, as people write them in a configuration and in ignore files. Pure; paths are relative, with `/`.

`*` and `?` stand for what is within one name, `**` for any number of folders, `[ab]` for one sign, `{a,b}` for either.
Case matters, but in a name's ending behind a last `*.`: `*.pdf` fits SCAN.PDF.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from hector.core.record import dataclass

_BRACES: Final = re.compile(r"(?<!\\)\{([^{}]*,[^{}]*)\}")
_ENDING: Final = re.compile(r"(.*)\*\.([A-Za-z0-9]+)\Z", re.DOTALL)
_WILD: Final = re.compile(r"[*?\[\\]")
_MOST_FORMS: Final = 200


@dataclass(frozen=True, slots=True)
class Pattern:
    """`whole` fits a path. `named`: no wildcard in its last name, so that a folder of that name means what is in it."""

    text: str
    whole: "re.Pattern[str]"
    named: bool

    def fits(self, path: str) -> bool:
        """Whether this very path."""
        return self.whole.fullmatch(path) is not None

    def fits_within(self, path: str) -> bool:
        """Whether this path, or a folder that it lies in."""
        return self.fits(path) or any(self.fits(folder) for folder in _folders(path))

    @property
    def last(self) -> str:
        """What it says of the name alone."""
        return self.text.rstrip("/").rpartition("/")[2]


def compiled(patterns: Sequence[str]) -> tuple[Pattern, ...]:
    """Patterns of a configuration. One without a slash is of any folder; others begin at the root of the source."""
    return tuple(_pattern(form) for pattern in patterns for form in forms(pattern))


def forms(pattern: str) -> Sequence[str]:
    """A pattern without its braces: one for each choice."""
    done: list[str] = []
    todo = [pattern]
    while todo and len(done) + len(todo) < _MOST_FORMS:
        text = todo.pop()
        braces = _BRACES.search(text)
        if braces is None:
            done.append(text)
        else:
            todo += [text[: braces.start()] + choice + text[braces.end() :] for choice in braces[1].split(",")]
    return done + todo


def _pattern(written: str) -> Pattern:
    text = written.strip().removeprefix("./").strip("/")
    anchored = "/" in text or written.startswith("/")
    whole = expression(text if anchored else f"**/{text}")
    return Pattern(text, re.compile(whole, re.DOTALL), _WILD.search(text.rpartition("/")[2]) is None)


def expression(text: str, *, exact: bool = False) -> str:
    """The regular expression of a pattern that begins at the root. `exact`: case matters in endings, too.

    What stands before a further wildcard is matched where it first fits, and never tried again (atomic groups): the
    patterns of a stranger's ignore file take no time that grows faster than the path times the pattern.
    """
    free, steps = not exact, text.split("/")
    if "**" not in steps:
        return _names(steps, free=free)
    parts = [list(part) for wild, part in groupby(steps, "**".__eq__) if not wild]
    made = "" if steps[0] == "**" else _names(parts.pop(0), free=False) + "/"
    last = [] if steps[-1] == "**" else parts.pop()
    made += "".join(f"(?>(?:[^/]+/)*?{_names(part, free=False)}/)" for part in parts)
    return made + (f"(?:[^/]+/)*{_names(last, free=free)}" if last else ".+")


def _names(steps: Sequence[str], *, free: bool) -> str:
    return "/".join([*(_name(step, free=False) for step in steps[:-1]), _name(steps[-1], free=free)])


def _name(step: str, *, free: bool) -> str:
    ending = _ENDING.match(step) if free else None
    if ending:
        return f"{_starred(f'{ending[1]}*')}\\.(?i:{ending[2]})"
    return _starred(step)


def _starred(step: str) -> str:
    """One name: fixed parts with stars between them, of which only the last may be tried in several places."""
    parts = [""]
    for sign in _signs(step):
        if sign:
            parts[-1] += sign
        else:
            parts.append("")
    first, *others = parts
    return (
        first
        + "".join(f"(?>[^/]*?{part})" for part in others[:-1] if part)
        + "".join(f"[^/]*{part}" for part in others[-1:])
    )


def _signs(step: str) -> Iterator[str]:
    """The expression of each sign; empty for a star."""
    at = 0
    while at < len(step):
        sign, at = step[at], at + 1
        if sign == "*":
            yield ""
        elif sign == "?":
            yield "[^/]"
        elif sign == "[" and (end := _bracket(step, at)):
            yield _set(step[at : end - 1])
            at = end
        elif sign == "\\" and at < len(step):
            yield re.escape(step[at])
            at += 1
        else:
            yield re.escape(sign)


def _bracket(step: str, at: int) -> int:
    """Behind the bracket that closes the one before `at`; 0 if none does. A first `]` stands for itself."""
    start = at + (step[at : at + 1] in {"!", "^"})
    end = step.find("]", start + 1)
    return end + 1 if end > 0 else 0


def _set(inner: str) -> str:
    negated = inner[:1] in {"!", "^"}
    signs = (inner[1:] if negated else inner).replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
    signs = re.sub(r"([&~|^])", r"\\\1", signs)
    found = f"(?!/)[{'^' if negated else ''}{signs}]"
    try:
        re.compile(found)
    except re.error:
        return "(?!)"  # a range such as [z-a] fits nothing
    return found


def _folders(path: str) -> Iterator[str]:
    end = path.rfind("/")
    while end > 0:
        yield path[:end]
        end = path.rfind("/", 0, end)
