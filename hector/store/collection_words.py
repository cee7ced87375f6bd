"""Words of chunks and of questions, as the full-text index of a collection holds them."""

from collections.abc import Iterator
from typing import Final

from hector.store.terms import MOST_READ, asked_for, words


def terms(text: str) -> str:
    """All words of a chunk, however long it is."""
    return " ".join(word for piece in _pieces(text) for word in words(piece))


def _pieces(text: str) -> Iterator[str]:
    """Cut between words, where there are any."""
    at = 0
    while len(text) - at > MOST_READ:
        cut = text.rfind(" ", at, at + MOST_READ)
        end = cut if cut > at else at + MOST_READ
        yield text[at:end]
        at = end
    yield text[at:]


_QUOTED: Final = '"{}"'


def match(query: str) -> str:
    """What FTS5 is asked: each word quoted, any of them. Empty where there is no word."""
    return " OR ".join(_QUOTED.format(word) for word in asked_for(query))
