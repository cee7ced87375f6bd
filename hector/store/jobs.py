"""Jobs: added with the change that asks for them, claimed by one process at a time, ended once.

A write under a claim names the claim's fence in the statement itself, so that a process whose job was taken over can
change nothing any more.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import asdict
from typing import Any, Final, TypeAlias

from hector.core.clock import Clock, SystemClock
from hector.core.content import JsonObject
from hector.core.errors import InvalidRequest, LeaseLost, NotFound, StoreUnavailable
from hector.core.job import CUT_OFF, DAMAGED, READY, STOP, Claim, Instance, Job, JobState, NewJob
from hector.core.record import dataclass
from hector.core.task import Caller, TaskState
from hector.store.codec import dumps, loads, milliseconds
from hector.store.database import Connection, Database, Row
from hector.store.queries import load

Reopened: TypeAlias = Callable[[Connection, Caller, str], Awaitable[None]]
"""Told of a task by its caller and id."""
LOWEST: Final = -(1 << 31)
"""A priority below all that are in use."""
LONGEST_HISTORY: Final = 20
"""Failed attempts of one job that are remembered."""
LEFT: Final = "its end could not be stored"
"""Why a job is taken back that its process had claimed and no longer works on."""
LONGEST_DAMAGE: Final = 200
"""Characters of a damaged payload that are shown."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that failed. `at`: seconds since the epoch."""

    number: int
    at: float
    owner: str
    cause: str


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as an operator sees it. Times in seconds since the epoch."""

    key: int
    kind: str
    caller: Caller
    subject: str
    payload: JsonObject
    state: JobState
    attempts: int
    max_attempts: int
    cause: str
    history: tuple[Attempt, ...]
    created: float
    ended: float | None


@dataclass(frozen=True, slots=True)
class JobStatistics:
    """Jobs by state. `oldest_pending`: since when (epoch) the oldest could have been claimed; means are in seconds."""

    pending: int
    processing: int
    completed: int
    failed: int
    dead: int
    canceled: int
    oldest_pending: float | None
    mean_wait: float | None
    mean_run: float | None


class Jobs:
    """The repository. Every public method without a connection is one unit of work."""

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()
        self._sql = load("jobs", database.dialect)
        self._tasks_sql = load("tasks", database.dialect)
        self._reopened: Reopened | None = None

    def on_reopen(self, reopened: Reopened) -> None:
        """Call this, in the transaction that gives a failed task another chance."""
        self._reopened = reopened

    def add(self, job: NewJob) -> Awaitable[int]:
        """Add a job for whoever is free; its key."""

        async def unit(con: Connection) -> int:
            return (await self.insert(con, job)).key

        return self._database.write(unit)

    def claim(self, owner: str, limit: int, now: float, least: int = LOWEST) -> Awaitable[list[Job]]:
        """Take up to `limit` due jobs, the most urgent first, then the oldest; of a lane only its first live one.

        `least` is the lowest priority that is taken. Raises StoreUnavailable also when the answer got lost on its way:
        what was taken then is among the `orphans`.
        """
        return self._database.write(lambda con: self._claim(con, owner, limit, milliseconds(now), least))

    def finish(self, claim: Claim, state: JobState = JobState.DONE, cause: str | None = None) -> Awaitable[None]:
        """End a job that is no run. The payload of one that is over is forgotten. Raises LeaseLost."""
        return self._database.write(lambda con: self._finish(con, claim, state, cause), ("job", claim.key))

    def retry(self, claim: Claim, run_at: float, cause: str) -> Awaitable[None]:
        """Give the job back, to be claimed again from `run_at` on. Raises LeaseLost."""
        return self._database.write(
            lambda con: self._retry(con, claim, milliseconds(run_at), cause), ("job", claim.key)
        )

    def release(self, claims: Sequence[Claim]) -> Awaitable[None]:
        """Hand jobs back as if they had not been claimed; those that are no longer ours are passed over."""
        return self._database.write(lambda con: self._release(con, claims))

    def hold(self, claim: Claim, run_at: float) -> Awaitable[None]:
        """Hand a job back as if it had not been claimed, and let it and all that waits of its app rest until `run_at`.

        For an app that nobody can work for now: its jobs must neither use their attempts up nor be claimed in vain.
        """
        return self._database.write(lambda con: self._hold(con, claim, milliseconds(run_at)))

    def next_due(self, least: int = LOWEST) -> Awaitable[float | None]:
        """When (epoch) the next job of at least this priority may be claimed; None while there is none."""
        return self._database.read(lambda con: self._next_due(con, least))

    def register(self, instance: Instance) -> Awaitable[None]:
        """Announce a serving process. It must be there before it claims anything."""
        return self._database.write(lambda con: self._register(con, instance))

    def beat(self, instance: str) -> Awaitable[bool]:
        """Renew the lease of all its jobs; False when it was declared dead meanwhile."""
        return self._database.write(lambda con: self._beat(con, instance))

    def leave(self, instance: str) -> Awaitable[None]:
        """Take leave. What was still claimed for it, and never reached it, goes back as if it had not been claimed."""

        async def unit(con: Connection) -> None:
            await self._orphans(con, instance, frozenset())
            await con.execute(self._sql["leave"], (instance,))

        return self._database.write(unit)

    def reap(self, instance: str, lease: float) -> Awaitable[int]:
        """Declare processes dead that were silent for `lease` seconds, and free their jobs; how many jobs."""
        return self._database.write(lambda con: self._reap(con, instance, milliseconds(lease)))

    def orphans(self, instance: str, known: Collection[int], *, blamed: bool = False) -> Awaitable[int]:
        """Free those jobs of a process that it does not know of; how many.

        After an answer that got lost nothing of them was begun; otherwise, `blamed`, the attempt counts.
        """
        return self._database.write(lambda con: self._orphans(con, instance, frozenset(known), blamed=blamed))

    def instances(self) -> Awaitable[tuple[Instance, ...]]:
        """All serving processes, the oldest first."""
        return self._database.read(self._instances)

    def statistics(self) -> Awaitable[JobStatistics]:
        """Counts and times of all jobs that are still remembered."""
        return self._database.read(self._statistics)

    def dead(self, *, before: int | None = None, limit: int = 50) -> Awaitable[tuple[JobRecord, ...]]:
        """Dead letters, the newest first; `before` is the key that the last page ended with."""
        args = ((1 << 62) if before is None else before, limit)

        async def unit(con: Connection) -> tuple[JobRecord, ...]:
            return tuple(_record(row) for row in await con.all(self._sql["dead"], args))

        return self._database.read(unit)

    def get(self, key: int) -> Awaitable[JobRecord]:
        """One job. Raises NotFound."""
        return self._database.read(lambda con: self._get(con, key))

    def requeue(self, key: int) -> Awaitable[None]:
        """Give a dead letter a new round of attempts; a task works again. Raises NotFound, InvalidRequest."""
        return self._database.write(lambda con: self._requeue(con, key))

    def drop(self, key: int) -> Awaitable[None]:
        """Give a dead letter up. Raises NotFound, InvalidRequest."""
        return self._database.write(lambda con: self._drop(con, key))

    # What a unit of work of another repository needs inside its own transaction.

    async def insert(self, con: Connection, job: NewJob, owner: str | None = None, *, free: bool = False) -> Claim:
        """Add a job. With an owner it is claimed at once, unless its lane is busy: then the claim's fence is 0.

        `free`: the lane is new, so that nobody need look.
        """
        now = milliseconds(self._clock.now())
        if owner is not None and job.lane is not None and not free and await con.one(self._sql["busy"], (job.lane,)):
            owner = None
        taken = owner is not None
        values = (
            *(job.kind, job.caller.app, job.caller.user, job.lane, job.subject, dumps(job.payload)),
            *(JobState.RUNNING.value if taken else JobState.READY.value, job.priority, milliseconds(job.run_at)),
            None if job.deadline is None else milliseconds(job.deadline),
            *(int(taken), job.max_attempts, int(taken), owner, now, now if taken else None),
        )
        key = await con.insert(self._sql["insert"], values)
        if not taken:
            await con.notify(READY, job.lane or "")
        return Claim(key, int(taken))

    async def claim_of(self, con: Connection, lane: str, subject: str, owner: str | None) -> Claim:
        """The claim that `insert` gave before, as it stands: of fence 0 when the job is not this owner's."""
        found = await con.one(self._sql["live_of"], (lane, subject))
        if found is None:
            return Claim(0, 0)
        key, fence, holder = found
        return Claim(key, fence if holder is not None and holder == owner else 0)

    async def step(
        self, con: Connection, claim: Claim, number: int, end: JobState | None = None, cause: str | None = None
    ) -> bool:
        """Note the `number`th write (from 1) under a claim, perhaps the last; False: it had been committed before.

        Raises LeaseLost, having changed nothing.
        """
        place = (claim.key, claim.fence, number - 1)
        if end is None:
            changed = await con.execute(self._sql["step"], (number, *place))
        else:
            values = (number, end.value, cause, milliseconds(self._clock.now()))
            changed = await con.execute(self._sql["end"], (*values, *place))
        if changed:
            if end is JobState.DEAD:
                await self._blame(con, claim, cause or "")
            return True
        found = await con.one(self._sql["standing"], (claim.key,))
        if found is not None and found[:2] == (claim.fence, number) and found[2] == (end or JobState.RUNNING).value:
            return False
        raise _lost(claim)

    async def _blame(self, con: Connection, claim: Claim, cause: str) -> None:
        found = await con.one(self._sql["attempt"], (claim.key, claim.fence))
        assert found is not None  # noqa: S101 - the same transaction has just changed it
        now = milliseconds(self._clock.now())
        await con.execute(self._sql["blame"], (_blamed(found, now, cause), claim.key))

    async def cancel_of(self, con: Connection, lane: str, subject: str) -> None:
        """Cancel what is live for a subject, and tell whoever works on it."""
        now = milliseconds(self._clock.now())
        if await con.execute(self._sql["cancel_of"], (now, lane, subject)):
            await con.notify(STOP, subject)
            await con.notify(READY)

    async def delete_of(self, con: Connection, lane: str, tasks: tuple[int, int]) -> None:
        """Delete the live jobs of a lane and the dead letters of a range of task keys."""
        await con.execute(self._sql["delete_lane"], (lane,))
        await con.execute(self._sql["delete_dead"], tasks)

    async def _claim(self, con: Connection, owner: str, limit: int, now: int, least: int) -> list[Job]:
        if con.again:
            raise StoreUnavailable("the connection broke before it was known which jobs were claimed")
        rows = await con.all(self._sql["claimable"], (now, least, limit))
        if rows:
            await con.many(self._sql["take"], [(owner, now, row[0]) for row in rows])
        return [_job(row) for row in rows]

    async def _finish(self, con: Connection, claim: Claim, state: JobState, cause: str | None) -> None:
        found = await con.one(self._sql["attempt"], (claim.key, claim.fence))
        if found is None or found[3] != JobState.RUNNING:
            raise _lost(claim)
        now, place = milliseconds(self._clock.now()), (claim.key, claim.fence)
        if state is JobState.DEAD:
            ended = await con.execute(self._sql["bury"], (cause, now, _blamed(found, now, cause or ""), *place))
        else:
            ended = await con.execute(self._sql["finish"], (state.value, cause, now, *place))
        if not ended:
            raise _lost(claim)
        if found[4] is not None:  # somebody may have waited for it
            await con.notify(READY)

    async def _retry(self, con: Connection, claim: Claim, run_at: int, cause: str) -> None:
        found = await con.one(self._sql["attempt"], (claim.key, claim.fence))
        if found is None or found[3] != JobState.RUNNING:
            raise _lost(claim)
        history = _blamed(found, milliseconds(self._clock.now()), cause)
        if not await con.execute(self._sql["retry"], (run_at, cause, history, claim.key, claim.fence)):
            raise _lost(claim)
        await con.notify(READY)

    async def _release(self, con: Connection, claims: Sequence[Claim]) -> None:
        await con.many(self._sql["release"], [(claim.key, claim.fence) for claim in claims])
        await con.notify(READY)

    async def _hold(self, con: Connection, claim: Claim, run_at: int) -> None:
        await con.execute(self._sql["release"], (claim.key, claim.fence))
        await con.execute(self._sql["hold"], (run_at, claim.key, run_at))

    async def _next_due(self, con: Connection, least: int) -> float | None:
        found = await con.one(self._sql["next_due"], (least,))
        return None if found is None else found[0] / 1000

    async def _now(self, con: Connection) -> int:
        """The clock of the leases, in milliseconds: the database's own where several machines share it."""
        args = (milliseconds(self._clock.now()),) if "?" in self._sql["now"] else ()
        found = await con.one(self._sql["now"], args)
        assert found is not None  # noqa: S101 - a query of constants has a row
        now: int = found[0]
        return now

    async def _register(self, con: Connection, instance: Instance) -> None:
        now = await self._now(con)
        values = (instance.id, instance.host, instance.pid, instance.version, milliseconds(instance.started), now)
        await con.execute(self._sql["register"], values)

    async def _beat(self, con: Connection, instance: str) -> bool:
        return await con.execute(self._sql["beat"], (await self._now(con), instance)) > 0

    async def _reap(self, con: Connection, instance: str, lease: int) -> int:
        now = await self._now(con)
        silent = await con.all(self._sql["silent"], (now - lease, instance))
        names = {name: f"{host}, pid {pid}" for name, host, pid in silent}
        if names:
            await con.many(self._sql["leave"], [(name,) for name in names])
        rows = await con.all(self._sql["running_of_nobody"])
        for key, fence, subject, attempts, owner, history in rows:
            cause = f"{CUT_OFF} ({names.get(owner, owner)}) stopped answering"
            blamed = _blamed((attempts, owner, history), now, cause)
            await con.execute(self._sql["take_back"], (cause, blamed, key, fence))
            await con.notify(STOP, subject)
        if rows:
            await con.notify(READY)
        return len(rows)

    async def _orphans(self, con: Connection, instance: str, known: frozenset[int], *, blamed: bool = False) -> int:
        rows = [row for row in await con.all(self._sql["running_of"], (instance,)) if row[0] not in known]
        if rows and not blamed:
            await self._release(con, [Claim(*row) for row in rows])
        for place in rows if blamed else ():
            found = await con.one(self._sql["attempt"], place)
            if found is not None:
                history = _blamed(found, milliseconds(self._clock.now()), LEFT)
                await con.execute(self._sql["take_back"], (LEFT, history, *place))
        if rows and blamed:
            await con.notify(READY)
        return len(rows)

    async def _instances(self, con: Connection) -> tuple[Instance, ...]:
        rows = await con.all(self._sql["instances"])
        return tuple(
            Instance(name, host, pid, version, started / 1000, seen / 1000)
            for name, host, pid, version, started, seen in rows
        )

    async def _statistics(self, con: Connection) -> JobStatistics:
        found = {state: (count, since) for state, count, since in await con.all(self._sql["counts"])}
        wait, ran = await con.one(self._sql["means"]) or (None, None)
        count = {state: found.get(state.value, (0, None))[0] for state in JobState}
        since = found.get(JobState.READY.value, (0, None))[1]
        return JobStatistics(
            count[JobState.READY],
            count[JobState.RUNNING],
            count[JobState.DONE],
            count[JobState.FAILED],
            count[JobState.DEAD],
            count[JobState.CANCELED],
            None if since is None else since / 1000,
            None if wait is None else float(wait) / 1000,
            None if ran is None else float(ran) / 1000,
        )

    async def _get(self, con: Connection, key: int) -> JobRecord:
        found = await con.one(self._sql["get"], (key,))
        if found is None:
            raise NotFound("job", str(key))
        return _record(found)

    async def _dead_letter(self, con: Connection, key: int) -> JobRecord:
        found = await self._get(con, key)
        if found.state is not JobState.DEAD:
            raise InvalidRequest(f"job {key} is no dead letter: it is {found.state}")
        return found

    async def _requeue(self, con: Connection, key: int) -> None:
        job = await self._dead_letter(con, key)
        now = milliseconds(self._clock.now())
        await con.execute(self._sql["requeue"], (key,))
        if job.kind == "run":
            args = (TaskState.WORKING.value, now, job.subject, job.caller.app, job.caller.user)
            if await con.execute(self._tasks_sql["reopen"], args) and self._reopened is not None:
                await self._reopened(con, job.caller, job.subject)
        await con.notify(READY)

    async def _drop(self, con: Connection, key: int) -> None:
        await self._dead_letter(con, key)
        await con.execute(self._sql["drop"], (milliseconds(self._clock.now()), key))


