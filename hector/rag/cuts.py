"""Where a chunk may end, and where the next one may take up what the one before ended with."""

from collections.abc import Iterator
from typing import Final

from hector.core.pattern import pattern
from hector.core.record import dataclass
from hector.rag import graphemes

_SENTENCE: Final = pattern(
    r"[.!?\u2026\u061f\u06d4\u0964]+[\"'\u201d\u2019\u00bb)\]]*\s+(?=[^\sa-z])|[\u3002\uff01\uff1f\uff0e]+[\u201d\u2019\u300d\u300f\uff09]*\s*|\n[^\S\n]*\n\s*"
)
"""Behind the end of a sentence, or of a paragraph."""
_SPACES: Final = (" ", "\n", "\t", "\u3000", "\u00a0", "\u2003", "\u2009", "\u200b")
_BACK: Final = 16
"""How far before a place the end of a sentence may begin that ends behind it."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How chunks are cut, with what the settings leave open decided. All in characters."""

    size: int
    overlap: int
    least: int
    most: int
    words: bool
    sentences: bool


def runs(text: str, start: int, end: int, sizes: Sizes) -> Iterator[tuple[int, int]]:
    """Stretches of up to `size` that cover text[start:end]; each begins where the last one ended, or `overlap` before.

    A rest of less than `least` is joined to the stretch before it where both are not more than `most`.
    """
    begin, done = start, start
    waiting: tuple[int, int] | None = None
    while done < end:
        stop = end if end - begin <= sizes.size else _cut(text, begin, done, min(end, begin + sizes.most), sizes)
        if waiting and stop == end and end - done < sizes.least and end - waiting[0] <= sizes.most:
            waiting = (waiting[0], end)
        else:
            if waiting:
                yield waiting
            waiting = (begin, stop)
        begin, done = carried(text, begin, stop, sizes), stop
    if waiting:
        yield waiting


def _cut(text: str, begin: int, done: int, last: int, sizes: Sizes) -> int:
    """Where a stretch that begins at `begin` ends, behind `done`: what stands before that is in the one before.

    Only what a reader sees as one character and is longer than a chunk may be is torn: longer than up to `last`.
    """
    limit = begin + sizes.size
    floor = max(begin + min(sizes.least, sizes.size // 2), done + (limit - done) // 4) + 1
    found = limit
    if sizes.words:
        found = (_sentence_end(text, floor, limit) if sizes.sentences else 0) or _line_end(text, floor, limit)
        found = found or _word_end(text, floor, limit) or limit
    found = graphemes.back(text, max(done, begin), found)
    if graphemes.breaks(text, found):
        return found
    behind = graphemes.ahead(text, limit, last)
    return behind if graphemes.breaks(text, behind) else found


def _sentence_end(text: str, floor: int, limit: int) -> int:
    found = 0
    for match in _SENTENCE.finditer(text, floor - 1, limit + 1):
        if match.end() <= limit:
            found = match.end()
    return found


def _line_end(text: str, floor: int, limit: int) -> int:
    return text.rfind("\n", floor - 1, limit) + 1


def _word_end(text: str, floor: int, limit: int) -> int:
    """Behind the last blank, or before the one that stands just behind."""
    if text[limit : limit + 1].isspace():
        return limit
    return max(text.rfind(space, floor - 1, limit) for space in _SPACES) + 1


def carried(text: str, begin: int, end: int, sizes: Sizes) -> int:
    """Where the stretch after text[begin:end] begins: at most `overlap` before its end, at a sentence or word."""
    if not sizes.overlap:
        return end
    first = max(begin + 1, end - sizes.overlap)
    if sizes.words:
        found = (_sentence_begin(text, first, end) if sizes.sentences else 0) or _line_begin(text, first, end)
        found = found or _word_begin(text, first, end)
        if found:
            return found
    return graphemes.ahead(text, first, end)


def _sentence_begin(text: str, first: int, end: int) -> int:
    for match in _SENTENCE.finditer(text, max(0, first - _BACK), end):
        if match.end() >= first:
            return match.end() if match.end() < end else 0
    return 0


def _line_begin(text: str, first: int, end: int) -> int:
    found = text.find("\n", first - 1, end - 1) + 1
    return found if found and graphemes.breaks(text, found) else 0


def _word_begin(text: str, first: int, end: int) -> int:
    for at in range(first, end):
        if text[at - 1].isspace() and not text[at].isspace() and graphemes.breaks(text, at):
            return at
    return 0
