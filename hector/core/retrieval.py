"""Nouns and seams of retrieval: items of a source, what they say, the chunks that are found, and who finds them.

Source -> Item -> Content -> Extracted (sections with places) -> Chunk -> Collection (words and vectors) -> Passage
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from hector.core.ports import Meter
from hector.core.record import dataclass

Metadata: TypeAlias = Mapping[str, Any]
"""What is known of a document beside its text: strings, numbers, booleans, and lists of strings. Filters look at it."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something of a source that may hold text.

    `id` is the same at every listing, and unique in its source; `fingerprint` changes whenever the content may have
    changed, and is cheap to know (size and time, an etag, a version): an item whose fingerprint is known is not read.
    `name` has the ending that tells the format; `uri` is where a person finds it. `size` is in bytes, None: not known.
    """

    id: str
    name: str
    fingerprint: str
    uri: str = ""
    size: int | None = None
    media_type: str = ""
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Content:
    """What an item holds: bytes of a file, or text that needs no extraction. `path`: where a local file really is.

    `item` is the item as it was when it was read, which may be newer than the one that was listed.
    """

    item: Item
    data: bytes | str
    path: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """Something happened in a source that is watched. No ids: look at all of it."""

    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Omitted:
    """What a listing left out. `counts`: how many, by the reason, for people, such as {"no text": 12}.

    `unseen`: beginnings of the ids of items that could not be looked at (a folder that cannot be opened). What is known
    of them stays: nobody can tell whether they are still there.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    unseen: tuple[str, ...] = ()


class Source(Protocol):
    """Where documents come from. Errors: hector.rag.errors (Unreadable, Gone, SourceError).

    A listing that ends without an error is complete but for `omitted.unseen`: what it did not give is gone.
    """

    @property
    def omitted(self) -> Omitted:
        """Of the last listing that came to its end."""

    def items(self, ids: Sequence[str] = ()) -> AsyncIterator[Item]:
        """Everything there is, or of `ids` those that still are; held in memory a page at a time."""

    async def read(self, item: Item) -> Content:
        """The content of an item."""

    def watch(self) -> AsyncIterator[Change] | None:
        """Changes as they happen, debounced; None where nothing tells of them.

        The first says to look at everything, as soon as no later change can be missed. Never ends by itself.
        """

    async def aclose(self) -> None:
        """Give back connections."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a document something stands; what is not known is empty or 0. Pages and lines count from 1."""

    page: int = 0
    heading: str = ""
    sheet: str = ""
    first_line: int = 0
    last_line: int = 0


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of a document in reading order. `kind` tells chunkers what it is; a heading is a section of its own."""

    text: str
    place: Place = Place()
    kind: Literal["text", "heading", "code", "table", "row"] = "text"


@dataclass(frozen=True, slots=True)
class Extracted:
    """The text of one document. `notes`: what was left out and why, for people."""

    title: str
    sections: tuple[Section, ...]
    metadata: Metadata = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document that is found as a whole. `number` counts from 0 within its document."""

    number: int
    text: str
    place: Place = Place()


@dataclass(frozen=True, slots=True)
class Embedding:
    """Which vectors these are; those of two different embeddings are never mixed. `weights` is a hash, if known."""

    provider: str
    model: str
    dimension: int
    weights: str = ""


Purpose: TypeAlias = Literal["document", "query"]


class Embedder(Protocol):
    """Makes vectors of texts. Errors: hector.rag.errors.EmbeddingError (retryable or not)."""

    @property
    def batch_size(self) -> int:
        """How many texts one call takes at most."""

    @property
    def at_once(self) -> int:
        """How many calls beside each other are of use."""
        return 1

    async def describe(self) -> Embedding:
        """What vectors it makes: known from the configuration, or by asking once."""

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> Sequence[bytes]:
        """One vector a text, in order: `dimension` little-endian float32, of length 1."""

    async def aclose(self) -> None:
        """Give back connections and child processes."""


@runtime_checkable
class Familiar(Protocol):
    """An embedder that can say how well it knows the language of a text. Others are taken to know all of them."""

    def familiarity(self, text: str) -> float:
        """0..1, see hector.rag.fusion.familiarity. Takes well under a millisecond."""


@dataclass(frozen=True, slots=True)
class VectorRow:
    """A vector as an index holds it: `key` is the chunk's, `document` the item's id."""

    key: int
    vector: bytes
    document: str
    text: str = ""
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scored:
    """A chunk and how well it fits: higher is better. Vectors: the cosine."""

    key: int
    score: float


class VectorIndex(Protocol):
    """Vectors of one collection: the embedded flat index, or a server's. Adding a key again replaces it."""

    async def open(self, embedding: Embedding, *, hurried: bool = False) -> None:
        """Make it ready; raises where it holds vectors of another embedding.

        `hurried`: somebody waits for an answer: what does not answer is not asked again and again.
        """

    async def add(self, rows: Sequence[VectorRow]) -> None:
        """Add or replace; on the disk, or accepted by the server, when it returns."""

    async def describe(self, rows: Sequence[VectorRow]) -> Sequence[int]:
        """Take note of other metadata of vectors that are there; keys of those whose vector it needs for that.

        The vector of a row is empty where it is not at hand.
        """

    async def remove(self, keys: Sequence[int]) -> None:
        """Those that are not there are nothing to complain about."""

    async def search(self, vector: bytes, limit: int, where: Metadata | None = None) -> Sequence[Scored]:
        """The best first; `where`: metadata that must be equal, a list: one of them."""

    async def clear(self) -> None:
        """Remove everything of this collection."""

    async def aclose(self) -> None:
        """Give back files and connections."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk that was found. `score` is in 0..1; `dense` is the cosine, `lexical` BM25, where they are known."""

    store: str
    document: str
    title: str
    uri: str
    number: int
    text: str
    place: Place
    score: float
    dense: float | None = None
    lexical: float | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for. None: as the store's configuration says."""

    text: str
    limit: int | None = None
    threshold: float | None = None
    where: Metadata | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """Passages, the best first; `notes` say what could not be done and what was done instead."""

    passages: tuple[Passage, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Payer:
    """For whom models are asked on the way: an agent, and the meter of its run."""

    agent: str
    meter: Meter


class Retriever(Protocol):
    """Searches one or several document stores of one app."""

    async def search(self, question: Question, payer: Payer | None = None) -> Findings:
        """Raises hector.rag.errors.SearchError only where nothing at all can be said."""
