"""Cuts the text of a document into the chunks that are found.

simple and overlapping go through the text as it stands; semantic goes by what the document is made of. No chunk reaches
over the end of a page or sheet, but where there is less than `min_size` on it. Chunks are stretches of the text as it
was extracted: the headings that they stand under are in their place, not in their text.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from hector.core.pattern import pattern
from hector.core.record import dataclass
from hector.core.retrieval import Chunk, Extracted, Section
from hector.rag.cuts import Sizes, carried, runs
from hector.rag.layout import Layout

_PARAGRAPH: Final = pattern(r"\n[^\S\n]*\n\s*?(?=[^\S\n]*\S)")


class Rules(Protocol):
    """The block `chunking`, or whatever else has its settings."""

    @property
    def strategy(self) -> str:
        """simple, overlapping or semantic."""

    @property
    def size(self) -> int:
        """How long a chunk becomes."""

    @property
    def overlap(self) -> int:
        """How much of the end of a chunk the next one begins with; 0: as the strategy has it."""

    @property
    def min_size(self) -> int:
        """What is shorter is joined to what stands beside it."""

    @property
    def max_size(self) -> int:
        """What no chunk exceeds."""

    @property
    def preserve_words(self) -> bool:
        """Cut between words."""


@dataclass(frozen=True, slots=True)
class Plain:
    """Those settings without the checks of the configuration."""

    strategy: str = "simple"
    size: int = 1000
    overlap: int = 0
    min_size: int = 100
    max_size: int = 2000
    preserve_words: bool = True


def chunk(extracted: Extracted, rules: Rules) -> list[Chunk]:
    """The chunks of a document, in order. Every character that is not blank stands in one of them at least."""
    sizes = measured(rules)
    layout = Layout(extracted.sections)
    if rules.strategy == "semantic":
        return layout.chunks(_packed(layout, sizes))
    return layout.chunks(
        span for start, end in layout.stretches(sizes.least) for span in runs(layout.text, start, end, sizes)
    )


def measured(rules: Rules) -> Sizes:
    """The settings with what they leave open decided."""
    overlap = rules.overlap
    if rules.strategy == "overlapping" and not overlap:
        overlap = rules.size // 5
    return Sizes(
        size=rules.size,
        overlap=min(overlap, rules.size - 1),
        least=min(rules.min_size, rules.size),
        most=max(rules.max_size, rules.size),
        words=rules.preserve_words,
        sentences=rules.strategy != "simple",
    )


@dataclass(frozen=True, slots=True)
class _Atom:
    """What semantic chunks are put together from. `opens`: a chunk ends before it; `group`: page and sheet."""

    start: int
    end: int
    opens: bool
    heading: bool
    group: tuple[int, str]


def _atoms(layout: Layout, sizes: Sizes) -> Iterator[_Atom]:
    pieces = Sizes(sizes.size, 0, sizes.least, sizes.size, sizes.words, sentences=True)
    lines = Sizes(sizes.size, 0, sizes.least, sizes.size, sizes.words, sentences=False)
    under = ""
    for section, start, end in zip(layout.sections, layout.starts, layout.ends, strict=True):
        opens = section.kind == "heading" or section.place.heading != under
        under = section.place.heading
        group = (section.place.page, section.place.sheet)
        for first, last in _parts(layout.text, start, end, section, sizes, pieces, lines):
            yield _Atom(first, last, opens, section.kind == "heading", group)
            opens = False


def _parts(
    text: str, start: int, end: int, section: Section, sizes: Sizes, pieces: Sizes, lines: Sizes
) -> Iterator[tuple[int, int]]:
    """A section in one piece where it may stay so, else cut as its kind wants it."""
    if section.kind in ("code", "table", "row"):
        return iter([(start, end)]) if end - start <= sizes.most else runs(text, start, end, lines)
    if section.kind == "heading" and end - start <= sizes.size:
        return iter([(start, end)])
    return _paragraphs(text, start, end, pieces)


def _paragraphs(text: str, start: int, end: int, pieces: Sizes) -> Iterator[tuple[int, int]]:
    begin = start
    for match in _PARAGRAPH.finditer(text, start, end):
        yield from runs(text, begin, match.end(), pieces)
        begin = match.end()
    yield from runs(text, begin, end, pieces)


class _Packer:
    """Puts atoms together while they fit. Headings never end a chunk that something else can begin with them."""

    def __init__(self, text: str, sizes: Sizes) -> None:
        self.text, self.sizes = text, sizes
        self.spans: list[tuple[int, int]] = []
        self.start = self.end = self.tail = 0
        self.group: tuple[int, str] = (0, "")
        self.bare = True

    def add(self, atom: _Atom) -> None:
        """Take the next one."""
        if self.end > self.start and self._full(atom):
            self._close(atom)
        if self.end <= self.start:
            self.start = self.tail = atom.start
            self.group, self.bare = atom.group, True
        self.end = atom.end
        if not atom.heading:
            self.tail, self.bare = atom.end, False
            self.group = atom.group

    def _full(self, atom: _Atom) -> bool:
        together, so_far = atom.end - self.start, self.end - self.start
        if together > self.sizes.most:
            return True
        if so_far < self.sizes.least or self.bare and so_far < self.sizes.size:
            return False
        if atom.opens and self.tail < self.end:
            return together > self.sizes.size
        return atom.opens or atom.group != self.group or together > self.sizes.size

    def _close(self, atom: _Atom) -> None:
        """End the chunk. Headings that it would end with begin the next one, if they fit there."""
        if self.start < self.tail < self.end and atom.end - self.tail <= self.sizes.most:
            self.spans.append((self.start, self.tail))
            self.start, self.bare = self.tail, True
            return
        self.spans.append((self.start, self.end))
        again = atom.start
        if self.sizes.overlap and not atom.opens and atom.group == self.group:
            again = min(again, carried(self.text, self.start, self.end, self.sizes))
        if again >= self.end or atom.end - again > self.sizes.size:
            again = atom.start
        self.start, self.end, self.tail = again, atom.start, atom.start
        self.bare, self.group = again == atom.start, atom.group

    def closed(self) -> list[tuple[int, int]]:
        """All of them; a short last one is joined to the one before."""
        if self.end > self.start:
            before = self.spans[-1] if self.spans else None
            if before and self.end - self.start < self.sizes.least and self.end - before[0] <= self.sizes.most:
                self.spans[-1] = (before[0], self.end)
            else:
                self.spans.append((self.start, self.end))
        return self.spans


def _packed(layout: Layout, sizes: Sizes) -> Sequence[tuple[int, int]]:
    packer = _Packer(layout.text, sizes)
    for atom in _atoms(layout, sizes):
        packer.add(atom)
    return packer.closed()
