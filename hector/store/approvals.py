"""Approvals: the calls that wait for a person, and what was decided of each. A decision applies once."""

from collections.abc import Awaitable, Sequence
from enum import StrEnum
from typing import Final

from hector.core.clock import iso, milliseconds
from hector.core.content import JsonObject
from hector.core.errors import InvalidRequest, NotFound
from hector.core.event import ApprovalRequired, Event
from hector.core.job import NewJob
from hector.core.record import dataclass
from hector.core.task import Caller
from hector.store.codec import decoded, dumps, loads
from hector.store.database import Connection, Database, Row
from hector.store.jobs import Jobs
from hector.store.queries import load

EXPIRE = "expire"
"""The kind of the jobs that end approvals whose time is over; their subject is the task."""
WITHDRAWN: Final = "the cancellation of its task"
"""Who ended an approval that nobody decided about."""


class ApprovalState(StrEnum):
    """`pending` waits for a person; the rest are ends."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decided about the call with exactly these arguments. `by` says who."""

    call_id: str
    args_hash: str
    state: ApprovalState
    by: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Approval:
    """A call that waits or waited. `event_id` is the pause that asked last; times in seconds since the epoch.

    `agent` is the task's own, `asker` the one whose call it is, which may be another one.
    """

    key: int
    task_id: str
    context_id: str
    agent: str
    caller: Caller
    event_id: str
    call_id: str
    tool: str
    args: JsonObject
    args_hash: str
    prompt: str
    state: ApprovalState
    asker: str
    created: float
    expires: float | None = None
    decided: float | None = None
    decided_by: str | None = None
    comment: str | None = None


class Approvals:
    """The repository. Every public method is one unit of work."""

    def __init__(self, database: Database, jobs: Jobs) -> None:
        self._database = database
        self._jobs = jobs
        self._sql = load("approvals", database.dialect)

    def waiting(
        self, task_id: str | None = None, *, after: int = 0, limit: int = 100, app: str | None = None
    ) -> Awaitable[tuple[Approval, ...]]:
        """What people may decide about now, the oldest first: of one task or app or of all, behind key `after`."""

        async def unit(con: Connection) -> tuple[Approval, ...]:
            return tuple(_approval(row) for row in await con.all(self._sql["waiting"], (after, task_id, limit, app)))

        return self._database.read(unit)

    def decided(
        self, task_id: str | None = None, *, before: int = 1 << 62, limit: int = 100, app: str | None = None
    ) -> Awaitable[tuple[Approval, ...]]:
        """What was decided or came to another end, the newest first: of one task, app or of all, before `before`."""

        async def unit(con: Connection) -> tuple[Approval, ...]:
            return tuple(_approval(row) for row in await con.all(self._sql["decided"], (before, task_id, limit, app)))

        return self._database.read(unit)

    def get(self, key: int) -> Awaitable[Approval]:
        """One of them, decided or not. Raises NotFound."""

        async def unit(con: Connection) -> Approval:
            row = await con.one(self._sql["find"], (key,))
            if row is None:
                raise NotFound("approval", str(key))
            return _approval(row)

        return self._database.read(unit)

    # What a unit of work of another repository needs inside its own transaction.

    async def ask(self, con: Connection, caller: Caller, task: tuple[int, str], event: Event) -> None:
        """Note the calls that an event pauses for. `task` is key and id."""
        key, task_id = task
        calls = event.control.calls if isinstance(event.control, ApprovalRequired) else ()
        for call in calls:
            if await con.execute(self._sql["renew"], (event.id, key, call.call_id, call.args_hash)):
                continue
            expires = None if call.expires_at is None else milliseconds(call.expires_at)
            values = (key, event.id, call.call_id, call.name, dumps(call.args), call.args_hash, call.prompt, call.agent)
            await con.insert(self._sql["add"], (*values, milliseconds(event.at), expires))
        for at in sorted({call.expires_at for call in calls if call.expires_at is not None}):
            await self._jobs.insert(con, NewJob(EXPIRE, caller, task_id, {"at": at}, at, _lane(key)))

    async def decide(self, con: Connection, task: int, decisions: Sequence[Decision], at: int) -> None:
        """Apply decisions, each once. Raises InvalidRequest, before any change, for one that does not fit."""
        pending = {row[0]: row for row in await con.all(self._sql["pending_of"], (task,))}
        for decision in decisions:
            _check(pending.get(decision.call_id), decision, at)
        for decision in decisions:
            values = (decision.state.value, at, decision.by, decision.comment or None, task, decision.call_id)
            await con.execute(self._sql["decide"], values)
        await self._forget_expiry(con, task)

    async def withdraw(self, con: Connection, task: int, at: int) -> None:
        """Nobody need decide about a task that has been canceled."""
        await con.execute(self._sql["withdraw"], (ApprovalState.CANCELED.value, at, WITHDRAWN, task))
        await self._forget_expiry(con, task)

    async def _forget_expiry(self, con: Connection, task: int) -> None:
        """Nothing of this task is to expire any more, or it is asked for again."""
        await con.execute(self._sql["forget_expiry"], (_lane(task),))


def _lane(task: int) -> str:
    return f"a{task}"


def _check(found: Row | None, decision: Decision, at: int) -> None:
    name = decision.call_id
    if found is None:
        raise InvalidRequest(f"call {name!r} waits for no approval: it was decided already, or never asked for")
    _, args_hash, expires = found
    if args_hash != decision.args_hash:
        raise InvalidRequest(f"call {name!r} waits for approval of other arguments than these: look at it again")
    if expires is not None and expires <= at and decision.state is not ApprovalState.EXPIRED:
        raise InvalidRequest(f"the approval of call {name!r} expired at {iso(expires / 1000)}: it counts as denied")
    if "\0" in decision.comment:
        raise InvalidRequest("the comment holds a NUL character, which not every database can store")


def _approval(row: Row) -> Approval:
    key, task_id, context_id, agent, app, user, event, call_id, tool, args, args_hash, prompt, state, asker, *times = (
        row
    )
    created, expires, decided, by, comment = times
    return Approval(
        key,
        task_id,
        context_id,
        agent,
        Caller(app, user),
        event,
        call_id,
        tool,
        decoded("approvals", key, loads, args),
        args_hash,
        prompt,
        ApprovalState(state),
        asker or agent,
        created / 1000,
        None if expires is None else expires / 1000,
        None if decided is None else decided / 1000,
        by,
        comment,
    )
