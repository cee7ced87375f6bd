"""Push notification configs: kept with their task, and turned into jobs by whatever changes it."""

import base64
from collections.abc import Awaitable, Iterable
from typing import Any, Final, TypeAlias

from hector.core.clock import Clock, SystemClock, milliseconds
from hector.core.content import JsonObject
from hector.core.errors import InvalidRequest, NotFound, Violation
from hector.core.event import Artifact
from hector.core.job import READY, NewJob
from hector.core.push import CALLBACKS, PushConfig, PushPage
from hector.core.record import dataclass
from hector.core.task import Caller, Status, TaskState
from hector.store.codec import artifact_from_text, client_message_from_text, decoded
from hector.store.database import Connection, Database, Row
from hector.store.jobs import Jobs
from hector.store.queries import load

KIND: Final = "push"
PRIORITY: Final = -1
"""Below that of runs: of these, somebody may be waiting for an answer."""
MOST_CONFIGS: Final = 20
"""Receivers of one task: each of its updates is sent to all of them."""
_NO_ID: Final = ""

Place: TypeAlias = tuple[int, str, str]
"""Key and id of a task, and its context's id."""
StatusText: TypeAlias = tuple[str, int, str | None]
"""State, since when in milliseconds, and what the agent says about it as JSON, as the table of tasks has them."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What a job of kind "push" says. The receiver is looked up when it is sent: its secrets stand in one place only.

    `status` is the task's at that moment; with an `artifact_id`, that artifact is the news. It is sent as it then
    stands: it may be megabytes, and is not stored once more for each receiver.
    """

    config_id: str
    context_id: str
    status: Status
    artifact_id: str | None = None


def notice_of(payload: JsonObject) -> Notice:
    """From a job's payload. Raises KeyError, TypeError or ValueError on a foreign shape."""
    state, at, said = payload["status"]
    return Notice(
        payload["config"],
        payload["context"],
        Status(TaskState(state), at / 1000, None if said is None else client_message_from_text(said)),
        payload.get("artifact"),
    )


