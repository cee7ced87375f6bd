"""A queue of units of work, and the connections that work on it.

Each lane is a task with a connection of its own. A unit whose transaction was lost is run again by itself.
"""

import asyncio
from collections import deque
from collections.abc import Hashable, Sequence
from typing import Any

from hector.core.errors import StoreUnavailable
from hector.store.database import Shortcut
from hector.store.groupcommit import Work, settle
from hector.store.postgres_batches import Run, SplitError, Unit
from hector.store.postgres_link import Door, Link


class Lanes:
    """A queue of units and the lanes that work on it. Belongs to the event loop that it was made on."""

    def __init__(self, name: str, door: Door, run: Run, *, size: int, limit: int, calm: float) -> None:
        """`size`: lanes at most. `limit`: units of one batch at most. `calm`: seconds before another lane helps."""
        self._name, self._door, self._run = name, door, run
        self._size, self._limit, self._calm = size, limit, calm
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Unit] = deque()
        self._busy: set[Hashable] = set()
        self._ways: list[str] = []
        self._idle: list[asyncio.Future[None]] = []
        self._lanes: list[asyncio.Task[None]] = []
        self._handing = self._watching = False
        self._closed = False

    def submit(self, work: Work, key: Hashable = None, shortcut: Shortcut[Any] | None = None) -> "asyncio.Future[Any]":
        """Hand a unit over."""
        if self._closed:
            raise StoreUnavailable("the database is closed: this process is shutting down")
        future = self._loop.create_future()
        self._waiting.append(Unit(work, future, key, shortcut))
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

        Large batches cost less than many connections; but one that waits for a lock must not hold up the rest, and
        units that take different shortcuts cannot share a batch.
        """
        self._handing = False
        if not self._waiting:
            return
        if len(self._idle) == len(self._lanes) or self._waiting[0].way not in self._ways:
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

    async def _round(self, link: Link) -> bool:
        """Run one batch; False at the end. A function of its own, so that a waiting lane holds no results."""
        batch = await self._take()
        if batch:
            await self._serve(link, batch)
            self._busy.difference_update(unit.key for unit in batch)
            self._ways.remove(batch[0].way)
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
        """What may run now, in order: the units of a key that another lane works on wait, and those of another way."""
        batch: list[Unit] = []
        passed: list[Unit] = []
        blocked = set(self._busy)
        while self._waiting and len(batch) < self._limit and not (batch and (batch[0].alone or self._waiting[0].alone)):
            unit = self._waiting.popleft()
            fits = unit.key not in blocked and (not batch or unit.way == batch[0].way)
            (batch if fits else passed).append(unit)
            if unit.key is not None and not (fits and not unit.way):
                blocked.add(unit.key)  # a shortcut that is not taken puts its unit behind the others
        self._waiting.extendleft(reversed(passed))
        self._busy.update(unit.key for unit in batch if unit.key is not None)
        if batch:
            self._ways.append(batch[0].way)
        return batch

    async def _serve(self, link: Link, batch: Sequence[Unit]) -> None:
        """Run a batch to its outcomes; what has to be run alone goes back to the head of the queue."""
        try:
            settle(await link.run(lambda again: self._run(link, batch, again), again=batch[0].again))
        except SplitError as split:
            self._waiting.extendleft(reversed(split.units))
        except Exception as error:  # noqa: BLE001 - a lane must live on, and the error belongs to the units' callers
            settle([(unit.future, None, self._door.fault(error)) for unit in batch])
