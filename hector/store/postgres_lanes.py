"""Connections that run units of work: some write many units per commit, some read.

Each lane is a task with a connection of its own, which it makes when it is needed and makes again when it is lost. A
unit whose transaction was lost is run again by itself; once PostgreSQL has been away for PATIENCE seconds, units are
refused at once until it is back.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Hashable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import asyncpg

from hector.config.postgres import PostgresAddress
from hector.core.errors import StoreError, StoreUnavailable
from hector.store.groupcommit import Outcome, Work, settle
from hector.store.notices import Notice
from hector.store.postgres_connection import PostgresConnection, connect
from hector.store.postgres_faults import PERMANENT, RERUN, STARTING, translate
from hector.store.postgres_pipeline import AskingConnection, Performance, perform, perform_once

RawConnection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

PATIENCE: Final = 5.0
START_PATIENCE: Final = 30.0
FIRST_DELAY: Final = 0.05
LONGEST_DELAY: Final = 1.0
RERUNS: Final = 6
"""How often a unit is run in all when others undo it, or its connection breaks, again and again."""

_READ_ONLY: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_NOTIFY: Final = "SELECT pg_notify(c, p) FROM unnest($1::text[], $2::text[]) AS n (c, p)"


class SplitError(Exception):
    """One of several units spoiled the transaction, which has been undone: each is to be run alone."""

    def __init__(self, again: bool) -> None:
        super().__init__()
        self.again = again


class Door:
    """Makes connections, and knows since when nobody could, and `why`."""

    def __init__(self, address: PostgresAddress) -> None:
        self.address = address
        self.why: Exception | None = None
        self._away: float | None = None

    def fault(self, error: Exception) -> Exception:
        """What went wrong, in words."""
        return translate(error, self.address.place)

    async def open(self, *, starting: bool = False) -> "RawConnection":
        """A new connection. Waits while PostgreSQL is away, but not for ever: then StoreError.

        `starting`: whoever starts us is told at once that nobody answers, but waits for a server that starts, too.
        """
        delay = FIRST_DELAY
        while True:
            try:
                raw = await connect(self.address)
            except Exception as error:  # noqa: BLE001 - whatever it is, a unit waits for an answer
                if not self._worth_waiting(error, starting=starting):
                    raise self.fault(error) from None
                await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - spreads attempts, hides nothing
                delay = min(2 * delay, LONGEST_DELAY)
                continue
            self._away = self.why = None
            return raw

    def _worth_waiting(self, error: Exception, *, starting: bool) -> bool:
        now = asyncio.get_running_loop().time()
        self._away = now if self._away is None else self._away
        self.why = fault = self.fault(error)
        state = getattr(error, "sqlstate", None)
        if starting:
            return state == STARTING and now - self._away < START_PATIENCE
        passing = isinstance(fault, StoreUnavailable) and state not in PERMANENT
        return passing and now - self._away < PATIENCE


class Unit(NamedTuple):
    """A unit of work that waits. Units of one key are run in order, one after the other.

    `alone`: it shares no transaction. `again`: an earlier run may have been committed.
    """

    work: Work
    future: "asyncio.Future[Any]"
    key: Hashable
    alone: bool = False
    again: bool = False


class Run(Protocol):
    """How a lane runs a batch: the outcomes, or SplitError. An error of the connection leaves everything undone."""

    def __call__(self, link: "Link", batch: Sequence[Unit], again: bool) -> Awaitable[list[Outcome]]: ...


class Lanes:
    """A queue of units and the lanes that work on it. Belongs to the event loop that it was made on."""

    def __init__(self, name: str, door: Door, run: Run, *, size: int, limit: int, calm: float) -> None:
        """`size`: lanes at most. `limit`: units of one batch at most. `calm`: seconds before another lane helps."""
        self._name, self._door, self._run = name, door, run
        self._size, self._limit, self._calm = size, limit, calm
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Unit] = deque()
        self._busy: set[Hashable] = set()
        self._idle: list[asyncio.Future[None]] = []
        self._lanes: list[asyncio.Task[None]] = []
        self._handing = self._watching = False
        self._closed = False

    def submit(self, work: Work, key: Hashable = None) -> "asyncio.Future[Any]":
        """Hand a unit over."""
        if self._closed:
            raise StoreUnavailable("the database is closed: this process is shutting down")
        future = self._loop.create_future()
        self._waiting.append(Unit(work, future, key))
        if not self._handing:  # units of the same turn of the loop share a batch
            self._handing = True
            self._loop.call_soon(self._hand_over)
        return future

    async def aclose(self) -> None:
        """Finish what was handed over, then close the connections."""
        self._hand_over()
        self._closed = True
        while self._idle:
            self._wake_one()
        for lane in self._lanes:
            await lane

    def _hand_over(self) -> None:
        """Have a lane take what waits. A second one joins in only if the first does not get to it soon.

        Large batches cost less than many connections; but one that waits for a lock must not hold up the rest.
        """
        self._handing = False
        if not self._waiting:
            return
        if len(self._idle) == len(self._lanes):
            self._reinforce()
        elif not self._watching:
            self._watching = True
            self._loop.call_later(self._calm, self._look_again, self._waiting[0])

    def _look_again(self, oldest: Unit) -> None:
        self._watching = False
        if self._waiting and self._waiting[0] is oldest:
            self._reinforce()
        self._hand_over()

    def _reinforce(self) -> None:
        if self._idle:
            self._wake_one()
        elif len(self._lanes) < self._size:
            self._lanes.append(self._loop.create_task(self._main(), name=f"{self._name}-{len(self._lanes)}"))

    def _wake_one(self) -> None:
        self._idle.pop().set_result(None)

    async def _main(self) -> None:
        link = Link(self._door)
        while await self._round(link):
            pass
        while self._idle:  # at the end: what they waited for was done here
            self._wake_one()
        await link.aclose()

    async def _round(self, link: "Link") -> bool:
        """Run one batch; False at the end. A function of its own, so that a waiting lane holds no results."""
        batch = await self._take()
        if batch:
            await self._serve(link, batch)
            self._busy.difference_update(unit.key for unit in batch)
            self._hand_over()  # perhaps what waited for one of these keys
        return bool(batch)

    async def _take(self) -> list[Unit]:
        """The next batch; empty at the end."""
        while not (batch := self._next()):
            if self._closed and not self._waiting:
                return []
            waiter = self._loop.create_future()
            self._idle.append(waiter)
            await waiter
        return batch

    def _next(self) -> list[Unit]:
        """What may run now, in order: the units of a key that another lane works on wait."""
        batch: list[Unit] = []
        passed: list[Unit] = []
        blocked = set(self._busy)
        while self._waiting and len(batch) < self._limit and not (batch and (batch[0].alone or self._waiting[0].alone)):
            unit = self._waiting.popleft()
            (passed if unit.key in blocked else batch).append(unit)
        self._waiting.extendleft(reversed(passed))
        self._busy.update(unit.key for unit in batch if unit.key is not None)
        return batch

    async def _serve(self, link: "Link", batch: Sequence[Unit]) -> None:
        """Run a batch to its outcomes; what has to be run alone goes back to the head of the queue."""
        try:
            settle(await link.run(self._run, batch, again=batch[0].again))
        except SplitError as split:
            self._waiting.extendleft(unit._replace(alone=True, again=split.again) for unit in reversed(batch))
        except Exception as error:  # noqa: BLE001 - a lane must live on, and the error belongs to the units' callers
            settle([(unit.future, None, self._door.fault(error)) for unit in batch])


class Link:
    """A connection that is made when it is needed, and made again when it is lost."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self._raw: RawConnection | None = None
        self.committing = False

    @property
    def raw(self) -> "RawConnection":
        """The connection, while a batch runs."""
        assert self._raw is not None  # noqa: S101 - `run` has made it
        return self._raw

    async def run(self, run: Run, batch: Sequence[Unit], *, again: bool) -> list[Outcome]:
        """Run a batch, again on a new connection when this one breaks."""
        for left in reversed(range(RERUNS)):
            if self._raw is None or self._raw.is_closed():
                self._raw = await self.door.open()
            self.committing = False
            try:
                return await run(self, batch, again)
            except Exception as error:
                if not left or not is_lost(self.raw, error):
                    raise
                again = again or self.committing
                await self.aclose()
        raise StoreError("no attempt was made")

    async def aclose(self) -> None:
        """Give the connection back."""
        raw, self._raw = self._raw, None
        if raw is not None:
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await raw.close(timeout=2.0)


