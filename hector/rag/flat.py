"""The embedded index of vectors: files in the collection's folder, searched row by row.

Exact, and without a graph to build, it needs no time to learn what was added, changed or removed. numpy is loaded with
the first vector, in a thread; whoever asks while a search is under way is answered by the next one together with all
others that do, which costs little more than one.

Death at any moment leaves no chunk with another one's vector: files are written and flushed first, then told of in the
collection's index.db. What is found is believed only if its row fits its checksum, and index.db says that this row is
the chunk's. Rows that were damaged are made again.
"""

import asyncio
import errno
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from hector.core import points
from hector.core.errors import StoreError
from hector.core.retrieval import Embedding, Metadata, Scored, VectorRow
from hector.rag.errors import VectorStoreError, VectorStoreUnavailable
from hector.store.collection import Collection, OtherEmbedding
from hector.store.collection_rows import FILES, embedding_text
from hector.store.collection_slots import Slots, State

if TYPE_CHECKING:
    from hector.rag.flat_core import Candidate, Core

P = ParamSpec("P")
T = TypeVar("T")

TOGETHER: Final = 64
"""Questions that are answered by one search at most."""
_SPARE: Final = 16
"""Rows that are looked at beside those that are wanted: some may be gone by now."""
_FREE: Final = 4096
_TRIES: Final = 3


