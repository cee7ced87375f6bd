"""What the server and a reading process say to each other: messages of JSON with their length before them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from hector.core.record import dataclass
from hector.core.retrieval import Chunk, Content, Extracted, Item, Place
from hector.rag.chunking import Plain, Rules
from hector.rag.extract.limits import Limits

LENGTH: Final = 4
"""Bytes before each message."""
MOST: Final = 4 * 2**20
"""Bytes of a message: nobody sends more, and nobody takes more."""
_TOGETHER: Final = 64 * 1024
"""Characters of chunks in one message: it is decoded on the server's loop."""
_RULES: Final = ("strategy", "size", "overlap", "min_size", "max_size", "preserve_words")
_LIMITS: Final = ("characters", "pages", "rows", "cells", "depth", "entries", "unpacked", "ratio", "seconds", "memory")


@dataclass(frozen=True, slots=True)
class Order:
    """A document to be read; its `size` bytes follow. `text`: they are text that needs no decoding."""

    name: str
    media_type: str
    text: bool
    size: int
    rules: Rules
    limits: Limits

    def content(self, data: bytes) -> Content:
        """The document, with what readers look at."""
        item = Item(self.name, self.name, "", media_type=self.media_type)
        return Content(item, data.decode("utf-8", "surrogatepass") if self.text else data)


def packed(message: Mapping[str, Any]) -> bytes:
    """A message as it goes over the wire."""
    body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return len(body).to_bytes(LENGTH, "big") + body


def ordered(content: Content, rules: Rules, limits: Limits) -> tuple[bytes, bytes]:
    """The message for a document, and its bytes."""
    text = isinstance(content.data, str)
    data = content.data.encode("utf-8", "surrogatepass") if isinstance(content.data, str) else content.data
    item = content.item
    head = {
        "name": item.name, "media_type": item.media_type, "text": text, "size": len(data),
        "rules": {name: getattr(rules, name) for name in _RULES},
        "limits": {name: getattr(limits, name) for name in _LIMITS},
    }  # fmt: skip
    return packed(head), data


def order(body: bytes) -> Order:
    """The message of such an order."""
    said = json.loads(body)
    rules, limits = Plain(**said["rules"]), Limits(**said["limits"])
    return Order(said["name"], said["media_type"], said["text"], said["size"], rules, limits)


def answers(extracted: Extracted, chunks: Sequence[Chunk]) -> Iterator[bytes]:
    """Chunks a few at a time, then what is known of the document."""
    waiting: list[list[Any]] = []
    size = 0
    for chunk in chunks:
        place = chunk.place
        waiting.append([chunk.text, place.page, place.heading, place.sheet, place.first_line, place.last_line])
        size += len(chunk.text)
        if size >= _TOGETHER:
            yield packed({"chunks": waiting})
            waiting, size = [], 0
    if waiting:
        yield packed({"chunks": waiting})
    yield packed(
        {"title": extracted.title, "metadata": dict(extracted.metadata), "notes": list(extracted.notes), "done": True}
    )


def chunks_of(said: Mapping[str, Any], first: int) -> list[Chunk]:
    """The chunks of one message, numbered on from `first`."""
    return [Chunk(first + at, one[0], Place(*one[1:6])) for at, one in enumerate(said["chunks"])]


def document_of(said: Mapping[str, Any]) -> Extracted:
    """The last message: the document without its text, which is in the chunks."""
    return Extracted(said["title"], (), said["metadata"], tuple(said["notes"]))