def is_lost(raw: "RawConnection", error: Exception) -> bool:
    """Whether the connection is of no more use, and an open transaction gone with it."""
    if isinstance(error, asyncpg.PostgresError):
        return raw.is_closed() or (error.sqlstate or "").startswith(("08", "57P", "25P03"))
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)  # those are about arguments
    return isinstance(error, OSError | TimeoutError | asyncpg.InternalClientError) or raw.is_closed()


async def write(link: Link, batch: Sequence[Unit], again: bool) -> list[Outcome]:
    """All units in one transaction; when one of them spoils it, SplitError, or its fault when it is alone."""
    for left in reversed(range(RERUNS)):
        try:
            return await _commit_together(link, batch, again)
        except Exception as error:
            if is_lost(link.raw, error):
                raise
            await link.raw.execute("ROLLBACK")
            if len(batch) > 1:
                raise SplitError(again) from None
            if not left or getattr(error, "sqlstate", None) not in RERUN:
                return [(batch[0].future, None, link.door.fault(error))]
        await asyncio.sleep(random.uniform(0.0, 0.05))  # noqa: S311 - lets the others finish first
    raise StoreError("no attempt was made")


async def _commit_together(link: Link, batch: Sequence[Unit], again: bool) -> list[Outcome]:
    await link.raw.execute("BEGIN")
    outcomes: list[Outcome] = []
    notices: dict[Notice, None] = {}
    for units in _casts(batch):
        cast = [_performance(unit, again=again) for unit in units]
        await perform(PostgresConnection(link.raw), cast)
        outcomes += [_outcome(unit, one, link.door) for unit, one in zip(units, cast, strict=True)]
        notices.update(dict.fromkeys(notice for one in cast for notice in one.con.notices))
    if notices:
        await link.raw.execute(_NOTIFY, *zip(*notices, strict=True))
    link.committing = True
    await link.raw.execute("COMMIT")
    return outcomes


