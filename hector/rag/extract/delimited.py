"""CSV and its relatives: rows with the names of their columns."""

import csv
from collections.abc import Iterator
from typing import Final

from hector.core.pattern import pattern
from hector.rag.errors import Unreadable
from hector.rag.extract.rows import Cell, Rows
from hector.rag.extract.text import lines_of
from hector.rag.extract.writer import Writer

_DELIMITERS: Final = ",;\t|"
_LOOKED_AT: Final = 30
_NUMBER: Final = pattern(
    r"[-+(]?[\s$\u20ac\u00a3\u00a5]*\d[\d.,'\s]*%?\)?(?:[eE][-+]?\d+)?|\d{4}-\d\d-\d\d.{0,20}|\d\d?[./]\d\d?[./]\d{2,4}.{0,20}"
)
_LONGEST_CELL: Final = 1_000_000


def read_delimited(data: bytes | str, ending: str, writer: Writer) -> None:
    """A section for each row, with the lines that it stands on."""
    text = lines_of(data, writer)
    delimiter = "\t" if ending in {".tsv", ".tab"} else _delimiter(text[:65_536].split("\n")[:_LOOKED_AT])
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(_lines(text), delimiter=delimiter)
    rows = Rows(writer)
    before = 0
    try:
        for row in reader:
            cells = [
                Cell(at, value, not _NUMBER.fullmatch(value[:60])) for at, value in enumerate(row) if value.strip()
            ]
            rows.add(cells, before + 1, reader.line_num)
            before = reader.line_num
    except csv.Error as error:
        raise Unreadable(f"line {reader.line_num} is no row of a table: {error}") from None
    rows.close()
    writer.tell(rows=rows.count)


def _lines(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        end = text.find("\n", at) + 1 or len(text)
        yield text[at:end]
        at = end


def _delimiter(lines: list[str]) -> str:
    """What stands equally often in most of the first lines."""
    filled = [line for line in lines if line.strip()]

    def fit(delimiter: str) -> tuple[int, int]:
        counts = [line.count(delimiter) for line in filled]
        usual = max(set(counts), key=counts.count, default=0)
        return (counts.count(usual) if usual else 0, usual)

    best = max(_DELIMITERS, key=fit)
    return best if fit(best)[0] else ","
