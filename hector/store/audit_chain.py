"""The chain of the audit log: each row's hash covers the row and the hash before it, so that no row changes unseen.

hash = SHA-256 of the previous hash and the row's other columns as a JSON list in ASCII without spaces; the first row
follows on `GENESIS`. Whoever can write to the database can also make a chain anew, or cut its end off: an anchor, a
place and its hash that was noted elsewhere, shows that.
"""

import hashlib
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from typing import Final

from hector.core.audit import Entry
from hector.core.clock import Clock
from hector.core.errors import StoreError
from hector.core.record import dataclass
from hector.store.audit import AuditLog, Chained, chained
from hector.store.codec import dumps, loads, milliseconds
from hector.store.database import Connection, Database, Row, Work
from hector.store.queries import load

log = logging.getLogger("hector.store")
GENESIS: Final = "0" * 64
"""What the first row follows on."""
CUT: Final = "audit.cut"
"""The action of the row behind which a chain begins whose older rows have been removed by the retention."""
BATCH: Final = 500
PAUSE: Final = 5.0
"""Seconds between two looks for entries."""
ANCHOR_SECONDS: Final = 3600.0
"""How often the head of the chain is written to the log, while it changes."""
_LOOK_AHEAD: Final = 64
_ANCHOR: Final = re.compile(r"seq\W{1,4}(\d{1,18})\W.{0,2000}?hash\W{1,4}([0-9a-f]{64})")
_BARE: Final = re.compile(r"\s*(\d{1,18}):([0-9a-f]{64})\s*")


@dataclass(frozen=True, slots=True)
class Anchor:
    """The hash that stands at a place of the chain."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


@dataclass(frozen=True, slots=True)
class Flaw:
    """The first place at which a chain does not hold: `kind` is changed, missing, inserted, reordered or truncated."""

    seq: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found: rows that hold, from where to where; the flaw, if any; cuts by the retention; anchors met."""

    rows: int
    first: int
    head: Anchor
    flaw: Flaw | None = None
    anchors: int = 0
    behind_cut: int = 0


def digest(previous: str, row: Sequence[object]) -> str:
    """The hash of a row: its columns from seq to detail. What no row holds that was written here has one, too."""
    text = json.dumps(list(row), separators=(",", ":"), ensure_ascii=True, default=repr)
    return hashlib.sha256(f"{previous}{text}".encode("ascii", "backslashreplace")).hexdigest()


def cut_of(seq: int, detail: object) -> tuple[int, str] | None:
    """Where the chain begins by a row of the retention, and on which hash; None for what that never writes.

    A cut leaves its own row in the chain: one that says otherwise would hide itself.
    """
    try:
        found = loads(detail) if isinstance(detail, str) else None
    except ValueError:
        return None
    match found:
        case {"first": int(first), "follows": str(follows)} if 1 <= first <= seq:
            return first, follows
    return None


def anchors_in(text: str) -> list[Anchor]:
    """The anchors of a text, one a line at most: SEQ:HASH, a line of an export, or one of the server's log."""
    found = []
    for line in text.splitlines():
        match = _BARE.fullmatch(line) or _ANCHOR.search(line)
        if match:
            found.append(Anchor(int(match[1]), match[2]))
    return found


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
            verdict = await self._verified(_Walk(Anchor(first - 1, follows), anchors))
            if verdict.flaw is None or begin == await self._database.read(self._begin):
                return verdict  # else rows were removed by the retention while they were being read

    async def _verified(self, walk: "_Walk") -> Verdict:
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
            return Flaw(end.seq + 1, "missing", f"row{_some(end.seq + 1, seq - 1)} missing")
        if digest(end.hash, row[:-1]) == row[-1]:
            return None
        following = [found async for found in _few(self._rows(seq), _LOOK_AHEAD)]
        return explain(end, row, following)


