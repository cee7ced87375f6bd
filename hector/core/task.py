"""Tasks: the client's view of one run, with the states of A2A."""

from enum import StrEnum
from typing import Final, TypeAlias

from hector.core.content import JsonObject, Message, ToolCall, ToolResult
from hector.core.event import Artifact, Delta
from hector.core.record import dataclass


class TaskState(StrEnum):
    """A2A's task states; the value is the 0.3 spelling."""

    SUBMITTED = "submitted"
    WORKING = "working"
    INPUT_REQUIRED = "input-required"
    AUTH_REQUIRED = "auth-required"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    REJECTED = "rejected"

    @property
    def terminal(self) -> bool:
        """Nothing ever changes it again."""
        return self in TERMINAL

    @property
    def interrupted(self) -> bool:
        """The agent waits for the client."""
        return self in (TaskState.INPUT_REQUIRED, TaskState.AUTH_REQUIRED)


TERMINAL: Final = frozenset({TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELED, TaskState.REJECTED})


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose data a request may touch: the app (tenant) and the user within it."""

    app: str = "default"
    user: str = "default"


@dataclass(frozen=True, slots=True)
class ClientMessage:
    """A message as a client sent it or will see it: a Message with its A2A envelope."""

    id: str
    message: Message
    context_id: str | None = None
    task_id: str | None = None
    metadata: JsonObject | None = None
    extensions: tuple[str, ...] = ()
    reference_task_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """State, when it was entered (seconds since the epoch), and what the agent says about it."""

    state: TaskState
    at: float
    message: ClientMessage | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A snapshot. `history` is None where it was not asked for."""

    id: str
    context_id: str
    agent: str
    status: Status
    artifacts: tuple[Artifact, ...] = ()
    history: tuple[ClientMessage, ...] | None = None
    metadata: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """The task entered a state, or says something within it."""

    status: Status


@dataclass(frozen=True, slots=True)
class ArtifactUpdate:
    """A whole artifact, or the end of a streamed one (`last`). `append` adds the parts to what is there."""

    artifact: Artifact
    append: bool = False
    last: bool = True


@dataclass(frozen=True, slots=True)
class AnswerDelta:
    """Pieces of the answer or of the thinking, as they came; `artifact_id` names the artifact that they grow."""

    artifact_id: str
    deltas: tuple[Delta, ...]
    first: bool


@dataclass(frozen=True, slots=True)
class ToolProgress:
    """A tool call that begins (`result` is None) or has ended. `author` calls it, if not the task's own agent."""

    call: ToolCall | None
    result: ToolResult | None = None
    author: str = ""
    branch: str = ""


@dataclass(frozen=True, slots=True)
class AgentDelta:
    """Pieces of what an agent says that was called as the tool call `call_id`; its result will follow."""

    call_id: str
    author: str
    branch: str
    deltas: tuple[Delta, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """The agent answered with a direct message: no task exists."""

    message: ClientMessage


Update: TypeAlias = StatusUpdate | ArtifactUpdate | AnswerDelta | ToolProgress | AgentDelta
"""What subscribers of a task see after its snapshot, in this order for all of them."""


@dataclass(frozen=True, slots=True)
class TaskQuery:
    """Filters of a listing. `updated_after` is in seconds since the epoch, inclusive."""

    context_id: str | None = None
    state: TaskState | None = None
    updated_after: float | None = None
    page_size: int = 50
    page_token: str | None = None
    history_length: int | None = 0
    include_artifacts: bool = False


@dataclass(frozen=True, slots=True)
class TaskPage:
    """One page, newest first; `next_token` is empty on the last one; `total` counts all matches."""

    tasks: tuple[Task, ...]
    next_token: str
    total: int
