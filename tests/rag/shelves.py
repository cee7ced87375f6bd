"""Documents, vectors and collections for tests of indexes."""

import hashlib
import math
import random
import struct
from collections.abc import Sequence
from functools import cache
from typing import Any

from hector.core.retrieval import Chunk, Embedding, Item, Metadata, Place, VectorRow
from hector.rag.flat import FlatIndex
from hector.store.collection import Collection
from hector.store.collection_rows import Document, Stored

DIMENSION = 16
EMBEDDING = Embedding("test", "random", DIMENSION)


@cache
def vector(seed: object, dimension: int = DIMENSION) -> bytes:
    """Of length 1, always the same for the same seed."""
    chance = random.Random(repr(seed))
    values = [chance.gauss(0, 1) for _ in range(dimension)]
    length = sum(value * value for value in values) ** 0.5
    return struct.pack(f"<{dimension}f", *(value / length for value in values))


def dot(one: bytes, other: bytes) -> float:
    """Of two vectors."""
    count = len(one) // 4
    return math.fsum(
        a * b for a, b in zip(struct.unpack(f"<{count}f", one), struct.unpack(f"<{count}f", other), strict=True)
    )


def item(name: str, fingerprint: str = "1", **metadata: Any) -> Item:
    """As a source lists it."""
    return Item(name, f"{name}.txt", fingerprint, f"file:///{name}.txt", metadata=metadata)


async def put(
    collection: Collection, name: str, texts: Sequence[str], *, title: str = "", scan: int = 0, **metadata: Any
) -> Stored:
    """A document of these chunks."""
    chunks = [Chunk(number, text, Place(first_line=number + 1)) for number, text in enumerate(texts)]
    document = Document(item(name, **metadata), hashlib.sha256(repr(texts).encode()).hexdigest(), title)
    return await collection.put(document, chunks, scan)


async def embed(collection: Collection, index: FlatIndex, limit: int = 64) -> int:
    """Give vectors to chunks that wait, made of their texts; how many."""
    total = 0
    while found := await collection.pending(limit):
        pairs = [(one.key, one.vector or vector(one.text)) for one in found]
        await index.add([VectorRow(key, value, "") for key, value in pairs])
        await collection.embedded(pairs)
        total += len(found)
    return total


async def drop(collection: Collection, index: FlatIndex) -> int:
    """Remove vectors of chunks that are gone; how many."""
    total = 0
    while gone := await collection.removals(100):
        await index.remove(gone)
        await collection.removed(gone)
        total += len(gone)
    return total


async def texts(collection: Collection, query: str, limit: int = 10, where: Metadata | None = None) -> list[str]:
    """What is found by words, in order."""
    keys = [one.key for one in await collection.lexical(query, limit, where)]
    found = await collection.passages(keys)
    return [found[key].text for key in keys]


async def near(
    collection: Collection, index: FlatIndex, text: str, limit: int = 5, where: Metadata | None = None
) -> list[str]:
    """What is found by the vector of a text, in order."""
    keys = [one.key for one in await index.search(vector(text), limit, where)]
    found = await collection.passages(keys)
    return [found[key].text for key in keys]
