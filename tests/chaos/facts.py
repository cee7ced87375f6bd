"""What a database holds, read past Hector: straight from the tables, on either engine."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeAlias

import asyncpg

SEQ_BITS: Final = 24
ENDS: Final = ("completed", "failed", "canceled", "rejected")
WAITS: Final = ("input-required", "auth-required")

_SESSIONS: Final = "SELECT key, id, next_seq FROM sessions"
_TASKS: Final = "SELECT key, id, state, message FROM tasks ORDER BY key"
_EVENTS: Final = "SELECT key, task, id, author, body FROM events ORDER BY key"
_JOBS: Final = "SELECT key, kind, subject, state, attempts, fence, owner, cause FROM jobs ORDER BY key"
_INSTANCES: Final = "SELECT id, pid FROM instances"
Rows: TypeAlias = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Task:
    """A row of tasks. `said` is the status message's text."""

    key: int
    id: str
    state: str
    said: str

    @property
    def ended(self) -> bool:
        """Nothing changes it any more."""
        return self.state in ENDS

    @property
    def settled(self) -> bool:
        """It has ended or waits for somebody."""
        return self.ended or self.state in WAITS


@dataclass(frozen=True, slots=True)
class Event:
    """A row of events."""

    key: int
    task: int
    id: str
    author: str
    body: dict[str, Any]

    @property
    def aside(self) -> bool:
        """Whether it is work on the answer, rather than part of it."""
        return "aside" in (self.body.get("metadata") or {})

    @property
    def role(self) -> str:
        """Of the message."""
        return str(self.body["message"]["role"])

    def parts(self, kind: str) -> Iterator[dict[str, Any]]:
        """The message's parts of a type."""
        return (part for part in self.body["message"]["parts"] if part["type"] == kind)

    @property
    def text(self) -> str:
        """All text parts, joined."""
        return "".join(part["text"] for part in self.parts("text"))


@dataclass(frozen=True, slots=True)
class Job:
    """A row of jobs."""

    key: int
    kind: str
    subject: str
    state: str
    attempts: int
    fence: int
    owner: str | None
    cause: str | None

    @property
    def live(self) -> bool:
        """Somebody still has to do it."""
        return self.state in ("ready", "running")


@dataclass(frozen=True)
class Facts:
    """Everything that the rules look at."""

    sessions: dict[int, tuple[str, int]]
    """Key -> id, next sequence number."""
    tasks: list[Task]
    events: list[Event]
    jobs: list[Job]
    instances: list[tuple[str, int]]
    """Id, pid."""

    @cached_property
    def runs(self) -> dict[str, Task]:
        """The name in `run NAME ...` -> its task."""
        tasks = {task.key: task for task in self.tasks}
        found = {}
        for event in self.events:
            words = event.text.split()
            if event.role == "user" and words[:1] == ["run"] and event.task in tasks:
                found[words[1]] = tasks[event.task]
        return found

    def of(self, task: Task) -> list[Event]:
        """A task's events."""
        return [event for event in self.events if event.task == task.key]

    @cached_property
    def turns(self) -> dict[tuple[str, int], Event]:
        """Run and step of every model turn that is stored -> its event."""
        found = {}
        names = {task.key: name for name, task in self.runs.items()}
        steps: dict[int, int] = {}
        for event in self.events:
            if event.role == "assistant" and event.task in names and event.body["message"]["parts"]:
                step = steps[event.task] = steps.get(event.task, -1) + 1
                found[names[event.task], step] = event
        return found

    @cached_property
    def calls(self) -> dict[str, Event]:
        """Id of every stored tool call -> its event."""
        return {part["id"]: event for event in self.events for part in event.parts("tool_call")}

    @cached_property
    def results(self) -> list[str]:
        """Id of the call of every stored tool result."""
        return [part["call_id"] for event in self.events for part in event.parts("tool_result")]


async def read_facts(dsn: str) -> Facts:
    """One consistent look, whether or not anybody serves from it. Raises sqlite3.Error or asyncpg's."""
    queries = (_SESSIONS, _TASKS, _EVENTS, _JOBS, _INSTANCES)
    if dsn.startswith("sqlite://"):
        sessions, tasks, events, jobs, instances = _from_sqlite(dsn.removeprefix("sqlite://"), queries)
    else:
        sessions, tasks, events, jobs, instances = await _from_postgres(dsn, queries)
    return Facts(
        {key: (name, seq) for key, name, seq in sessions},
        [Task(key, name, state, _said(message)) for key, name, state, message in tasks],
        [Event(key, task, name, author, json.loads(body)) for key, task, name, author, body in events],
        [Job(*row) for row in jobs],
        [(name, pid) for name, pid in instances],
    )


def _from_sqlite(path: str, queries: tuple[str, ...]) -> list[Rows]:
    con = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10, isolation_level=None)
    try:
        con.execute("BEGIN")
        return [con.execute(query).fetchall() for query in queries]
    finally:
        con.close()


async def _from_postgres(dsn: str, queries: tuple[str, ...]) -> list[Rows]:
    con = await asyncpg.connect(dsn)
    try:
        async with con.transaction(isolation="repeatable_read", readonly=True):
            return [[tuple(row) for row in await con.fetch(query)] for query in queries]
    finally:
        await con.close()


def _said(message: str | None) -> str:
    if message is None:
        return ""
    return "".join(part.get("text", "") for part in json.loads(message)["parts"])
