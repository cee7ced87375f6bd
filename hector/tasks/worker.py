"""The work of this process: what it has just accepted, and what it claims; each in an asyncio task that always ends.

A job that cannot begin at once, because its session or this process is busy, waits in the table, and whoever has a
place free takes it up. What stops before it is done is put back there: after a failure that may pass, at a stop of the
process, and by others once this process has fallen silent.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import cached_property, partial
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, cast

from hector.apps.registry import Apps
from hector.apps.registry import Lease as AppLease
from hector.config.server import Server
from hector.core import points
from hector.core.clock import Clock
from hector.core.errors import NotSupported, StoreUnavailable
from hector.core.job import READY, STOP, Job
from hector.core.record import dataclass
from hector.core.task import Caller, Task
from hector.limits.limits import Limits
from hector.observe import metrics
from hector.store import Accept, Accepted, Store
from hector.tasks import calls
from hector.tasks.backoff import Schedule, Tries
from hector.tasks.calls import CHANNEL as CALL
from hector.tasks.channel import Channels
from hector.tasks.claims import Claims, Places
from hector.tasks.conduct import RELEASE_SECONDS, Conductor
from hector.tasks.follow import Follower
from hector.tasks.handlers import Parts
from hector.tasks.handling import Handling
from hector.tasks.lease import Lease
from hector.tasks.live import last
from hector.tasks.making import Making
from hector.tasks.perform import Request, perform
from hector.tasks.run import Run
from hector.tasks.stopping import Stopping
from hector.tasks.tenancy import lent
from hector.tasks.work import Ending, Work

if TYPE_CHECKING:
    from hector.tasks.resuming import Resuming

log = logging.getLogger("hector.tasks")
RUN: Final = "run"
"""The kind of job that the worker itself knows: an agent's run."""
CANCEL_SECONDS: Final = 10.0
"""How long a cancel waits for the run's end to be stored."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A message that is stored, and the `invocation` that it begins. Without a `run`, it waits to be taken up."""

    task: Task
    invocation: str
    run: Run | None = None

    def snapshot(self, history_length: int | None = None) -> Task:
        """The task as it is now, as far as this process knows."""
        if self.run is not None:
            return self.run.live.snapshot(history_length)
        return replace(self.task, history=last(self.task.history or (), history_length))


