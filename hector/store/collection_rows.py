"""What goes into an index and comes out of it, and how it stands in rows."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import field
from hashlib import blake2b
from typing import Any, Final

from hector.core.record import dataclass
from hector.core.retrieval import Embedding, Item, Metadata, Passage, Place

FILES: Final = "files"
"""The place of vectors that lie beside the index; all others are servers."""
VOLATILE: Final = frozenset(("last_modified", "modified", "size", "mtime", "git_commit"))
"""Metadata that changes without the content."""
_LONGEST_VALUE: Final = 1000
"""Characters of a value that filters can ask for."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document that was read. `checksum` is of its content; `notes` say what was left out of it."""

    item: Item
    checksum: str
    title: str = ""
    metadata: Metadata = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What an index says of an item. `retry_at` is in seconds since the epoch, None: not before it changes."""

    id: str
    fingerprint: str
    checksum: str
    failed: bool
    reason: str
    attempts: int
    retry_at: float | None
    chunks: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that could not be read, and why. `stale`: an earlier state of it is found in the meantime."""

    id: str
    uri: str
    reason: str
    attempts: int
    retry_at: float | None
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """What storing a document came to: chunks that are new, that were kept with their vectors, that went."""

    added: int
    kept: int
    removed: int


@dataclass(frozen=True, slots=True)
class Pending:
    """A chunk that waits for its vector. `vector`: the one of the same text, made earlier."""

    key: int
    document: str
    text: str
    metadata: Metadata
    vector: bytes | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How much there is. `documents` leaves out those that `failed`."""

    documents: int
    failed: int
    chunks: int
    pending: int


def clean(text: str) -> str:
    """Text that any database takes: no halves of characters, no NUL."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", " ")


def hash_of(text: str) -> bytes:
    """What stands for a text in the cache of vectors."""
    return blake2b(text.encode(), digest_size=16).digest()


def encoded(metadata: Metadata) -> str:
    """As JSON; what is no plain value is told as text."""
    return clean(json.dumps(dict(metadata), ensure_ascii=False, default=str))


def attributes(metadata: Metadata) -> Iterator[tuple[str, str]]:
    """(name, value) of all that a filter can ask for."""
    for name, value in metadata.items():
        for one in value if isinstance(value, list | tuple | set | frozenset) else (value,):
            if (plain := _plain(one)) is not None:
                yield clean(name), plain


def differ(before: Metadata, now: Metadata) -> bool:
    """Whether filters may find something else by what is known of a document now."""
    return set(_lasting(before)) != set(_lasting(now))


def _lasting(metadata: Metadata) -> Iterator[tuple[str, str]]:
    return attributes({name: value for name, value in metadata.items() if name not in VOLATILE})


def asked(where: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, list of values as JSON) of each condition of a filter."""
    found: dict[str, list[str]] = {clean(name): [] for name in where}
    for name, value in attributes(where):
        found[name].append(value)
    return [(name, json.dumps(values)) for name, values in found.items()]


def _plain(value: Any) -> str | None:
    """JSON, the same for numbers that are equal."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str):
        value = value[:_LONGEST_VALUE]
    return clean(json.dumps(value, ensure_ascii=False)) if isinstance(value, str | int | float) else None


def place_text(place: Place) -> str:
    """A place as JSON, nothing for what is not known."""
    given = {"p": place.page, "h": place.heading, "s": place.sheet, "f": place.first_line, "l": place.last_line}
    return clean(json.dumps({name: value for name, value in given.items() if value}, ensure_ascii=False))


def place_of(text: str) -> Place:
    """The place that was written so."""
    found = json.loads(text)
    return Place(found.get("p", 0), found.get("h", ""), found.get("s", ""), found.get("f", 0), found.get("l", 0))


def passage(store: str, row: tuple[Any, ...]) -> Passage:
    """Of a row of `passages`, behind its key; not scored yet."""
    document, title, uri, number, text, place, metadata = row
    return Passage(store, document, title, uri, number, text, place_of(place), 0.0, metadata=json.loads(metadata))


def pending(row: tuple[Any, ...]) -> Pending:
    """Of a row of `pending`."""
    key, document, text, _hash, metadata, _title, _place, vector = row
    return Pending(key, document, text, json.loads(metadata), vector)


def known(row: tuple[Any, ...]) -> Known:
    """Of a row of `known`."""
    item, fingerprint, checksum, failed, reason, attempts, retry_at, chunks = row
    return Known(item, fingerprint, checksum, bool(failed), reason, attempts, _seconds(retry_at), chunks)


def failure(row: tuple[Any, ...]) -> Failure:
    """Of a row of `failures`."""
    item, uri, reason, attempts, retry_at, stale = row
    return Failure(item, uri, reason, attempts, _seconds(retry_at), bool(stale))


def _seconds(value: int | None) -> float | None:
    return None if value is None else value / 1000


def embedding_text(embedding: Embedding) -> str:
    """An identity as JSON."""
    return json.dumps([embedding.provider, embedding.model, embedding.dimension, embedding.weights])


def embedding_of(text: str) -> Embedding:
    """The identity that was written so."""
    provider, model, dimension, weights = json.loads(text)
    return Embedding(provider, model, dimension, weights)
