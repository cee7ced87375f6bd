"""Pieces of conversations that the tests put into a store."""

from dataclasses import replace
from typing import Any

from hector.core.content import JsonObject, Message, Text, user
from hector.core.event import Artifact, Control, Event
from hector.core.ids import new_id
from hector.core.job import NewJob
from hector.core.task import Caller, ClientMessage, Status, TaskState
from hector.core.usage import Usage
from hector.store import Accept, Accepted, Record, Store
from hector.store.history import user_event

ME = Caller("app", "me")
NOW = 1_700_000_000.25
OWNER = "process-1"


def said(text: str, message_id: str = "") -> ClientMessage:
    """What a client sends."""
    return ClientMessage(message_id or new_id(), user(text))


def answer(text: str, *, state: dict[str, Any] | None = None, control: Control | None = None) -> Event:
    """What an agent appends."""
    message = Message("assistant", (Text(text),))
    return Event(new_id(), "run", "helper", NOW, message, usage=Usage(3, 5), state=state or {}, control=control)


def request(
    text: str = "hello",
    *,
    caller: Caller = ME,
    task: str = "",
    context: str | None = "c",
    at: float = NOW,
    metadata: JsonObject | None = None,
    resume: bool = False,
    owner: str | None = OWNER,
) -> Accept:
    """A message that begins or continues a task."""
    event = user_event(said(text), event_id=new_id(), invocation_id="run", at=at)
    return Accept(caller, "helper", task or new_id(), context, event, at, metadata, resume, owner)


async def begin(store: Store, text: str = "hello", **options: Any) -> Accepted:
    """Accept a message."""
    return await store.tasks.accept(request(text, **options))


def done(accepted: Accepted, *events: Event, caller: Caller = ME, at: float = NOW) -> Record:
    """The last record of a run."""
    task = accepted.task
    status = Status(TaskState.COMPLETED, at)
    artifact = Artifact("answer-1", (Text("done"),), "response")
    return Record(caller, task.id, task.context_id, events, (artifact,), status)


def step(accepted: Accepted, *events: Event, **changes: Any) -> Record:
    """A record in mid-run."""
    return replace(Record(ME, accepted.task.id, accepted.task.context_id, events), **changes)


async def add(store: Store, job: NewJob) -> int:
    """Add a job for whoever is free; its key."""
    return (await store.database.write(lambda con: store.jobs.insert(con, job))).key
