"""Rows of tables: each says the names of its columns, so that it can be understood alone."""

from collections.abc import Sequence

from hector.core.record import dataclass
from hector.core.retrieval import Place
from hector.rag.extract.writer import Writer, one_line


@dataclass(frozen=True, slots=True)
class Cell:
    """A value that is not empty. `column` counts from 0; `is_text`: it is neither a number nor a date."""

    column: int
    text: str
    is_text: bool = True


class Rows:
    """Takes the rows of one table, and finds out which of them names the columns.

    That is the first with two values or more, if all of them are texts that differ. Single values above it are what is
    written over a table; if it is none, the table has no names.
    """

    def __init__(self, writer: Writer, sheet: str = "") -> None:
        self._writer, self._sheet = writer, sheet
        self._names: dict[int, str] | None = None
        self._header: tuple[str, Place] | None = None
        self.count = self._cells = 0

    def add(self, cells: Sequence[Cell], first_line: int, last_line: int) -> None:
        """One row; raises Full where there are too many."""
        if not cells:
            return
        limits = self._writer.limits
        self._bound(len(cells))
        place = Place(sheet=self._sheet, first_line=first_line, last_line=last_line)
        if self._names is None and len(cells) > 1:
            self._names = _names(cells)
            if self._names:
                self._header = (_plain(cells), place)
                return
        text = "; ".join(self._shown(cell) for cell in cells)
        self._header = None if self._names else self._header
        self._writer.add(text[: limits.characters], place, "row")

    def close(self) -> None:
        """The end: names of columns without any rows are all there is."""
        if self._header:
            self._writer.add(self._header[0], self._header[1], "row")

    def _bound(self, cells: int) -> None:
        limits = self._writer.limits
        self.count += 1
        self._cells += cells
        where = f" of {self._sheet}" if self._sheet else ""
        if self.count > limits.rows:
            self._writer.stop(f"only the first {limits.rows:,} rows{where} were read")
        if self._cells > limits.cells:
            self._writer.stop(f"only the first {limits.cells:,} cells{where} were read")

    def _shown(self, cell: Cell) -> str:
        name = (self._names or {}).get(cell.column)
        return f"{name}: {_flat(cell.text)}" if name else _flat(cell.text)


def _names(cells: Sequence[Cell]) -> dict[int, str]:
    texts = {cell.text.strip().lower() for cell in cells}
    if len(texts) < len(cells) or not all(cell.is_text and len(cell.text) <= 200 for cell in cells):
        return {}
    return {cell.column: one_line(cell.text, 100) for cell in cells}


def _plain(cells: Sequence[Cell]) -> str:
    return "; ".join(_flat(cell.text) for cell in cells)


def _flat(text: str) -> str:
    return " ".join(text.split())
