"""The chain of the audit log: each row's hash covers the row and the hash before it, so that no row changes unseen.

`store/audit_proof.py` says how; here rows are moved into the chain, cut off at its beginning, and read.
"""

from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from typing import Final

from hector.core.audit import Entry
from hector.core.clock import Clock, milliseconds
from hector.store.audit import Chained, chained
from hector.store.audit_proof import GENESIS, LOOK_AHEAD, Anchor, Flaw, Verdict, Walk, cut_of, digest, explain, some
from hector.store.codec import dumps
from hector.store.database import Connection, Database, Row, Work
from hector.store.queries import load

CUT: Final = "audit.cut"
"""The action of the row behind which a chain begins whose older rows have been removed by the retention."""
BATCH: Final = 500


class Chain:
    """Moves entries into the chain, cuts its beginning off, reads it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._sql = load("audit", database.dialect)

    def extend(self, limit: int = BATCH) -> Awaitable[int]:
        """Move up to so many entries into the chain; how many there were. One process at a time does it."""
        return self._database.write(lambda con: self._extend(con, limit))

    async def settle(self) -> None:
        """Move all entries that are there now."""
        while await self.extend() == BATCH:
            pass

    def head(self) -> Awaitable[Anchor]:
        """The end of the chain; place 0 for an empty one."""
        return self._database.read(self._head)

    def cut(self, before: float) -> Awaitable[int]:
        """Begin the chain with the first row that is not older than this (epoch); how many rows may go."""
        return self._database.write(lambda con: self._cut(con, milliseconds(before)))

    async def remove(self) -> int:
        """Remove what stands before the cut, a little at a time; how many rows went."""
        gone = 0
        while count := await self._database.write(self._remove):
            gone += count
            await self._clock.sleep(0.05)
        return gone

    async def rows(self, after: int = 0) -> AsyncIterator[tuple[Chained, Row]]:
        """The chain in its order, each row also as it is hashed; read in pieces."""
        async for row in self._rows(after):
            yield chained(row), row

    async def _rows(self, after: int) -> AsyncIterator[Row]:
        while True:
            found = await self._database.read(self._page(after))
            for row in found:
                yield row
            if len(found) < BATCH:
                return
            after = found[-1][0]

    async def verify(self, anchors: Iterable[Anchor] = ()) -> Verdict:
        """Read the whole chain and tell the first place at which it does not hold."""
        while True:
            first, follows = begin = await self._database.read(self._begin)
            verdict = await self._verified(Walk(Anchor(first - 1, follows), anchors))
            if verdict.flaw is None or begin == await self._database.read(self._begin):
                return verdict  # else rows were removed by the retention while they were being read

    async def _verified(self, walk: Walk) -> Verdict:
        flaw = walk.arrive(walk.end)
        async for row in self._rows(walk.end.seq):
            flaw = flaw or await self._flaw_at(walk.end, row) or walk.arrive(Anchor(row[0], row[-1]))
            if flaw:
                break
        return walk.verdict(flaw or walk.cut_off())

    async def _extend(self, con: Connection, limit: int) -> int:
        await con.one(self._sql["alone"])
        rows = sorted(await con.all(self._sql["take"], (limit,)))
        if rows:
            await self._append(con, [row[1:] for row in rows])
        return len(rows)

    async def _append(self, con: Connection, rows: Sequence[Row]) -> None:
        end = await self._head(con)
        made = []
        for seq, row in enumerate(rows, end.seq + 1):
            values = (seq, *row)
            end = Anchor(seq, digest(end.hash, values))
            made.append((*values, end.hash))
        await con.many(self._sql["append"], made)

    async def _head(self, con: Connection) -> Anchor:
        found = await con.one(self._sql["head"])
        return Anchor(0, GENESIS) if found is None else Anchor(*found)

    async def _begin(self, con: Connection) -> tuple[int, str]:
        """The first place, and the hash that it follows on: those of the last cut, if there was any.

        What cannot be a cut is none: the walk over the rows comes to it and finds that it was changed.
        """
        begins = [cut_of(*row) for row in await con.all(self._sql["last_cuts"])]
        return next((begin for begin in begins if begin is not None), (1, GENESIS))

    async def _cut(self, con: Connection, before: int) -> int:
        await con.one(self._sql["alone"])
        first, _ = await self._begin(con)
        (young,) = await con.one(self._sql["first_since"], (before,)) or (None,)
        end = await self._head(con)
        new = end.seq + 1 if young is None else young
        if new <= first or end.seq == 0:
            return 0
        (follows,) = await con.one(self._sql["hash_of"], (new - 1,)) or (GENESIS,)
        now = milliseconds(self._clock.now())
        detail = dumps({"first": new, "follows": follows, "removed": new - first})
        entry = Entry(CUT, "audit")
        texts = (entry.app, entry.actor, entry.via, entry.action, entry.object, entry.outcome, entry.request)
        await self._append(con, [(now, *texts, detail)])
        return new - first

    async def _remove(self, con: Connection) -> int:
        first, _ = await self._begin(con)
        return await con.execute(self._sql["cut"], (first, BATCH))

    def _page(self, after: int) -> Work[list[Row]]:
        async def unit(con: Connection) -> list[Row]:
            return await con.all(self._sql["rows"], (after, BATCH))

        return unit

    async def _flaw_at(self, end: Anchor, row: Row) -> Flaw | None:
        """What is wrong with the row that follows; None for nothing."""
        seq = row[0]
        if seq != end.seq + 1:
            return Flaw(end.seq + 1, "missing", f"row{some(end.seq + 1, seq - 1)} missing")
        if digest(end.hash, row[:-1]) == row[-1]:
            return None
        following = [found async for found in _few(self._rows(seq), LOOK_AHEAD)]
        return explain(end, row, following)


async def _few(rows: AsyncIterator[Row], most: int) -> AsyncIterator[Row]:
    async for found in rows:
        yield found
        most -= 1
        if most == 0:
            return
