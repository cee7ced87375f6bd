"""Vectors of what is known of users, beside the memories themselves: whatever removes those removes these."""

import json
from collections.abc import Awaitable, Sequence
from typing import Final

from hector.core.clock import milliseconds
from hector.core.keeping import Memory
from hector.core.retrieval import Embedding
from hector.core.task import Caller
from hector.store.collection_rows import embedding_text
from hector.store.database import Connection, Database
from hector.store.memories import memory_of
from hector.store.queries import load

MOST: Final = 10_000
"""Vectors of one user that are searched: those of what was remembered last."""


class MemoryVectors:
    """The repository. Every method is one unit of work, and reaches one user of one app."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("memory_vectors", database.dialect)

    def without(self, caller: Caller, embedding: Embedding, now: float, limit: int) -> Awaitable[list[tuple[str, str]]]:
        """(id, text) of memories that have no vector of this embedding, the newest first."""
        args = (caller.app, caller.user, milliseconds(now), embedding_text(embedding), limit)

        async def unit(con: Connection) -> list[tuple[str, str]]:
            return [(row[0], row[1]) for row in await con.all(self._sql["without"], args)]

        return self._database.read(unit)

    def keep(self, caller: Caller, embedding: Embedding, vectors: Sequence[tuple[str, bytes]]) -> Awaitable[None]:
        """Vectors by the ids of their memories; for those that are gone by now, nothing happens."""
        named = embedding_text(embedding)
        args = [(caller.app, caller.user, memory, named, vector) for memory, vector in vectors]

        async def unit(con: Connection) -> None:
            await con.many(self._sql["keep"], args)

        return self._database.write(unit)

    def all(
        self, caller: Caller, embedding: Embedding, now: float, without: str = ""
    ) -> Awaitable[list[tuple[int, bytes]]]:
        """(key, vector) of all that have one. Of the session `without`, nothing that was only said there."""
        args = (caller.app, caller.user, embedding_text(embedding), without, milliseconds(now), MOST)

        async def unit(con: Connection) -> list[tuple[int, bytes]]:
            return [(row[0], bytes(row[1])) for row in await con.all(self._sql["all"], args)]

        return self._database.read(unit)

    def these(self, caller: Caller, keys: Sequence[int]) -> Awaitable[dict[int, Memory]]:
        """Memories by their keys."""
        args = (caller.app, caller.user, json.dumps(list(keys)))

        async def unit(con: Connection) -> dict[int, Memory]:
            return {row[0]: memory_of(row[1:]) for row in await con.all(self._sql["these"], args)}

        return self._database.read(unit)