def _lost(claim: Claim) -> LeaseLost:
    return LeaseLost(f"job {claim.key} was taken over or ended elsewhere")


def _job(row: Row) -> Job:
    """From a row that was read just before it was taken."""
    key, fence, kind, app, user, lane, subject, payload, attempts, most, created, deadline, cause = row
    return Job(
        Claim(key, fence + 1),
        kind,
        Caller(app, user),
        lane,
        subject,
        _payload(payload),
        attempts + 1,
        most,
        created / 1000,
        None if deadline is None else deadline / 1000,
        cause,
    )


def _record(row: Row) -> JobRecord:
    key, kind, app, user, subject, payload, state, attempts, most, cause, history, created, ended = row
    return JobRecord(
        key,
        kind,
        Caller(app, user),
        subject,
        _payload(payload),
        JobState(state),
        attempts,
        most,
        cause or "",
        _attempts(history),
        created / 1000,
        None if ended is None else ended / 1000,
    )


def _payload(text: str) -> JsonObject:
    """What is damaged must neither hold up the queue nor hide from operators: it is told as `{DAMAGED: its text}`."""
    try:
        value = loads(text)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {DAMAGED: text[:LONGEST_DAMAGE]}


def _attempts(text: str | None) -> tuple[Attempt, ...]:
    try:
        return tuple(Attempt(**one) for one in loads(text or "[]"))
    except (ValueError, TypeError):
        return ()


def _blamed(found: Sequence[Any], now: int, cause: str) -> str:
    """The history with one more failed attempt. `found` begins with attempts, owner, history."""
    attempts, owner, history = found[:3]
    entry = {"number": attempts, "at": now / 1000, "owner": owner or "", "cause": cause}
    before = [asdict(one) for one in _attempts(history)]
    return dumps([*before, entry][-LONGEST_HISTORY:])