def _casts(batch: Sequence[Unit]) -> list[list[Unit]]:
    """What may run side by side: neighbours with different keys."""
    casts: list[list[Unit]] = []
    keys: set[Hashable] = set()
    for unit in batch:
        if not casts or unit.key is None or None in keys or unit.key in keys:
            casts.append([])
            keys.clear()
        casts[-1].append(unit)
        keys.add(unit.key)
    return casts


def _performance(unit: Unit, *, again: bool = False) -> Performance:
    con = AskingConnection(again=again)
    return Performance(unit.work(con), con)


def _outcome(unit: Unit, one: Performance, door: Door) -> Outcome:
    return unit.future, one.value, None if one.error is None else door.fault(one.error)


class Reader:
    """Runs reads, side by side on one snapshot.

    One that comes alone and asks only once goes without a transaction; that it does shows the first time.
    """

    def __init__(self) -> None:
        self._several: set[object] = set()

    async def __call__(self, link: Link, batch: Sequence[Unit], again: bool) -> list[Outcome]:
        """All units; none changes anything."""
        con = PostgresConnection(link.raw, reading=True)
        if len(batch) == 1:
            kind = getattr(batch[0].work, "__code__", batch[0].work)
            if kind not in self._several:
                one = _performance(batch[0])
                if await perform_once(con, one):
                    return [_outcome(batch[0], one, link.door)]
                self._several.add(kind)
        return await self._on_snapshot(link, con, batch)

    @staticmethod
    async def _on_snapshot(link: Link, con: PostgresConnection, batch: Sequence[Unit]) -> list[Outcome]:
        await link.raw.execute(_READ_ONLY)
        try:
            cast = [_performance(unit) for unit in batch]
            await perform(con, cast)
            return [_outcome(unit, one, link.door) for unit, one in zip(batch, cast, strict=True)]
        except Exception as error:
            if is_lost(link.raw, error):
                raise
            if len(batch) > 1:
                raise SplitError(again=False) from None
            return [(batch[0].future, None, link.door.fault(error))]
        finally:
            if not link.raw.is_closed():
                await link.raw.execute("ROLLBACK")
