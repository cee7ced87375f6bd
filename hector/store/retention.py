"""Retention: what nobody has used for long goes away by itself, a little at a time, and the log says what went.

Nothing that runs or waits for a person is ever removed. A session goes with everything that belongs to it. The space
becomes free inside the database and is used again.
"""

import logging
import random
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from hector.core.clock import Clock, milliseconds
from hector.core.errors import StoreError
from hector.core.record import dataclass
from hector.store.database import Connection, Database, Row, Work
from hector.store.deletion import BATCH, Deletion, Found, Gentle, batches
from hector.store.figures import FigureSource
from hector.store.queries import load

T = TypeVar("T")

log = logging.getLogger("hector.store")

ROUND: Final = 3600.0
"""Seconds between two rounds."""
FIRST: Final = 60.0
"""Seconds after the start, so that it does not stand in the way of the first requests."""
_PAGE: Final = 200
_END: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Policy:
    """How long things are kept, in seconds; 0 means for ever.

    `sessions` counts from the last use of a conversation, `jobs` from the end of a job, `dead_letters` from when a job
    was given up.
    """

    sessions: float
    jobs: float
    dead_letters: float


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """The moments before which things go, in milliseconds since the epoch; None where nothing goes."""

    sessions: int | None
    jobs: int | None
    dead_letters: int | None


@dataclass(frozen=True, slots=True)
class Removal:
    """What goes, or went; `events` are those of the sessions."""

    sessions: int = 0
    events: int = 0
    jobs: int = 0
    dead_letters: int = 0

    def __bool__(self) -> bool:
        return bool(self.sessions or self.jobs or self.dead_letters)

    def as_json(self) -> dict[str, int]:
        """By name."""
        return {
            "sessions": self.sessions,
            "events": self.events,
            "jobs": self.jobs,
            "dead_letters": self.dead_letters,
        }


def cutoffs(policy: Policy, now: float) -> Cutoffs:
    """What the policy means at a moment."""

    def before(kept: float) -> int | None:
        return milliseconds(now - kept) if kept > 0 else None

    return Cutoffs(before(policy.sessions), before(policy.jobs), before(policy.dead_letters))


class Retention:
    """Carries a policy out. May run in several processes at once: each transaction looks again before it deletes."""

    def __init__(self, database: Database, clock: Clock, policy: Policy) -> None:
        self._database = database
        self._clock = clock
        self._policy = policy
        self._gently = Gentle(database, clock)
        self._deletion = Deletion(database)
        self._sql = load("retention", database.dialect)

    async def run(self) -> None:
        """One round an hour until cancelled, which also notes how large the database is."""
        pause = FIRST
        while True:
            await self._clock.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - spreads processes, guards nothing
            await self._round()
            pause = ROUND

    async def due(self) -> Removal:
        """What would go now."""
        limits = cutoffs(self._policy, self._clock.now())
        return await self._database.read(lambda con: self._count(con, limits))

    async def sweep(self, advance: Callable[[int], None] = lambda _: None) -> Removal:
        """Remove all that is due; `advance` is told of each batch how many sessions, jobs or dead letters went."""
        limits = cutoffs(self._policy, self._clock.now())
        left = await self._deletion.finish_detached(self._gently)
        sessions, events, jobs, dead = len(left), sum(session.events for session in left), 0, 0
        if limits.sessions is not None:
            idle, said = await self._sweep_sessions(limits.sessions, advance)
            sessions, events = sessions + idle, events + said
        if limits.jobs is not None:
            jobs = await self._sweep_jobs("ended_jobs", limits.jobs, advance)
        if limits.dead_letters is not None:
            dead = await self._sweep_jobs("dead_letters", limits.dead_letters, advance)
        return Removal(sessions, events, jobs, dead)

    async def _round(self) -> None:
        try:
            await FigureSource(self._database).note_size(self._clock.now())
            gone = await self.sweep()
            await self._forget()
        except StoreError as error:
            log.warning("retention could not finish its round: %s", error)
            return
        except Exception:
            log.exception("retention could not finish its round")  # a defect here must not take the server down
            return
        if gone:
            log.info("removed by storage.retention", extra=gone.as_json())

    async def _forget(self) -> None:
        from hector.store.memories import Memories  # noqa: PLC0415 - not before the first round
        from hector.store.sessions import Sessions  # noqa: PLC0415 - likewise

        memories = Memories(self._database, Sessions(self._database, self._deletion))
        await memories.forget_expired(self._clock.now())

    async def _count(self, con: Connection, limits: Cutoffs) -> Removal:
        sessions = events = jobs = dead = 0
        if limits.sessions is not None:
            sessions, events = await _row(con, self._sql["count_idle"], limits.sessions)
        if limits.jobs is not None:
            end = await self._end(con, limits.jobs)
            (jobs,) = await _row(con, self._sql["count_ended_jobs"], end, limits.jobs)
        if limits.dead_letters is not None:
            (dead,) = await _row(con, self._sql["count_dead_letters"], limits.dead_letters)
        return Removal(sessions, int(events), jobs, dead)

    async def _sweep_sessions(self, before: int, advance: Callable[[int], None]) -> tuple[int, int]:
        after = sessions = events = 0
        while found := await self._database.read(self._idle(after, _END, before)):
            for batch in batches(found):
                gone = await self._gently(self._remove(batch, before))
                for session in gone:
                    if session.events > BATCH:
                        await self._deletion.finish(session, self._gently)
                sessions, events = sessions + len(gone), events + sum(session.events for session in gone)
                advance(len(gone))
            after = found[-1].key
        return sessions, events

    async def _sweep_jobs(self, kind: str, before: int, advance: Callable[[int], None]) -> int:
        after = removed = 0
        while keys := await self._database.read(self._page(kind, after, before)):
            gone = await self._gently(self._delete(f"delete_{kind}", keys[0], keys[-1], before))
            removed += gone
            advance(gone)
            after = keys[-1]
        return removed

    def _idle(self, after: int, last: int, before: int) -> Work[list[Found]]:
        async def work(con: Connection) -> list[Found]:
            return [Found(*row) for row in await con.all(self._sql["idle"], (after, last, before, _PAGE))]

        return work

    def _page(self, kind: str, after: int, before: int) -> Work[list[int]]:
        async def work(con: Connection) -> list[int]:
            end = () if kind == "dead_letters" else (await self._end(con, before),)
            return [key for (key,) in await con.all(self._sql[kind], (after, *end, before, BATCH))]

        return work

    def _remove(self, batch: Sequence[Found], before: int) -> Work[list[Found]]:
        """Remove small sessions whole; take large ones away from everybody. The answer: which were still idle."""

        async def work(con: Connection) -> list[Found]:
            gone = [found for key, _ in batch for found in await self._idle(key - 1, key, before)(con)]
            for session in gone:
                await self._deletion.take(con, session)
            return gone

        return work

    def _delete(self, statement: str, *args: int) -> Work[int]:
        return lambda con: con.execute(self._sql[statement], args)

    async def _end(self, con: Connection, before: int) -> int:
        """The first job that is too young to go, whatever became of it."""
        found = await con.one(self._sql["first_job_since"], (before,))
        return found[0] if found else _END


async def _row(con: Connection, sql: str, *args: int) -> Row:
    found = await con.one(sql, args)
    return found or (0, 0)
