"""Which words of a text are those that were looked for, as the indexes of words see it. Pure."""

import re
from collections.abc import Iterator
from typing import Final

from hector.store.terms import asked_for, words

_WORD: Final = re.compile(r"\w+")
_STEM: Final = 4
"""Letters of a word that stand for it: what follows may be another ending."""


def marked(text: str, question: str) -> Iterator[tuple[str, bool]]:
    """The text in pieces, each with whether it is a word that was looked for."""
    at = 0
    for start, end in _hits(text, question):
        if start > at:
            yield text[at:start], False
        yield text[start:end], True
        at = end
    if at < len(text):
        yield text[at:], False


def best_window(text: str, question: str, length: int) -> str:
    """About so many characters of a text, where most of what was looked for stands; dots where something is missing."""
    if len(text) <= length:
        return text
    hits = _hits(text, question)
    starts = [start for start, _ in hits] or [0]
    best = max(starts, key=lambda at: (len({text[a:b].casefold() for a, b in hits if at <= a < at + length}), -at))
    begin = max(0, min(best - length // 8, len(text) - length))
    if begin:
        blank = text.find(" ", begin, begin + 30)
        begin = blank + 1 if blank >= 0 else begin
    end = min(len(text), begin + length)
    if end < len(text):
        blank = text.rfind(" ", end - 30, end)
        end = blank if blank > begin else end
    return f"{'... ' if begin else ''}{text[begin:end]}{' ...' if end < len(text) else ''}"


def _hits(text: str, question: str) -> list[tuple[int, int]]:
    """Where words stand that were looked for, in order; runs of a script without blanks by the pairs that fit."""
    asked = asked_for(question)
    wanted = frozenset(asked)
    stems = tuple({one[: max(_STEM, len(one) - 3)] for one in asked if len(one) > _STEM})
    found: list[tuple[int, int]] = []
    for match in _WORD.finditer(text):
        own = list(words(match[0]))
        if len(own) == 1:
            if own[0] in wanted or (stems and own[0].startswith(stems)):
                found.append(match.span())
        else:
            found += _pairs(match[0], match.start(), wanted)
    return found


def _pairs(run: str, start: int, wanted: frozenset[str]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for at in range(len(run) - 1):
        if run[at : at + 2] in wanted:
            begin = start + at
            if spans and spans[-1][1] >= begin:
                spans[-1] = (spans[-1][0], begin + 2)
            else:
                spans.append((begin, begin + 2))
    return spans
