"""The seams: what a capability offers, so that capabilities never import each other."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import field
from typing import Any, Literal, Protocol, TypeAlias

from hector.core.content import Content, JsonObject, Message, ToolCall
from hector.core.event import Artifact, Control, Delta, Event
from hector.core.record import dataclass
from hector.core.usage import FinishReason, Usage


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model sees it. `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: JsonObject


@dataclass(frozen=True, slots=True)
class OutputSchema:
    """The shape that an answer must have. `schema` is a JSON Schema."""

    schema: JsonObject
    name: str = "response"
    strict: bool = True


ToolChoice: TypeAlias = Literal["auto", "none", "required"]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """Everything that varies from call to call; what is fixed per model lives in its configuration."""

    system: str
    messages: Sequence[Message]
    tools: Sequence[ToolSpec] = ()
    tool_choice: ToolChoice = "auto"
    output: OutputSchema | None = None


@dataclass(frozen=True, slots=True)
class ModelReply:
    """A finished model turn. `message.role` is "assistant"; `raw_finish` is the provider's own word."""

    message: Message
    finish: FinishReason
    usage: Usage
    model: str = ""
    raw_finish: str = ""


class ChatModel(Protocol):
    """One configured model.

    Both calls raise ModelError's subclasses and nothing else of their own; cancelling them closes the connection.
    """

    def stream(self, request: ModelRequest) -> AsyncGenerator[tuple[Delta, ...] | ModelReply, None]:
        """Deltas, one tuple per network read; then exactly one ModelReply, which repeats all of them, and the end."""

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The whole turn at once, without streaming on the wire."""

    async def aclose(self) -> None:
        """Give back connections and child processes."""


class Permit(Protocol):
    """The leave to make one model call."""

    def settle(self, reply: ModelReply | None) -> None:
        """Say what came of the call; None: it failed. A second time says nothing."""


class Meter(Protocol):
    """Watches over what one run spends, the agents that it calls included."""

    async def before_model(self, agent: str, request: ModelRequest) -> Permit:
        """Wait until a call may be made. Raises BudgetExceeded."""

    async def before_tools(
        self, agent: str, invocation: str, calls: Sequence[ToolCall], events: Sequence[Event]
    ) -> Mapping[str, str]:
        """Which of the calls are not to be carried out, by id, and what the model is told instead.

        `events` are those of the run so far, the model's turn included. Raises BudgetExceeded.
        """


OnUnknown: TypeAlias = Literal["ask", "retry", "fail"]
"""What becomes of a call that was cut off, so that nobody knows whether it took effect."""


@dataclass(frozen=True, slots=True)
class ToolPolicy:
    """Under which conditions a tool is called. `expires`: seconds that an approval is waited for, None for ever.

    A `reentrant` call goes on from events of its own wherever it was cut off, so its start is nothing to announce.
    """

    approval: bool = False
    prompt: str = ""
    expires: float | None = None
    on_unknown: OnUnknown = "ask"
    reentrant: bool = False


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a tool may know of the run that calls it. `state` is the merged view, keys with their scope prefix.

    `effect_id` is the same whenever this very call is tried again, so that a service can tell a repetition.
    """

    call_id: str
    agent: str
    app: str
    user: str
    session_id: str
    task_id: str
    state: Mapping[str, Any] = field(default_factory=dict)
    effect_id: str = ""


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What a tool gives back, as data: content for the model and the changes that it asks for."""

    content: tuple[Content, ...] = ()
    is_error: bool = False
    artifacts: tuple[Artifact, ...] = ()
    state: Mapping[str, Any] = field(default_factory=dict)
    control: Control | None = None


class Tool(Protocol):
    """One callable tool. Raises ToolError for what the model should read; anything else is a defect, contained."""

    @property
    def spec(self) -> ToolSpec:
        """Name, description and parameters."""

    def check(self, args: JsonObject) -> None:
        """Raises ToolError for arguments that `call` would refuse. Has no effect: nobody has approved anything yet."""

    async def call(self, args: JsonObject, context: ToolContext) -> ToolOutput:
        """Run once. Whoever asks people first has had `args` checked; the tool checks them again."""
