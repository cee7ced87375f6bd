"""Sessions: conversations as append-only event logs with scoped state."""

from collections.abc import Awaitable, Sequence
from typing import Any

from hector.core.errors import NotFound, NotSupported
from hector.core.event import Artifact, Event
from hector.core.record import dataclass
from hector.core.task import Caller
from hector.store.codec import EventRow, artifact_from_text, decoded, event_from_row
from hector.store.database import Connection, Database, Work
from hector.store.deletion import BATCH, Deletion, Found
from hector.store.keys import SEQ_BITS, bounds
from hector.store.paging import Position, check_size, decode_token, encode_token
from hector.store.queries import load
from hector.store.state import StateChange, apply_changes, state_from_rows


@dataclass(frozen=True, slots=True)
class Session:
    """A conversation as it stands. `state` is the merged view: keys of `app:` and `user:` scope, bare ones its own."""

    id: str
    agent: str
    events: tuple[Event, ...]
    state: dict[str, Any]
    created: float
    updated: float


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """A session in a listing; times in seconds since the epoch."""

    id: str
    agent: str
    created: float
    updated: float
    events: int


@dataclass(frozen=True, slots=True)
class SessionPage:
    """One page, the most recently used first; `next_token` is empty on the last one."""

    sessions: tuple[SessionSummary, ...]
    next_token: str


class Sessions:
    """The repository. Every method is one unit of work."""

    def __init__(self, database: Database, deletion: Deletion) -> None:
        self._database = database
        self._deletion = deletion
        self._sql = load("sessions", database.dialect)

    def load(self, caller: Caller, context_id: str) -> Awaitable[Session]:
        """All events and the merged state. Raises NotFound."""
        return self._database.read(lambda con: self._load(con, caller, context_id))

    def artifacts(self, caller: Caller, context_id: str) -> Awaitable[dict[str, Artifact]]:
        """The session's artifacts by name, of one name the newest. Raises NotFound."""
        return self._database.read(lambda con: self._artifacts(con, caller, context_id))

    def list(self, caller: Caller, *, page_size: int = 50, page_token: str | None = None) -> Awaitable[SessionPage]:
        """The caller's sessions. Raises InvalidRequest on a bad token or size."""
        check_size(page_size)
        after = decode_token(page_token)
        return self._database.read(lambda con: self._list(con, caller, page_size, after))

    async def delete(self, caller: Caller, context_id: str, aside: Work[None] | None = None) -> bool:
        """Delete a session with its events, state, tasks and artifacts; False when there is none.

        It is gone at once, although the events of a long one go a little at a time. `aside` is written in the same
        transaction.
        """
        seen: list[Found] = []

        async def unit(con: Connection) -> Found | None:
            found = await con.one(self._sql["position"], (caller.app, caller.user, context_id))
            if found is None:
                return seen[-1] if con.again and seen else None
            seen.append(Found(*found))
            await self._deletion.take(con, seen[-1])
            if aside is not None:
                await aside(con)
            return seen[-1]

        gone = await self._database.write(unit)
        if gone is not None and gone.events > BATCH:
            await self._deletion.finish(gone, self._database.write)
        return gone is not None

    async def _load(self, con: Connection, caller: Caller, context_id: str) -> Session:
        found = await con.one(self._sql["find"], (caller.app, caller.user, context_id))
        if found is None:
            raise NotFound("session", context_id)
        key, session_id, agent, created, updated, _ = found
        events = tuple(event_from_row(row) for row in await con.all(self._sql["events"], bounds(key)))
        return Session(session_id, agent, events, await self.state(con, caller, key), created / 1000, updated / 1000)

    async def _artifacts(self, con: Connection, caller: Caller, context_id: str) -> dict[str, Artifact]:
        key = await self.key(con, caller, context_id)
        if key is None:
            raise NotFound("session", context_id)
        rows = await con.all(self._sql["artifacts"], bounds(key))
        found = (decoded("artifacts", number, artifact_from_text, body) for number, body in rows)
        return {artifact.name: artifact for artifact in found if artifact.name}

    async def _list(self, con: Connection, caller: Caller, size: int, after: Position | None) -> SessionPage:
        rows = await con.all(self._sql["page"], (caller.app, caller.user, *(after or (None, None)), size + 1))
        found = tuple(
            SessionSummary(session_id, agent, created / 1000, updated / 1000, events)
            for _, session_id, agent, created, updated, events in rows[:size]
        )
        token = encode_token((rows[size - 1][4], rows[size - 1][0])) if len(rows) > size else ""
        return SessionPage(found, token)

    # What a unit of work of another repository needs inside its own transaction.

    async def enter(
        self, con: Connection, caller: Caller, context_id: str, agent: str, at: int, *, begins: bool = False
    ) -> tuple[int, int, bool]:
        """Take the next place in a session, creating it if needed: its key, the place, and whether it is new.

        `begins`: it is expected to be new.
        """
        place = (caller.app, caller.user, context_id)
        found = None if begins else await con.one(self._sql["position"], place)
        for _ in range(2):  # one that is there may go while we wait for it
            if found is None:
                created = await con.insert(self._sql["create"], (*place, agent, at, at))
                if created:
                    return created, 0, True
                found = await con.one(self._sql["position"], place)
            if found is not None:
                key, seq = found
                await self.advance(con, key, seq, 1, at)
                return key, seq, False
        raise NotFound("session", context_id)

    async def advance(self, con: Connection, session: int, seq: int, count: int, at: int) -> None:
        """Move a session's end by `count` events. Raises NotSupported when it is full."""
        if seq + count >= 1 << SEQ_BITS:
            raise NotSupported(f"this conversation has reached {seq:,} events: begin a new one (another context id)")
        await con.send(self._sql["advance"], (seq + count, at, session))

    async def append(
        self,
        con: Connection,
        caller: Caller,
        place: tuple[int, int, int],
        rows: Sequence[EventRow],
        changes: Sequence[StateChange],
    ) -> None:
        """Append events with their state changes. `place` is session key, first seq, task key."""
        session, seq, task = place
        first = session << SEQ_BITS | seq
        await con.many(self._sql["append"], [(first + offset, task, *row) for offset, row in enumerate(rows)])
        if changes:
            await apply_changes(con, self._sql, caller, session, changes)

    async def key(self, con: Connection, caller: Caller, context_id: str) -> int | None:
        """The key of a session, None when there is none."""
        found = await con.one(self._sql["position"], (caller.app, caller.user, context_id))
        return found[0] if found else None

    async def state(self, con: Connection, caller: Caller, session: int) -> dict[str, Any]:
        """The merged state that a session sees."""
        return state_from_rows(await con.all(self._sql["state"], (caller.app, caller.user, session)))
