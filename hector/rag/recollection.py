"""What is known of users, found by meaning as well as by words (`storage.memory.backend: vector`).

A memory gets its vector when its user's memories are next looked through: nobody waits for it when it is remembered,
and nothing is lost where the embedder is away. Then, and for what has no vector yet, words find it.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from hector.core.errors import HectorError
from hector.core.keeping import Memory, MemoryShelf
from hector.core.record import dataclass
from hector.core.retrieval import Embedder, Embedding, Scored
from hector.observe import metrics
from hector.rag.fusion import fuse, share_of
from hector.store.memories import Recollection
from hector.store.memory_vectors import MemoryVectors

log = logging.getLogger("hector.rag")
PATIENCE: Final = 3.0
"""Seconds that vectors are waited for."""
LEAST: Final = 0.3
"""The cosine below which a memory that has no word of what is asked is nothing to be reminded of.

With the built-in embedder, 96 % of the right paragraphs of XQuAD (English) are above it, and the best of 235 others is
below it for half of the questions.
"""
_DEPTH: Final = 50
_BATCH: Final = 32
_SHARE: Final = 0.5
"""How much of the patience may go into vectors of what was remembered since."""


class Meaning:
    """The embedder of an app's memories, made when it is first needed; closed with the app."""

    def __init__(self, make: Callable[[], Embedder]) -> None:
        self._make = make
        self._embedder: Embedder | None = None

    def shelf(self, words: Recollection, vectors: MemoryVectors) -> MemoryShelf:
        """One user's memories, found in both ways."""
        if self._embedder is None:
            self._embedder = self._make()
        return MeaningShelf(words, vectors, self._embedder)

    async def aclose(self) -> None:
        """Give back connections and child processes."""
        embedder, self._embedder = self._embedder, None
        if embedder is not None:
            await embedder.aclose()


@dataclass(frozen=True, slots=True)
class MeaningShelf:
    """`core.keeping.MemoryShelf` over the one that goes by words."""

    words: Recollection
    vectors: MemoryVectors
    embedder: Embedder

    async def search(self, query: str, limit: int, *, elsewhere: bool = False) -> Sequence[Memory]:
        async with asyncio.TaskGroup() as group:
            meant = group.create_task(self._meant(query, elsewhere=elsewhere))
            said = group.create_task(self.words.search(query, max(limit, _DEPTH), elsewhere=elsewhere))
        if meant.result() is None:
            return said.result()[:limit]
        return _together(meant.result() or {}, said.result(), share_of(self.embedder, query))[:limit]

    async def remember(self, memory_id: str, text: str, agent: str, days: float | None = None) -> Memory:
        return await self.words.remember(memory_id, text, agent, days)

    async def forget(self, memory_id: str) -> bool:
        return await self.words.forget(memory_id)

    async def _meant(self, query: str, *, elsewhere: bool) -> "dict[str, tuple[Memory, float]] | None":
        """By id, with the cosine; None where vectors cannot be had."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._near(query, elsewhere=elsewhere)
        except TimeoutError:
            reason = f"it did not answer within {PATIENCE:g} s"
        except HectorError as error:
            reason = str(error)
        log.warning("memories are found by their words alone", extra={"error": reason})
        return None

    async def _near(self, query: str, *, elsewhere: bool) -> "dict[str, tuple[Memory, float]]":
        words, caller = self.words, self.words.caller
        embedding = await self.embedder.describe()
        await self._catch_up(embedding)
        without = words.context_id if elsewhere else ""
        rows = await self.vectors.all(caller, embedding, words.clock.now(), without)
        if not rows or not query.strip():
            return {}
        (asked,) = await self.embedder.embed([query], "query")
        near = await asyncio.to_thread(_nearest, rows, asked)
        memories = await self.vectors.these(caller, [one.key for one in near])
        return {memories[one.key].id: (memories[one.key], one.score) for one in near if one.key in memories}

    async def _catch_up(self, embedding: Embedding) -> None:
        """Make vectors of what was remembered since, for as long as that does not hold up the answer."""
        words, until = self.words, time.monotonic() + _SHARE * PATIENCE
        size = min(_BATCH, self.embedder.batch_size)
        while rows := await self.vectors.without(words.caller, embedding, words.clock.now(), size):
            made = await self.embedder.embed([text for _, text in rows], "document")
            await self.vectors.keep(
                words.caller, embedding, [(memory, vector) for (memory, _), vector in zip(rows, made, strict=True)]
            )
            if metrics.current is not None:
                metrics.current.memory_indexed.add(words.caller.app, "vector", amount=len(rows))
            if len(rows) < size or time.monotonic() > until:
                return


def _nearest(rows: Sequence[tuple[int, bytes]], asked: bytes) -> list[Scored]:
    """The best first, as far as they are near enough; in a thread."""
    from hector.rag.numeric import np  # noqa: PLC0415 - loaded with the first vector

    width = len(asked)
    fitting = [(key, vector) for key, vector in rows if len(vector) == width]
    matrix = np.frombuffer(b"".join(vector for _, vector in fitting), dtype="<f4").reshape(len(fitting), width // 4)
    cosines = matrix @ np.frombuffer(asked, dtype="<f4")
    best = np.argsort(-cosines, kind="stable")[:_DEPTH]
    return [Scored(fitting[at][0], float(cosines[at])) for at in best if cosines[at] >= LEAST]


def _together(meant: "dict[str, tuple[Memory, float]]", said: Sequence[Memory], share: float) -> list[Memory]:
    """Both lists in one order."""
    known = {one.id: one for one in said} | {name: one for name, (one, _) in meant.items()}
    number = {name: at for at, name in enumerate(known)}
    dense = [Scored(number[name], cosine) for name, (_, cosine) in meant.items()]
    lexical = [Scored(number[one.id], one.score) for one in said]
    names = list(known)
    return [replace(known[names[one.key]], score=one.score) for one in fuse(dense, lexical, share)]
