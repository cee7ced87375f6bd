"""Word: paragraphs under their headings, tables, footnotes. Deleted text and what fields are made of is left out.

There are no pages: where they begin depends on the printer, and Word alone knows.
"""

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from hector.core.pattern import pattern
from hector.core.record import dataclass
from hector.rag.errors import Unreadable
from hector.rag.extract.packages import Package, properties
from hector.rag.extract.writer import Writer
from hector.rag.extract.xmlparts import Attributes, Part, plain

_HEADING: Final = pattern(r"heading (\d)")
_BODY: Final = "word/document.xml"
_MOST_BASES: Final = 20
_SAID: Final = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}
_LEFT_OUT: Final = frozenset(("Fallback", "moveFrom", "del", "pPrChange", "rPrChange"))
_TOGETHER: Final = 8000
"""Characters of paragraphs that become one section."""

_Kind: TypeAlias = Literal["text", "heading", "code", "table", "row"]


def read_docx(data: bytes | str, _ending: str, writer: Writer) -> None:
    """Sections by headings. Raises Unreadable."""
    package = Package(data if isinstance(data, bytes) else data.encode(), writer.limits)
    facts = properties(package)
    writer.title = facts.pop("title", "")
    writer.tell(**facts)
    styles = _Styles()
    package.parse("word/styles.xml", styles)
    body = _Body(styles, writer)
    if not package.parse(_BODY, body):
        raise Unreadable("it has no text: word/document.xml is missing")
    body.flush()
    _notes(package, styles, writer)


def _notes(package: Package, styles: "_Styles", writer: Writer) -> None:
    """Footnotes and endnotes stand at the end."""
    for kind in ("footnotes", "endnotes"):
        if package.has(f"word/{kind}.xml"):
            writer.leave(1)
            writer.enter(1, kind.capitalize())
            notes = _Body(styles, writer)
            package.parse(f"word/{kind}.xml", notes)
            notes.flush()


@dataclass(slots=True)
class _Style:
    """A style of paragraphs. `level`: of headings, 0 for others."""

    name: str = ""
    based_on: str = ""
    level: int = 0
    listed: bool = False


class _Styles(Part):
    """Which styles are headings."""

    def __init__(self) -> None:
        self._styles: dict[str, _Style] = {}
        self._current = _Style()

    def start(self, name: str, attributes: Attributes) -> None:
        """A style, or what one says."""
        if name == "style":
            self._current = self._styles[attributes.get("styleId", "")] = _Style()
        elif name == "name":
            self._current.name = attributes.get("val", "").lower()
        elif name == "basedOn":
            self._current.based_on = attributes.get("val", "")
        elif name == "outlineLvl":
            self._current.level = outline_level(attributes)
        elif name == "numPr":
            self._current.listed = True

    def listed(self, identity: str) -> bool:
        """Whether its paragraphs are elements of a list."""
        style = self._styles.get(identity)
        return style is not None and style.listed

    def level(self, identity: str) -> int:
        """The level of headings of a style, or of one that it is based on; 0: of none."""
        for _ in range(_MOST_BASES):
            style = self._styles.get(identity)
            if style is None:
                match = _HEADING.fullmatch(identity.lower().replace("heading", "heading ").replace("  ", " "))
                return int(match[1]) if match else 0
            if found := _HEADING.fullmatch(style.name):
                return int(found[1])
            if style.level:
                return style.level
            identity = style.based_on
        return 0

    def is_title(self, identity: str) -> bool:
        """The style of the title above all headings."""
        style = self._styles.get(identity)
        return (style.name if style else identity.lower()) == "title"


def outline_level(attributes: Attributes) -> int:
    """1 to 9; 0 for body text."""
    value = attributes.get("val", "")
    return int(value) + 1 if value.isdecimal() and len(value) == 1 and int(value) < 9 else 0


@dataclass(slots=True)
class _Paragraph:
    """A paragraph that is being read."""

    style: str = ""
    level: int = 0
    listed: bool = False


class _Body(Part):
    """Writes paragraphs and tables. Text boxes stand in paragraphs, and tables in cells: both are stacked."""

    def __init__(self, styles: _Styles, writer: Writer) -> None:
        self._styles, self._writer = styles, writer
        self._open: list[tuple[_Paragraph, list[str]]] = []
        self._together: list[str] = []
        self._length = 0
        self._skip = self._tables = 0
        self._rows: list[str] = []
        self._cells: list[list[str]] = []
        self._in_text = False
        self._starts: dict[str, Callable[[Attributes], None]] = {
            "p": self._paragraph, "pStyle": self._style, "outlineLvl": self._outline, "numPr": self._list,
            "tbl": self._table, "tr": self._row, "tc": self._cell,
        }  # fmt: skip

    def start(self, name: str, attributes: Attributes) -> None:
        """An element begins."""
        if self._skip or name in _LEFT_OUT:
            self._skip += 1
        elif name == "t":
            self._in_text = True
        elif name in _SAID:
            if self._open and not (name == "tab" and attributes):
                self._open[-1][1].append(_SAID[name])
        elif handler := self._starts.get(name):
            handler(attributes)

    def end(self, name: str) -> None:
        """An element ends."""
        if self._skip:
            self._skip -= 1
        elif name == "t":
            self._in_text = False
        elif name == "p" and self._open:
            self._paragraph_ends(*self._open.pop())
        elif name == "tr" and self._tables == 1:
            self._rows.append(" | ".join(plain(" ".join(cell)) for cell in self._cells))
        elif name == "tbl":
            self._tables -= 1
            if not self._tables:
                self._writer.add("\n".join(row for row in self._rows if row.strip(" |")), kind="table")
                self._rows = []

    def text(self, text: str) -> None:
        """Text of a run."""
        if self._in_text and self._open and not self._skip:
            self._open[-1][1].append(text)

    def _paragraph(self, _: Attributes) -> None:
        self._open.append((_Paragraph(), []))

    def _style(self, attributes: Attributes) -> None:
        if self._open:
            self._open[-1][0].style = attributes.get("val", "")

    def _outline(self, attributes: Attributes) -> None:
        if self._open:
            self._open[-1][0].level = outline_level(attributes)

    def _list(self, _: Attributes) -> None:
        if self._open:
            self._open[-1][0].listed = True

    def _table(self, _: Attributes) -> None:
        self._tables += 1
        if self._tables == 1:
            self.flush()
            self._rows = []

    def _row(self, _: Attributes) -> None:
        if self._tables == 1:
            self._cells = []

    def _cell(self, _: Attributes) -> None:
        if self._tables == 1:
            self._cells.append([])

    def _paragraph_ends(self, paragraph: _Paragraph, said: list[str]) -> None:
        text = "".join(said).strip()
        if not text:
            return
        if self._tables:
            if self._cells:
                self._cells[-1].append(text)
            return
        if self._styles.is_title(paragraph.style) and not self._writer.title:
            self._writer.title = text
        level = paragraph.level or self._styles.level(paragraph.style)
        if level or self._styles.is_title(paragraph.style):
            self.flush()
            self._writer.heading(level, text) if level else self._writer.add(text, kind="heading")
            return
        self._together.append(f"- {text}" if paragraph.listed or self._styles.listed(paragraph.style) else text)
        self._length += len(text)
        if self._length > _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Write the paragraphs that were read."""
        self._writer.add("\n\n".join(self._together))
        self._together, self._length = [], 0
