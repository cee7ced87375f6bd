"""Vectors on servers that speak HTTP: `index.Keeping` over a wire format."""

import asyncio
import struct
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from hector.core.retrieval import Embedding, Metadata, Scored, VectorRow
from hector.rag.errors import VectorStoreError
from hector.rag.stores.service import Service
from hector.rag.stores.wire import Call, Point, Wanted, Wire, conditions, point_id, tags_of

_AT_ONCE: Final = 16
"""Vectors that are written out before others get their turn."""


class OverHttp:
    """One server."""

    def __init__(self, wire: Wire, service: Service, *, elsewhere: Callable[[str], Service]) -> None:
        """`elsewhere` makes the way to another host, for services that name the one that has the vectors."""
        self._wire, self._service, self._elsewhere = wire, service, elsewhere

    async def prepare(self, index: str, embedding: Embedding, *, anew: bool, make: bool, hurried: bool) -> bool:
        """Make the collection where there is none. Whoever makes it looks whether anything of the index is there.

        Somebody may have dropped or emptied the collection, or another index may have made it anew since.
        """
        host = await self._wire.prepare(partial(self._service.ask, hurried=hurried), embedding.dimension)
        await self._move(host)
        if anew:
            await self.clear(index)
            return False
        return make and not await self._search(index, _any(embedding.dimension), 1, None, hurried=hurried)

    async def find(self) -> bool:
        """Look for the collection."""
        host = await self._wire.find(self._service.ask)
        await self._move(host or "")
        return host is not None

    async def _move(self, host: str) -> None:
        if host:
            before, self._service = self._service, self._elsewhere(host)
            await before.aclose()

    async def add(self, index: str, rows: Sequence[VectorRow]) -> None:
        """Add or replace."""
        for at in range(0, len(rows), self._wire.batch):
            part = rows[at : at + self._wire.batch]
            points = [await _point(index, row, number) for number, row in enumerate(part)]
            await self._ask(self._wire.add(index, points))

    async def describe(self, index: str, rows: Sequence[VectorRow]) -> Sequence[int]:
        """Together with the vectors, in batches; what has none at hand by itself, where the server can do that."""
        if self._wire.merges:
            await self.remove(index, [row.key for row in rows])
        await self.add(index, [row for row in rows if row.vector])
        rest = [row for row in rows if not row.vector]
        alike: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        for row in rest:
            alike[tags_of(row.metadata)].append(row.key)
        for tags, keys in alike.items():
            calls = self._wire.describe(index, tags, [point_id(index, key) for key in keys])
            if not calls:
                return [row.key for row in rest]
            for call in calls:
                await self._ask(call)
        return ()

    async def remove(self, index: str, keys: Sequence[int]) -> None:
        """By id."""
        for at in range(0, len(keys), self._wire.batch):
            ids = [point_id(index, key) for key in keys[at : at + self._wire.batch]]
            await self._ask(self._wire.remove(index, ids))

    async def search(self, index: str, vector: bytes, limit: int, where: Metadata | None) -> Sequence[Scored]:
        """The best first."""
        return await self._search(index, vector, limit, where, hurried=True)

    async def _search(
        self, index: str, vector: bytes, limit: int, where: Metadata | None, *, hurried: bool
    ) -> Sequence[Scored]:
        wanted = Wanted(numbers_of(vector), limit, conditions(where))
        answer = await self._ask(self._wire.search(index, wanted), hurried=hurried)
        try:
            found = self._wire.found(answer)
        except (LookupError, TypeError, ValueError):
            raise VectorStoreError(f"{self._service.name} at {self._service.url} answers a search oddly") from None
        return sorted(found, key=lambda one: -one.score)[:limit]

    async def clear(self, index: str) -> None:
        """As often as the server wants to be asked."""
        while self._wire.more(await self._ask(self._wire.clear(index))):
            pass

    async def drop(self, index: str) -> None:
        """The collection stays."""
        await self.clear(index)

    async def aclose(self) -> None:
        """Hang up."""
        await self._service.aclose()

    async def _ask(self, call: Call, *, hurried: bool = False) -> object:
        answer = await self._service.ask(call, hurried=hurried)
        if problem := self._wire.problem(answer):
            raise VectorStoreError(f"{self._service.name} at {self._service.url}: {problem[:300]}")
        return answer


async def _point(index: str, row: VectorRow, number: int) -> Point:
    if number % _AT_ONCE == _AT_ONCE - 1:
        await asyncio.sleep(0)
    return Point(point_id(index, row.key), row.key, numbers_of(row.vector), tags_of(row.metadata))


def _any(dimension: int) -> bytes:
    """A vector that every other one is a neighbour of, however far."""
    return struct.pack(f"<{dimension}f", 1.0, *[0.0] * (dimension - 1))


def numbers_of(vector: bytes) -> str:
    """A vector of little-endian float32 as a JSON array; eight digits keep all of it that counts."""
    return f"[{','.join(map('{:.8g}'.format, struct.unpack(f'<{len(vector) // 4}f', vector)))}]"
