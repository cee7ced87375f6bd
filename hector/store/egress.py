"""Where connections went, across restarts and processes: counted in memory, added to a table now and then."""

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from typing import Final, NamedTuple

from hector.core.audit import REFUSED, Entry
from hector.core.clock import Clock, milliseconds
from hector.core.errors import StoreError
from hector.net.gate import Gate, current
from hector.net.ledger import Traffic
from hector.store.audit import AuditLog
from hector.store.database import Connection, Database, Row
from hector.store.queries import load

log = logging.getLogger("hector.egress")
PAUSE: Final = 15.0
"""Seconds between two looks at what was counted: as much is lost when a process is killed."""
REFUSED_ACTION: Final = "egress.refuse"
KEPT: Final = 400 * 86_400.0
"""Seconds after which a destination that nobody called any more is forgotten."""
_AT_THE_END: Final = 2.0


class Visited(NamedTuple):
    """One destination, counted since `first_at`; times in seconds since the epoch, `sent` and `received` in bytes.

    `attempts` are connections that were tried, of which some `failed`; `refusal` is why the last one was `refused`.
    """

    purpose: str
    host: str
    port: int
    attempts: int
    failed: int
    refused: int
    calls: int
    sent: int
    received: int
    first_at: float
    last_at: float
    refusal: str


class EgressTable:
    """The repository."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("egress", database.dialect)

    def add(self, found: Iterable[Visited]) -> Awaitable[None]:
        """Add to what stands. Rows are changed in one order by everybody."""
        rows = [(*one[:9], milliseconds(one.first_at), milliseconds(one.last_at), one.refusal) for one in sorted(found)]
        return self._database.write(lambda con: con.many(self._sql["add"], rows))

    def all(self, purpose: str | None = None, limit: int = 1000) -> Awaitable[tuple[Visited, ...]]:
        """Those that were called last, first."""

        async def unit(con: Connection) -> tuple[Visited, ...]:
            rows = await con.all(self._sql["all"], (purpose, limit))
            return tuple(map(_visited, rows))

        return self._database.read(unit)

    def refused(self) -> Awaitable[tuple[Visited, ...]]:
        """Those to which a connection was forbidden, the ones that were called last first."""

        async def unit(con: Connection) -> tuple[Visited, ...]:
            return tuple(map(_visited, await con.all(self._sql["refused"])))

        return self._database.read(unit)

    def receivers(self, limit: int) -> Awaitable[list[str]]:
        """Addresses to which clients have notifications sent, those that were registered last."""

        async def unit(con: Connection) -> list[str]:
            return [url for (url,) in await con.all(self._sql["receivers"], (limit,))]

        return self._database.read(unit)

    def forget(self, before: float) -> Awaitable[int]:
        """Remove destinations that nobody called since; how many."""
        return self._database.write(lambda con: con.execute(self._sql["forget"], (milliseconds(before),)))


def _visited(row: Row) -> Visited:
    return Visited._make((*row[:9], row[9] / 1000, row[10] / 1000, row[11]))


class EgressKeeper:
    """Writes down what one gate has counted, and tells the audit log of what it refused, once an hour each."""

    def __init__(self, table: EgressTable, audit: AuditLog, clock: Clock, gate: Gate | None = None) -> None:
        self._table = table
        self._audit = audit
        self._clock = clock
        self._gate = gate or current()
        self._next_cut = 0.0

    async def run(self) -> None:
        """Until cancelled, and once more then."""
        try:
            while True:
                await self._try()
                await self._clock.sleep(PAUSE)
        finally:
            async with asyncio.timeout(_AT_THE_END):
                await self._try()

    async def _try(self) -> None:
        try:
            await self.flush()
            await self.forget()
        except StoreError as error:
            log.warning("where connections went could not be written down for now: %s", error)

    async def flush(self) -> None:
        """Write down what was counted since the last time; nothing, where nothing was. Raises StoreError.

        What is being written counts as written, so that two who do this at once write nothing twice.
        """
        changed = [(one, one.written, one.counts) for one in self._gate.ledger if one.counts != one.written]
        if not changed:
            return
        for one, _, now in changed:
            one.written = now
        try:
            await self._table.add([_since(*row) for row in changed])
        except StoreError:
            for one, before, now in changed:
                one.written = tuple(w - n + b for w, n, b in zip(one.written, now, before, strict=True))
            raise
        for one, before, now in changed:
            if now[2] > before[2]:
                await self._tell(one, now[2] - before[2])

    async def forget(self) -> None:
        """Remove, once a day, what nobody called for long. Raises StoreError."""
        if self._clock.now() >= self._next_cut:
            self._next_cut = self._clock.now() + 86_400
            await self._table.forget(self._clock.now() - KEPT)

    async def _tell(self, one: Traffic, times: int) -> None:
        place = f"{one.host}:{one.port}"
        if self._audit.is_new(REFUSED_ACTION, one.purpose, place):
            detail = {"purpose": one.purpose, "times": times, "why": one.refusal}
            await self._audit.note(Entry(REFUSED_ACTION, f"destination:{place}", REFUSED, detail=detail))


def _since(one: Traffic, before: tuple[int, ...], now: tuple[int, ...]) -> Visited:
    attempts, failed, refused, calls, sent, received = (a - b for a, b in zip(now, before, strict=True))
    place, times = (one.purpose, one.host, one.port), (one.first_at, one.last_at)
    return Visited(*place, attempts, failed, refused, calls, sent, received, *times, one.refusal)
