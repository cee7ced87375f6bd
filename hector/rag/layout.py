"""A document as one text, and where each part of it stands in the original."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

from hector.core.pattern import pattern
from hector.core.retrieval import Chunk, Place, Section

_BLANK_LINES: Final = pattern(r"(?:[^\S\n]*\n)+")
_BLANK: Final = pattern(r"\s+")


class Layout:
    """The sections one behind the other in `text`. `starts[i]` is where section i begins, `ends[i]` where it ends."""

    def __init__(self, sections: Sequence[Section]) -> None:
        self.sections = [section for section in sections if section.text]
        self.starts: list[int] = []
        self.ends: list[int] = []
        pieces: list[str] = []
        at, before = 0, ""
        for section in self.sections:
            if before:
                between = "\n" if section.kind == before == "row" else "\n\n"
                pieces.append(between)
                at += len(between)
            self.starts.append(at)
            pieces.append(section.text)
            at += len(section.text)
            self.ends.append(at)
            before = section.kind
        self.text = pieces[0] if len(pieces) == 1 else "".join(pieces)
        self._counted = (-1, 0, 0)

    def stretches(self, least: int) -> list[tuple[int, int]]:
        """From where to where the document is on one page or sheet; those shorter than `least` go with the next."""
        found: list[tuple[int, int]] = []
        begin = 0
        spot: tuple[int, str] | None = None
        for start, section in zip(self.starts, self.sections, strict=True):
            here = (section.place.page, section.place.sheet)
            if spot is not None and here != spot and start - begin >= max(least, 1):
                found.append((begin, start))
                begin = start
            spot = here
        return [*found, (begin, len(self.text))] if self.text else []

    def chunks(self, spans: Iterable[tuple[int, int]]) -> list[Chunk]:
        """The chunks of stretches of the text, in order, without blank space around them; blank ones are left out."""
        made: list[Chunk] = []
        for start, end in spans:
            first = self._begin(start, end)
            text = self.text[first:end].rstrip()
            if text:
                made.append(Chunk(len(made), text, self._place(first, first + len(text))))
        return made

    def _begin(self, start: int, end: int) -> int:
        """Where the text of a stretch begins: the first line keeps what it is indented by."""
        if start == 0 or self.text[start - 1] == "\n":
            lines = _BLANK_LINES.match(self.text, start, end)
            return lines.end() if lines else start
        blank = _BLANK.match(self.text, start, end)
        if blank is None:
            return start
        return max(start, self.text.rfind("\n", start, blank.end()) + 1) if "\n" in blank[0] else blank.end()

    def _place(self, start: int, end: int) -> Place:
        first = bisect_right(self.starts, start) - 1
        last = bisect_right(self.starts, end - 1) - 1
        place = self.sections[first].place
        lined = next((at for at in range(first, last + 1) if self.sections[at].place.first_line), -1)
        if lined < 0:
            return place
        begin = self._line(lined, max(start, self.starts[lined]), last=False)
        return Place(place.page, place.heading, place.sheet, begin, self._line(last, end - 1, last=True) or begin)

    def _line(self, number: int, at: int, *, last: bool) -> int:
        """The line of the original that a character stands in. Counts on from where it counted last."""
        place, start = self.sections[number].place, self.starts[number]
        if not place.first_line:
            return 0
        seen, before, line = self._counted
        if seen != number:
            if place.last_line - place.first_line != self.text.count("\n", start, self.ends[number]):
                return place.last_line if last else place.first_line
            before, line = start, place.first_line
        if at >= before:
            line += self.text.count("\n", before, at)
        else:
            line -= self.text.count("\n", at, before)
        self._counted = (number, at, line)
        return line
