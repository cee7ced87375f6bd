"""Jobs: added with the change that asks for them, claimed by one process at a time, ended once.

A write under a claim names the claim's fence in the statement itself, so that a process whose job was taken over can
change nothing any more.
"""

from collections.abc import Awaitable, Collection, Sequence
from typing import Any, Final

from hector.core.clock import Clock, SystemClock, milliseconds
from hector.core.errors import LeaseLost, NotFound, StoreUnavailable
from hector.core.job import READY, STOP, Claim, Job, JobState, NewJob
from hector.core.task import Caller
from hector.store.codec import dumps
from hector.store.database import Connection, Database, Row
from hector.store.job_rows import JobRecord, last_history, longer_history, payload_from_text, record_from_row
from hector.store.queries import load

LOWEST: Final = -(1 << 31)
"""A priority below all that are in use."""
LEFT: Final = "its end could not be stored"
"""Why a job is taken back that its process had claimed and no longer works on."""
FIRST: Final = 1
"""The fence of a job that was claimed when it was added, and of one that nobody has claimed yet. Claims raise it."""


class Jobs:
    """The repository. Every public method without a connection is one unit of work."""

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()
        self._sql = load("jobs", database.dialect)

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

    def orphans(self, instance: str, known: Collection[int], *, blamed: bool = False) -> Awaitable[int]:
        """Free those jobs of a process that it does not know of; how many.

        After an answer that got lost nothing of them was begun; otherwise, `blamed`, the attempt counts.
        """
        return self._database.write(lambda con: self.free(con, instance, frozenset(known), blamed=blamed))

    def holds(self, claim: Claim) -> Awaitable[bool]:
        """Whether a claim is still good."""

        async def unit(con: Connection) -> bool:
            found = await con.one(self._sql["standing"], (claim.key,))
            return found is not None and (found[0], found[2]) == (claim.fence, JobState.RUNNING.value)

        return self._database.read(unit)

    def get(self, key: int) -> Awaitable[JobRecord]:
        """One job. Raises NotFound."""
        return self._database.read(lambda con: self.find(con, key))

    # What a unit of work of another repository needs inside its own transaction.

    def now(self) -> int:
        """By the clock of the jobs, in ms."""
        return milliseconds(self._clock.now())

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
            *(str(JobState.RUNNING if taken else JobState.READY), job.priority, milliseconds(job.run_at)),
            None if job.deadline is None else milliseconds(job.deadline),
            *(int(taken), job.max_attempts, FIRST, owner, now, now if taken else None),
        )
        key = await con.insert(self._sql["insert"], values)
        if not taken:
            await con.notify(READY, job.lane or "")
        return Claim(key, FIRST if taken else 0)

    async def claim_of(self, con: Connection, lane: str, subject: str, owner: str | None) -> Claim:
        """The claim that `insert` gave before, as it stands: of fence 0 when it gave none, or it is void.

        One that this owner has claimed since then, as the job came up in the queue, is taken up from there.
        """
        found = await con.one(self._sql["live_of"], (lane, subject))
        if found is None:
            return Claim(0, 0)
        key, fence, holder = found
        return Claim(key, fence if fence == FIRST and holder is not None and holder == owner else 0)

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
            values = (number, str(end), cause, milliseconds(self._clock.now()))
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
        await con.execute(self._sql["blame"], (last_history(found, now, cause), claim.key))

    async def cancel_of(self, con: Connection, lane: str, subject: str) -> None:
        """Cancel what is live for a subject, and tell whoever works on it."""
        now = milliseconds(self._clock.now())
        if await con.execute(self._sql["cancel_of"], (now, lane, subject)):
            await con.notify(STOP, subject)
            await con.notify(READY)

    async def find(self, con: Connection, key: int) -> JobRecord:
        """One job. Raises NotFound."""
        found = await con.one(self._sql["get"], (key,))
        if found is None:
            raise NotFound("job", str(key))
        return record_from_row(found)

    async def free(self, con: Connection, instance: str, known: frozenset[int], *, blamed: bool = False) -> int:
        """What `orphans` does."""
        rows = [row for row in await con.all(self._sql["running_of"], (instance,)) if row[0] not in known]
        if rows and not blamed:
            await self._release(con, [Claim(*row) for row in rows])
        for place in rows if blamed else ():
            found = await con.one(self._sql["attempt"], place)
            if found is not None:
                await self.take_back(con, Claim(*place), found, milliseconds(self._clock.now()), LEFT)
        if rows and blamed:
            await con.notify(READY)
        return len(rows)

    async def take_back(self, con: Connection, claim: Claim, found: Sequence[Any], now: int, cause: str) -> None:
        """Void a claim, and have the job claimed anew. `found` begins with attempts, owner, history; `now` in ms."""
        await con.execute(self._sql["take_back"], (cause, longer_history(found, now, cause), claim.key, claim.fence))

    async def _claim(self, con: Connection, owner: str, limit: int, now: int, least: int) -> list[Job]:
        if con.again:
            raise StoreUnavailable("the connection broke before it was known which jobs were claimed")
        rows = await con.all(self._sql["claimable"], (now, least, limit))
        taken = await self._take(con, owner, now, [row[0] for row in rows]) if rows else ()
        return [_job(row) for row in rows if row[0] in taken]

    async def _take(self, con: Connection, owner: str, now: int, keys: Sequence[int]) -> Collection[int]:
        """Those that may still be claimed: what a dead letter that is given another chance comes before may not."""
        if "take_first" not in self._sql:  # nobody else claims from this database
            await con.many(self._sql["take"], [(owner, now, key) for key in keys])
            return keys
        return {key for (key,) in await con.all(self._sql["take_first"], (owner, now, keys))}

    async def _finish(self, con: Connection, claim: Claim, state: JobState, cause: str | None) -> None:
        found = await con.one(self._sql["attempt"], (claim.key, claim.fence))
        if found is None or found[3] != JobState.RUNNING:
            raise _lost(claim)
        now, place = milliseconds(self._clock.now()), (claim.key, claim.fence)
        if state is JobState.DEAD:
            ended = await con.execute(self._sql["bury"], (cause, now, last_history(found, now, cause or ""), *place))
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
        history = longer_history(found, milliseconds(self._clock.now()), cause)
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
        payload_from_text(payload),
        attempts + 1,
        most,
        created / 1000,
        None if deadline is None else deadline / 1000,
        cause,
    )
