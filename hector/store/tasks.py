"""Tasks: accepted, recorded step by step, ended once, listed."""

from collections.abc import Awaitable, Sequence
from typing import NamedTuple

from hector.core.content import JsonObject
from hector.core.errors import InvalidRequest, NotFound, NotSupported
from hector.core.event import ApprovalRequired, Artifact, Event
from hector.core.ids import new_id
from hector.core.job import STOP, Claim, Job, JobState, NewJob
from hector.core.push import PushConfig
from hector.core.record import dataclass
from hector.core.task import Caller, ClientMessage, Status, Task, TaskPage, TaskQuery, TaskState
from hector.store.approvals import Approvals, Decision
from hector.store.codec import (
    EventRow,
    artifact_from_text,
    artifact_to_text,
    client_message_from_text,
    client_message_to_text,
    decoded,
    dumps,
    event_from_row,
    event_row,
    loads,
    milliseconds,
)
from hector.store.counters import Charge, Counters
from hector.store.database import Connection, Database, Row
from hector.store.history import history
from hector.store.jobs import Jobs
from hector.store.paging import Position, check_size, decode_token, encode_token
from hector.store.push import PushConfigs
from hector.store.queries import load
from hector.store.sessions import SEQ_BITS, Session, Sessions, bounds, lane_of
from hector.store.state import StateChange, state_changes


@dataclass(frozen=True, slots=True)
class Accept:
    """A client's message that begins a task or, with `resume`, answers one that waits.

    `context_id` None means a fresh conversation, or that of the resumed task. `event` is the user's
    (`history.user_event`). `owner` is the process that runs it at once, unless the session is busy; None leaves it to
    whoever is free. `stream` says whether the model is to be asked for a stream; `direct`, whether whoever takes it up
    later may answer with a message instead of a task. `push` is told of all that follows; `decisions` are what the
    event brings for calls that waited.
    """

    caller: Caller
    agent: str
    task_id: str
    context_id: str | None
    event: Event
    at: float
    metadata: JsonObject | None = None
    resume: bool = False
    owner: str | None = None
    stream: bool = True
    direct: bool = False
    max_attempts: int = 4
    priority: int = 0
    push: PushConfig | None = None
    decisions: tuple[Decision, ...] = ()


