"""Events: what a run yields. Appended ones are the truth of a session; partial ones are only streamed."""

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final, TypeAlias

from hector.core.content import Content, JsonObject, Message, ToolCall, ToolResult
from hector.core.record import dataclass
from hector.core.usage import Usage


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    """A piece of the model's reasoning."""

    text: str


Delta: TypeAlias = TextDelta | ThinkingDelta


ANSWER: Final = "answer-"
"""How the ids of the artifacts begin that hold the agents' own answers, one per run of a task."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A result that the client keeps. The same id again replaces it."""

    id: str
    parts: tuple[Content, ...]
    name: str | None = None
    description: str | None = None
    metadata: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Partial:
    """What came out of the model since the last read of its stream. Never stored."""

    author: str
    deltas: tuple[Delta, ...]


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A tool call is about to run. Never stored: the model's event already holds the call."""

    author: str
    call: ToolCall


@dataclass(frozen=True, slots=True)
class InputRequired:
    """The run pauses until the user answers call `call_id`."""

    call_id: str
    prompt: str


@dataclass(frozen=True, slots=True)
class PendingCall:
    """A call that waits for somebody's word. `args_hash` binds that word to exactly these arguments.

    `interrupted`: it had begun when the process died, and nobody knows whether it took effect. `expires_at` is in
    seconds since the epoch, None for never.
    """

    call_id: str
    name: str
    args: JsonObject
    args_hash: str
    prompt: str
    expires_at: float | None = None
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class ApprovalRequired:
    """The run pauses until somebody has approved or denied each of these calls."""

    calls: tuple[PendingCall, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """The agent declines the task."""

    reason: str


@dataclass(frozen=True, slots=True)
class DirectReply:
    """The agent answers with a message; no task shall remain."""

    text: str


Control: TypeAlias = InputRequired | ApprovalRequired | Rejected | DirectReply


@dataclass(frozen=True, slots=True)
class Event:
    """One appended fact of a session: who said what, what it cost, what it changed.

    `state` holds changed keys with their scope prefix (`app:`, `user:`, none; `temp:` never reaches the store); None
    deletes a key. `control` ends the run's own loop in the way it names. `started` are the ids of the calls whose
    execution begins right after this event has been stored: a call that is named there and has no result was cut off.
    """

    id: str
    invocation_id: str
    author: str
    at: float
    message: Message
    branch: str = ""
    usage: Usage | None = None
    state: Mapping[str, Any] = field(default_factory=dict)
    artifacts: tuple[Artifact, ...] = ()
    control: Control | None = None
    metadata: JsonObject | None = None
    started: tuple[str, ...] = ()

    @property
    def tool_results(self) -> tuple[ToolResult, ...]:
        """The results that this event brings."""
        return tuple(part for part in self.message.parts if isinstance(part, ToolResult))


Output: TypeAlias = Partial | ToolStarted | Event
"""What an agent yields."""
