"""Plain text, as it stands."""

from hector.core.retrieval import Place
from hector.rag.extract.decoding import decoded
from hector.rag.extract.writer import Writer, clean


def read_text(data: bytes | str, _ending: str, writer: Writer) -> None:
    """One section with all of it."""
    text = lines_of(data, writer)
    writer.add(text, Place(first_line=1, last_line=1 + text.count("\n")))


def lines_of(data: bytes | str, writer: Writer, *, markup: bool = False) -> str:
    """The text with line feeds; a note where its encoding was guessed. Raises Unreadable."""
    if isinstance(data, str):
        return clean(data)
    text, note = decoded(data, markup=markup)
    if note:
        writer.note(note)
    return clean(text.removeprefix("\ufeff"))
