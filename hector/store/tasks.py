"""Tasks: accepted, recorded step by step, ended once, listed."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hector.core.audit import Entry
from hector.core.clock import milliseconds
from hector.core.errors import InvalidRequest, NotSupported
from hector.core.event import ApprovalRequired
from hector.core.ids import new_id
from hector.core.job import STOP, Claim
from hector.core.task import Caller, Status, Task, TaskState
from hector.store.approvals import Approvals
from hector.store.audit import AuditLog
from hector.store.audit_run import decision_entries, tool_entries
from hector.store.codec import EventRow, dumps, event_row
from hector.store.counters import Counters
from hector.store.database import Connection, Database, Row
from hector.store.history import client_message, history
from hector.store.jobs import Jobs
from hector.store.keys import SEQ_BITS, bounds, lane_of
from hector.store.push import PushConfigs
from hector.store.records import Accept, Accepted, Record, Step, end_of, prepare, run_of
from hector.store.sessions import Session, Sessions
from hector.store.state import StateChange, state_changes
from hector.store.task_reader import TaskReader

if TYPE_CHECKING:
    from hector.store.artifacts import Artifacts
    from hector.store.shortcuts import Shortcuts


class Tasks(TaskReader):
    """The repository. Every method is one unit of work."""

    def __init__(
        self,
        database: Database,
        sessions: Sessions,
        jobs: Jobs,
        push: PushConfigs,
        approvals: Approvals,
        counters: Counters,
        audit: AuditLog,
    ) -> None:
        super().__init__(database, sessions)
        self._jobs = jobs
        self._push = push
        self._approvals = approvals
        self._counters = counters
        self._audit = audit
        self._short = _shortcuts(self._sql)
        self.artifacts: Callable[[], Artifacts]
        """Set by the store: most processes never need them."""

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
            if con.again and (standing := await self._accepted(con, accept, context_id)) is not None:
                return standing
            if accept.resume:
                return await self._resume(con, accept, row, changes)
            return await self._begin(con, accept, context_id, metadata, row, changes)

        short = None
        if self._short is not None:

            def entered(session: int, claim: Claim, seen: dict[str, Any]) -> Accepted:
                return _new(accept, context_id, claim, lane_of(session), seen)

            place, now = (context_id, metadata), self._jobs.now()
            short = self._short.begin(accept, place, (row, changes), now, entered)
        return self._database.write(unit, None if accept.resume else context_id, short)

    def record(self, record: Record) -> Awaitable[bool]:
        """Append, upsert, set the status, all or nothing; False, and nothing, if the task has ended or is gone.

        Raises LeaseLost when the claim is void, and ArtifactsFull.
        """
        step, entries = prepare(record), tool_entries(record)
        short = None
        if self._short is not None:
            short = self._short.finish(record, step, entries, self._jobs.now())
        # What a user keeps in all is added up from rows of other sessions, too: nobody may write beside that.
        key = None if record.most_kept and step.kept else record.context_id
        return self._database.write(lambda con: self._record(con, record, step, entries), key, short)

    def cancel(self, caller: Caller, task_id: str, at: float) -> Awaitable[bool]:
        """End the task as canceled, and its job with it, wherever that runs; False if it has ended or is gone."""
        return self._database.write(lambda con: self._cancel(con, caller, task_id, milliseconds(at)))

    async def _accepted(self, con: Connection, accept: Accept, context_id: str) -> Accepted | None:
        """What stands when an earlier run of the unit was committed after all, as its event tells."""
        found = await con.one(self._sql["find"], (accept.task_id, accept.caller.app, accept.caller.user))
        if found is None:
            return await self._answered(con, accept, context_id)
        if not await con.one(self._sql["appended"], (found[0], found[8], accept.event.id)):
            return None
        lane = lane_of(found[0] >> SEQ_BITS)
        claim = await self._jobs.claim_of(con, lane, accept.task_id, accept.owner)
        return Accepted(await self._task(con, found, None), claim, lane=lane)

    async def _answered(self, con: Connection, accept: Accept, context_id: str) -> Accepted | None:
        """The same of a task that somebody else has run meanwhile, and discarded for a direct message."""
        session = await self._sessions.key(con, accept.caller, context_id)
        if session is None or not await con.one(self._sql["appended"], (*bounds(session), accept.event.id)):
            return None
        said = history((accept.event,), context_id=context_id, task_id=accept.task_id)
        status = Status(TaskState.SUBMITTED, accept.at)
        task = Task(accept.task_id, context_id, accept.agent, status, (), said, accept.metadata)
        return Accepted(task, Claim(0, 0), lane=lane_of(session))

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
        session, seq, new = await self._sessions.enter(con, caller, context_id, accept.agent, at, begins=accept.begins)
        key = session << SEQ_BITS | seq
        claim = await self._jobs.insert(con, run_of(accept, session), accept.owner, free=new)
        state = _entered(claim)
        values = (key, key, caller.app, caller.user, accept.task_id, accept.agent, str(state), at, metadata, at)
        await con.send(self._sql["create"], values)
        await self._sessions.append(con, caller, (session, seq, key), (row,), changes)
        if accept.push is not None:
            await self._push.attach(con, key, accept.task_id, accept.push)
            await self._push.announce(con, (key, accept.task_id, context_id), caller, (str(state), at, None))
        seen = await self._sessions.state(con, caller, session) if new else None
        return _new(accept, context_id, claim, lane_of(session), seen)

    async def _resume(self, con: Connection, accept: Accept, row: EventRow, changes: Sequence[StateChange]) -> Accepted:
        found = await self._find(con, accept.caller, accept.task_id, accept.agent)
        _check_resumable(found, accept)
        key, seq, at = found[0], found[9], milliseconds(accept.at)
        session = key >> SEQ_BITS
        if accept.decisions:
            await self._approvals.decide(con, key, accept.decisions, at)
            await self._audit.write(con, *decision_entries(accept))
        if accept.push is not None:
            await self._push.attach(con, key, accept.task_id, accept.push)
        await self._sessions.advance(con, session, seq, 1, at)
        claim = await self._jobs.insert(con, run_of(accept, session), accept.owner)
        state = _entered(claim).value
        await con.send(self._sql["set_status"], (state, at, None, session << SEQ_BITS | seq, key))
        if found[10] or accept.push is not None:
            await self._push.announce(con, (key, accept.task_id, found[2]), accept.caller, (state, at, None))
        await self._sessions.append(con, accept.caller, (session, seq, key), (row,), changes)
        task = await self._get(con, accept.caller, accept.task_id, None, None)
        return Accepted(task, claim, lane=lane_of(session))

    async def _record(self, con: Connection, record: Record, step: Step, entries: Sequence[Entry]) -> bool:
        caller = record.caller
        # Session, task, job: everybody locks in this order, since two that lock in opposite ones wait for each other.
        found = await con.one(self._sql["position"], (record.task_id, caller.app, caller.user, record.context_id))
        if record.claim is not None and not await self._jobs.step(con, record.claim, record.step, *end_of(record)):
            return True
        await self._counters.pay(con, record.charges)
        if found is None or TaskState(found[2]).terminal:
            return False
        await self._audit.write(con, *entries)
        key, last, state, seq, receivers = found
        if step.rows:
            session, at = key >> SEQ_BITS, milliseconds(record.events[-1].at)
            await self._sessions.advance(con, session, seq, len(step.rows), at)
            await self._sessions.append(con, caller, (session, seq, key), step.rows, step.changes)
            last = session << SEQ_BITS | seq + len(step.rows) - 1
            if isinstance(record.events[-1].control, ApprovalRequired):
                await self._approvals.ask(con, caller, (key, record.task_id), record.events[-1])
        if record.discard:
            await self._discard(con, record, key, receivers)
            return True
        if step.artifacts or record.jobs:
            await self._put(con, record, step, key)
        if step.status is not None:
            await con.send(self._sql["set_status"], (*step.status, last, key))
        elif step.rows:
            await con.send(self._sql["set_last"], (last, key))
        if receivers:
            await self._announce(con, record, step, key, state)
        return True

    async def _put(self, con: Connection, record: Record, step: Step, key: int) -> None:
        """The artifacts that the task shows, those of them that are kept, and the jobs that follow from the step."""
        for artifact_id, body in step.artifacts:
            await con.send(self._sql["put_artifact"], (key, artifact_id, body))
        if step.kept:
            await self.artifacts().add(con, record.caller, key >> SEQ_BITS, step.kept, record.most_kept)
        for job in record.jobs:
            await self._jobs.insert(con, job)

    async def _discard(self, con: Connection, record: Record, key: int, receivers: int) -> None:
        await con.execute(self._sql["discard_artifacts"], (key,))
        await con.execute(self._sql["discard"], (key,))
        if receivers:
            await self._push.forget(con, key)
        for job in record.jobs:
            await self._jobs.insert(con, job)

    async def _announce(self, con: Connection, record: Record, step: Step, key: int, state: str) -> None:
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


def _shortcuts(sql: Mapping[str, str]) -> "Shortcuts | None":
    """What a server is spared; None where nothing has to travel."""
    if "begin" not in sql:
        return None
    from hector.store.shortcuts import Shortcuts  # noqa: PLC0415 - loaded for servers

    return Shortcuts(sql)


def _new(accept: Accept, context_id: str, claim: Claim, lane: str, seen: dict[str, Any] | None) -> Accepted:
    """What stands of a task that has begun. `seen`: the state that a new session sees."""
    at = milliseconds(accept.at) / 1000
    said = client_message(accept.event, context_id=context_id, task_id=accept.task_id)
    status, before = Status(_entered(claim), at), (said,) if said else ()
    task = Task(accept.task_id, context_id, accept.agent, status, (), before, accept.metadata)
    fresh = None if seen is None else Session(context_id, accept.agent, (accept.event,), seen, at, at)
    return Accepted(task, claim, fresh, lane)


def _entered(claim: Claim) -> TaskState:
    return TaskState.WORKING if claim.fence else TaskState.SUBMITTED


def _check_resumable(found: Row, accept: Accept) -> None:
    if accept.context_id is not None and accept.context_id != found[2]:
        raise InvalidRequest(f"task {accept.task_id!r} belongs to another context than {accept.context_id!r}")
    state = TaskState(found[4])
    if state.terminal:
        raise NotSupported(f"task {accept.task_id!r} has ended ({state.value}): send a new message without a task id")
    if not state.interrupted:
        raise NotSupported(f"task {accept.task_id!r} is {state.value}: wait until it asks for input")
