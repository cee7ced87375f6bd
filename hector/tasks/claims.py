"""Takes up jobs from the table when this process has places free: told, by the clock, and by looking now and then."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Final

from hector.core import points
from hector.core.clock import Clock
from hector.core.errors import StoreUnavailable
from hector.core.job import Job
from hector.store import Store
from hector.store.jobs import LOWEST
from hector.tasks.work import Work

log = logging.getLogger("hector.tasks")

BATCH: Final = 64
"""Jobs that are claimed at once, so that processes that woke up together share what there is."""
LOOK_SECONDS: Final = {"sqlite": 1.0, "postgres": 5.0}
"""How often to look without having been told; nobody tells of what another program does to an SQLite file."""
OVERTAKEN: Final = 0.1
"""Seconds until the next look when others were quicker with everything that was due."""
LEFT_SECONDS: Final = 60.0
"""How often to look for jobs of ours that nobody here works on, because their end could not be stored."""
AWAY: Final = 1.0
"""Seconds until the next try while the database is away."""


class Gate:
    """Lets messages in to be accepted, unless somebody has to see all jobs of this process without one on its way."""

    def __init__(self) -> None:
        self._inside = 0
        self._open, self._empty = asyncio.Event(), asyncio.Event()
        self._open.set()
        self._empty.set()

    async def enter(self) -> None:
        """Come in; `leave` must follow."""
        if not self._open.is_set():
            await self._open.wait()
        self._inside += 1
        self._empty.clear()

    def leave(self) -> None:
        """Go out."""
        self._inside -= 1
        if not self._inside:
            self._empty.set()

    @asynccontextmanager
    async def shut(self) -> AsyncIterator[None]:
        """Nobody is inside."""
        self._open.clear()
        try:
            await self._empty.wait()
            yield
        finally:
            self._open.set()


class Claims:
    """`free` counts the places, `begin` takes a job, `works` is what this process works on, `owner` is its name.

    `spare` counts the places that work which nobody waits for may still take, so that a receiver of notifications that
    hangs holds up no run.
    `reserved` places are those of jobs that are being claimed; `gate` is passed by messages that are being accepted.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        free: Callable[[], int],
        begin: Callable[[Job], None],
        works: Callable[[], Collection[Work]],
        owner: Callable[[], str],
        spare: Callable[[], int],
    ) -> None:
        self.reserved = 0
        self.gate = Gate()
        self._store = store
        self._clock = clock
        self._free = free
        self._begin = begin
        self._works = works
        self._owner = owner
        self._spare = spare
        self._woken = asyncio.Event()
        self._began = clock.now(), time.monotonic()
        self._hungry = self._more = False
        self._doubt = False
        self._compared = time.monotonic()
        self._waited_for: set[str] = set()
        self._recent: set[str] = set()
        self._every = LOOK_SECONDS.get(store.database.dialect, AWAY)

    def told(self, lane: str) -> None:
        """A job is ready; of a new one that may have to wait for its lane, `lane` says which."""
        if lane:
            self._waited_for.add(lane)
            self._recent.add(lane)
        self._woken.set()

    def ended(self, lane: str) -> None:
        """A job of this process has ended, and its place is free."""
        if self._hungry or lane in self._waited_for:
            self._woken.set()

    def suspect(self) -> None:
        """The database was away: there may be jobs of ours that we do not know of, because the answer got lost."""
        self._doubt = True
        self._woken.set()

    async def keep(self) -> None:
        """Claim until cancelled."""
        while True:
            self._woken.clear()
            try:
                pause = await self._round()
            except StoreUnavailable:
                self._doubt = True
                pause = AWAY
            except Exception:
                log.exception("no work can be taken up")
                pause = self._every
            if pause:
                await self._rest(pause)

    async def _rest(self, pause: float) -> None:
        try:
            async with asyncio.timeout(pause):
                await self._woken.wait()
        except TimeoutError:
            if pause == self._every:
                self._forget()

    def _forget(self) -> None:
        """Lanes that nobody works in here, and that were not heard of since the last time."""
        self._waited_for &= self._recent | {work.lane for work in self._works()}
        self._recent.clear()

    async def _round(self) -> float:
        """One look; how many seconds until the next."""
        if self._doubt or time.monotonic() - self._compared > LEFT_SECONDS:
            await self._recover()
        spare = self._spare()
        least = LOWEST if spare > 0 else 0
        self._hungry = spare <= 0
        now = self._now()
        if not self._more:  # looking costs more than claiming where much waits
            due = await self._store.jobs.next_due(least)
            if due is None or due > now:
                return self._every if due is None else min(self._every, due - now)
        places = min(self._free(), spare if spare > 0 else BATCH, BATCH)
        if places <= 0:
            self._hungry, self._more = True, False
            return self._every
        claimed = await self._claim(places, now, least)
        looked, self._more = not self._more, claimed == places
        return 0.0 if claimed or not looked else OVERTAKEN

    def _now(self) -> float:
        """The time, which does not go back when the clock is set back: what was due stays due."""
        wall, running = self._began
        return max(self._clock.now(), wall + time.monotonic() - running)

    async def _claim(self, places: int, now: float, least: int) -> int:
        self.reserved = places
        try:
            jobs = await self._store.jobs.claim(self._owner(), places, now, least)
        finally:
            self.reserved = 0
        for job in jobs:
            points.reach("job.claimed")
            if job.lane:
                self._waited_for.add(job.lane)  # where one had to wait, there may be more
            self._begin(job)
        return len(jobs)

    async def _recover(self) -> None:
        async with self.gate.shut():
            known = {work.claim.key for work in self._works() if work.claim is not None}
            freed = await self._store.jobs.orphans(self._owner(), known, blamed=not self._doubt)
        if freed:
            log.warning("took up work of ours that nobody here knew of", extra={"count": freed})
        self._doubt = False
        self._compared = time.monotonic()
