"""PowerPoint: the slides in their order, each under its title, with tables, diagrams and what the speaker notes."""

from typing import Final

from hector.core.retrieval import Place
from hector.rag.errors import Unreadable
from hector.rag.extract.packages import Package, properties
from hector.rag.extract.writer import Writer
from hector.rag.extract.xmlparts import Attributes, Part, plain

_SHOW: Final = "ppt/presentation.xml"
_TITLES: Final = frozenset(("title", "ctrTitle"))
_FURNITURE: Final = frozenset(("sldNum", "dt", "ftr", "hdr", "sldImg"))
"""Placeholders that say the same on every slide."""


def read_pptx(data: bytes | str, _ending: str, writer: Writer) -> None:
    """A heading for each slide, then what is on it; its number is the page. Raises Unreadable."""
    package = Package(data if isinstance(data, bytes) else data.encode(), writer.limits)
    facts = properties(package)
    writer.title = facts.pop("title", "")
    writer.tell(**facts)
    show = _Show()
    if not package.parse(_SHOW, show):
        raise Unreadable("it has no slides: ppt/presentation.xml is missing")
    related = package.related(_SHOW)
    slides = [related[identity][1] for identity in show.slides if identity in related]
    writer.tell(slides=len(slides))
    for number, name in enumerate(slides, 1):
        if number > writer.limits.pages:
            writer.stop(f"only the first {writer.limits.pages:,} of {len(slides):,} slides were read")
        _slide(package, name, number, writer)


def _slide(package: Package, name: str, number: int, writer: Writer) -> None:
    slide, place = _Slide(), Place(page=number)
    package.parse(name, slide)
    writer.leave(1)
    if slide.title:
        writer.heading(1, slide.title, place)
    writer.add("\n".join(slide.lines), place)
    for table in slide.tables:
        writer.add(table, place, "table")
    for kind, part in package.related(name).values():
        if kind == "diagramData":
            diagram = _Slide(everything=True)
            package.parse(part, diagram)
            writer.add("\n".join(diagram.lines), place)
        elif kind == "notesSlide":
            notes = _Slide()
            package.parse(part, notes)
            if notes.lines:
                writer.add("Notes: " + "\n".join(notes.lines), place)


class _Show(Part):
    """The order of the slides."""

    def __init__(self) -> None:
        self.slides: list[str] = []

    def start(self, name: str, attributes: Attributes) -> None:
        """One slide."""
        if name == "sldId" and "r:id" in attributes:
            self.slides.append(attributes["r:id"])


class _Slide(Part):
    """Title, lines and tables of a slide. `everything`: what is in no shape, too."""

    def __init__(self, *, everything: bool = False) -> None:
        self.title = ""
        self.lines: list[str] = []
        self.tables: list[str] = []
        self._everything = everything
        self._shape = self._placeholder = ""
        self._paragraph: list[str] = []
        self._rows: list[str] = []
        self._cells: list[list[str]] = []
        self._in_text = self._in_table = False
        self._skip = 0

    def start(self, name: str, attributes: Attributes) -> None:
        """An element begins."""
        if self._skip or name == "Fallback":
            self._skip += 1
            return
        self._in_text = name == "t"
        if name == "sp":
            self._placeholder = ""
        elif name == "ph":
            self._placeholder = attributes.get("type", "body")
        elif name == "p":
            self._paragraph = []
        elif name == "br":
            self._paragraph.append("\n")
        elif name == "tbl":
            self._in_table, self._rows = True, []
        elif name == "tr":
            self._cells = []
        elif name == "tc":
            self._cells.append([])

    def text(self, text: str) -> None:
        """Text of a run."""
        if self._in_text and not self._skip:
            self._paragraph.append(text)

    def end(self, name: str) -> None:
        """An element ends."""
        if self._skip:
            self._skip -= 1
            return
        self._in_text = False
        if name == "p":
            self._said("".join(self._paragraph).strip())
            self._paragraph = []
        elif name == "tr":
            self._rows.append(" | ".join(plain(" ".join(cell)) for cell in self._cells))
        elif name == "tbl":
            self._in_table = False
            self.tables.append("\n".join(row for row in self._rows if row.strip(" |")))
        elif name == "sp":
            self._placeholder = ""

    def _said(self, text: str) -> None:
        if not text or self._placeholder in _FURNITURE:
            return
        if self._in_table:
            if self._cells:
                self._cells[-1].append(text)
        elif self._placeholder in _TITLES:
            self.title = plain(f"{self.title} {text}")
        else:
            self.lines.append(text)
