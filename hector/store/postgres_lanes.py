"""Connections that run units of work: some write many units per commit, some read.

Each lane is a task with a connection of its own, which it makes when it is needed and makes again when it is lost. A
unit whose transaction was lost is run again by itself; once PostgreSQL has been away for PATIENCE seconds, units are
refused at once until it is back.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

import asyncpg

from hector.config.postgres import PostgresAddress
from hector.core.errors import HectorError, StoreError, StoreUnavailable
from hector.store.groupcommit import Outcome, Unit, settle
from hector.store.groupcommit import Work as AnyWork
from hector.store.postgres_connection import PostgresConnection, ReadingConnection, connect
from hector.store.postgres_faults import PERMANENT, RERUN, STARTING, translate

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
    """Makes connections, and knows since when nobody could."""

    def __init__(self, address: PostgresAddress) -> None:
        self.address = address
        self._away: float | None = None

    def fault(self, error: Exception) -> Exception:
        """What went wrong, in words."""
        return translate(error, self.address.place)

    async def open(self, *, starting: bool = False) -> PostgresConnection:
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
            self._away = None
            return PostgresConnection(raw)

    def _worth_waiting(self, error: Exception, *, starting: bool) -> bool:
        now = asyncio.get_running_loop().time()
        self._away = now if self._away is None else self._away
        state = getattr(error, "sqlstate", None)
        if starting:
            return state == STARTING and now - self._away < START_PATIENCE
        passing = isinstance(self.fault(error), StoreUnavailable) and state not in PERMANENT
        return passing and now - self._away < PATIENCE


class Run(Protocol):
    """How a lane runs a batch: the outcomes, or SplitError. An error of the connection leaves everything undone."""

    def __call__(self, con: PostgresConnection, batch: Sequence[Unit], door: Door) -> Awaitable[list[Outcome]]: ...


class Lanes:
    """A queue of units and the lanes that work on it. Belongs to the event loop that it was made on."""

    def __init__(self, name: str, door: Door, run: Run, size: int, limit: int) -> None:
        """`size`: lanes at most, each started when all others are busy. `limit`: units of one batch at most."""
        self._name, self._door, self._run, self._size, self._limit = name, door, run, size, limit
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Unit] = deque()
        self._idle: list[asyncio.Future[None]] = []
        self._lanes: list[asyncio.Task[None]] = []
        self._handing = False
        self._closed = False

    def submit(self, work: AnyWork) -> "asyncio.Future[Any]":
        """Hand a unit over."""
        if self._closed:
            raise StoreUnavailable("the database is closed: this process is shutting down")
        future = self._loop.create_future()
        self._waiting.append((work, future))
        if not self._handing:  # units of the same turn of the loop share a batch
            self._handing = True
            self._loop.call_soon(self._hand_over)
        return future

    async def aclose(self) -> None:
        """Finish what was handed over, then close the connections."""
        self._closed = True
        self._wake(len(self._lanes))
        for lane in self._lanes:
            await lane

    def _hand_over(self) -> None:
        self._handing = False
        if self._waiting and not self._wake(1) and len(self._lanes) < self._size:
            self._lanes.append(self._loop.create_task(self._main(), name=f"{self._name}-{len(self._lanes)}"))

    def _wake(self, count: int) -> int:
        woken = 0
        while self._idle and woken < count:
            waiter = self._idle.pop()
            if not waiter.done():
                waiter.set_result(None)
                woken += 1
        return woken

    async def _main(self) -> None:
        lane = _Lane(self._door, self._run)
        while batch := await self._take():
            await lane.serve(batch)
        await lane.aclose()

    async def _take(self) -> list[Unit]:
        """The next batch; empty at the end."""
        while not self._waiting:
            if self._closed:
                return []
            waiter = self._loop.create_future()
            self._idle.append(waiter)
            await waiter
        return [self._waiting.popleft() for _ in range(min(self._limit, len(self._waiting)))]


class _Lane:
    """One connection."""

    def __init__(self, door: Door, run: Run) -> None:
        self._door, self._run = door, run
        self._con: PostgresConnection | None = None

    async def serve(self, batch: Sequence[Unit], again: bool = False) -> None:
        """Run a batch to its outcomes. `again`: an earlier attempt may have been committed."""
        try:
            settle(await self._outcomes(batch, again))
        except SplitError as split:
            for unit in batch:
                await self.serve((unit,), split.again)
        except Exception as error:  # noqa: BLE001 - a lane must live on, and the error belongs to the units' callers
            settle([(future, None, self._door.fault(error)) for _, future in batch])

    async def _outcomes(self, batch: Sequence[Unit], again: bool) -> list[Outcome]:
        """Run it, again on a new connection when this one breaks."""
        for left in reversed(range(RERUNS)):
            if self._con is None or self._con.raw.is_closed():
                self._con = await self._door.open()
            con = self._con
            con.again, con.committing = again, False
            try:
                return await self._run(con, batch, self._door)
            except Exception as error:
                if not left or not is_lost(con, error):
                    raise
                again = again or con.committing
                await self.aclose()
        raise StoreError("no attempt was made")

    async def aclose(self) -> None:
        """Give the connection back."""
        con, self._con = self._con, None
        if con is not None:
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await con.raw.close(timeout=2.0)


def is_lost(con: PostgresConnection, error: Exception) -> bool:
    """Whether the connection is of no more use, and an open transaction gone with it."""
    if isinstance(error, asyncpg.PostgresError):
        return con.raw.is_closed() or (error.sqlstate or "").startswith(("08", "57P", "25P03"))
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)  # those are about arguments
    return isinstance(error, OSError | TimeoutError | asyncpg.InternalClientError) or con.raw.is_closed()


async def write(con: PostgresConnection, batch: Sequence[Unit], door: Door) -> list[Outcome]:
    """All units in one transaction; when one of them spoils it, SplitError, or its fault when it is alone."""
    for left in reversed(range(RERUNS)):
        try:
            return await _commit_together(con, batch, door)
        except Exception as error:
            if is_lost(con, error):
                raise
            await con.raw.execute("ROLLBACK")
            if len(batch) > 1:
                raise SplitError(con.again) from None
            if not left or getattr(error, "sqlstate", None) not in RERUN:
                return [(batch[0][1], None, door.fault(error))]
        await asyncio.sleep(random.uniform(0.0, 0.05))  # noqa: S311 - lets the others finish first
    raise StoreError("no attempt was made")


async def _commit_together(con: PostgresConnection, batch: Sequence[Unit], door: Door) -> list[Outcome]:
    con.notices.clear()
    await con.raw.execute("BEGIN")
    outcomes: list[Outcome] = []
    for work, future in batch:
        con.changed = False
        try:
            outcomes.append((future, await work(con), None))
        except HectorError as error:
            if con.changed:
                raise
            outcomes.append((future, None, door.fault(error)))  # refused before its first change
    if con.notices:
        channels, payloads = zip(*dict.fromkeys(con.notices), strict=True)
        await con.raw.execute(_NOTIFY, channels, payloads)
    con.committing = True
    await con.raw.execute("COMMIT")
    return outcomes


class Reader:
    """Runs reads. Whether a unit needs a snapshot shows the first time: one that asks only once goes without."""

    def __init__(self) -> None:
        self._several: set[object] = set()

    async def __call__(self, con: PostgresConnection, batch: Sequence[Unit], door: Door) -> list[Outcome]:
        """One unit (`limit` is 1)."""
        ((work, future),) = batch
        kind = getattr(work, "__code__", work)
        if kind not in self._several:
            with suppress(_SecondQuestionError):
                return [(future, await self._once(con, work), None)]
            self._several.add(kind)
        return [await self._on_snapshot(con, work, future, door)]

    @staticmethod
    async def _once(con: PostgresConnection, work: AnyWork) -> Any:
        return await work(_Once(con))

    @staticmethod
    async def _on_snapshot(
        con: PostgresConnection, work: AnyWork, future: "asyncio.Future[Any]", door: Door
    ) -> Outcome:
        await con.raw.execute(_READ_ONLY)
        try:
            return future, await work(ReadingConnection(con.raw)), None
        except Exception as error:
            if is_lost(con, error):
                raise
            return future, None, door.fault(error)
        finally:
            if not con.raw.is_closed():
                await con.raw.execute("ROLLBACK")


class _SecondQuestionError(Exception):
    """A unit asks more than once, so its answers must come from one snapshot."""


class _Once(ReadingConnection):
    """Answers one question, outside of any transaction."""

    __slots__ = ("_asked",)

    def __init__(self, con: PostgresConnection) -> None:
        super().__init__(con.raw)
        self._asked = False

    async def all(self, sql: str, args: Sequence[Any] = ()) -> "list[tuple[Any, ...]]":
        if self._asked:
            raise _SecondQuestionError
        self._asked = True
        return await super().all(sql, args)
