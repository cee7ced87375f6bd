"""What tasks are told: a message to accept, what came of it, a step to record; and the rows that a step becomes."""

from typing import TYPE_CHECKING, NamedTuple

from hector.core.clock import milliseconds
from hector.core.content import JsonObject
from hector.core.event import Artifact, Event
from hector.core.job import Claim, JobState, NewJob
from hector.core.push import PushConfig
from hector.core.record import dataclass
from hector.core.task import Caller, Status, Task, TaskState
from hector.store.approvals import Decision
from hector.store.codec import EventRow, artifact_to_text, client_message_to_text, event_row
from hector.store.counters import Charge
from hector.store.keys import lane_of
from hector.store.sessions import Session
from hector.store.state import StateChange, state_changes

if TYPE_CHECKING:
    from hector.store.artifacts import Kept


@dataclass(frozen=True, slots=True)
class Accept:
    """A client's message that begins a task or, with `resume`, answers one that waits.

    `context_id` None means a fresh conversation, or that of the resumed task. `event` is the user's
    (`history.user_event`). `owner` is the process that runs it at once, unless the session is busy; None leaves it to
    whoever is free. `stream` says whether the model is to be asked for a stream; `direct`, whether whoever takes it up
    later may answer with a message instead of a task. `push` is told of all that follows; `decisions` are what the
    event brings for calls that waited. `fresh`: the `context_id` has just been made.
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
    fresh: bool = False

    @property
    def begins(self) -> bool:
        """Whether it is the first message of its conversation, as far as the client is to be believed."""
        return self.fresh or self.context_id is None


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
    cost since the last write. `jobs` are added in the same transaction. `most_kept`: bytes that all artifacts of the
    user may come to with those of the events, 0 for no bound.
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
    jobs: tuple[NewJob, ...] = ()
    most_kept: int = 0


class Step(NamedTuple):
    """A Record in stored form, made before it is handed to the writer. `kept` are versions of artifacts."""

    rows: tuple[EventRow, ...]
    changes: tuple[StateChange, ...]
    artifacts: tuple[tuple[str, str], ...]
    status: tuple[str, int, str | None] | None
    kept: "tuple[Kept, ...]" = ()


def run_of(accept: Accept, session: int) -> NewJob:
    """The job that runs an accepted message."""
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


def end_of(record: Record) -> tuple[JobState | None, str | None]:
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


def prepare(record: Record) -> Step:
    """Everything that can be made before the writer's turn comes."""
    artifacts = {artifact.id: artifact for event in record.events for artifact in event.artifacts}
    artifacts.update((artifact.id, artifact) for artifact in record.artifacts)
    status = record.status
    return Step(
        tuple(event_row(event) for event in record.events),
        state_changes(record.events),
        tuple((name, artifact_to_text(artifact)) for name, artifact in artifacts.items()),
        None if status is None else _status_values(status),
        _kept(record.events) if artifacts else (),
    )


def _kept(events: tuple[Event, ...]) -> "tuple[Kept, ...]":
    if not any(event.artifacts for event in events):
        return ()
    from hector.store.artifacts import kept  # noqa: PLC0415 - loaded for the first artifact

    return kept(events)


def _status_values(status: Status) -> tuple[str, int, str | None]:
    said = None if status.message is None else client_message_to_text(status.message)
    return str(status.state), milliseconds(status.at), said