class _Walk:
    """How far a chain holds, and the anchors on the way."""

    def __init__(self, start: Anchor, anchors: Iterable[Anchor]) -> None:
        self.end = start
        self._start = start.seq
        self._wanted: dict[int, set[str]] = {}
        for anchor in anchors:
            if anchor.seq:
                self._wanted.setdefault(anchor.seq, set()).add(anchor.hash)
        self._behind = len([seq for seq in self._wanted if seq < start.seq])
        self._met = 0

    def arrive(self, place: Anchor) -> Flaw | None:
        """Go on to a row that follows, and compare it with its anchor."""
        self.end = place
        wanted = self._wanted.pop(place.seq, None)
        if wanted is None:
            return None
        self._met += 1
        if wanted == {place.hash}:
            return None
        text = f"row {place.seq} has another hash than its anchor: the chain was made anew up to here"
        return Flaw(place.seq, "changed", text)

    def cut_off(self) -> Flaw | None:
        """What is missing at the end, as anchors tell."""
        lost = max(self._wanted, default=0)
        if lost <= self.end.seq:
            return None
        text = f"the chain ends with row {self.end.seq}, but row {lost} was there once: its end was cut off"
        return Flaw(self.end.seq + 1, "truncated", text)

    def verdict(self, flaw: Flaw | None) -> Verdict:
        """What was found."""
        rows = self.end.seq - self._start
        return Verdict(rows, self._start + 1, self.end, flaw, self._met, self._behind)


class ChainKeeper:
    """Chains entries for as long as the process serves, carries the retention out, and writes anchors to the log."""

    def __init__(self, audit: AuditLog, database: Database, clock: Clock, kept: float) -> None:
        """`kept`: seconds that rows stay, 0 for ever."""
        self._audit = audit
        self._chain = Chain(database, clock)
        self._clock = clock
        self._kept = kept
        self._changed = True
        self._next_anchor = self._next_cut = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._round()
            except StoreError as error:
                log.warning("the audit log could not be kept for now: %s", error)
            except Exception:
                log.exception("the audit log could not be kept")  # a defect here must not take the server down
            await self._clock.sleep(PAUSE)

    async def _round(self) -> None:
        if await self._audit.waiting():
            await self._chain.settle()
            self._changed = True
        now = self._clock.now()
        if self._kept > 0 and now >= self._next_cut:
            self._next_cut = now + ANCHOR_SECONDS
            if await self._chain.cut(now - self._kept):
                self._changed = True
                log.info("removed from the audit log by storage.retention", extra={"rows": await self._chain.remove()})
        if self._changed and now >= self._next_anchor:
            self._next_anchor, self._changed = now + ANCHOR_SECONDS, False
            head = await self._chain.head()
            if head.seq:
                log.info("audit log", extra={"seq": head.seq, "hash": head.hash})


def explain(end: Anchor, row: Row, following: Sequence[Row]) -> Flaw:
    """Why a row does not follow on the one before it, told from the rows behind it."""
    seq = row[0]
    for other in following:
        if digest(end.hash, (seq, *other[1:-1])) != other[-1]:
            continue
        if digest(other[-1], (seq + 1, *row[1:-1])) == row[-1]:
            return Flaw(
                seq, "reordered", f"the rows from {seq} to {other[0]} stand in another order than they were written"
            )
        return Flaw(seq, "inserted", f"row {seq} was put in: what stands at {other[0]} belongs here")
    if following:
        after, content = following[0], following[0][1:-1]
        if digest(row[-1], after[:-1]) == after[-1]:
            return Flaw(seq, "changed", f"row {seq} was changed: its hash is not that of its content")
        for lost in range(1, _LOOK_AHEAD):
            if digest(row[-1], (after[0] + lost, *content)) == after[-1]:
                return Flaw(
                    seq, "missing", f"before row {seq} stood {lost} more: the rows behind were given new places"
                )
    return Flaw(seq, "changed", f"row {seq}, or the hash before it, was changed")


def _some(first: int, last: int) -> str:
    return f" {first} is" if first == last else f"s {first} to {last} are"


async def _few(rows: AsyncIterator[Row], most: int) -> AsyncIterator[Row]:
    async for found in rows:
        yield found
        most -= 1
        if most == 0:
            return
