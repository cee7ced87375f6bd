"""Updates of runs on their way to other processes: written by whoever runs a task, read by whoever follows it.

Rows are a relay and no record: they are gone after a minute, and after a crash of the server. PostgreSQL only, since
only there do several processes share a database.
"""

import logging
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, assert_never

from hector.core.content import JsonObject, ToolCall, ToolResult, part_from_json, part_to_json
from hector.core.errors import StoreError
from hector.core.event import Delta, TextDelta, ThinkingDelta
from hector.core.record import dataclass
from hector.core.task import (
    AgentDelta,
    AnswerDelta,
    ArtifactUpdate,
    Status,
    StatusUpdate,
    Task,
    TaskState,
    ToolProgress,
    Update,
)
from hector.store.codec import (
    artifact_from_text,
    artifact_to_text,
    client_message_from_text,
    client_message_to_text,
    decoded,
    dumps,
    loads,
)
from hector.store.database import Connection, Database
from hector.store.queries import load

log = logging.getLogger("hector.store")
FOLLOW: Final = "hector_follow"
"""The channel on which processes say which tasks they follow."""
RELAY: Final = "hector_relay"
"""The channel on which the tasks are named that there is something new of: ids, one a line."""
MOST_ROWS: Final = 1_000
"""Rows of one read."""
MOST_PAYLOAD: Final = 7_900
"""Bytes of a notification; PostgreSQL refuses 8,000."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Updates of one claim of a run, numbered from `first` on."""

    task_id: str
    job: int
    fence: int
    first: int
    updates: tuple[Update, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """The task as it was behind update `number` of a claim, with what it has said so far."""

    task_id: str
    job: int
    fence: int
    number: int
    task: Task


Entry: TypeAlias = Stretch | Standing


class Stored(NamedTuple):
    """What the database itself knows of a task: its state, and whether somebody works on it."""

    state: TaskState
    running: bool


class Relays:
    """The repository. Every method is one unit of work."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("relay", database.dialect)

    def write(self, entries: Sequence[Entry]) -> Awaitable[None]:
        """Append entries, in order, and tell those who listen on RELAY."""
        rows = [(entry.task_id, entry.job, entry.fence, _to_text(entry)) for entry in entries]
        return self._database.write(lambda con: self._write(con, rows))

    def read(self, known: Mapping[str, int]) -> Awaitable[list[tuple[int, str, Entry | None]]]:
        """(key, task id, entry) of what came behind the known key of each task, oldest first, MOST_ROWS at most.

        None stands for an entry that cannot be read, as from a newer version.
        """
        return self._database.read(lambda con: self._read(con, known))

    def announce(self, payload: str, fresh: Sequence[str] = ()) -> Awaitable[dict[str, int]]:
        """Tell those who listen on FOLLOW. Gives the newest key of each of the `fresh` tasks that have any."""

        async def unit(con: Connection) -> dict[str, int]:
            await con.notify(FOLLOW, payload)
            return dict(await con.all(self._sql["newest"], (list(fresh),))) if fresh else {}

        return self._database.write(unit)

    def stored(self, task_ids: Sequence[str]) -> Awaitable[dict[str, Stored]]:
        """How tasks stand; those that are gone are left out."""

        async def unit(con: Connection) -> dict[str, Stored]:
            rows = await con.all(self._sql["standing"], (list(task_ids),))
            return {task_id: Stored(TaskState(state), running) for task_id, state, running in rows}

        return self._database.read(unit)

    def sweep(self, age: float) -> Awaitable[int]:
        """Delete what is older than `age` seconds; how many rows."""
        return self._database.write(lambda con: con.execute(self._sql["sweep"], (age,)))

    async def _write(self, con: Connection, rows: Sequence[tuple[str, int, int, str]]) -> None:
        await con.execute(self._sql["write"], [list(column) for column in zip(*rows, strict=True)])
        for payload in lines({row[0] for row in rows}):
            await con.notify(RELAY, payload)

    async def _read(self, con: Connection, known: Mapping[str, int]) -> list[tuple[int, str, Entry | None]]:
        rows = await con.all(self._sql["read"], (list(known), list(known.values()), MOST_ROWS))
        return [(row[0], row[1], _from_row(*row)) for row in rows]


def lines(items: Iterable[str]) -> list[str]:
    """Items, one a line, in as few payloads of a notification as they fit into."""
    payloads: list[str] = []
    for item in items:
        if payloads and len(payloads[-1]) + len(item) < MOST_PAYLOAD:
            payloads[-1] += "\n" + item
        else:
            payloads.append(item)
    return payloads


def _to_text(entry: Entry) -> str:
    if isinstance(entry, Standing):
        return dumps({"number": entry.number, "task": _task_to_json(entry.task)})
    return dumps({"first": entry.first, "updates": [_update_to_json(update) for update in entry.updates]})


def _from_row(key: int, task_id: str, job: int, fence: int, body: str) -> Entry | None:
    def read(text: str) -> Entry:
        value = loads(text)
        if "task" in value:
            return Standing(task_id, job, fence, value["number"], _task_from_json(value["task"]))
        updates = tuple(_update_from_json(item) for item in value["updates"])
        return Stretch(task_id, job, fence, value["first"], updates)

    try:
        return decoded("relay", key, read, body)
    except StoreError as error:
        log.warning("an update from another process cannot be read", extra={"task": task_id, "error": str(error)})
        return None


def _update_to_json(update: Update) -> JsonObject:
    match update:
        case AnswerDelta(artifact_id, deltas, first):
            pieces = [[isinstance(delta, TextDelta), delta.text] for delta in deltas]
            return {"type": "answer", "id": artifact_id, "deltas": pieces, "first": first}
        case StatusUpdate(status):
            return {"type": "status", **_status_to_json(status)}
        case ArtifactUpdate(artifact, append, last):
            return {"type": "artifact", "artifact": artifact_to_text(artifact), "append": append, "last": last}
        case ToolProgress(call, result):
            found = {"call": call, "result": result}
            said = {"type": "tool", **{name: part_to_json(part) for name, part in found.items() if part}}
            return said | ({"author": update.author, "branch": update.branch} if update.author else {})
        case AgentDelta(call_id, author, branch, deltas):
            pieces = [[isinstance(delta, TextDelta), delta.text] for delta in deltas]
            return {"type": "agent", "call": call_id, "author": author, "branch": branch, "deltas": pieces}
        case _:
            assert_never(update)


def _update_from_json(value: JsonObject) -> Update:
    match value["type"]:
        case "answer":
            return AnswerDelta(value["id"], tuple(_delta(*piece) for piece in value["deltas"]), value["first"])
        case "status":
            return StatusUpdate(_status_from_json(value))
        case "artifact":
            return ArtifactUpdate(artifact_from_text(value["artifact"]), value["append"], value["last"])
        case "tool":
            call, result = _part(value, "call"), _part(value, "result")
            return ToolProgress(
                call if isinstance(call, ToolCall) else None,
                result if isinstance(result, ToolResult) else None,
                value.get("author", ""),
                value.get("branch", ""),
            )
        case "agent":
            deltas = tuple(_delta(*piece) for piece in value["deltas"])
            return AgentDelta(value["call"], value["author"], value["branch"], deltas)
        case other:
            raise ValueError(f"{other!r} is not the type of an update")


def _part(value: JsonObject, name: str) -> Any:
    return part_from_json(value[name]) if name in value else None


def _delta(is_text: bool, text: str) -> Delta:
    return TextDelta(text) if is_text else ThinkingDelta(text)


def _status_to_json(status: Status) -> JsonObject:
    said = None if status.message is None else client_message_to_text(status.message)
    return {"state": status.state.value, "at": status.at, "said": said}


def _status_from_json(value: JsonObject) -> Status:
    said = value["said"]
    return Status(TaskState(value["state"]), value["at"], None if said is None else client_message_from_text(said))


def _task_to_json(task: Task) -> JsonObject:
    return {
        "id": task.id,
        "context": task.context_id,
        "agent": task.agent,
        "status": _status_to_json(task.status),
        "artifacts": [artifact_to_text(artifact) for artifact in task.artifacts],
        "history": None if task.history is None else [client_message_to_text(said) for said in task.history],
        "metadata": task.metadata,
    }


def _task_from_json(value: JsonObject) -> Task:
    history = value["history"]
    return Task(
        value["id"],
        value["context"],
        value["agent"],
        _status_from_json(value["status"]),
        tuple(artifact_from_text(artifact) for artifact in value["artifacts"]),
        None if history is None else tuple(client_message_from_text(said) for said in history),
        value["metadata"],
    )
