"""Sessions as those see them who look after apps: of any user, with their events."""

from collections.abc import Awaitable
from typing import Final

from hector.core.errors import Conflict, InvalidRequest, NotFound, Violation
from hector.core.event import Event
from hector.core.record import dataclass
from hector.core.task import Caller
from hector.store.codec import event_from_row
from hector.store.database import Connection, Database, Row
from hector.store.keys import bounds
from hector.store.paging import check_size, decode_token, encode_token
from hector.store.queries import load

_END: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Conversation:
    """A session of somebody. `events` counts them; times in seconds since the epoch."""

    key: int
    caller: Caller
    id: str
    agent: str
    created: float
    updated: float
    events: int


class Inspection:
    """The repository. Every method is one unit of work that changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("inspection", database.dialect)

    def page(
        self, app: str | None, user: str | None, *, page_size: int = 50, page_token: str | None = None
    ) -> Awaitable[tuple[tuple[Conversation, ...], str]]:
        """The newest first, of one app or user or of all, and the token of the next page, empty on the last one.

        Raises InvalidRequest on a bad token or size.
        """
        check_size(page_size)
        after = decode_token(page_token, "page_token")
        args = (_END if after is None else after[1], app, user, page_size + 1)

        async def unit(con: Connection) -> tuple[tuple[Conversation, ...], str]:
            rows = await con.all(self._sql["page"], args)
            token = encode_token((0, rows[page_size - 1][0])) if len(rows) > page_size else ""
            return tuple(_conversation(row) for row in rows[:page_size]), token

        return self._database.read(unit)

    def find(self, session: str, app: str | None, user: str | None) -> Awaitable[Conversation]:
        """The one of this id. Raises NotFound, and Conflict where several users have one and `user` names none."""

        async def unit(con: Connection) -> Conversation:
            rows = await self._named(con, session, app, user)
            if not rows:
                raise NotFound("session", session)
            if len(rows) > 1:
                raise Conflict(f"several users have a session {session!r}: say whose is meant with app_id and user_id")
            return _conversation(rows[0])

        return self._database.read(unit)

    def events(self, session: int, *, after: str | None = None, limit: int = 100) -> Awaitable[tuple[Event, ...]]:
        """The events of the session of this key in their order, behind one of them. Raises InvalidRequest."""

        async def unit(con: Connection) -> tuple[Event, ...]:
            first, end = bounds(session)
            behind = first - 1
            if after is not None:
                found = await con.one(self._sql["place"], (first, end, after))
                if found is None:
                    raise InvalidRequest(
                        f"after_event_id: the session has no event {after!r}",
                        [Violation("after_event_id", "must be the id of an event of this session")],
                    )
                behind = found[0]
            return tuple(event_from_row(row) for row in await con.all(self._sql["events"], (behind, end, limit)))

        return self._database.read(unit)

    def unfinished(self, session: int) -> Awaitable[tuple[str, ...]]:
        """The ids of its tasks that may still go on."""

        async def unit(con: Connection) -> tuple[str, ...]:
            return tuple(task for (task,) in await con.all(self._sql["unfinished"], bounds(session)))

        return self._database.read(unit)

    async def _named(self, con: Connection, session: str, app: str | None, user: str | None) -> list[Row]:
        if app is None:
            return await con.all(self._sql["of_all"], (session, user))
        if user is None:
            return await con.all(self._sql["of_app"], (app, session))
        return await con.all(self._sql["of_user"], (app, user, session))


def _conversation(row: Row) -> Conversation:
    key, app, user, session, agent, created, updated, events = row
    return Conversation(key, Caller(app, user), session, agent, created / 1000, updated / 1000, events)
