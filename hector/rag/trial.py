"""Tries a search out: asks test questions, and compares what is found with what should have been."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Final

from hector.core.clock import SystemClock
from hector.core.record import dataclass
from hector.core.retrieval import (
    Chunk,
    Embedder,
    Embedding,
    Extracted,
    Item,
    Passage,
    Purpose,
    Question,
    Retriever,
    Section,
)
from hector.rag.chunking import Plain, Rules, chunk
from hector.rag.flat import FlatIndex
from hector.rag.ingest_fill import Filler
from hector.rag.ingest_progress import Tally
from hector.rag.measure import DEPTH, Judged
from hector.rag.questions import Asked, Paper
from hector.rag.search_legs import Shelf
from hector.store.collection import Collection
from hector.store.collection_rows import Document

WHOLE: Final = Plain("simple", 1500, 0, 100, 4000)
"""How documents of test collections are cut: most are a paragraph, which stays whole."""
_PASSAGES: Final = 3
"""Passages that are asked for, for each document that is looked at: a document may be found by several."""


def in_mode(shelf: Shelf, mode: str) -> Shelf:
    """A store as it is searched by words and meaning (hybrid), by words alone (lexical), or by meaning (dense)."""
    if mode == "lexical":
        return replace(shelf, embedder=None, vectors=None)
    return replace(shelf, settings=shelf.settings.with_changes(hybrid=mode == "hybrid"))


async def ask(retriever: Retriever, asked: Sequence[Asked], advance: Callable[[int], None]) -> list[Judged]:
    """All questions, one after the other. Raises what searches raise."""
    judged = []
    for one in asked:
        began = time.perf_counter()
        findings = await retriever.search(Question(one.text, limit=_PASSAGES * DEPTH))
        seconds = time.perf_counter() - began
        judged.append(Judged(named(findings.passages, one.relevant), one.relevant, seconds))
        advance(1)
    return judged


def named(passages: Iterable[Passage], relevant: Mapping[str, float]) -> list[str]:
    """The documents of passages, each once, by the names that the question has for them where it has any."""
    names = (next((name for name in relevant if _is(one, name)), one.document) for one in passages)
    return list(dict.fromkeys(names))


def _is(passage: Passage, name: str) -> bool:
    """Whether a document is meant by its id, its path or the end of that."""
    places = (passage.document, passage.uri)
    return name in places or any(place.endswith(f"/{name.removeprefix('./')}") for place in places)


async def index(collection: Collection, papers: Iterable[Paper], rules: Rules, advance: Callable[[int], None]) -> int:
    """Take a test collection in, a document a line; how many. Those that are as they were are left alone."""
    count = 0
    for paper in papers:
        checksum = sha256(f"{paper.title}\0{paper.text}".encode()).hexdigest()
        known = (await collection.known([paper.id])).get(paper.id)
        if known is None or known.checksum != checksum:
            item = Item(paper.id, paper.id, checksum, metadata=dict(paper.metadata))
            chunks: list[Chunk] = chunk(Extracted(paper.title, (Section(paper.text),)), rules)
            await collection.put(Document(item, checksum, paper.title, item.metadata), chunks)
        count += 1
        advance(1)
    return count


@dataclass(frozen=True, slots=True)
class Counted(Embedder):
    """Tells of each text that it has embedded."""

    embedder: Embedder
    advance: Callable[[int], None]

    @property
    def batch_size(self) -> int:
        return self.embedder.batch_size

    @property
    def at_once(self) -> int:
        return self.embedder.at_once

    async def describe(self) -> Embedding:
        return await self.embedder.describe()

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> Sequence[bytes]:
        vectors = await self.embedder.embed(texts, purpose)
        self.advance(len(texts))
        return vectors

    async def aclose(self) -> None:
        await self.embedder.aclose()


async def embed(collection: Collection, embedder: Embedder) -> FlatIndex:
    """Vectors of all that has none. Raises RagError, StoreError."""
    vectors = FlatIndex(collection)
    await Filler(collection, embedder, vectors, Tally(), SystemClock()).drain()
    return vectors
