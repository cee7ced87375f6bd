"""Takes up jobs from the table when this process has places free: told, by the clock, and by looking now and then."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Final, assert_never

from hector.core import points
from hector.core.clock import Clock
from hector.core.errors import StoreUnavailable
from hector.core.job import Job
from hector.core.record import dataclass
from hector.store import Store
from hector.tasks.looking import Known, Look, MakeRoom, Recover, Rest, Take, next_step
from hector.tasks.work import Ending, Work

log = logging.getLogger("hector.tasks")

LOOK_SECONDS: Final = {"sqlite": 1.0, "postgres": 5.0}
"""How often to look without having been told; nobody tells of what another program does to an SQLite file."""
LEFT_SECONDS: Final = 60.0
"""How often to look for jobs of ours that nobody here works on, because their end could not be stored."""
AWAY: Final = 1.0
"""Seconds until the next try while the database is away."""


class Gate:
    """Lets messages in to be accepted, unless somebody has to see all jobs of this process without one on its way."""

    def __init__(self) -> None:
        self._inside = 0
        self._is_shut = False
        self._open, self._empty = asyncio.Event(), asyncio.Event()

    async def enter(self) -> None:
        """Come in; `leave` must follow."""
        while self._is_shut:  # it may be shut again before we get there
            await self._open.wait()
        self._inside += 1

    def leave(self) -> None:
        """Go out."""
        self._inside -= 1
        if self._is_shut and not self._inside:
            self._empty.set()

    @asynccontextmanager
    async def shut(self) -> AsyncIterator[None]:
        """Nobody is inside."""
        self._is_shut = True
        self._open.clear()
        self._empty.clear()
        try:
            if self._inside:
                await self._empty.wait()
            yield
        finally:
            self._is_shut = False
            self._open.set()


@dataclass(frozen=True, slots=True)
class Places:
    """What the places of this process are taken by, and how more is begun.

    `free` counts those that are left; `spare` those of the `later` that work may still take which nobody waits for, so
    that receivers of notifications that hang hold up no run. `begin` takes a job, `works` is what this process works
    on, and `owner` is its name.
    """

    later: int
    free: Callable[[], int]
    spare: Callable[[], int]
    begin: Callable[[Job], None]
    works: Callable[[], Collection[Work]]
    owner: Callable[[], str]


class Claims:
    """`reserved` places are those of jobs that are being claimed; messages that are being accepted pass the `gate`."""

    def __init__(self, store: Store, clock: Clock, places: Places) -> None:
        self.reserved = 0
        self.gate = Gate()
        self._store = store
        self._clock = clock
        self._places = places
        self._woken = asyncio.Event()
        self._began = clock.now(), time.monotonic()
        self._rests = Rest(0.0)
        self._doubt = False
        self._compared = self._forgot = time.monotonic()
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
        if self._rests.hungry or lane in self._waited_for:
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
                self._rests = await self._round()
            except StoreUnavailable:
                self._doubt = True
                self._rests = Rest(AWAY)
            except Exception:
                log.exception("no work can be taken up")
                self._rests = Rest(self._every)
            if self._rests.seconds > 0:
                await self._rest(self._rests.seconds)
            self._forget()

    async def _rest(self, pause: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._woken.wait()

    def _forget(self) -> None:
        """Lanes that nobody works in here, and that were not heard of since the last time."""
        now = time.monotonic()
        if now - self._forgot < self._every:
            return
        self._forgot = now
        self._waited_for &= self._recent | {work.lane for work in self._places.works()}
        self._recent.clear()

    async def _round(self) -> Rest:
        """Everything that is to be done now; when, and for what, to come back."""
        known = self._known()
        while not isinstance(step := next_step(known), Rest):
            known = await self._carry_out(step, known)
        return step

    def _known(self) -> Known:
        running = asyncio.get_running_loop().time()
        yields = [at - running for work in self._places.works() if (at := work.yields_at) is not None]
        return Known(
            self._now(),
            self._every,
            self._places.free(),
            self._places.spare(),
            self._places.later,
            self._doubt or time.monotonic() - self._compared > LEFT_SECONDS,
            self._rests.plenty,
            sum(1 for seconds in yields if seconds <= 0),
            max(min(yields), 0.0) if yields else None,
        )

    async def _carry_out(self, step: Recover | Look | Take | MakeRoom, known: Known) -> Known:
        match step:
            case Recover():
                await self._recover()
                return self._known()
            case Look(least):
                due = {**known.due, least: await self._store.jobs.next_due(least)}
                return replace(self._known(), due=due, yielded=known.yielded)  # meanwhile a place may have become free
            case Take(count, least):
                return replace(known, asked=count, claimed=await self._claim(count, known.now, least))
            case MakeRoom(count):
                self._make_room(count)
                return replace(known, yielded=True)
            case _:
                assert_never(step)

    def _now(self) -> float:
        """The time, which does not go back when the clock is set back: what was due stays due."""
        wall, running = self._began
        return max(self._clock.now(), wall + time.monotonic() - running)

    async def _claim(self, count: int, now: float, least: int) -> int:
        self.reserved = count
        try:
            jobs = await self._store.jobs.claim(self._places.owner(), count, now, least)
        finally:
            self.reserved = 0
        for job in jobs:
            points.reach("job.claimed")
            if job.lane:
                self._waited_for.add(job.lane)  # where one had to wait, there may be more
            self._places.begin(job)
        return len(jobs)

    def _make_room(self, count: int) -> None:
        """Let those go back for later that have held their places longest; each says so when its place is free."""
        now = asyncio.get_running_loop().time()
        ripe = [(at, work) for work in self._places.works() if (at := work.yields_at) is not None and at <= now]
        ripe.sort(key=lambda pair: pair[0])
        for _, work in ripe[:count]:
            work.yields_at = None
            work.stop(Ending.DEFER)

    async def _recover(self) -> None:
        async with self.gate.shut():
            known = {work.claim.key for work in self._places.works() if work.claim is not None}
            freed = await self._store.jobs.orphans(self._places.owner(), known, blamed=not self._doubt)
        if freed:
            log.warning("took up work of ours that nobody here knew of", extra={"count": freed})
        self._doubt = False
        self._compared = time.monotonic()