@dataclass(frozen=True, slots=True)
class Accepted:
    """What now stands. `session` is given for a new session, which then needs no loading.

    A `claim` of fence 0 means that the job waits, for its turn within the session or for a free process.
    """

    task: Task
    claim: Claim
    session: Session | None = None
    lane: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """A step of a run: events, artifacts (those of the events included by themselves) and perhaps a new status.

    `discard` deletes the task, for an agent that answered with a direct message; the session keeps its events. Under a
    `claim`, `step` counts its writes from 1, so that one whose answer got lost may be sent again; a status that ends
    the run ends the job, too. `dead` is the cause with which the job becomes a dead letter. `charges` are what it has
    cost since the last write.
    """

    caller: Caller
    task_id: str
    context_id: str
    events: tuple[Event, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    status: Status | None = None
    discard: bool = False
    claim: Claim | None = None
    step: int = 1
    dead: str | None = None
    charges: tuple[Charge, ...] = ()


class _Step(NamedTuple):
    """A Record in stored form, made before it is handed to the writer."""

    rows: tuple[EventRow, ...]
    changes: tuple[StateChange, ...]
    artifacts: tuple[tuple[str, str], ...]
    status: tuple[str, int, str | None] | None


class Tasks:
    """The repository. Every method is one unit of work."""

    def __init__(
        self,
        database: Database,
        sessions: Sessions,
        jobs: Jobs,
        push: PushConfigs,
        approvals: Approvals,
        counters: Counters,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._jobs = jobs
        self._push = push
        self._approvals = approvals
        self._counters = counters
        self._sql = load("tasks", database.dialect)

    def accept(self, accept: Accept) -> Awaitable[Accepted]:
        """Create the task, or move a waiting one on, append the user's event, and add the job that runs it.

        Raises NotFound (not there, or not this caller's or agent's), InvalidRequest (another context than the task's, a
        decision that does not fit) and NotSupported (the task does not wait).
        """
        row = event_row(accept.event)
        changes = state_changes((accept.event,))
        context_id = accept.context_id or new_id()
        metadata = None if accept.metadata is None else dumps(accept.metadata)

        async def unit(con: Connection) -> Accepted:
            if con.again and (standing := await self._accepted(con, accept)) is not None:
                return standing
            if accept.resume:
                return await self._resume(con, accept, row, changes)
            return await self._begin(con, accept, context_id, metadata, row, changes)

        return self._database.write(unit, None if accept.resume else context_id)

    def record(self, record: Record) -> Awaitable[bool]:
        """Append, upsert, set the status, all or nothing; False, and nothing, if the task has ended or is gone.

        Raises LeaseLost when the claim is void.
        """
        step = _prepare(record)
        return self._database.write(lambda con: self._record(con, record, step), record.context_id)

    def get(
        self, caller: Caller, task_id: str, agent: str | None = None, history_length: int | None = None
    ) -> Awaitable[Task]:
        """A snapshot with artifacts; history: None for all, 0 for none, n for the last n. Raises NotFound."""
        return self._database.read(lambda con: self._get(con, caller, task_id, agent, history_length))

    def list(self, caller: Caller, agent: str | None, query: TaskQuery) -> Awaitable[TaskPage]:
        """The caller's tasks that fit all filters. Raises InvalidRequest on a bad token or size."""
        check_size(query.page_size)
        after = decode_token(query.page_token)
        return self._database.read(lambda con: self._list(con, caller, agent, query, after))

    def cancel(self, caller: Caller, task_id: str, at: float) -> Awaitable[bool]:
        """End the task as canceled, and its job with it, wherever that runs; False if it has ended or is gone."""
        return self._database.write(lambda con: self._cancel(con, caller, task_id, milliseconds(at)))

    def of_job(self, job: Job) -> Awaitable[Task]:
        """The task that a run's job is about, with its whole history. Raises NotFound."""
        return self._database.read(lambda con: self._get(con, job.caller, job.subject, None, None))

    async def _accepted(self, con: Connection, accept: Accept) -> Accepted | None:
        """What stands when an earlier run of the unit was committed after all, as its event tells."""
        found = await con.one(self._sql["find"], (accept.task_id, accept.caller.app, accept.caller.user))
        if found is None or not await con.one(self._sql["appended"], (found[0], found[8], accept.event.id)):
            return None
        lane = lane_of(found[0] >> SEQ_BITS)
        claim = await self._jobs.claim_of(con, lane, accept.task_id, accept.owner)
        return Accepted(await self._task(con, found, None), claim, lane=lane)

    async def _begin(
        self,
        con: Connection,
        accept: Accept,
        context_id: str,
        metadata: str | None,
        row: EventRow,
        changes: Sequence[StateChange],
    ) -> Accepted:
        caller, at = accept.caller, milliseconds(accept.at)
        session, seq, new = await self._sessions.enter(con, caller, context_id, accept.agent, at)
        key = session << SEQ_BITS | seq
        claim = await self._jobs.insert(con, _run(accept, session), accept.owner, free=new)
        state = _entered(claim)
        values = (key, key, caller.app, caller.user, accept.task_id, accept.agent, state.value, at, metadata, at)
        await con.send(self._sql["create"], values)
        await self._sessions.append(con, caller, (session, seq, key), (row,), changes)
        if accept.push is not None:
            await self._push.attach(con, key, accept.task_id, accept.push)
            await self._push.announce(con, (key, accept.task_id, context_id), caller, (state.value, at, None))
        said = history((accept.event,), context_id=context_id, task_id=accept.task_id)
        status = Status(state, at / 1000)
        task = Task(accept.task_id, context_id, accept.agent, status, (), said, accept.metadata)
        if not new:
            return Accepted(task, claim, lane=lane_of(session))
        seen = await self._sessions.state(con, caller, session)
        fresh = Session(context_id, accept.agent, (accept.event,), seen, at / 1000, at / 1000)
        return Accepted(task, claim, fresh, lane_of(session))

    async def _resume(self, con: Connection, accept: Accept, row: EventRow, changes: Sequence[StateChange]) -> Accepted:
        found = await self._find(con, accept.caller, accept.task_id, accept.agent)
        _check_resumable(found, accept)
        key, seq, at = found[0], found[9], milliseconds(accept.at)
        session = key >> SEQ_BITS
        if accept.decisions:
            await self._approvals.decide(con, key, accept.decisions, at)
        if accept.push is not None:
            await self._push.attach(con, key, accept.task_id, accept.push)
        await self._sessions.advance(con, session, seq, 1, at)
        claim = await self._jobs.insert(con, _run(accept, session), accept.owner)
        state = _entered(claim).value
        await con.send(self._sql["set_status"], (state, at, None, session << SEQ_BITS | seq, key))
        if found[10] or accept.push is not None:
            await self._push.announce(con, (key, accept.task_id, found[2]), accept.caller, (state, at, None))
        await self._sessions.append(con, accept.caller, (session, seq, key), (row,), changes)
        task = await self._get(con, accept.caller, accept.task_id, None, None)
        return Accepted(task, claim, lane=lane_of(session))

    async def _record(self, con: Connection, record: Record, step: _Step) -> bool:
        caller = record.caller
        # The task before its job, like whoever cancels it: two that lock in opposite orders wait for each other.
        found = await con.one(self._sql["position"], (record.task_id, caller.app, caller.user, record.context_id))
        if record.claim is not None and not await self._jobs.step(con, record.claim, record.step, *_end(record)):
            return True
        await self._counters.pay(con, record.charges)
        if found is None or TaskState(found[2]).terminal:
            return False
        key, last, state, seq, receivers = found
        if step.rows:
            session, at = key >> SEQ_BITS, milliseconds(record.events[-1].at)
            await self._sessions.advance(con, session, seq, len(step.rows), at)
            await self._sessions.append(con, caller, (session, seq, key), step.rows, step.changes)
            last = session << SEQ_BITS | seq + len(step.rows) - 1
            if isinstance(record.events[-1].control, ApprovalRequired):
                await self._approvals.ask(con, caller, (key, record.task_id), record.events[-1])
        if record.discard:
            await self._discard(con, key, receivers)
            return True
        for artifact_id, body in step.artifacts:
            await con.send(self._sql["put_artifact"], (key, artifact_id, body))
        if step.status is not None:
            await con.send(self._sql["set_status"], (*step.status, last, key))
        elif step.rows:
            await con.send(self._sql["set_last"], (last, key))
        if receivers:
            await self._announce(con, record, step, key, state)
        return True

    async def _discard(self, con: Connection, key: int, receivers: int) -> None:
        await con.execute(self._sql["discard_artifacts"], (key,))
        await con.execute(self._sql["discard"], (key,))
        if receivers:
            await self._push.forget(con, key)

    async def _announce(self, con: Connection, record: Record, step: _Step, key: int, state: str) -> None:
        """Have the task's receivers told of a step. `state` is the one before it."""
        place = (key, record.task_id, record.context_id)
        await self._push.announce_artifacts(con, place, record.caller, state, [name for name, _ in step.artifacts])
        if step.status is not None:
            await self._push.announce(con, place, record.caller, step.status)

    async def _cancel(self, con: Connection, caller: Caller, task_id: str, at: int) -> bool:
        found = await con.one(self._sql["find"], (task_id, caller.app, caller.user))
        if found is None or TaskState(found[4]).terminal:
            return False
        key, last = found[0], found[8]
        await con.send(self._sql["set_status"], (TaskState.CANCELED.value, at, None, last, key))
        await self._jobs.cancel_of(con, lane_of(key >> SEQ_BITS), task_id)
        if TaskState(found[4]).interrupted:
            await con.notify(STOP, task_id)  # nobody runs it, but somebody may watch it
        await self._approvals.withdraw(con, key, at)  # one that works may wait for some of its calls, too
        if found[10]:
            await self._push.announce(con, (key, task_id, found[2]), caller, (TaskState.CANCELED.value, at, None))
        return True

    async def _find(self, con: Connection, caller: Caller, task_id: str, agent: str | None) -> Row:
        found = await con.one(self._sql["find"], (task_id, caller.app, caller.user))
        if found is None or (agent is not None and found[3] != agent):
            raise NotFound("task", task_id)
        return found

    async def _get(
        self, con: Connection, caller: Caller, task_id: str, agent: str | None, history_length: int | None
    ) -> Task:
        return await self._task(con, await self._find(con, caller, task_id, agent), history_length)

    async def _task(self, con: Connection, row: Row, history_length: int | None, artifacts: bool = True) -> Task:
        key, task_id, context_id, agent, state, changed, message, metadata = row[:8]
        said = None if message is None else decoded("tasks", key, client_message_from_text, message)
        return Task(
            task_id,
            context_id,
            agent,
            Status(decoded("tasks", key, TaskState, state), changed / 1000, said),
            await self._artifacts(con, key) if artifacts else (),
            await self._history(con, row, history_length, said),
            None if metadata is None else decoded("tasks", key, loads, metadata),
        )

    async def _artifacts(self, con: Connection, key: int) -> tuple[Artifact, ...]:
        rows = await con.all(self._sql["artifacts"], (key,))
        return tuple(decoded("artifacts", number, artifact_from_text, body) for number, body in rows)

    async def _history(
        self, con: Connection, row: Row, length: int | None, current: ClientMessage | None
    ) -> tuple[ClientMessage, ...] | None:
        """Client and agent messages in order. A question that is still the status is not yet history."""
        if length == 0:
            return None
        key, task_id, context_id = row[:3]
        rows = await con.all(self._sql["history"], (key, row[8], -1 if length is None else length + 1))
        events = [event_from_row(found) for found in reversed(rows)]
        said = history(events, context_id=context_id, task_id=task_id)
        if said and current is not None and said[-1].id == current.id:
            said = said[:-1]
        return said if length is None else said[-length:]

    async def _list(
        self, con: Connection, caller: Caller, agent: str | None, query: TaskQuery, after: Position | None
    ) -> TaskPage:
        since = None if query.updated_after is None else milliseconds(query.updated_after)
        filters = (caller.app, caller.user, agent, query.state and query.state.value, since)
        suffix: str = ""
        within: tuple[int, ...] = ()
        if query.context_id is not None:
            session = await self._sessions.key(con, caller, query.context_id)
            if session is None:
                return TaskPage((), "", 0)
            suffix, within = "_of_session", bounds(session)
        total = await con.one(self._sql["count" + suffix], (*filters, *within))
        size = query.page_size
        rows = await con.all(self._sql["page" + suffix], (*filters, *(after or (None, None)), size + 1, *within))
        tasks = [await self._task(con, row, query.history_length, query.include_artifacts) for row in rows[:size]]
        token = encode_token((rows[size - 1][5], rows[size - 1][0])) if len(rows) > size else ""
        return TaskPage(tuple(tasks), token, total[0] if total else 0)


def _run(accept: Accept, session: int) -> NewJob:
    payload = {"invocation": accept.event.invocation_id, "stream": accept.stream, "direct": accept.direct}
    return NewJob(
        "run",
        accept.caller,
        accept.task_id,
        payload,
        lane=lane_of(session),
        max_attempts=accept.max_attempts,
        priority=accept.priority,
    )


def _entered(claim: Claim) -> TaskState:
    return TaskState.WORKING if claim.fence else TaskState.SUBMITTED


def _end(record: Record) -> tuple[JobState | None, str | None]:
    """How a write ends the job, and the cause."""
    if record.dead is not None:
        return JobState.DEAD, record.dead
    if record.discard:
        return JobState.DONE, None
    state = record.status.state if record.status else TaskState.WORKING
    if state is TaskState.FAILED:
        said = record.status.message.message.text if record.status and record.status.message else None
        return JobState.FAILED, said
    if state is TaskState.CANCELED:
        return JobState.CANCELED, None
    return (JobState.DONE if state.terminal or state.interrupted else None), None


def _prepare(record: Record) -> _Step:
    artifacts = {artifact.id: artifact for event in record.events for artifact in event.artifacts}
    artifacts.update((artifact.id, artifact) for artifact in record.artifacts)
    status = record.status
    return _Step(
        tuple(event_row(event) for event in record.events),
        state_changes(record.events),
        tuple((name, artifact_to_text(artifact)) for name, artifact in artifacts.items()),
        None if status is None else _status_values(status),
    )


def _status_values(status: Status) -> tuple[str, int, str | None]:
    said = None if status.message is None else client_message_to_text(status.message)
    return status.state.value, milliseconds(status.at), said


def _check_resumable(found: Row, accept: Accept) -> None:
    if accept.context_id is not None and accept.context_id != found[2]:
        raise InvalidRequest(f"task {accept.task_id!r} belongs to another context than {accept.context_id!r}")
    state = TaskState(found[4])
    if state.terminal:
        raise NotSupported(f"task {accept.task_id!r} has ended ({state.value}): send a new message without a task id")
    if not state.interrupted:
        raise NotSupported(f"task {accept.task_id!r} is {state.value}: wait until it asks for input")