class PushConfigs:
    """The repository. Every public method without a connection is one unit of work.

    `max_attempts` is that of the deliveries.
    """

    def __init__(self, database: Database, jobs: Jobs, clock: Clock | None = None) -> None:
        self.max_attempts = 4
        self._database = database
        self._jobs = jobs
        self._clock = clock or SystemClock()
        self._sql = load("push", database.dialect)

    def put(self, caller: Caller, agent: str, task_id: str, config: PushConfig) -> Awaitable[PushConfig]:
        """Add a config, or replace the one of its id. Raises NotFound, InvalidRequest when there are too many."""

        async def unit(con: Connection) -> PushConfig:
            return await self.attach(con, await self._owned(con, caller, agent, task_id), task_id, config)

        return self._database.write(unit)

    def get(self, caller: Caller, agent: str, task_id: str, config_id: str | None) -> Awaitable[PushConfig]:
        """One config. Without an id the task's own, else the first one. Raises NotFound."""

        async def unit(con: Connection) -> PushConfig:
            key = await self._owned(con, caller, agent, task_id)
            found = await con.one(self._sql["get"], (key, config_id or task_id))
            if found is None and config_id is None:
                found = await con.one(self._sql["first"], (key,))
            if found is None:
                raise NotFound("push notification config", config_id or task_id)
            return _config(found)

        return self._database.read(unit)

    def page(
        self, caller: Caller, agent: str, task_id: str, size: int | None = None, token: str | None = None
    ) -> Awaitable[PushPage]:
        """Configs of a task, all of them without a size. Raises NotFound, InvalidRequest on a bad token."""
        after = _decode(token)
        most = MOST_CONFIGS if size is None else size

        async def unit(con: Connection) -> PushPage:
            key = await self._owned(con, caller, agent, task_id)
            rows = await con.all(self._sql["page"], (key, after, most + 1))
            token = _encode(rows[most - 1][0]) if len(rows) > most else ""
            return PushPage(tuple(_config(row) for row in rows[:most]), token)

        return self._database.read(unit)

    def delete(self, caller: Caller, agent: str, task_id: str, config_id: str | None) -> Awaitable[None]:
        """Delete a config, whether or not it is there, and what waits to be sent to it. Raises NotFound: no task."""

        async def unit(con: Connection) -> None:
            key, gone = await self._owned(con, caller, agent, task_id), config_id or task_id
            if await con.execute(self._sql["delete"], (key, gone)):
                await con.execute(self._sql["mark"], (key,))
                await con.execute(self._sql["give_up"], (self._now(), lane_of(key, gone)))

        return self._database.write(unit)

    def receiver(self, caller: Caller, task_id: str, config_id: str) -> Awaitable[PushConfig | None]:
        """Where a delivery goes; None when the config, or the task, is gone."""

        async def unit(con: Connection) -> PushConfig | None:
            found = await con.one(self._sql["receiver"], (task_id, caller.app, caller.user, config_id))
            return None if found is None else _config(found)

        return self._database.read(unit)

    def artifact(self, caller: Caller, task_id: str, artifact_id: str) -> Awaitable[Artifact | None]:
        """What a delivery brings; None when it is gone."""

        async def unit(con: Connection) -> Artifact | None:
            found = await con.one(self._sql["artifact"], (task_id, caller.app, caller.user, artifact_id))
            return None if found is None else decoded("artifacts", found[0], artifact_from_text, found[1])

        return self._database.read(unit)

    # What a unit of work of another repository needs inside its own transaction.

    async def attach(self, con: Connection, task: int, task_id: str, config: PushConfig) -> PushConfig:
        """Add or replace a config of a task. Raises InvalidRequest when there are too many, having changed nothing."""
        config_id, now = config.id or task_id, self._now()
        others = await con.one(self._sql["others"], (task, config_id))
        if others is not None and others[0] >= MOST_CONFIGS:
            said = f"a task has at most {MOST_CONFIGS} push notification configs: delete one, or replace one by its id"
            raise InvalidRequest(said, [Violation("id", f"would be one of more than {MOST_CONFIGS}")])
        secrets = (config.token, config.scheme, config.credentials)
        await con.execute(self._sql["put"], (task, config_id, config.url, *secrets, config.version, now))
        await con.execute(self._sql["mark"], (task,))
        if await con.execute(self._sql["hurry"], (now, lane_of(task, config_id), now)):
            await con.notify(READY, lane_of(task, config_id))
        return PushConfig(config_id, config.url, *secrets, config.version)

    async def announce(self, con: Connection, task: Place, caller: Caller, status: StatusText) -> None:
        """Add a delivery of a new status for each receiver."""
        await self._add(con, task, caller, ({"status": status},))

    async def announce_artifacts(
        self, con: Connection, task: Place, caller: Caller, state: str, names: Iterable[str]
    ) -> None:
        """Add a delivery of each artifact for each receiver. `state` is the task's by then."""
        status = (state, self._now(), None)
        await self._add(con, task, caller, tuple({"status": status, "artifact": name} for name in names))

    async def announce_reopened(self, con: Connection, caller: Caller, task_id: str) -> None:
        """Add a delivery of the news that a failed task works again."""
        found = await con.one(self._sql["place"], (task_id, caller.app, caller.user))
        if found is not None:
            key, context_id, state, changed = found
            await self.announce(con, (key, task_id, context_id), caller, (state, changed, None))

    async def _add(self, con: Connection, task: Place, caller: Caller, news: Iterable[JsonObject]) -> None:
        key, task_id, context_id = task
        now = self._clock.now()
        for config_id, version in await con.all(self._sql["receivers"], (key,)):
            lane = lane_of(key, config_id)
            for one in news if version not in CALLBACKS else filter(_is_end, news):
                payload = {"config": config_id, "context": context_id, **one}
                job = NewJob(KIND, caller, task_id, payload, now, lane, self.max_attempts, PRIORITY)
                await self._jobs.insert(con, job)

    async def forget(self, con: Connection, task: int) -> None:
        """Delete all configs of a task that goes away."""
        await con.execute(self._sql["delete_all"], (task,))

    async def _owned(self, con: Connection, caller: Caller, agent: str, task_id: str) -> int:
        found = await con.one(self._sql["owner"], (task_id, caller.app, caller.user, agent))
        if found is None:
            raise NotFound("task", task_id)
        key: int = found[0]
        return key

    def _now(self) -> int:
        return milliseconds(self._clock.now())


def _is_end(news: JsonObject) -> bool:
    """Whether callbacks are made for it: they tell of the end alone."""
    return "artifact" not in news and TaskState(news["status"][0]).terminal


def lane_of(task: int, config_id: str) -> str:
    """The lane of the deliveries to one receiver: they arrive in order."""
    return f"p{task}.{config_id}"


def _config(row: Row) -> PushConfig:
    values: tuple[Any, ...] = row
    return PushConfig(*values)


def _encode(last: str) -> str:
    return base64.urlsafe_b64encode(last.encode()).decode().rstrip("=")


def _decode(token: str | None) -> str:
    if not token:
        return _NO_ID
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
    except ValueError:
        said = "is not a token of an earlier page; leave it out to begin with the first one"
        raise InvalidRequest(f"pageToken {said}", [Violation("pageToken", said)]) from None
