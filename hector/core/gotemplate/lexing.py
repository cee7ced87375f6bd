"""From a template's text to pieces: texts as they stand, and the words of what stands in double braces."""

import re
from collections.abc import Iterator
from typing import Final

from hector.core.errors import HectorError
from hector.core.pattern import pattern
from hector.core.record import dataclass

LONGEST: Final = 50_000
"""Signs of a template."""
_WORD: Final = pattern(
    r"""(?P<space>\s+)|(?P<text>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?P<number>[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<variable>\$[A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)|(?P<field>(?:\.[A-Za-z_][A-Za-z0-9_]*)+)|(?P<dot>\.)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign>:=|[=|(),])""",
    re.VERBOSE,
)


class TemplateError(HectorError):
    """A template that cannot be read, or not be rendered with these data."""

    code, http_status = "template", 422


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of an action; `kind` as the pattern above names it. `at`: line and column."""

    kind: str
    text: str
    at: str


@dataclass(frozen=True, slots=True)
class Action:
    """What stands in double braces."""

    words: tuple[Word, ...]
    at: str


def pieces(text: str) -> Iterator[str | Action]:
    """Texts and actions in order; comments are left out. Raises TemplateError."""
    if len(text) > LONGEST:
        raise TemplateError(f"a template has at most {LONGEST} signs, and this one {len(text)}")
    at, trims = 0, False
    while (begin := text.find("{{", at)) >= 0:
        before = text[at:begin]
        inner = begin + 2
        trims_before = text[inner : inner + 1] == "-" and text[inner + 1 : inner + 2].isspace()
        inner += trims_before
        yield _trimmed(before, left=trims, right=trims_before)
        end = _end(text, inner, begin)
        trims = text[end - 1] == "-" and text[end - 2].isspace()
        said = text[inner : end - 1 if trims else end]
        if not (said.strip().startswith("/*") and said.strip().endswith("*/")):
            yield Action(tuple(_words(text, inner, inner + len(said))), place(text, begin))
        at = end + 2
    yield _trimmed(text[at:], left=trims, right=False)


def place(text: str, at: int) -> str:
    """Line and column, both from 1."""
    return f"line {text.count(chr(10), 0, at) + 1}, column {at - text.rfind(chr(10), 0, at)}"


def _trimmed(text: str, *, left: bool, right: bool) -> str:
    text = text.lstrip() if left else text
    return text.rstrip() if right else text


def _end(text: str, at: int, begin: int) -> int:
    """Where an action's closing braces are: those in a comment or in a quoted text are none."""
    comment = text[at:].lstrip()
    if comment.startswith("/*"):
        closed = text.find("*/", at)
        at = closed + 2 if closed >= 0 else len(text)
    while at < len(text):
        if text.startswith("}}", at):
            return at
        if text[at] in '"`':
            at = _closing(text, at)
        at += 1
    raise TemplateError(f"{place(text, begin)}: '{{{{' is not closed by '}}}}'")


def _closing(text: str, at: int) -> int:
    quote, begin = text[at], at
    at += 1
    while at < len(text) and text[at] != quote:
        if quote == '"' and text[at] == "\n":
            break
        at += 2 if quote == '"' and text[at] == "\\" else 1
    if at >= len(text) or text[at] != quote:
        raise TemplateError(f"{place(text, begin)}: this text is not closed")
    return at


def _words(text: str, at: int, end: int) -> Iterator[Word]:
    glued = False
    while at < end:
        found = _WORD.match(text, at, end)
        if found is None or found.lastgroup is None:
            raise TemplateError(f"{place(text, at)}: {text[at]!r} means nothing here")
        if found.lastgroup != "space":
            _check_glue(glued, found, place(text, at))
            yield Word(found.lastgroup, found[0], place(text, at))
        glued = found.lastgroup in {"text", "number", "variable", "field", "dot", "name"}
        at = found.end()


def _check_glue(glued: bool, found: "re.Match[str]", at: str) -> None:
    if glued and found.lastgroup != "sign":
        raise TemplateError(f"{at}: {found[0][:40]!r} needs a space before it")
