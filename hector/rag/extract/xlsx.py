"""Excel: the rows of each sheet with the names of their columns; dates as dates, formulas by what they came to."""

from datetime import datetime, timedelta
from typing import Final

from hector.core.pattern import pattern
from hector.core.retrieval import Place
from hector.rag.errors import Unreadable
from hector.rag.extract.packages import Package, properties
from hector.rag.extract.rows import Cell, Rows
from hector.rag.extract.writer import Writer, one_line
from hector.rag.extract.xmlparts import Attributes, Part

_BOOK: Final = "xl/workbook.xml"
_DATES: Final = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))
"""Number formats of Excel's own that show dates or times."""
_NOT_SHOWN: Final = pattern(r'"[^"]*"|\\.|\[[^\]]*\]|_.|\*.')
_DATE_LETTERS: Final = pattern(r"(?i)[ymdhs]")
_NAME: Final = pattern(r"([A-Z]{1,3})(\d{1,7})")
_MOST_DAYS: Final = 2_958_466
_MOST_SHEETS: Final = 1000


def read_xlsx(data: bytes | str, _ending: str, writer: Writer) -> None:
    """A heading for each sheet, then its rows. Raises Unreadable."""
    package = Package(data if isinstance(data, bytes) else data.encode(), writer.limits)
    facts = properties(package)
    writer.title = facts.pop("title", "")
    writer.tell(**facts)
    book = _Book()
    if not package.parse(_BOOK, book):
        raise Unreadable("it has no sheets: xl/workbook.xml is missing")
    related = package.related(_BOOK)
    parts = {kind: name for kind, name in related.values() if kind in {"sharedStrings", "styles"}}
    strings, styles = _Strings(writer), _Styles()
    package.parse(parts.get("sharedStrings", ""), strings)
    package.parse(parts.get("styles", ""), styles)
    if len(book.sheets) > _MOST_SHEETS:
        writer.note(f"only the first {_MOST_SHEETS} of {len(book.sheets)} sheets were read")
    writer.tell(sheets=[name for name, _ in book.sheets])
    for name, identity in book.sheets[:_MOST_SHEETS]:
        kind, part = related.get(identity, ("", ""))
        if kind == "worksheet":
            _sheet(package, part, _Sheet(name, strings.found, styles.dates, book.epoch, writer), writer)


def _sheet(package: Package, part: str, sheet: "_Sheet", writer: Writer) -> None:
    writer.leave(1)
    writer.heading(1, sheet.name, Place(sheet=sheet.name))
    package.parse(part, sheet)
    sheet.rows.close()


class _Book(Part):
    """The names of the sheets, and the day that dates count from."""

    def __init__(self) -> None:
        self.sheets: list[tuple[str, str]] = []
        self.epoch = datetime(1899, 12, 30)  # noqa: DTZ001 - a workbook knows no zones

    def start(self, name: str, attributes: Attributes) -> None:
        """A sheet, or the settings of the workbook."""
        if name == "sheet":
            self.sheets.append((one_line(attributes.get("name", ""), 100), attributes.get("r:id", "")))
        elif name == "workbookPr" and attributes.get("date1904") in {"1", "true"}:
            self.epoch = datetime(1904, 1, 1)  # noqa: DTZ001 - likewise


class _Strings(Part):
    """Texts that cells refer to by number."""

    def __init__(self, writer: Writer) -> None:
        self.found: list[str] = []
        self._most = writer.limits.cells
        self._said: list[str] = []
        self._phonetic = 0
        self._in_text = False

    def start(self, name: str, attributes: Attributes) -> None:
        """A text, or a part of one."""
        if name == "si":
            self._said = []
        elif name == "rPh":
            self._phonetic += 1
        self._in_text = name == "t" and not self._phonetic

    def text(self, text: str) -> None:
        """What it says."""
        if self._in_text:
            self._said.append(text)

    def end(self, name: str) -> None:
        """It ends."""
        self._in_text = False
        if name == "rPh":
            self._phonetic -= 1
        elif name == "si":
            if len(self.found) >= self._most:
                raise Unreadable(f"it has more than {self._most:,} texts")
            self.found.append("".join(self._said))


