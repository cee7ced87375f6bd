"""The seams: what a capability offers, so that capabilities never import each other."""

from collections.abc import AsyncGenerator, Callable, Hashable, Mapping, Sequence
from dataclasses import field
from typing import Any, Final, Literal, Protocol, TypeAlias, TypeVar

from hector.core.content import Content, JsonObject, Message, ToolCall
from hector.core.event import Artifact, Control, Delta, Event
from hector.core.keeping import ArtifactShelf, MemoryShelf
from hector.core.record import dataclass
from hector.core.usage import FinishReason, Usage

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model sees it. `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: JsonObject


class ToolSpecs(tuple[ToolSpec, ...]):
    """The tools that an agent is offered, for as long as they are the same ones."""


_MOST_MADE: Final = 32
"""Things that are kept with the tools of an agent; a model that is asked in one way needs three."""


def once(tools: Sequence[ToolSpec], key: Hashable, make: Callable[[], Made]) -> Made:
    """What `make` makes of the tools, made once for each `key` where the tools are those of an agent.

    It is kept with them and goes with them. The key says all that it depends on besides the tools.
    """
    if not isinstance(tools, ToolSpecs):
        return make()
    made = tools.__dict__.setdefault("_made", {})
    if key not in made:
        if len(made) >= _MOST_MADE:
            made.clear()
        made[key] = make()
    found: Made = made[key]
    return found


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


BY_ID: Final = "llm:"
"""How a model is named by its own id where agents stand for theirs."""


class Permit(Protocol):
    """The leave to make one model call."""

    def hear(self, deltas: Sequence[Delta]) -> None:
        """Say that the provider has begun to answer, and with what: that is paid for, even if the call fails."""

    def settle(self, reply: ModelReply | None) -> None:
        """Say what came of the call; None: it failed. A second time says nothing."""


class Meter(Protocol):
    """Watches over what one run spends, the agents that it calls included."""

    async def before_model(self, agent: str, request: ModelRequest, llm: str = "") -> Permit:
        """Wait until a call may be made; `llm` names another model than the agent's own. Raises BudgetExceeded."""

    async def before_tools(
        self, agent: str, invocation: str, calls: Sequence[ToolCall], events: Sequence[Event]
    ) -> Mapping[str, str]:
        """Which of the calls are not to be carried out, by id, and what the model is told instead.

        `events` are those of the run so far, the model's turn included. Raises BudgetExceeded.
        """


OnUnknown: TypeAlias = Literal["ask", "retry", "fail"]
"""What becomes of a call that was cut off, so that nobody knows whether it took effect."""


Action: TypeAlias = Literal["ask", "allow", "deny"]
"""What becomes of a call before it runs: a person is asked, nobody is, or it does not run at all."""


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """What becomes of calls of the tools that fit `tool`, with arguments that fit `args`: names and patterns."""

    action: Action
    tool: str = "*"
    args: tuple[tuple[str, Any], ...] = ()


Readings: TypeAlias = Callable[[JsonObject], Sequence[JsonObject]]
"""All that the arguments of a call may be taken for, such as each command of a line, or the plain form of a path."""


@dataclass(frozen=True, slots=True)
class ToolPolicy:
    """Under which conditions a tool is called. `expires`: seconds that an approval is waited for, None for ever.

    A `reentrant` call goes on from events of its own wherever it was cut off, so its start is nothing to announce.
    `approval` is for calls that none of the `rules` fits; `readings` are what those are held against, besides the
    arguments themselves (tools/policy.py). A `firm` approval is taken back by no entry and no rule of a configuration.
    """

    approval: bool = False
    prompt: str = ""
    expires: float | None = None
    on_unknown: OnUnknown = "ask"
    reentrant: bool = False
    rules: tuple[ApprovalRule, ...] = ()
    readings: Readings | None = None
    firm: bool = False


def _unseen(text: str) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a tool may know of the run that calls it. `state` is the merged view, keys with their scope prefix.

    `effect_id` is the same whenever this very call is tried again, so that a service can tell a repetition.
    `name` is what the call is known by outside of its agent (`core.event.call_name`).
    `progress(text)` shows text to whoever watches the run now; it is stored nowhere, may be called from any thread, and
    costs nothing where nobody watches. A tool that asks models has `meter` count it for the run.
    """

    call_id: str
    agent: str
    app: str
    user: str
    session_id: str
    task_id: str
    state: Mapping[str, Any] = field(default_factory=dict)
    effect_id: str = ""
    progress: Callable[[str], None] = _unseen
    artifacts: ArtifactShelf | None = None
    memories: MemoryShelf | None = None
    name: str = ""
    meter: Meter | None = None


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


@dataclass(frozen=True, slots=True)
class Offer:
    """Tools by the names that models call them by, each with what it says of itself.

    `timed`: calls are given up from outside when their time is over, rather than by the tools themselves.
    """

    tools: Mapping[str, Tool]
    policies: Mapping[str, ToolPolicy]
    timed: bool = True


class Toolset(Protocol):
    """Tools of one entry of the configuration that are known only once somebody was asked, such as an MCP server's."""

    @property
    def offered(self) -> Offer | None:
        """What there is now: the same object until it changes. None before `load`, and whenever it must be loaded."""

    @property
    def away(self) -> bool:
        """Whether tools are missing for now, because who has them cannot be reached."""

    async def load(self) -> None:
        """Ask for them, so that `offered` is an Offer. Raises HectorError where a run cannot do without."""

    async def aclose(self) -> None:
        """Give back connections and child processes."""