class FlatIndex:
    """`core.retrieval.VectorIndex` in files. Belongs to the event loop that it is used on."""

    def __init__(self, collection: Collection, *, compress: bool = False) -> None:
        """`compress`: 8 bits a number, without the float rows."""
        self._collection = collection
        self._slots = Slots(collection)
        self._compress = compress
        self._embedding = ""
        self._core: Core | None = None
        self._writing = asyncio.Lock()
        self._turn = asyncio.Lock()
        self._waiting: list[_Asked] = []

    async def open(self, embedding: Embedding, *, hurried: bool = False) -> None:
        """Make it ready for vectors of this embedding. Raises VectorStoreError where there are others."""
        try:
            await self._open(embedding)
        except OtherEmbedding as error:
            raise VectorStoreError(str(error)) from None
        except OSError as error:
            raise self._said(error) from error

    async def add(self, rows: Sequence[VectorRow]) -> None:
        """Add or replace; on the disk when it returns."""
        vectors = {row.key: row.vector for row in rows}
        if not vectors:
            return
        async with self._writing:
            state = await self._slots.state()
            await self._check(list(vectors.values()), state)
            free = await self._slots.free(len(vectors))
            slots = [*free, *range(state.rows, state.rows + len(vectors) - len(free))]
            core = await self._loaded()
            await self._threaded(core.write, state, slots, list(vectors), list(vectors.values()))
            points.reach("flat.written")
            rows_now = max(state.rows, slots[-1] + 1)
            old = await self._slots.assign(list(zip(vectors, slots, strict=True)), rows_now)
            points.reach("flat.told")
            if old:
                await self._threaded(core.forget, state, old)

    async def describe(self, rows: Sequence[VectorRow]) -> Sequence[int]:
        """Filters look at what the collection knows: there is nothing to do."""
        return ()

    async def remove(self, keys: Sequence[int]) -> None:
        """Their rows are free for others; files with much room are put together."""
        async with self._writing:
            state = await self._slots.state()
            _, slots = await self._slots.of_keys(keys)
            if slots:
                await self._threaded((await self._loaded()).forget, state, list(slots.values()))
                points.reach("flat.forgotten")
                await self._slots.release(list(slots))
            free = await self._slots.count_free()
        if free > max(_FREE, state.rows // 2):
            await self.compact()

    async def search(self, vector: bytes, limit: int, where: Metadata | None = None) -> Sequence[Scored]:
        """The best first."""
        if where:
            return (await self._found([vector], limit, where))[0]
        return await self._together(_Asked(vector, limit))

    async def clear(self) -> None:
        """Forget all vectors."""
        async with self._writing:
            state = await self._slots.state()
            await self._begin(state.next(compress=self._compress))

    async def compact(self) -> None:
        """Put the rows that are somebody's together, in files of a new generation, which are swapped in at once."""
        async with self._writing:
            await self._copy(self._compress)

    async def aclose(self) -> None:
        """Give back the files."""
        async with self._writing, self._turn:
            if self._core is not None:
                self._core.close()
                self._core = None

    # Opening

    async def _open(self, embedding: Embedding) -> None:
        if not self._collection.leads:
            if await self._collection.embedding() not in (None, embedding):
                await self._collection.adopt(embedding)  # which says what is wrong
            self._embedding = embedding_text(embedding)
            return
        await self._collection.adopt(embedding)
        self._embedding = embedding_text(embedding)
        moved = await self._collection.settle(FILES)
        async with self._writing:
            state = await self._slots.state()
            if moved or state.embedding != self._embedding or (state.compress and not self._compress):
                fresh = (state.generation + 1, embedding.dimension, 0, state.changes + 1)
                await self._begin(State(*fresh, self._compress, self._embedding))
                await self._collection.lost_all()
                return
            await self._slots.unstage()
            await asyncio.to_thread(_remove_others, self._collection.folder, state.generation)
            if state.rows:
                await self._mend(state)
            if self._compress and not state.compress:
                await self._copy(compress=True)

    async def _begin(self, state: State) -> None:
        """Empty files."""
        await asyncio.to_thread(_remove, self._collection.folder, state.generation)
        await self._slots.begin(state)
        await asyncio.to_thread(_remove_others, self._collection.folder, state.generation)

    async def _mend(self, state: State) -> None:
        """Chunks whose rows are missing at the end of the files wait for vectors again."""
        view = await self._threaded((await self._loaded()).view, state)
        while view.rows < state.rows and (gone := await self._slots.beyond(view.rows)):
            await self._lost([key for key, _ in gone])

    async def _lost(self, keys: Sequence[int]) -> None:
        await self._collection.lost(keys)
        await self._slots.release(keys)

    # Copying

    async def _copy(self, compress: bool) -> None:
        before = await self._slots.state()
        after = before.next(compress=compress)
        await self._slots.unstage()
        core = await self._loaded()
        try:
            await asyncio.to_thread(_remove, self._collection.folder, after.generation)
            rows, broken = await self._stage(core, before, after)
        except OSError as error:
            raise self._said(error) from error
        points.reach("flat.staged")
        await self._slots.swap(before.next(rows, compress=compress))
        points.reach("flat.swapped")
        await self._collection.lost(broken)
        await asyncio.to_thread(_remove_others, self._collection.folder, after.generation)

    async def _stage(self, core: "Core", before: State, after: State) -> tuple[int, list[int]]:
        """How many rows were copied, and keys of those that were damaged."""
        written, broken = 0, list[int]()
        steps = core.steps(before)
        while (step := await asyncio.to_thread(next, steps, None)) is not None:
            slots, keys, sound, rows = step
            _, mine = await self._slots.of_keys(keys)
            held = [at for at, key in enumerate(keys) if mine.get(key) == slots[at]]
            broken += [keys[at] for at in held if not sound[at]]
            good = [at for at in held if sound[at]]
            if good:
                kept = [keys[at] for at in good]
                await asyncio.to_thread(core.write_rows, after, written, kept, rows[good])
                await self._slots.stage(list(zip(kept, range(written, written + len(kept)), strict=True)))
                written += len(good)
        return written, broken

    # Searching

    async def _together(self, asked: "_Asked") -> Sequence[Scored]:
        """Answered by whoever has the turn, for all that wait for it."""
        self._waiting.append(asked)
        async with self._turn:
            if asked.answer is None and asked.error is None:
                batch, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
                if asked not in batch:  # more than fit stand before
                    batch, self._waiting = [*batch[:-1], asked], [batch[-1], *self._waiting]
                    self._waiting.remove(asked)
                try:
                    await self._answer(batch)
                except asyncio.CancelledError:  # the others are not: one of them takes the turn
                    self._waiting = [*(one for one in batch if one is not asked), *self._waiting]
                    raise
        if asked.error is not None:
            raise asked.error
        return (asked.answer or [])[: asked.limit]

    async def _answer(self, batch: "Sequence[_Asked]") -> None:
        try:
            found = await self._found([one.vector for one in batch], max(one.limit for one in batch), None)
        except (VectorStoreError, StoreError) as error:
            for one in batch:
                one.error = error
        else:
            for one, answer in zip(batch, found, strict=True):
                one.answer = answer

    async def _found(self, vectors: Sequence[bytes], limit: int, where: Metadata | None) -> list[list[Scored]]:
        most = limit + _SPARE
        answers: list[list[Scored]] = [[] for _ in vectors]
        for _ in range(_TRIES):
            state = await self._slots.state()
            if not state.rows:
                return answers
            await self._check(vectors, state)
            slots = None if where is None else await self._slots.among(where)
            found = await self._scan((await self._loaded()).find, state, vectors, most, slots)
            generation, mine = await self._slots.of_keys(list({one.key for answer in found for one in answer}))
            if generation != state.generation:
                continue  # the files were put together meanwhile
            answers = [_believed(answer, mine)[:limit] for answer in found]
            await self._mended(found, mine)
            if all(len(answer) == limit or len(rows) < most for answer, rows in zip(answers, found, strict=True)):
                break
            most *= 8
        return answers

    async def _mended(self, found: "Sequence[Sequence[Candidate]]", mine: dict[int, int]) -> None:
        """Chunks whose rows are damaged wait for vectors again; who only reads leaves that to who writes."""
        broken = {one.key for answer in found for one in answer if not one.sound and mine.get(one.key) == one.slot}
        if broken and self._collection.leads:
            await self._lost(sorted(broken))

    async def _check(self, vectors: Sequence[bytes], state: State) -> None:
        if self._embedding and state.embedding != self._embedding:
            raise VectorStoreError(
                f"index {self._collection.folder} holds vectors of another embedding by now: restart this process with "
                "the configuration of the one that writes it"
            )
        wrong = {len(vector) for vector in vectors if len(vector) != 4 * state.dimension}
        if wrong:
            raise VectorStoreError(
                f"index {self._collection.folder} holds vectors of {state.dimension} numbers; this one has "
                f"{wrong.pop() / 4:g}"
            )
        await self._loaded()
        from hector.rag.flat_core import finite  # noqa: PLC0415 - loaded by now

        if not finite(vectors):
            raise VectorStoreError("a vector holds something else than numbers: the embedder is at fault")

    # Threads

    async def _loaded(self) -> "Core":
        if self._core is None:
            core = await asyncio.to_thread(_load, self._collection.folder)
            self._core = self._core or core
        return self._core

    async def _threaded(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """In any thread. Raises VectorStoreError and VectorStoreUnavailable."""
        try:
            return await asyncio.to_thread(work, *args, **kwargs)
        except OSError as error:
            raise self._said(error) from error

    async def _scan(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """In a thread of those that search. Raises the same."""
        try:
            return await asyncio.get_running_loop().run_in_executor(_scanners(), lambda: work(*args, **kwargs))
        except OSError as error:
            raise self._said(error) from error

    def _said(self, error: OSError) -> VectorStoreError:
        where = f"index {self._collection.folder}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return VectorStoreUnavailable(f"{where}: the disk is full: free some space")
        return VectorStoreUnavailable(f"{where}: {error.strerror or error}")


class _Asked:
    """A question that waits for its turn."""

    __slots__ = ("answer", "error", "limit", "vector")

    def __init__(self, vector: bytes, limit: int) -> None:
        self.vector, self.limit = vector, limit
        self.answer: list[Scored] | None = None
        self.error: Exception | None = None


def _believed(found: "Sequence[Candidate]", mine: dict[int, int]) -> list[Scored]:
    """What index.db says, too."""
    return [Scored(one.key, one.score) for one in found if one.sound and mine.get(one.key) == one.slot]


@cache
def _scanners() -> ThreadPoolExecutor:
    """Threads that search, of all indexes: two are enough to keep memory busy, and each has buffers of its own."""
    return ThreadPoolExecutor(2, "hector-vectors")


def _load(folder: Path) -> "Core":
    from hector.rag.flat_core import Core  # noqa: PLC0415 - numpy, with the first vector and in a thread

    return Core(folder)


def _remove_others(folder: Path, generation: int) -> None:
    from hector.rag.flat_files import remove_others  # noqa: PLC0415 - likewise

    remove_others(folder, generation)


def _remove(folder: Path, generation: int) -> None:
    from hector.rag.flat_files import remove  # noqa: PLC0415 - likewise

    remove(folder, generation)
