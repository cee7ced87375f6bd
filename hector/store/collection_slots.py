"""Where in the files of the flat index (hector.rag.flat) the vector of each chunk lies.

The files are written first and told of here afterwards, in one transaction: what a process that died had written, but
not told, lies in slots that are free.
"""

import json
from collections.abc import Awaitable, Sequence
from typing import Final

from hector.core.record import dataclass
from hector.core.retrieval import Metadata
from hector.store.collection import Collection
from hector.store.collection_chunks import having
from hector.store.database import Connection
from hector.store.queries import load

_BATCH: Final = 1000


@dataclass(frozen=True, slots=True)
class State:
    """What the files are to hold: `rows` slots of vectors of `dimension` numbers. `changes` counts what was written.

    `embedding` stands for the embedding that they are of.
    """

    generation: int = 0
    dimension: int = 0
    rows: int = 0
    changes: int = 0
    compress: bool = False
    embedding: str = ""

    def with_rows(self, rows: int) -> "State":
        """After something was written."""
        return State(self.generation, self.dimension, rows, self.changes + 1, self.compress, self.embedding)

    def next(self, rows: int = 0, *, compress: bool) -> "State":
        """Of the next generation, for vectors of the same embedding."""
        return State(self.generation + 1, self.dimension, rows, self.changes + 1, compress, self.embedding)

    def text(self) -> str:
        """As JSON."""
        return json.dumps([self.generation, self.dimension, self.rows, self.changes, self.compress, self.embedding])


class Slots:
    """The repository. Every method is one unit of work."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self._file = collection.file
        self._sql = load("collection/slots", "sqlite")

    def state(self) -> Awaitable[State]:
        """As it was last told."""
        return self._file.read(self._state)

    def free(self, most: int) -> Awaitable[list[int]]:
        """Slots that nobody has, the first ones."""

        async def unit(con: Connection) -> list[int]:
            return [row[0] for row in await con.all(self._sql["free"], (most,))]

        return self._file.read(unit)

    def count_free(self) -> Awaitable[int]:
        """How many there are of them."""

        async def unit(con: Connection) -> int:
            return int((await con.all(self._sql["count_free"]))[0][0])

        return self._file.read(unit)

    def of_keys(self, keys: Sequence[int]) -> Awaitable[tuple[int, dict[int, int]]]:
        """The generation that is in use, and the slot in it of each key that has one."""

        async def unit(con: Connection) -> tuple[int, dict[int, int]]:
            return (await self._state(con)).generation, await self._of_keys(con, keys)

        return self._file.read(unit)

    def among(self, where: Metadata) -> Awaitable[list[int]]:
        """Slots of the documents that a filter lets through, in order."""

        async def unit(con: Connection) -> list[int]:
            among = await having(con, self._sql, where)
            return [row[0] for row in await con.all(self._sql["among"], (among,))]

        return self._file.read(unit)

    def assign(self, pairs: Sequence[tuple[int, int]], rows: int) -> Awaitable[list[int]]:
        """Tell that the vectors of these (key, slot) are written, in files of so many rows; slots that are free now."""

        async def unit(con: Connection) -> list[int]:
            state = await self._state(con)
            taken = {slot for _, slot in pairs}
            old = [slot for slot in (await self._of_keys(con, [key for key, _ in pairs])).values() if slot not in taken]
            await con.many(self._sql["assign"], pairs)
            await con.many(self._sql["take_free"], [(slot,) for _, slot in pairs])
            await con.many(self._sql["add_free"], [(slot,) for slot in old])
            await self._keep(con, state.with_rows(rows))
            return old

        return self._file.write(unit)

    def release(self, keys: Sequence[int]) -> Awaitable[None]:
        """These have no vector any more."""

        async def unit(con: Connection) -> None:
            state = await self._state(con)
            old = await self._of_keys(con, keys)
            await con.many(self._sql["drop"], [(key,) for key in old])
            await con.many(self._sql["add_free"], [(slot,) for slot in old.values()])
            await self._keep(con, state.with_rows(state.rows))

        return self._file.write(unit)

    def beyond(self, row: int) -> Awaitable[list[tuple[int, int]]]:
        """Some (key, slot) from this slot on."""

        async def unit(con: Connection) -> list[tuple[int, int]]:
            return [(key, slot) for key, slot in await con.all(self._sql["beyond"], (row, _BATCH))]

        return self._file.read(unit)

    def begin(self, state: State) -> Awaitable[None]:
        """Forget all slots: the files of this state hold nothing yet."""

        async def unit(con: Connection) -> None:
            for name in ("clear", "clear_free", "clear_staged"):
                await con.execute(self._sql[name])
            await self._keep(con, state)

        return self._file.write(unit)

    def unstage(self) -> Awaitable[None]:
        """Forget what was staged."""

        async def unit(con: Connection) -> None:
            await con.execute(self._sql["clear_staged"])

        return self._file.write(unit)

    def stage(self, pairs: Sequence[tuple[int, int]]) -> Awaitable[None]:
        """Note where vectors lie in files that are not in use yet."""

        async def unit(con: Connection) -> None:
            await con.many(self._sql["stage"], pairs)

        return self._file.write(unit)

    def swap(self, state: State) -> Awaitable[None]:
        """From now on, the files of this state are in use, and what was staged holds."""

        async def unit(con: Connection) -> None:
            for name in ("clear", "clear_free", "take_staged", "clear_staged"):
                await con.execute(self._sql[name])
            await self._keep(con, state)

        return self._file.write(unit)

    async def _state(self, con: Connection) -> State:
        row = await con.one(self._sql["state"])
        return State(*json.loads(row[0])) if row else State()

    async def _keep(self, con: Connection, state: State) -> None:
        await con.execute(self._sql["keep_state"], (state.text(),))

    async def _of_keys(self, con: Connection, keys: Sequence[int]) -> dict[int, int]:
        return {row[0]: row[1] for row in await con.all(self._sql["of_keys"], (json.dumps(list(keys)),))}
