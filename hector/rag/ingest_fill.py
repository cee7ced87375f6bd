"""Makes vectors of chunks that have none, behind everything else: batch by batch, as many at once as are of use.

Each batch is on the disk before whoever made it takes the next one: what dies in between costs those that were on their
way. A text that was embedded before, here or in another document, is not embedded again.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final

from hector.core.clock import Clock
from hector.core.errors import HectorError
from hector.core.retrieval import Embedder, Embedding, VectorIndex, VectorRow
from hector.rag.errors import EmbeddingError, VectorStoreError
from hector.rag.ingest_progress import Tally
from hector.store.collection import Collection
from hector.store.collection_file import IndexDamaged
from hector.store.collection_rows import Pending

log = logging.getLogger("hector.rag")

_MOST: Final = 128
"""Chunks that are held in memory at once."""
_REMOVED: Final = 1000
_HOPELESS: Final = 3
"""Texts in a row that an embedder refuses one by one before it is taken to refuse everything."""


class Filler:
    """One store's. `embedder` and `vectors` belong together; both are opened by `prepare`."""

    def __init__(
        self, collection: Collection, embedder: Embedder, vectors: VectorIndex, tally: Tally, clock: Clock
    ) -> None:
        self._collection, self._embedder, self._vectors = collection, embedder, vectors
        self._tally, self._clock = tally, clock
        self._size = max(1, min(embedder.batch_size, _MOST))
        self._refused: set[int] = set()
        self._ready = self._doubted = False
        self._storing = asyncio.Lock()

    async def prepare(self) -> Embedding:
        """Open the index for vectors of this embedder; those of another go. Raises RagError, StoreError."""
        embedding = await self._embedder.describe()
        if not self._ready:
            there = await self._collection.embedding()
            if there is not None and there != embedding:
                log.warning(
                    "another embedder: all chunks get new vectors, and are found by their words until then",
                    extra={"store": self._collection.store, "before": there.model, "now": embedding.model},
                )
                await self._collection.forget_vectors()
                there = None
            if there is None or self._collection.fresh:
                await self._vectors.clear()
            await self._collection.adopt(embedding)
            await self._vectors.open(embedding)
            self._ready = True
        elif self._doubted:  # what did not answer may have lost what it kept
            await self._vectors.open(embedding)
        self._doubted = False
        return embedding

    async def forget(self) -> None:
        """Have everything embedded anew."""
        await self._collection.forget_vectors()
        await self._vectors.clear()
        self._ready = False
        self._refused.clear()

    async def drain(self) -> None:
        """Until no chunk waits. Raises RagError where embedder or index do not answer, StoreError."""
        try:
            await self._drain()
        except VectorStoreError as error:
            self._doubted = True
            if error.retryable:
                raise
            await self._drain()  # what refuses may not know any more what it kept: open it anew first

    async def _drain(self) -> None:
        await self.prepare()
        await self._drop()
        await self._describe()
        self._tally.fill_began, self._tally.fill_start = self._clock.now(), self._tally.embedded
        passage = _Pass()
        while not passage.over:
            async with asyncio.TaskGroup() as group:
                for _ in range(max(1, self._embedder.at_once)):
                    group.create_task(self._work(passage))
            if passage.trouble is not None:
                raise passage.trouble
            passage.again()
        await self._describe()  # what documents said of themselves while their vectors were on the way

    async def _work(self, passage: "_Pass") -> None:
        """Batch by batch, beside others that do the same; where one fails, the others finish what they have."""
        while passage.trouble is None and (rows := await self._next(passage)):
            try:
                await self._fill(rows)
            except HectorError as error:
                passage.trouble = passage.trouble or error
            finally:
                passage.making -= {row.text for row in rows}

    async def _next(self, passage: "_Pass") -> list[Pending]:
        """What to do next; empty where nothing is left. What somebody else is embedding just now is for later."""
        async with passage.turn:
            busy = set(passage.making)  # what is finished while we look is found as a vector the next time
            while rows := await self._collection.pending(self._size, passage.after):
                passage.after = rows[-1].key
                left = [row for row in rows if row.key not in self._refused]
                free = [row for row in left if row.text not in busy]
                passage.skipped = passage.skipped or len(free) < len(left)
                if free:
                    passage.making |= {row.text for row in free}
                    return free
                busy = set(passage.making)
        return []

    async def _drop(self) -> None:
        """Take vectors of chunks that are gone out of the index."""
        while keys := await self._collection.removals(_REMOVED):
            await self._vectors.remove(keys)
            await self._collection.removed(keys)

    async def _describe(self) -> None:
        """Tell the index what documents say of themselves now, whose text and vectors are as they were."""
        while stale := await self._collection.stale(_MOST):
            needed = set(await self._vectors.describe([_row(row, row.vector or b"") for row, _ in stale]))
            await self._collection.lost(needed)
            await self._collection.described([(row.key, mark) for row, mark in stale if row.key not in needed])

    async def _fill(self, rows: Sequence[Pending]) -> None:
        made = {row.text: row.vector for row in rows if row.vector is not None}
        texts = list(dict.fromkeys(row.text for row in rows if row.text not in made))
        if texts:
            made.update(await self._embed(texts))
        ready = [(row, made[row.text]) for row in rows if row.text in made]
        self._refused.update(row.key for row in rows if row.text not in made)
        self._tally.refused = len(self._refused)
        async with self._storing:
            if ready:
                await self._vectors.add([_row(row, vector) for row, vector in ready])
                told = {row.key: row.metadata for row, _ in ready}
                await self._collection.embedded([(row.key, vector) for row, vector in ready], told)
                self._tally.embedded += len(ready)
            await self._drop()

    async def _embed(self, texts: Sequence[str]) -> Mapping[str, bytes]:
        """Vectors by text; without those texts that the embedder refuses by themselves."""
        try:
            return dict(zip(texts, await self._embedder.embed(texts, "document"), strict=True))
        except EmbeddingError as error:
            if error.retryable:
                raise
            first = error
        made: dict[str, bytes] = {}
        refusals = 0
        for text in texts:  # one of them may be what it does not like
            try:
                made[text] = (await self._embedder.embed([text], "document"))[0]
            except EmbeddingError as error:
                refusals += 1
                if error.retryable or (
                    not made and (refusals >= _HOPELESS or len(texts) == 1 and not self._tally.embedded)
                ):
                    raise
                log.warning("a chunk gets no vector", extra={"store": self._collection.store, "reason": str(error)})
        if not made and len(texts) > 1:
            raise first
        return made


