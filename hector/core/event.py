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


DENIED: Final = "denied"
"""The key of an event's metadata that says which of its results stand for calls that a rule forbade, and which rule."""


@dataclass(frozen=True, slots=True)
class Partial:
    """What came out of the model since the last read of its stream. Never stored."""

    author: str
    deltas: tuple[Delta, ...]


@dataclass(frozen=True, slots=True)
class BranchPartial:
    """The same in a branch; `call` names the call of the agent that the branch serves. Never stored.

    Also what the tool `author` says while it runs, of whose call `call` is the name.
    """

    author: str
    deltas: tuple[Delta, ...]
    branch: str
    call: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A tool call is about to run. Never stored: the model's event already holds the call."""

    author: str
    call: ToolCall
    branch: str = ""


@dataclass(frozen=True, slots=True)
class InputRequired:
    """The run pauses until the user answers call `call_id` (see `call_name`).

    `agent` and `branch` say who asks, unless that is the task's own agent. In a branch, an event with this control only
    notes that a question is open; the run pauses with an event of the session itself that asks it. `choices`: what
    is an answer, where not everything is.
    """

    call_id: str
    prompt: str
    agent: str = ""
    branch: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PendingCall:
    """A call that waits for somebody's word. `args_hash` binds that word to exactly these arguments.

    `interrupted`: it had begun when the process died, and nobody knows whether it took effect. `expires_at` is in
    seconds since the epoch, None for never. `agent` and `branch` say who asks, unless that is the task's own agent.
    `term` is how many seconds people will have, as long as they have not been asked; then it has become `expires_at`.
    """

    call_id: str
    name: str
    args: JsonObject
    args_hash: str
    prompt: str
    expires_at: float | None = None
    interrupted: bool = False
    agent: str = ""
    branch: str = ""
    term: float = 0.0


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


@dataclass(frozen=True, slots=True)
class Transfer:
    """The agent hands the conversation to another one, with what it is asked to do."""

    agent: str
    request: str


@dataclass(frozen=True, slots=True)
class ExitLoop:
    """The agent ends the loop that it works in, and its own part where there is none.

    `escalated`: because it cannot go on, for `reason`; otherwise because all is done.
    """

    reason: str = ""
    escalated: bool = False


Control: TypeAlias = InputRequired | ApprovalRequired | Rejected | DirectReply | Transfer | ExitLoop


@dataclass(frozen=True, slots=True)
class Event:
    """One appended fact of a session: who said what, what it cost, what it changed.

    `state` holds changed keys with their scope prefix (`app:`, `user:`, none; `temp:` never reaches the store); None
    deletes a key. `control` ends the agent's own loop in the way it names. `started` are the ids of the calls whose
    execution begins right after this event has been stored: a call that is named there and has no result was cut off.

    `branch` is empty for the conversation itself. An agent that another one calls works in a branch of its own, named
    after the caller's branch and "<agent>@<call>", steps set apart by dots; others are not shown its events.
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
        return tuple([part for part in self.message.parts if isinstance(part, ToolResult)])


ASIDE: Final = "aside"
"""The key of an event's metadata that keeps what it says out of the task's answer."""


def is_aside(event: Event) -> bool:
    """Whether what an event says is work on the answer, rather than part of it: a branch, a step before the last."""
    return bool(event.branch) or (event.metadata is not None and ASIDE in event.metadata)


Output: TypeAlias = Partial | BranchPartial | ToolStarted | Event
"""What an agent yields."""


def call_name(call_id: str, author: str, branch: str, root: str) -> str:
    """What a call is known by outside of its agent: models count their calls each for itself, so ids may repeat.

    `root` is the task's own agent, whose calls go by their plain ids.
    """
    owner = branch.rpartition(".")[2].partition("@")[0] if branch else root
    place = branch if author == owner else f"{branch}.{author}" if branch else author
    return f"{place}.{call_id}" if place else call_id