class _Styles(Part):
    """Which styles of cells show dates."""

    def __init__(self) -> None:
        self.dates: list[bool] = []
        self._formats: set[int] = set(_DATES)
        self._cells = False

    def start(self, name: str, attributes: Attributes) -> None:
        """A number format, or a style of cells."""
        if name == "numFmt":
            shown = _NOT_SHOWN.sub("", attributes.get("formatCode", "")[:500])
            if _DATE_LETTERS.search(shown) and "general" not in shown.lower():
                self._formats.add(_number(attributes.get("numFmtId", "")))
        elif name == "cellXfs":
            self._cells = True
        elif name == "xf" and self._cells:
            self.dates.append(_number(attributes.get("numFmtId", "")) in self._formats)

    def end(self, name: str) -> None:
        """The styles of cells end."""
        if name == "cellXfs":
            self._cells = False


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else -1


class _Sheet(Part):
    """Writes the rows of a sheet."""

    def __init__(self, name: str, strings: list[str], dates: list[bool], epoch: datetime, writer: Writer) -> None:
        self.name = name
        self.rows = Rows(writer, name)
        self._strings, self._dates, self._epoch = strings, dates, epoch
        self._cells: list[Cell] = []
        self._row = self._column = 0
        self._kind = self._style = ""
        self._said: list[str] = []
        self._formula: list[str] = []
        self._in = ""

    def start(self, name: str, attributes: Attributes) -> None:
        """A row, a cell, or what a cell holds."""
        if name == "row":
            given = _number(attributes.get("r", ""))
            self._row = given if given > 0 else self._row + 1
            self._cells, self._column = [], -1
        elif name == "c":
            place = _NAME.fullmatch(attributes.get("r", ""))
            self._column = _column(place[1]) if place else self._column + 1
            self._kind, self._style = attributes.get("t", "n"), attributes.get("s", "")
            self._said, self._formula = [], []
        elif name in {"v", "t", "f"}:
            self._in = name

    def text(self, text: str) -> None:
        """A value."""
        if self._in:
            (self._formula if self._in == "f" else self._said).append(text)

    def end(self, name: str) -> None:
        """It ends."""
        if name in {"v", "t", "f"}:
            self._in = ""
        elif name == "c":
            cell = self._cell("".join(self._said), "".join(self._formula))
            if cell.text.strip():
                self._cells.append(cell)
        elif name == "row":
            self.rows.add(self._cells, self._row, self._row)

    def _cell(self, value: str, formula: str) -> Cell:
        if self._kind == "s":
            number = _number(value)
            return Cell(self._column, self._strings[number] if 0 <= number < len(self._strings) else "")
        if self._kind in {"str", "inlineStr", "d", "e"}:
            return Cell(self._column, value, self._kind != "d")
        if self._kind == "b":
            return Cell(self._column, "true" if value == "1" else "false", is_text=False)
        if not value:
            return Cell(self._column, f"={formula}" if formula else "")
        return Cell(self._column, self._shown(value), is_text=False)

    def _shown(self, value: str) -> str:
        try:
            number = float(value)
        except ValueError:
            return value
        style = _number(self._style)
        if 0 <= style < len(self._dates) and self._dates[style] and 0 <= number < _MOST_DAYS:
            return _moment(self._epoch, number)
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else f"{number:.15g}"


def _column(letters: str) -> int:
    """A is 0, Z is 25, AA is 26."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _moment(epoch: datetime, days: float) -> str:
    """A date, a time of day where there is no day, or both."""
    moment = epoch + timedelta(seconds=round(days * 86_400))
    if days < 1:
        return moment.strftime("%H:%M:%S")
    return moment.strftime("%Y-%m-%d") if days == int(days) else moment.strftime("%Y-%m-%d %H:%M:%S")
