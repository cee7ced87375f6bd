"""An index that is open, with what makes and finds its vectors."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from hector.core.errors import HectorError
from hector.core.retrieval import (
    Chunk,
    Content,
    Embedder,
    Embedding,
    Extracted,
    Metadata,
    Scored,
    Source,
    VectorIndex,
    VectorRow,
)
from hector.rag.errors import VectorStoreError
from hector.store.collection import Collection

log = logging.getLogger("hector.rag")


class OtherReaders(Protocol):
    """Reads documents by tools of others as well as by our own readers."""

    async def read(self, content: Content) -> tuple[Extracted, Sequence[Chunk]]:
        """Extract and cut one document. Raises Unreadable with the reason."""

    async def aclose(self) -> None:
        """Give back connections."""


class Opened:
    """What is given back together. `source` and `others` are added by whoever indexes."""

    def __init__(self, collection: Collection, embedder: Embedder | None, vectors: VectorIndex | None) -> None:
        self.collection = collection
        self.embedder = embedder
        self.vectors = None if embedder is None or vectors is None else Guarded(collection, embedder, vectors)
        self.source: Source | None = None
        self.others: OtherReaders | None = None

    async def aclose(self) -> None:
        """Give back files and connections, not the embedder, which others may use."""
        for one in (self.others, self.source, self.vectors, self.collection):
            if one is not None:
                try:
                    await one.aclose()
                except (HectorError, OSError):
                    log.exception("part of an index could not be closed", extra={"store": self.collection.store})


class Guarded:
    """A VectorIndex that is opened by whoever needs it first, to search or to fill it, and only for its embedder."""

    def __init__(self, collection: Collection, embedder: Embedder, index: VectorIndex) -> None:
        self._collection, self._embedder, self._index = collection, embedder, index
        self._opening = asyncio.Lock()
        self._open = False

    async def open(self, embedding: Embedding, *, hurried: bool = False) -> None:
        """Make it ready. Raises VectorStoreError where it holds others."""
        async with self._opening:
            await self._index.open(embedding, hurried=hurried)
            self._open = True

    async def add(self, rows: Sequence[VectorRow]) -> None:
        """As the index does."""
        await self._index.add(rows)

    async def describe(self, rows: Sequence[VectorRow]) -> Sequence[int]:
        """As the index does."""
        return await self._index.describe(rows)

    async def remove(self, keys: Sequence[int]) -> None:
        """As the index does."""
        await self._index.remove(keys)

    async def clear(self) -> None:
        """As the index does; it is to be opened again."""
        async with self._opening:
            self._open = False
            await self._index.clear()

    async def search(self, vector: bytes, limit: int, where: Metadata | None = None) -> Sequence[Scored]:
        """The best first; nothing where there are no vectors yet. Raises VectorStoreError where they are of others.

        Whatever keeps the vectors is opened anew where it may have lost them: that is when lost ones are sent again.
        """
        if not self._open and not await self._opened():
            return ()
        try:
            found = await self._index.search(vector, limit, where)
        except VectorStoreError:
            self._open = not self._collection.leads
            raise
        if not found and not where and self._collection.leads:
            self._open = not await self._has_vectors()
        return found

    async def _has_vectors(self) -> bool:
        counts = await self._collection.counts()
        return counts.pending < counts.chunks

    async def _opened(self) -> bool:
        there = await self._collection.embedding()
        if there is None:
            return False
        mine = await self._embedder.describe()
        if there != mine:
            raise VectorStoreError(f"the vectors are those of {there.model}, and {mine.model} makes new ones just now")
        if not self._open:
            await self._index.open(mine, hurried=True)
            self._open = True
        return True

    async def aclose(self) -> None:
        """Give back files and connections."""
        await self._index.aclose()
