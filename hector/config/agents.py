"""Agents: one class per type, told apart by `type`."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field

from hector.config.agentbase import AgentBase
from hector.config.base import Names, Section
from hector.config.choice import ModelNames, listed
from hector.config.context import Context, Recall
from hector.config.later import later
from hector.config.tagged import ByTag

if TYPE_CHECKING:
    from hector.config.overrides import LlmOverrides
    from hector.config.searching import AgentSearch
    from hector.config.structured import StructuredOutput
else:
    AgentSearch = later("hector.config.searching", "AgentSearch")
    LlmOverrides = later("hector.config.overrides", "LlmOverrides")
    StructuredOutput = later("hector.config.structured", "StructuredOutput")


class Prompt(Section):
    """The instruction in pieces. Order: global, role, instruction, guidance."""

    system_prompt: str = Field("", description="Takes the place of `instruction`.")
    role: str = Field("", description="Who the agent is; put before the instruction.")
    guidance: str = Field("", description="How the agent should go about it; put after the instruction.")


class Reasoning(Section):
    """Limits of the think-and-act loop."""

    max_iterations: int = Field(100, ge=1, description="Most model calls in one turn; one more fails the turn.")
    completion_instruction: str = Field("", description="Put at the end of the system text.")
    enable_exit_tool: bool = Field(
        False, description="Give it the tool exit_loop, which ends the loop that it works in: all is done."
    )
    enable_escalate_tool: bool = Field(
        False, description="Give it the tool escalate, which ends the loop that it works in, with a reason."
    )


class LlmAgent(AgentBase):
    """One model, its instruction and its tools."""

    type: Literal["llm"] = Field("llm", description="Kind of agent.")
    description: str = Field("A helpful AI assistant.", description="What it is for; shown in the agent card.")
    llm: ModelNames = Field(
        "",
        description="Model, an id under `llms`; or a list of them, of which the first that is not at rest is used. "
        "Left out: defaults.llm, then `default`, then the first.",
    )
    llm_overrides: LlmOverrides | None = Field(
        None, description="What is otherwise for this agent than its models' sections say. Left out: nothing."
    )
    instruction: str = Field("", description="What the agent is told; {name}, {user:name}, {temp:name?} are filled in.")
    instruction_file: str | None = Field(
        None, description="File that takes the place of `instruction`, relative to the configuration file."
    )
    global_instruction: str = Field("", description="Put before everything else, also for agents below this one.")
    prompt: Prompt = Field(default_factory=Prompt.model_construct, description="The instruction in pieces.")
    tools: Names | None = Field(
        None, description="Ids under `tools` or names of generic tools. Left out: every enabled tool; []: none."
    )
    document_stores: Names | None = Field(
        None,
        description="Ids under `document_stores` that it can search, with the tool `search`. Left out: all of them; "
        "[]: none.",
    )
    include_context: bool = Field(
        False, description="Search its document stores for what the user says, and show the model what is found."
    )
    include_context_limit: int = Field(5, ge=1, le=50, description="include_context: passages at most, of all stores.")
    include_context_max_length: int = Field(
        500, ge=0, description="include_context: characters of each passage; 0 means all of it."
    )
    search: AgentSearch | None = Field(None, description="Its tool `search`. Left out: it has one, if it has stores.")
    agent_tools: Names = Field(
        (), description="Agents that it may call like tools; each works by itself on what it is asked, and answers."
    )
    sub_agents: Names = Field((), description="Agents that it may hand the conversation over to.")
    disallow_transfer_to_parent: bool = Field(
        False, description="As a sub-agent: not to hand the conversation back to the agent above."
    )
    disallow_transfer_to_peers: bool = Field(
        False, description="As a sub-agent: not to hand the conversation over to other sub-agents of the same agent."
    )
    streaming: bool = Field(True, description="Ask the model for its answer piece by piece.")
    reasoning: Reasoning = Field(
        default_factory=Reasoning.model_construct, description="Limits of the think-and-act loop."
    )
    context: Context = Field(
        default_factory=Context.model_construct, description="How much of a long conversation the model sees."
    )
    memory: Recall = Field(
        default_factory=Recall.model_construct, description="What it has to do with memories of other sessions."
    )
    structured_output: StructuredOutput | None = Field(None, description="The answer is JSON of this shape.")
    disable_safety_protocols: bool = Field(
        False, description="Leave out the line that tells a model with tools to wait for real tool results."
    )
    reply: Literal["task", "message", "auto"] = Field(
        "task", description="task: every answer is a task; message: a direct message; auto: the model may choose."
    )

    @property
    def llms(self) -> tuple[str, ...]:
        """The models that `llm` names, in order."""
        return listed(self.llm)

    @property
    def answers_as(self) -> Literal["task", "message", "auto"]:
        """What `reply` says."""
        return self.reply


def _llm() -> type[AgentBase]:
    return LlmAgent


def _sequential() -> type[AgentBase]:
    from hector.config.flows import SequentialAgent  # noqa: PLC0415 - loaded for the first agent of its type

    return SequentialAgent


def _loop() -> type[AgentBase]:
    from hector.config.flows import LoopAgent  # noqa: PLC0415 - loaded for the first agent of its type

    return LoopAgent


def _parallel() -> type[AgentBase]:
    from hector.config.flows import ParallelAgent  # noqa: PLC0415 - loaded for the first agent of its type

    return ParallelAgent


def _conditional() -> type[AgentBase]:
    from hector.config.flows import ConditionalAgent  # noqa: PLC0415 - loaded for the first agent of its type

    return ConditionalAgent


def _runner() -> type[AgentBase]:
    from hector.config.flows import RunnerAgent  # noqa: PLC0415 - loaded for the first agent of its type

    return RunnerAgent


def _remote() -> type[AgentBase]:
    from hector.config.remote import RemoteAgent  # noqa: PLC0415 - loaded for the first agent of its type

    return RemoteAgent


TYPES: Final[Mapping[str, Callable[[], type[AgentBase]]]] = {
    "llm": _llm,
    "sequential": _sequential,
    "parallel": _parallel,
    "loop": _loop,
    "conditional": _conditional,
    "runner": _runner,
    "remote": _remote,
}
"""By `type`. Those of other modules are imported in their functions."""


def kind_of(_block: Mapping[str, Any]) -> str:
    """The type of an agent that names none."""
    return "llm"


Agent: TypeAlias = Annotated[AgentBase, ByTag("type", TYPES, kind_of)]