class _Pass:
    """Once through all that waits, for all who work on it."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.after = 0
        self.making: set[str] = set()
        """Texts that are being embedded: nobody else begins with the same."""
        self.skipped = False
        self.over = False
        self.trouble: HectorError | None = None

    def again(self) -> None:
        """From the beginning, if something was left for later."""
        self.over, self.skipped, self.after = not self.skipped, False, 0


def _row(row: Pending, vector: bytes) -> VectorRow:
    return VectorRow(row.key, vector, row.document, row.text, row.metadata)


async def endure(filler: Filler, woken: asyncio.Event, tally: Tally, clock: Clock) -> None:
    """Embed whatever comes, until cancelled; what does not answer is tried again, ever more slowly."""
    delay = 1.0
    while True:
        woken.clear()
        tally.filling = True
        try:
            await filler.drain()
        except HectorError as error:
            if tally.vector_trouble != str(error):
                log.warning("vectors cannot be made; trying again", extra={"error": str(error)})
            tally.vector_trouble, tally.filling = str(error), False
            if isinstance(error, IndexDamaged):
                raise
            await clock.sleep(delay if error.retryable else 60.0)
            delay = min(2 * delay, 60.0)
            continue
        tally.vector_trouble, tally.filling, delay = "", False, 1.0
        await woken.wait()
