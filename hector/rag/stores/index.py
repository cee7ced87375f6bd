"""The vectors of a collection on a server: `core.retrieval.VectorIndex` over whatever keeps them there."""

import asyncio
import logging
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Protocol

from hector.core.retrieval import Embedding, Metadata, Scored, VectorRow
from hector.rag.errors import VectorStoreError, VectorStoreUnavailable
from hector.rag.stores.traces import keep, traces
from hector.store.collection import Collection

log = logging.getLogger("hector.rag")

PATIENCE: Final = 3.0
"""Seconds that a search waits until the server is ready to be searched."""
RESTING: Final = 10.0
"""Seconds for which no other search tries a server that did not answer one."""


class Keeping(Protocol):
    """Vectors of many indexes on one server; `index` is the identity of the one that is meant.

    Whatever is asked may be asked again. Raises VectorStoreError.
    """

    async def prepare(self, index: str, embedding: Embedding, *, anew: bool, make: bool, hurried: bool) -> bool:
        """Have a place for the vectors of an index; whether there was none before, so that all are to be sent again.

        `anew`: without what is there of this index; without `make`, another process is the one that makes it;
        `hurried`: somebody waits for an answer.
        """

    async def find(self) -> bool:
        """Instead of `prepare`, to drop indexes: whether there is a place that may have them. Makes none."""

    async def add(self, index: str, rows: Sequence[VectorRow]) -> None:
        """Add or replace."""

    async def describe(self, index: str, rows: Sequence[VectorRow]) -> Sequence[int]:
        """Say anew what filters ask for; keys of those whose vectors are needed for that, which are empty here."""

    async def remove(self, index: str, keys: Sequence[int]) -> None:
        """Those that are not there are nothing to complain about."""

    async def search(self, index: str, vector: bytes, limit: int, where: Metadata | None) -> Sequence[Scored]:
        """The best first."""

    async def clear(self, index: str) -> None:
        """Remove all of an index."""

    async def drop(self, index: str) -> None:
        """The same of one that is no more."""

    async def aclose(self) -> None:
        """Hang up."""


class RemoteIndex:
    """One collection's vectors."""

    def __init__(self, keeping: Keeping, collection: Collection, *, place: str) -> None:
        """`place` tells the server's collection from others."""
        self._keeping, self._collection, self._place = keeping, collection, place
        self._identity = ""
        self._opening = asyncio.Lock()
        self._is_open = self._to_clear = False
        self._rest = Rest()

    async def open(self, embedding: Embedding, *, hurried: bool = False) -> None:
        """Make sure of the server's collection. Raises VectorStoreError."""
        if not hurried:
            await self._prepare(embedding, hurried=False)
            return
        with self._rest:
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._prepare(embedding, hurried=True)
            except TimeoutError:
                raise VectorStoreUnavailable(f"{self._place}: no answer within {PATIENCE:g} s") from None

    async def _prepare(self, embedding: Embedding, *, hurried: bool) -> None:
        async with self._opening:
            collection = self._collection
            self._identity = await collection.identity()
            moved = collection.leads and await collection.noted("vectors") not in {None, self._place}
            anew = self._to_clear or moved  # what lies there is of an earlier time
            made = await self._keeping.prepare(
                self._identity, embedding, anew=anew, make=collection.leads, hurried=hurried
            )
            if collection.leads:
                await collection.settle(self._place)
                if made and not anew and (lost := await collection.lost_all()):
                    log.warning("the server has lost vectors; they are sent again", extra=self._about(lost))
                if not hurried:
                    await self._sweep()
            self._is_open, self._to_clear = True, False

    def _about(self, lost: int) -> dict[str, object]:
        return {"store": self._collection.store, "place": self._place, "count": lost}

    async def _sweep(self) -> None:
        """Remove what the server holds of earlier indexes of the folder; leave a trace of this one."""
        folder, mine = self._collection.folder, (self._place, self._identity)
        found = await asyncio.to_thread(traces, folder)
        left = [one for one in found if one != mine]
        if mine not in found:
            await asyncio.to_thread(keep, folder, [*left, mine])
        for place, identity in [one for one in left if one[0] == self._place]:
            try:
                await self._keeping.drop(identity)
            except VectorStoreError as error:
                log.warning("vectors of an earlier index stay for now", extra={"place": place, "error": str(error)})
                return
            left.remove((place, identity))
            await asyncio.to_thread(keep, folder, [*left, mine])

    async def add(self, rows: Sequence[VectorRow]) -> None:
        """Add or replace. Raises VectorStoreError."""
        await self._keeping.add(self._identity, rows)

    async def describe(self, rows: Sequence[VectorRow]) -> Sequence[int]:
        """Say anew what filters ask for. Raises VectorStoreError."""
        return await self._keeping.describe(self._identity, rows)

    async def remove(self, keys: Sequence[int]) -> None:
        """Remove. Raises VectorStoreError."""
        await self._keeping.remove(self._identity, keys)

    async def search(self, vector: bytes, limit: int, where: Metadata | None = None) -> Sequence[Scored]:
        """The best first. Raises VectorStoreError."""
        with self._rest:
            return await self._keeping.search(self._identity, vector, limit, where)

    async def clear(self) -> None:
        """Remove what is of this index, at the latest when it is opened. Raises VectorStoreError.

        The collection of the server stays: others may be in it.
        """
        if self._is_open:
            await self._keeping.clear(self._identity)
        else:
            self._to_clear = True

    async def aclose(self) -> None:
        """Hang up."""
        await self._keeping.aclose()


class Rest:
    """What did not answer a search is left alone by the next ones for a while, so that they are answered by words."""

    def __init__(self) -> None:
        self._until, self._reason = 0.0, ""

    def __enter__(self) -> None:
        """Raises VectorStoreUnavailable while it rests."""
        if time.monotonic() < self._until:
            raise VectorStoreUnavailable(self._reason)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._until = 0.0
        elif isinstance(error, VectorStoreUnavailable) and time.monotonic() >= self._until:
            self._until, self._reason = time.monotonic() + RESTING, str(error)
