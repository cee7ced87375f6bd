"""Purge: everything that belongs to an app goes, a little at a time, beside whoever works with the database."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from hector.core.clock import Clock, SystemClock
from hector.core.job import STOP, JobState
from hector.store.database import Connection, Database, Row, Work
from hector.store.deletion import BATCH, Deletion, Found, Gentle, batches
from hector.store.queries import load
from hector.store.scopes import args_of_app, of_app

_WINDOW: Final = 5_000
"""Jobs that are looked at for those of one app at once; only the reader is busy with it."""


class Purge:
    """Removes apps. May be begun again at any time, after a crash or elsewhere: it goes on with what is left."""

    def __init__(self, database: Database, deletion: Deletion, clock: Clock | None = None) -> None:
        self._database = database
        self._deletion = deletion
        self._gently = Gentle(database, clock or SystemClock())
        self._sql = load("deletion", database.dialect)
        self._of_app = of_app(database.dialect)

    async def app(self, app: str, advance: Callable[[int], None] = lambda _: None) -> int:
        """Remove all rows of an app but its own and its configurations, which `AppConfigs.remove` does; how many.

        Nothing may be accepted for it any more. Runs under way are told to stop. `advance` is told of each transaction
        how many rows went, at most about BATCH and what lies around the events of one session.
        """
        total = 0
        await self._deletion.finish_detached(self._gently)
        while gone := await self._round(app, advance):  # what was under way may have written until it was stopped
            total += gone
        return total

    async def _round(self, app: str, advance: Callable[[int], None]) -> int:
        gone = await self._jobs(app, advance)
        gone += await self._sessions(app, advance)
        return gone + await self._rest(app, advance)

    async def _jobs(self, app: str, advance: Callable[[int], None]) -> int:
        after = gone = 0
        while (last := await self._database.read(self._window(after))) is not None:
            rows = await self._database.read(self._jobs_of(app, after, last))
            for start in range(0, len(rows), BATCH):
                count = await self._gently(self._delete_jobs(rows[start : start + BATCH]))
                advance(count)
                gone += count
            after = last
        return gone

    def _window(self, after: int) -> Work[int | None]:
        async def work(con: Connection) -> int | None:
            found = await con.one(self._sql["window"], (after, _WINDOW))
            return found[0] if found else None

        return work

    def _jobs_of(self, app: str, after: int, last: int) -> Work[list[Row]]:
        return lambda con: con.all(self._sql["jobs"], (after, last, app))

    def _delete_jobs(self, rows: list[Row]) -> Work[int]:
        async def work(con: Connection) -> int:
            await con.many(self._sql["delete_job"], [(key,) for key, _, _ in rows])
            for _, subject, state in rows:
                if state == JobState.RUNNING:
                    await con.notify(STOP, subject)
            return len(rows)

        return work

    async def _sessions(self, app: str, advance: Callable[[int], None]) -> int:
        async def counted(work: Work[int]) -> int:
            count = await self._gently(work)
            advance(count)
            return count

        gone = 0
        while found := await self._database.read(self._sessions_of(app)):
            for batch in batches(found):
                for session in await self._gently(self._take(batch)):
                    if session.events > BATCH:
                        await self._deletion.finish(session, counted)
                    else:
                        advance(session.events)
            gone += len(found)
        return gone

    def _sessions_of(self, app: str) -> Work[list[Found]]:
        async def work(con: Connection) -> list[Found]:
            return [Found(*row) for row in await con.all(self._sql["sessions"], (app, BATCH))]

        return work

    def _take(self, batch: list[Found]) -> Work[list[Found]]:
        """Remove small sessions and detach large ones; the answer: those that were still there."""

        async def work(con: Connection) -> list[Found]:
            rows = [await con.one(self._sql["lock"], (session.key,)) for session in batch]
            there = [Found(*row) for row in rows if row is not None]
            for session in there:
                await self._deletion.take(con, session)
            return there

        return work

    async def _rest(self, app: str, advance: Callable[[int], None]) -> int:
        places = args_of_app(app)
        gone = 0
        for sql, names in self._of_app:
            args = (*(places[name] for name in names), BATCH)
            while count := await self._gently(_execute(sql, args)):
                advance(count)
                gone += count
        return gone


def _execute(sql: str, args: Sequence[Any]) -> Work[int]:
    return lambda con: con.execute(sql, args)