class Worker:
    """Use as an async context manager: leaving it stops what still runs, and hands it back."""

    def __init__(self, apps: Apps, store: Store, clock: Clock, settings: Server, limits: Limits | None = None) -> None:
        self.channels = Channels()
        self.stopping = False
        self._apps = apps
        self._store = store
        self._clock = clock
        self._settings = settings.queue
        self._runs: dict[str, Work] = {}
        self._jobs: dict[int, Work] = {}
        store.push.max_attempts = settings.push_notifications.max_retries + 1
        self._limits = limits or Limits(store, clock)
        self._making = Making(store, clock, self.channels, lambda: self.stopping, self._limits)
        self._conductor = Conductor(store, clock, Schedule(settings.queue.initial_delay, settings.queue.max_delay))
        self._handling = Handling(Parts(store, clock, settings))
        self._later = max(1, settings.queue.workers // 2)
        places = Places(self._later, self._free, self._spare, self._take_up, self._works, lambda: self._lease.id)
        self._claims = Claims(store, clock, places)
        self._lease = Lease(store, clock, settings.queue.stale_threshold, self._lost, self._claims.suspect)
        self.follower = Follower(store, self.channels, self._runs.__contains__)
        self._stopping = Stopping(store, self._limits, self._runs, self._spawn)
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()
        self._keeping: list[asyncio.Task[None]] = []
        self._deaf: list[Callable[[], None]] = []

    async def __aenter__(self) -> Self:
        await self._lease.begin()
        await self._limits.switches.look()
        self._limits.switches.on_change(self._stopping.heed_all)
        await self._group.__aenter__()
        self._deaf = [
            self._store.database.listen(READY, self._claims.told),
            self._store.database.listen(STOP, self._heard_stop),
            self._store.database.listen(CALL, calls.heard),
        ]
        limits = self._limits.keep(lambda: self._lease.id)
        keepers = (self.follower.keep(), self._lease.keep(), limits, self._claims.keep())
        self._keeping = [self._group.create_task(keeper) for keeper in keepers]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.drain(0.0)
        for keeper in self._keeping:
            keeper.cancel()
        await self._group.__aexit__(None, None, None)
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._lease.end()

    @property
    def running(self) -> int:
        """How many jobs are being worked on, messages that are being accepted included."""
        return len(self._runs) + len(self._jobs)

    @property
    def apps(self) -> list[str]:
        """The app of each run that works now, in this process."""
        return [work.run.caller.app for work in self._runs.values() if work.run is not None]

    def run_of(self, task_id: str) -> Run | None:
        """The run that works on a task now, in this process."""
        work = self._runs.get(task_id)
        return work.run if work else None

    def follow(self, caller: Caller, shown: Task) -> None:
        """Tell those who listen to a task and were shown this much of it what becomes of it, wherever it runs."""
        if not self.stopping:
            self.follower.tend(caller, shown)

    @property
    def owner(self) -> str | None:
        """Who runs a message that is accepted now: this process, or, if it has no place free, whoever has."""
        return self._lease.id if self._free() > 0 else None

    @property
    def max_attempts(self) -> int:
        """How often a run may be begun."""
        return self._settings.max_retries + 1

    def begin(self, offer: Accept, lease: AppLease, *, patient: bool = False) -> "asyncio.Future[Begun]":
        """Store the message and run it, also if nobody waits for the future. From here on the lease is ours.

        The future is there once the message is stored, or, for one who is `patient`, once a run of it here is over:
        waking up in between costs as much as a small statement. It raises what the store raises. Raises
        StoreUnavailable while stopping, NotSupported when another message of the same task is on its way.
        """
        if self.stopping:
            raise StoreUnavailable("the server is stopping and takes no more work")
        if offer.task_id in self._runs:
            raise NotSupported(f"task {offer.task_id} is still working; wait for it")
        work = self._runs[offer.task_id] = Work()
        answer: asyncio.Future[Begun] = asyncio.get_running_loop().create_future()
        work.task = self._spawn(lambda: self._accept(work, offer, lease, answer, patient=patient))
        return answer

    async def cancel(self, task_id: str) -> bool:
        """Cancel the work on a task and wait for its end; False when there is none here. Raises StoreUnavailable."""
        work = self._runs.get(task_id)
        if work is None or work.task is None:
            return False
        work.stop(Ending.CANCEL)
        done, _ = await asyncio.wait((work.task,), timeout=CANCEL_SECONDS)
        if not done:
            raise StoreUnavailable(f"task {task_id} is being canceled, but the database does not answer")
        return True

    async def drain(self, grace: float) -> None:
        """Take no more work, give runs `grace` seconds to reach a stored step, hand all back, then end the streams."""
        self.stopping = True
        while self._deaf:
            self._deaf.pop()()
        if self._keeping:
            self._keeping[-1].cancel()
        tasks = {work.task for work in self._works() if work.task is not None}
        if tasks:
            if grace:
                log.info("waiting for running tasks", extra={"count": len(tasks), "grace_seconds": grace})
            await asyncio.wait(tasks, timeout=grace)
            for work in self._works():
                work.stop(Ending.RELEASE)
            _, stuck = await asyncio.wait(tasks, timeout=3 * RELEASE_SECONDS)
            for task in stuck:
                task.cancel()
        self.channels.close()

    def _spawn(self, work: Callable[[], Awaitable[None]]) -> "asyncio.Task[None]":
        """Not in the group: that costs each of them a callback, and none of them can fail."""
        task = asyncio.get_running_loop().create_task(self._contained(work))
        self._tasks.add(task)
        return task

    async def _contained(self, work: Callable[[], Awaitable[None]]) -> None:
        """One piece of work; a defect in it ends no other. What it leaves behind is found and taken up again."""
        try:
            await work()
        except Exception:
            log.exception("work ended in a way that nobody had foreseen")
        finally:
            self._tasks.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    def _works(self) -> tuple[Work, ...]:
        return (*self._runs.values(), *self._jobs.values())

    def _free(self) -> int:
        return self._settings.workers - self.running - self._claims.reserved

    def _spare(self) -> int:
        """How many more jobs other than runs may be begun: they get half of the places, and at least one."""
        return self._later - len(self._jobs)

    def _lost(self) -> None:
        for work in self._works():
            work.stop(Ending.LOSE)

    def _heard_stop(self, task_id: str) -> None:
        self.follower.nudge(task_id)
        self._stopping.heard(task_id)

    # Messages that this process accepts.

    async def _accept(
        self, work: Work, offer: Accept, lease: AppLease, answer: "asyncio.Future[Begun]", *, patient: bool
    ) -> None:
        try:
            accepted = await self._store_message(work, offer)
            points.reach("store.accepted")
            run = work.run = self._making.fresh(accepted, offer, lease.app) if work.claim else None
            begun = Begun(accepted.task, offer.event.invocation_id, run)
            if run is not None and patient:
                run.on_over = partial(_tell, answer, begun)
            else:
                _tell(answer, begun)
            if run is not None:
                self._stopping.heed(work)
                invocation, only = offer.event.invocation_id, offer.max_attempts <= 1
                request = Request(lease.app, offer.agent, invocation, offer.stream, accepted.session, only)
                tries = Tries(1, offer.max_attempts)
                await self._conductor.conduct(work, run, tries, lambda: perform(run, request, self._store, self._clock))
        except Exception as error:
            if answer.done():
                log.exception("accepted work ended in a way that nobody had foreseen", extra={"task": offer.task_id})
            else:
                answer.set_exception(error)
        finally:
            answer.cancel()
            self._forget(work, offer.task_id)
            lease.release()
            await self._limits.leave(offer.task_id)

    async def _store_message(self, work: Work, offer: Accept) -> Accepted:
        await self._claims.gate.enter()
        try:
            accepted = await self._store.tasks.accept(offer)
            work.lane = accepted.lane
            work.claim = accepted.claim if accepted.claim.fence else None
        except StoreUnavailable:
            self._claims.suspect()
            raise
        finally:
            self._claims.gate.leave()
        if metrics.current is not None:
            metrics.current.accepted(offer.caller.app, offer.agent, accepted.session is not None, accepted.claim.fence)
        return accepted

    # Jobs that this process has claimed.

    def _take_up(self, job: Job) -> None:
        work = Work(job.lane or "", job.claim)
        if job.kind != RUN:
            self._jobs[job.claim.key] = work
            work.task = self._spawn(lambda: self._handle(work, job))
            return
        before = self._runs.get(job.subject)
        self._runs[job.subject] = work
        work.task = self._spawn(lambda: self._resuming.go_on(work, job, before))

    @cached_property
    def _resuming(self) -> "Resuming":
        from hector.tasks.resuming import Resuming  # noqa: PLC0415 - loaded for the first run that had to wait

        making, conductor = self._making, self._conductor
        return Resuming(self._apps, self._store, self._clock, self._limits, making, conductor, self._forget)

    async def _handle(self, work: Work, job: Job) -> None:
        try:
            lease = await lent(self._apps, self._store, self._clock, job)
            if lease is not None:
                lease.release()
                await self._handling.handle(work, job)
        finally:
            if self._jobs.get(job.claim.key) is work:  # else it was claimed anew meanwhile
                del self._jobs[job.claim.key]
            self._claims.ended(work.lane)

    def _forget(self, work: Work, task_id: str) -> None:
        """The work is over here, whatever became of the task."""
        if self._runs.get(task_id) is work:
            del self._runs[task_id]
            self.channels.release(task_id)
            if work.run is not None and not work.run.live.status.state.terminal:
                self.follow(work.run.caller, work.run.live.snapshot(0))
        self._claims.ended(work.lane)


def _tell(answer: "asyncio.Future[Begun]", begun: Begun) -> None:
    """Unless whoever waited for it has gone."""
    if not answer.done():
        answer.set_result(begun)
