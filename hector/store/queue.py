"""The queue as operators see it: how much there is, what was given up, and what is to become of that."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from hector.core.clock import Clock, SystemClock, milliseconds
from hector.core.errors import InvalidRequest
from hector.core.job import READY, JobState
from hector.core.record import dataclass
from hector.core.task import Caller, TaskState
from hector.store.database import Connection, Database, Work
from hector.store.job_rows import JobRecord, record_from_row
from hector.store.jobs import Jobs
from hector.store.queries import load

Reopened: TypeAlias = Callable[[Connection, Caller, str], Awaitable[None]]
"""Told of a task by its caller and id, in the transaction that gives it another chance."""


@dataclass(frozen=True, slots=True)
class JobStatistics:
    """Jobs by state. `oldest_pending`: since when (epoch) the oldest could have been claimed; means are in seconds.

    `timers` end something when their time comes, such as approvals that expire; they are not among the pending.
    """

    pending: int
    processing: int
    completed: int
    failed: int
    dead: int
    canceled: int
    timers: int
    oldest_pending: float | None
    mean_wait: float | None
    mean_run: float | None


@dataclass(frozen=True, slots=True)
class Depth:
    """How many jobs of an app are pending, processing, dead, or timers."""

    app: str
    status: str
    count: int


class Queue:
    """The repository. Every public method is one unit of work. `reopened` is told of failed tasks that work again."""

    def __init__(self, database: Database, jobs: Jobs, reopened: Reopened, clock: Clock | None = None) -> None:
        self._database = database
        self._jobs = jobs
        self._reopened = reopened
        self._clock = clock or SystemClock()
        self._sql = load("queue", database.dialect)
        self._sharing = "lock_task" in self._sql  # other processes work with it, too

    def statistics(self, app: str | None = None) -> Awaitable[JobStatistics]:
        """Counts and times of all jobs that are still remembered: of one app, or of all."""
        return self._database.read(lambda con: self._statistics(con, app))

    def depths(self, app: str | None = None) -> Awaitable[tuple[Depth, ...]]:
        """How many jobs are in the queue, or were given up, by app: of one app, or of all."""

        async def unit(con: Connection) -> tuple[Depth, ...]:
            rows = await con.all(self._sql["depths"], (app, milliseconds(self._clock.now())))
            return tuple(Depth(str(name), str(status), int(count)) for name, status, count in rows)

        return self._database.read(unit)

    def dead(
        self, *, before: int | None = None, limit: int = 50, app: str | None = None
    ) -> Awaitable[tuple[JobRecord, ...]]:
        """Dead letters, the newest first, of one app or of all; `before` is the key that the last page ended with."""
        args = ((1 << 62) if before is None else before, app, limit)

        async def unit(con: Connection) -> tuple[JobRecord, ...]:
            return tuple(record_from_row(row) for row in await con.all(self._sql["dead"], args))

        return self._database.read(unit)

    def requeue(self, key: int, aside: Work[None] | None = None) -> Awaitable[None]:
        """Give a dead letter a new round of attempts; a task works again. Raises NotFound, InvalidRequest.

        `aside` is written in the same transaction, as is that of `drop`.
        """
        return self._database.write(self._change(key, self._requeue, aside))

    def drop(self, key: int, aside: Work[None] | None = None) -> Awaitable[None]:
        """Give a dead letter up. Raises NotFound, InvalidRequest."""
        return self._database.write(self._change(key, self._drop, aside))

    def _change(
        self, key: int, change: Callable[[Connection, JobRecord], Awaitable[None]], aside: Work[None] | None
    ) -> Work[None]:
        """What is done to a dead letter, once: the fence it then has tells whether an earlier run was committed."""
        after: list[int] = []

        async def work(con: Connection) -> None:
            job = await self._jobs.find(con, key)
            if self._sharing:
                await con.one(self._sql["lock_task"], (job.subject, job.caller.app, job.caller.user))
                await con.all(self._sql["lock_lane"], (key,))
            fence, state = await con.one(self._sql["lock"], (key,)) or (0, JobState.CANCELED)
            if con.again and after and fence >= after[-1]:
                return
            if state != JobState.DEAD:
                raise InvalidRequest(f"job {key} is no dead letter: it is {state}")
            after.append(fence + 1)
            await change(con, job)
            if aside is not None:
                await aside(con)

        return work

    async def _statistics(self, con: Connection, app: str | None) -> JobStatistics:
        counts = await con.all(self._sql["counts"], (app, milliseconds(self._clock.now())))
        found = {state: (count, since) for state, count, since in counts}
        wait, ran = await con.one(self._sql["means"], (app,)) or (None, None)
        count = {state: found.get(state.value, (0, None))[0] for state in JobState}
        since = found.get(JobState.READY.value, (0, None))[1]
        return JobStatistics(
            count[JobState.READY],
            count[JobState.RUNNING],
            count[JobState.DONE],
            count[JobState.FAILED],
            count[JobState.DEAD],
            count[JobState.CANCELED],
            found.get("timer", (0, None))[0],
            None if since is None else since / 1000,
            None if wait is None else float(wait) / 1000,
            None if ran is None else float(ran) / 1000,
        )

    async def _requeue(self, con: Connection, job: JobRecord) -> None:
        now = milliseconds(self._clock.now())
        await con.execute(self._sql["requeue"], (job.key,))
        if job.kind == "run":
            args = (TaskState.WORKING.value, now, job.subject, job.caller.app, job.caller.user)
            if await con.execute(self._sql["reopen"], args):
                await self._reopened(con, job.caller, job.subject)
        await con.notify(READY)

    async def _drop(self, con: Connection, job: JobRecord) -> None:
        await con.execute(self._sql["drop"], (milliseconds(self._clock.now()), job.key))
