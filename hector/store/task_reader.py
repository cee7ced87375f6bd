"""Tasks as they are read: one with its history and artifacts, or a page of those that fit."""

from collections.abc import Awaitable

from hector.core.clock import milliseconds
from hector.core.errors import NotFound
from hector.core.event import Artifact
from hector.core.job import Job
from hector.core.task import Caller, ClientMessage, Status, Task, TaskPage, TaskQuery, TaskState
from hector.store.codec import (
    artifact_from_text,
    client_message_from_text,
    decoded,
    event_from_row,
    loads,
)
from hector.store.database import Connection, Database, Row
from hector.store.history import history
from hector.store.keys import bounds
from hector.store.paging import Position, check_size, decode_token, encode_token
from hector.store.queries import load
from hector.store.sessions import Sessions


class TaskReader:
    """The reading half of the repository. Every public method is one unit of work."""

    def __init__(self, database: Database, sessions: Sessions) -> None:
        self._database = database
        self._sessions = sessions
        self._sql = load("tasks", database.dialect)

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

    def of_job(self, job: Job) -> Awaitable[Task]:
        """The task that a run's job is about, with its whole history. Raises NotFound."""
        return self._database.read(lambda con: self._get(con, job.caller, job.subject, None, None))

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
