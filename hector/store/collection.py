"""Documents and chunks of one document store: what is known of each, found by words, waiting for vectors.

    async with await Collection.open(folder, "docs") as collection:
        await collection.put(Document(item, checksum, title), chunks, scan=7)   # findable by words when it returns
        for chunk in await collection.pending(64): ...                          # embed, VectorIndex.add, then
        await collection.embedded([(chunk.key, vector), ...])

All calls work in threads of their own; readers do not wait for the writer. Many calls of `put` at once share a commit.
Errors: StoreError (damaged: IndexDamaged), StoreUnavailable (full disk, another process writes).
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from hector.core.clock import Clock, SystemClock, milliseconds
from hector.core.errors import StoreError
from hector.core.retrieval import Chunk, Embedding, Item, Metadata, Passage, Scored
from hector.store import collection_rows as rows
from hector.store.collection_chunks import Chunks, having
from hector.store.collection_file import IndexFile, delete_folder, open_file
from hector.store.collection_rows import Counts, Document, Failure, Known, Pending, Stored
from hector.store.collection_words import match
from hector.store.database import Connection, Row
from hector.store.queries import load

T = TypeVar("T")

_CACHE: Final = 64 << 20
"""Bytes of vectors that are kept by what they were made of."""
_BATCH: Final = 100
_VECTORS: Final = ("removals", "vectors")
"""Tables that speak of vectors of one embedding; those of the flat index are cleared by it."""


class OtherEmbedding(StoreError):  # noqa: N818 - a state
    """The vectors that are there are of another embedding."""

    code = "other_embedding"


class Collection:
    """The repository. Every method is one unit of work, if it does not say otherwise."""

    def __init__(self, file: IndexFile, store: str, clock: Clock) -> None:
        """Made by `open`. `store` is the id of the document store, which passages tell."""
        self.file = file
        self.store = store
        self._clock = clock
        self.when_lost: Callable[[], None] | None = None
        """Is told when all vectors have to be stored again."""
        self._sql = load("collection/statements", "sqlite")
        self._chunks = Chunks(self._sql)

    @classmethod
    async def open(cls, folder: Path, store: str = "", *, lead: bool = True, clock: Clock | None = None) -> Self:
        """Open or create. `lead`: be the process that writes, if no other is; `leads` says whether it came to that."""
        return cls(await open_file(folder, lead=lead), store, clock or SystemClock())

    @staticmethod
    async def delete(folder: Path) -> None:
        """Delete the folder with all that is in it, damaged or not, which must not be open."""
        await delete_folder(folder)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Finish what was handed over; let another process write."""
        await self.file.aclose()

    @property
    def folder(self) -> Path:
        """Where it lies; files of vectors lie there, too."""
        return self.file.folder

    @property
    def fresh(self) -> bool:
        """Whether opening it made it: vectors that a remote store holds of an earlier one are to be cleared."""
        return self.file.fresh

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return self.file.leads

    def lead(self) -> bool:
        """Try to become the one that writes, when the one that did has gone."""
        return self.file.lead()

    # Documents

    async def known(self, ids: Sequence[str]) -> dict[str, Known]:
        """What is known of these items; those that never came are left out."""
        asked = {rows.clean(item): item for item in ids}
        found = await self._all("known", (json.dumps(list(asked)),))
        return {asked[row[0]]: rows.known(row) for row in found}

    def put(self, document: Document, chunks: Sequence[Chunk], scan: int = 0) -> Awaitable[Stored]:
        """Store a document in the place of what was there of it; all of it or nothing.

        Chunks whose text is as it was keep their keys and vectors; all others of the document go.
        """
        now = self._now()

        async def unit(con: Connection) -> Stored:
            return await self._chunks.replace(con, document, chunks, scan, now)

        return self.file.write(unit)

    def fail(
        self, item: Item, reason: str, retry_at: float | None = None, scan: int = 0, *, keep: bool = False
    ) -> Awaitable[None]:
        """Note why a document cannot be read. `retry_at` None: not before it changes.

        What was there of it goes; or, with `keep`, goes on to be found as it was, and says so (`stale`).
        """
        retry = None if retry_at is None else milliseconds(retry_at)
        plain = rows.clean(item.id), rows.clean(item.name), item.fingerprint, rows.clean(item.uri), rows.clean(reason)
        now = self._now()

        async def unit(con: Connection) -> None:
            if keep and await con.one(self._sql["has_chunks"], (plain[0],)) is not None:
                await con.execute(self._sql["fail_kept"], (item.fingerprint, plain[4], retry, scan, plain[0]))
                return
            await self._chunks.remove_of(con, plain[0])
            await con.execute(self._sql["fail"], (*plain, retry, scan, now))

        return self.file.write(unit)

    def touch(self, ids: Sequence[str], scan: int) -> Awaitable[None]:
        """These were seen in this scan, and are as they were."""
        args = (scan, json.dumps([rows.clean(item) for item in ids]))
        return self._do("touch", args)

    async def touch_below(self, beginnings: Sequence[str], scan: int) -> None:
        """Items whose ids begin so could not be looked at in this scan: they stay as they are."""
        for one in beginnings:
            await self._do("touch_below", (scan, rows.clean(one)))

    def refresh(self, item: Item, scan: int) -> Awaitable[None]:
        """The fingerprint is another, but the content has the checksum that is known."""
        plain = rows.clean(item.uri), rows.clean(item.name)
        return self._do("refresh", (item.fingerprint, *plain, scan, rows.clean(item.id)))

    def remove(self, ids: Sequence[str]) -> Awaitable[int]:
        """Forget these documents; how many there were."""
        wanted = json.dumps([rows.clean(item) for item in ids])

        async def unit(con: Connection) -> int:
            found = [row[1] for row in await con.all(self._sql["of_ids"], (wanted,))]
            for item in found:
                await self._chunks.remove_document(con, item)
            return len(found)

        return self.file.write(unit)

    async def unseen(self, scan: int) -> int:
        """How many documents `sweep` would remove."""
        return int((await self._all("count_unseen", (scan,)))[0][0])

    async def sweep(self, scan: int) -> int:
        """Forget what was not seen since the scan of this number, some at a time; how many."""
        total = 0

        async def unit(con: Connection) -> int:
            found = await con.all(self._sql["unseen"], (scan, _BATCH))
            for _, item in found:
                await self._chunks.remove_document(con, item)
            return len(found)

        while gone := await self.file.write(unit):
            total += gone
        return total

    async def failures(self, limit: int = 100, after: str = "") -> list[Failure]:
        """Documents that could not be read, by id."""
        return [rows.failure(row) for row in await self._all("failures", (after, limit))]

    async def due(self, now: float, limit: int = 1000) -> list[str]:
        """Ids of failed documents that should be tried again by now."""
        return [row[0] for row in await self._all("due", (milliseconds(now), limit))]

    async def next_due(self) -> float | None:
        """When the next failed document should be tried again."""
        at = (await self._all("next_due"))[0][0]
        return None if at is None else at / 1000

    async def counts(self) -> Counts:
        """How much there is."""

        async def unit(con: Connection) -> Counts:
            documents, failed, chunks = (await con.all(self._sql["count_documents"]))[0]
            (pending,) = (await con.all(self._sql["count_pending"]))[0]
            return Counts(documents - failed, failed, chunks, pending)

        return await self.file.read(unit)

    # Vectors

    async def embedding(self) -> Embedding | None:
        """Which vectors are there; None: none yet."""
        found = await self._all("get_meta", ("embedding",))
        return rows.embedding_of(found[0][0]) if found else None

    async def adopt(self, embedding: Embedding) -> None:
        """From now on, vectors are of this embedding. Raises OtherEmbedding where they are of another."""
        there = await self.embedding()
        if there is None:
            await self.remember("embedding", rows.embedding_text(embedding))
        elif there != embedding:
            raise OtherEmbedding(
                f"index {self.folder} holds vectors of {_told(there)}, not of {_told(embedding)}: index again with "
                "--force, or configure the embedder that made them"
            )

    async def settle(self, place: str) -> bool:
        """From now on, vectors lie there. True: they lay elsewhere before, so that all chunks wait again."""
        before = await self.noted("vectors")
        if before == place:
            return False
        await self.remember("vectors", place)
        if before is not None:
            await self.lost_all()
        return before is not None

    def forget_vectors(self) -> Awaitable[None]:
        """All chunks wait for vectors again, of whatever embedding; the caller clears the VectorIndex."""
        names = ["all_pending", *(f"clear_{name}" for name in _VECTORS)]

        async def unit(con: Connection) -> None:
            for name in names:
                await con.execute(self._sql[name])
            await con.execute(self._sql["drop_meta"], ("embedding",))

        return self.file.write(unit)

    async def pending(self, limit: int, after: int = 0) -> list[Pending]:
        """Chunks without a vector, behind the key `after`, those first that came first."""
        return [rows.pending(row) for row in await self._all("pending", (after, limit))]

    async def stale(self, limit: int) -> list[tuple[Pending, int]]:
        """Chunks whose metadata has changed since a server was told of it, and a mark for `described`."""
        return [(rows.pending(row[:-1]), row[-1]) for row in await self._all("stale", (limit,))]

    def described(self, marks: Sequence[tuple[int, int]]) -> Awaitable[None]:
        """The server knows the metadata of these keys as it was when `stale` gave these marks."""

        async def unit(con: Connection) -> None:
            await con.many(self._sql["mark_described"], marks)

        return self.file.write(unit)

    def embedded(
        self, vectors: Sequence[tuple[int, bytes]], told: Mapping[int, Metadata] | None = None
    ) -> Awaitable[None]:
        """Their vectors are in the VectorIndex, which was told before: they wait no more. Kept by text, too.

        `told`: the metadata that a server got with them, by key; what has changed meanwhile is `stale`.
        """

        async def unit(con: Connection) -> None:
            most = _CACHE // max((len(vector) for _, vector in vectors), default=1)
            place = await con.one(self._sql["get_meta"], ("vectors",))
            beside = {} if told is None or place is None or place[0] == rows.FILES else told
            for key, vector in vectors:
                row = await con.one(self._sql["hash_of"], (key,))
                if row is not None:
                    await con.execute(self._sql["keep_vector"], (row[0], vector))
                    await con.execute(self._sql["mark_embedded"], (key,))
                    if key in beside:
                        await self._compare(con, key, beside[key])
            await con.execute(self._sql["trim_vectors"], (most,))

        return self.file.write(unit)

    async def _compare(self, con: Connection, key: int, told: Metadata) -> None:
        row = await con.one(self._sql["metadata_of"], (key,))
        if row is not None and rows.differ(told, json.loads(row[0])):
            await con.execute(self._sql["mark_untold"], (key,))

    def lost(self, keys: Iterable[int]) -> Awaitable[None]:
        """The vectors of these chunks are not in the VectorIndex any more: they wait again."""
        args = [(key,) for key in keys]

        async def unit(con: Connection) -> None:
            await con.many(self._sql["mark_pending"], args)

        return self.file.write(unit)

    async def lost_all(self) -> int:
        """The same of all of them; vectors of the same texts that are kept are of use. How many they are."""

        async def unit(con: Connection) -> int:
            return await con.execute(self._sql["all_pending"])

        count = await self.file.write(unit)
        if count and self.when_lost is not None:
            self.when_lost()
        return count

    async def removals(self, limit: int) -> list[int]:
        """Keys of chunks that are gone, for VectorIndex.remove; then call `removed`."""
        return [row[0] for row in await self._all("removals", (limit,))]

    def removed(self, keys: Sequence[int]) -> Awaitable[None]:
        """The VectorIndex has dropped them."""

        async def unit(con: Connection) -> None:
            await con.many(self._sql["drop_removal"], [(key,) for key in keys])

        return self.file.write(unit)

    # Finding

    async def lexical(self, query: str, limit: int, where: Metadata | None = None) -> list[Scored]:
        """Chunks that hold words of the query, by BM25, the best first. No word: none."""
        asked = match(query)
        if not asked:
            return []

        async def unit(con: Connection) -> list[Scored]:
            if not where:
                found = await con.all(self._sql["lexical"], (asked, limit))
            else:
                among = await having(con, self._sql, where)
                found = await con.all(self._sql["lexical_among"], (asked, limit, among))
            return [Scored(key, score) for key, score in found]

        return await self.file.read(unit)

    async def passages(self, keys: Sequence[int]) -> dict[int, Passage]:
        """What these chunks say, without a score; those that are gone are left out."""
        found = await self._all("passages", (json.dumps(list(keys)),))
        return {row[0]: rows.passage(self.store, row[1:]) for row in found}

    # All of it

    def clear(self) -> Awaitable[None]:
        """Forget everything but notes; the caller clears the VectorIndex."""
        names = [f"clear_{name}" for name in ("documents", "attributes", "chunks", "words", *_VECTORS)]

        async def unit(con: Connection) -> None:
            for name in names:
                await con.execute(self._sql[name])
            await con.execute(self._sql["drop_meta"], ("embedding",))

        return self.file.write(unit)

    async def noted(self, name: str) -> str | None:
        """A note of whoever indexes (the number of the last scan, how a source was left), kept beside the documents."""
        found = await self._all("get_meta", (name,))
        return found[0][0] if found else None

    def remember(self, name: str, value: str) -> Awaitable[None]:
        """Keep a note. `identity`, `embedding`, `vectors` and `flat` are taken."""
        return self._do("set_meta", (name, value))

    async def identity(self) -> str:
        """A random name that no other index has, for what is shared with others, such as a remote store."""
        return await self.noted("identity") or ""

    def _do(self, name: str, args: Sequence[object]) -> Awaitable[None]:
        async def unit(con: Connection) -> None:
            await con.execute(self._sql[name], args)

        return self.file.write(unit)

    def _all(self, name: str, args: Sequence[object] = ()) -> Awaitable[list[Row]]:
        async def unit(con: Connection) -> list[Row]:
            return await con.all(self._sql[name], args)

        return self.file.read(unit)

    def _now(self) -> int:
        return milliseconds(self._clock.now())


def _told(embedding: Embedding) -> str:
    return f"{embedding.provider}/{embedding.model} ({embedding.dimension} dimensions)"
