"""Statements that put a document's chunks in the place of those that were there, words and filters with them."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import count
from typing import NamedTuple

from hector.core.retrieval import Chunk, Metadata
from hector.store import collection_rows as rows
from hector.store.collection_rows import Document, Stored
from hector.store.collection_words import terms
from hector.store.database import Connection


class _Old(NamedTuple):
    """A chunk that is there."""

    key: int
    number: int
    hash: bytes
    text: str
    place: str
    embedded: int


class Chunks:
    """Used within units of work of a Collection."""

    def __init__(self, sql: Mapping[str, str]) -> None:
        self._sql = sql

    async def replace(
        self, con: Connection, document: Document, chunks: Sequence[Chunk], scan: int, now: int
    ) -> Stored:
        """All of a document, new or changed; `now` in milliseconds."""
        item = rows.clean(document.item.id)
        title = rows.clean(document.title)
        before = await con.one(self._sql["find"], (item,))
        old = await self._of(con, before[0]) if before else []
        key = await con.insert(self._sql["store"], _row(document, item, title, len(chunks), scan, now))
        if before:
            key = before[0]  # what an insert that became an update answers is not the row's
        await self._describe(con, key, document)
        stored = await self._lay(con, key, title, chunks, _Earlier(before[1] if before else "", old))
        if before and stored.kept and rows.differ(json.loads(before[2]), _given(document)):
            await self._tell_anew(con, key)
        return stored

    async def remove_of(self, con: Connection, item: str) -> None:
        """All chunks of a document, which stays."""
        found = await con.one(self._sql["find"], (item,))
        if found is not None:
            await con.execute(self._sql["remove_attributes"], (found[0],))
            for chunk in await self._of(con, found[0]):
                await self._drop(con, chunk, found[1])

    async def remove_document(self, con: Connection, item: str) -> None:
        """A document with all that hangs on it."""
        await self.remove_of(con, item)
        found = await con.one(self._sql["find"], (item,))
        if found is not None:
            await con.execute(self._sql["remove_document"], (found[0],))

    async def _of(self, con: Connection, document: int) -> list[_Old]:
        return [_Old(*row) for row in await con.all(self._sql["chunks_of"], (document,))]

    async def _describe(self, con: Connection, key: int, document: Document) -> None:
        await con.execute(self._sql["remove_attributes"], (key,))
        await con.many(self._sql["add_attribute"], [(*one, key) for one in rows.attributes(_given(document))])

    async def _tell_anew(self, con: Connection, key: int) -> None:
        """Whoever else keeps metadata beside vectors has to hear of it."""
        place = await con.one(self._sql["get_meta"], ("vectors",))
        if place is not None and place[0] != rows.FILES:
            await con.execute(self._sql["mark_stale"], (key,))

    async def _lay(
        self, con: Connection, document: int, title: str, chunks: Sequence[Chunk], earlier: "_Earlier"
    ) -> Stored:
        added = kept = 0
        for number, chunk in zip(count(), chunks, strict=False):
            text, place = rows.clean(chunk.text), rows.place_text(chunk.place)
            same = earlier.take(rows.hash_of(text))
            if same is None:
                added += 1
                args = (document, number, text, place, rows.hash_of(text))
                await self._index(con, await con.insert(self._sql["add_chunk"], args), text, _heads(title, place))
                continue
            kept += 1
            if (same.number, same.place) != (number, place):
                await con.execute(self._sql["move_chunk"], (number, place, same.key))
            if _heads(title, place) != _heads(earlier.title, same.place):
                await self._unindex(con, same, earlier.title)
                await self._index(con, same.key, text, _heads(title, place))
        rest = earlier.rest()
        for chunk_gone in rest:
            await self._drop(con, chunk_gone, earlier.title)
        return Stored(added, kept, len(rest))

    async def _drop(self, con: Connection, chunk: _Old, title: str) -> None:
        await self._unindex(con, chunk, title)
        await con.execute(self._sql["remove_chunk"], (chunk.key,))
        await con.execute(self._sql["add_removal"], (chunk.key,))

    async def _index(self, con: Connection, key: int, text: str, heads: str) -> None:
        await con.execute(self._sql["add_words"], (key, terms(text), terms(heads)))

    async def _unindex(self, con: Connection, chunk: _Old, title: str) -> None:
        """The index holds no text: it has to be told what it forgets."""
        await con.execute(self._sql["remove_words"], (chunk.key, terms(chunk.text), terms(_heads(title, chunk.place))))


async def having(con: Connection, sql: Mapping[str, str], where: Metadata) -> str:
    """Keys of documents that fulfil every condition, as JSON."""
    found: set[int] | None = None
    for name, values in rows.asked(where):
        these = {row[0] for row in await con.all(sql["having"], (name, values))}
        found = these if found is None else found & these
    return json.dumps(sorted(found or ()))


class _Earlier:
    """Chunks that were there, by their text."""

    def __init__(self, title: str, old: Sequence[_Old]) -> None:
        self.title = title
        self._left: defaultdict[bytes, list[_Old]] = defaultdict(list)
        for chunk in reversed(old):
            self._left[chunk.hash].append(chunk)

    def take(self, content: bytes) -> _Old | None:
        """The first that is left of this text."""
        same = self._left.get(content)
        return same.pop() if same else None

    def rest(self) -> list[_Old]:
        """Those that nobody took."""
        return [chunk for chunks in self._left.values() for chunk in chunks]


def _heads(title: str, place: str) -> str:
    """What stands above a chunk."""
    heading = json.loads(place).get("h", "")
    return f"{title} {heading}" if heading != title else title


def _given(document: Document) -> Metadata:
    return {**document.item.metadata, **document.metadata}


def _row(document: Document, item: str, title: str, chunks: int, scan: int, now: int) -> tuple[object, ...]:
    it = document.item
    given = _given(document)
    notes = json.dumps([rows.clean(note) for note in document.notes], ensure_ascii=False)
    return (
        *(item, rows.clean(it.name), it.fingerprint, document.checksum, rows.clean(it.uri), title),
        *(rows.encoded(given), notes, chunks, scan, now),
    )
