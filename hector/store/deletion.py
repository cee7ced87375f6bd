"""Taking sessions away: whole where they are small, else hidden first and then a little at a time."""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final, NamedTuple, TypeVar

from hector.core.clock import Clock
from hector.store.database import Connection, Database, Work
from hector.store.keys import SEQ_BITS, bounds, lane_of
from hector.store.queries import load
from hector.store.scopes import of_session

T = TypeVar("T")

BATCH: Final = 500
"""Events, jobs or other rows that one transaction removes: a few milliseconds."""
_SHARE: Final = 4
"""How many times as long as a batch took the database is left to others."""
_PAUSE: Final = 0.01


class Found(NamedTuple):
    """A session that is to go: its key, and as many events as it may have."""

    key: int
    events: int


def batches(found: Sequence[Found], limit: int = BATCH) -> Iterator[list[Found]]:
    """Sessions that go in one transaction: at least one, and no more events than the limit unless it is just one."""
    batch: list[Found] = []
    events = 0
    for session in found:
        if batch and events + session.events > limit:
            yield batch
            batch, events = [], 0
        batch.append(session)
        events += session.events
    if batch:
        yield batch


class Gentle:
    """Writes, and leaves the database to others for a while after each write."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def __call__(self, work: Work[T]) -> T:
        """One unit of work."""
        began = time.monotonic()
        answer = await self._database.write(work)
        await self._clock.sleep(max(_PAUSE, _SHARE * (time.monotonic() - began)))
        return answer


class Deletion:
    """Removes sessions. What it does within a transaction needs the session to be locked there."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("deletion", database.dialect)
        self._around = of_session(database.dialect)

    async def take(self, con: Connection, session: Found) -> None:
        """Remove a small session; take a large one away from everybody, to be finished outside of the transaction."""
        await self.around(con, session.key)
        if session.events <= BATCH:
            await self.events(con, session.key)
        else:
            await con.execute(self._sql["detach"], (session.key,))

    async def around(self, con: Connection, session: int) -> None:
        """Remove everything of a session but its events and its own row."""
        first, end = bounds(session)
        place = {"session": session, "lane": lane_of(session), "first": first, "end": end}
        for sql, names in self._around:
            await con.execute(sql, [place[name] for name in names])

    async def events(self, con: Connection, session: int) -> None:
        """Remove the events of a session, and then the session."""
        await con.execute(self._sql["delete_events"], bounds(session))
        await con.execute(self._sql["delete_session"], (session,))

    async def finish(self, session: Found, write: Callable[[Work[int]], Awaitable[int]]) -> None:
        """Remove the events of a session in pieces, each by a call of `write`, and then the session."""
        start = session.key << SEQ_BITS
        for first in range(start, start + session.events, BATCH):
            await write(self._delete("delete_events", first, first + BATCH))
        await write(self._delete("delete_session", session.key))

    async def finish_detached(self, write: Callable[[Work[int]], Awaitable[int]]) -> list[Found]:
        """Go on with sessions whose removal was cut off; which."""
        gone: list[Found] = []
        while found := await self._database.read(self._detached):
            for session in found:
                await self.finish(session, write)
            gone += found
        return gone

    async def _detached(self, con: Connection) -> list[Found]:
        return [Found(*row) for row in await con.all(self._sql["detached"], (BATCH,))]

    def _delete(self, statement: str, *args: int) -> Work[int]:
        return lambda con: con.execute(self._sql[statement], args)
