"""PDF: the text of each page, under the bookmarks that lead to it."""

import io
from collections.abc import Iterator
from typing import Any, Final

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from hector.core.pattern import pattern
from hector.core.retrieval import Place
from hector.rag.errors import Unreadable
from hector.rag.extract.writer import Writer, one_line

_SPACE: Final = pattern(r"[ \t\u00a0]+")
_BLANK: Final = pattern(r"\n{3,}")
_MOST_BOOKMARKS: Final = 5000
_LIGATURES: Final = {
    0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st", 0xAD: None,
}  # fmt: skip
_MADE_BY: Final = ("Microsoft Word - ", "Microsoft PowerPoint - ")
_DAMAGE: Final = (
    PyPdfError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    ArithmeticError,
)
"""What pypdf raises for pages and bookmarks that are no good."""


def read_pdf(data: bytes | str, _ending: str, writer: Writer) -> None:
    """A section for each page, or for each bookmark where its title stands on the page. Raises Unreadable."""
    reader = PdfReader(io.BytesIO(data if isinstance(data, bytes) else data.encode()))
    if reader.is_encrypted and not reader.decrypt(""):
        raise Unreadable("it is protected with a password")
    _facts(reader, writer)
    marks = _bookmarks(reader)
    empty: list[int] = []
    bad: list[int] = []
    count = 0
    for number, page in enumerate(_pages(reader, writer), 1):
        count = number
        try:
            text = _tidy(page.extract_text())
        except _DAMAGE as error:
            bad.append(number)
            writer.note(f"page {number} cannot be read ({type(error).__name__})")
            continue
        if not text:
            empty.append(number)
        _page(text, number, marks.get(number, []), writer)
    _judge(count, empty, bad, writer)


def _pages(reader: PdfReader, writer: Writer) -> Iterator[Any]:
    total = len(reader.pages)
    writer.tell(pages=total)
    for number in range(min(total, writer.limits.pages)):
        yield reader.pages[number]
    if total > writer.limits.pages:
        writer.note(f"only the first {writer.limits.pages:,} of {total:,} pages were read")


def _judge(count: int, empty: list[int], bad: list[int], writer: Writer) -> None:
    if not count:
        raise Unreadable("it has no pages, or is cut off")
    if len(bad) == count:
        raise Unreadable("none of its pages can be read: it is damaged")
    if len(empty) + len(bad) == count:
        raise Unreadable("its pages hold no text, only pictures: run text recognition (OCR) over it first")
    if empty:
        shown = ", ".join(map(str, empty[:10])) + (", ..." if len(empty) > 10 else "")
        writer.note(f"no text on {len(empty)} of {count} pages, which are blank or scanned: {shown}")


def _facts(reader: PdfReader, writer: Writer) -> None:
    try:
        found = reader.metadata
        if found is None:
            return
        title = str(found.title or "")
        for maker in _MADE_BY:
            title = title.removeprefix(maker)
        writer.title = "" if title.strip().lower() == "untitled" else title
        writer.tell(
            author=str(found.author or ""), subject=str(found.subject or ""), keywords=str(found.keywords or "")
        )
        if found.creation_date:
            writer.tell(created=found.creation_date.isoformat())
    except _DAMAGE:
        writer.note("what the document says of itself cannot be read")


def _bookmarks(reader: PdfReader) -> dict[int, list[tuple[int, str]]]:
    """Level and title of the bookmarks by the page that they lead to; none where they are no good."""
    found: dict[int, list[tuple[int, str]]] = {}
    try:
        for level, mark in _flat(reader.outline, 1):
            page = reader.get_destination_page_number(mark)
            if page is not None:
                found.setdefault(page + 1, []).append((level, one_line(str(mark.title))))
            if len(found) > _MOST_BOOKMARKS:
                break
    except (*_DAMAGE, RecursionError):
        return {}
    return found


def _flat(marks: list[Any], level: int) -> Iterator[tuple[int, Any]]:
    for mark in marks:
        if isinstance(mark, list):
            yield from _flat(mark, level + 1)
        else:
            yield level, mark


def _page(text: str, number: int, marks: list[tuple[int, str]], writer: Writer) -> None:
    """The page, cut where a line is the title of a bookmark; titles that stand nowhere hold from its start."""
    place = Place(page=number)
    lines = text.split("\n")
    begin = 0
    for level, title in marks:
        at = next((line for line in range(begin, len(lines)) if _is_title(lines[line], title)), -1)
        if at >= 0:
            writer.add("\n".join(lines[begin:at]), place)
            writer.heading(level, title, place, lines[at].strip())
            begin = at + 1
        else:
            writer.enter(level, title)
    writer.add("\n".join(lines[begin:]), place)


def _is_title(line: str, title: str) -> bool:
    """The line is the title, with a number before it perhaps."""
    shown = " ".join(line.split()).casefold()
    wanted = title.casefold()
    return bool(wanted) and shown.endswith(wanted) and len(shown) <= len(wanted) + 12


def _tidy(text: str) -> str:
    text = text.replace("\r\n", "\n").translate(_LIGATURES)
    lines = (_SPACE.sub(" ", line).strip() for line in text.split("\n"))
    return _BLANK.sub("\n\n", "\n".join(lines)).strip()
