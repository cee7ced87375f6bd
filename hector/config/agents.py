"""Agents."""

from typing import Any, Literal, TypeAlias

from pydantic import Field

from hector.config.base import Names, Section


class Prompt(Section):
    """The instruction in pieces. Order: global, role, instruction, guidance."""

    system_prompt: str = Field("", description="Takes the place of `instruction`.")
    role: str = Field("", description="Who the agent is; put before the instruction.")
    guidance: str = Field("", description="How the agent should go about it; put after the instruction.")


class Skill(Section):
    """One entry of the agent card."""

    id: str = Field(min_length=1, description="Identifier within the card.")
    name: str = Field("", description="Short title. Left out: the id.")
    description: str = Field("", description="What the agent can do.")
    tags: Names = Field((), description="Key words.")
    examples: tuple[str, ...] = Field((), description="Sample requests.")


class Reasoning(Section):
    """Limits of the think-and-act loop."""

    max_iterations: int = Field(100, ge=1, description="Most model calls in one turn; one more fails the turn.")
    completion_instruction: str = Field("", description="Put at the end of the system text.")


class Context(Section):
    """How much of a long conversation the model sees."""

    strategy: Literal["none"] = Field("none", description="none: the whole conversation.")


class Delegation(Section):
    """How far a turn goes in which agents work together; the agent that the turn began with decides."""

    max_depth: int = Field(
        5, ge=1, le=20, description="Most agents that call each other in a chain; a deeper call fails as a tool does."
    )
    max_calls: int = Field(
        8, ge=1, le=100, description="Most agents that one model call may call; the calls beyond fail as a tool does."
    )
    max_transfers: int = Field(
        10, ge=1, le=1000, description="Most changes of hands in one turn; one more without an answer fails the turn."
    )


class StructuredOutput(Section):
    """The answer is JSON of a given shape."""

    json_schema: dict[str, Any] = Field(alias="schema", min_length=1, description="JSON Schema of the answer.")
    strict: bool = Field(True, description="Ask the provider to enforce the schema, where it can.")
    name: str = Field(
        "response", pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Name of the shape, as the provider is told."
    )


class LlmAgent(Section):
    """One model, its instruction and its tools."""

    type: Literal["llm"] = Field("llm", description="Kind of agent.")
    name: str = Field("", description="Name to show. Left out: the id.")
    description: str = Field("A helpful AI assistant.", description="What it is for; shown in the agent card.")
    visibility: Literal["public", "internal", "private"] = Field(
        "public",
        description="public: open to everyone whom the server lets in; internal: to those who proved who they are; "
        "private: never over HTTP, but for other agents.",
    )
    llm: str = Field(
        "", description="Model, an id under `llms`. Left out: defaults.llm, then `default`, then the first."
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
    delegation: Delegation = Field(
        default_factory=Delegation.model_construct, description="How far agents go in working together in one turn."
    )
    streaming: bool = Field(True, description="Ask the model for its answer piece by piece.")
    input_modes: Names = Field(("text/plain",), description="Media types that the agent card offers to take.")
    output_modes: Names = Field(("text/plain",), description="Media types that the agent card offers to give.")
    enforce_input_modes: bool = Field(False, description="Refuse messages with parts of any other media type.")
    skills: tuple[Skill, ...] = Field((), description="Entries of the agent card. Left out: one general entry.")
    reasoning: Reasoning = Field(
        default_factory=Reasoning.model_construct, description="Limits of the think-and-act loop."
    )
    context: Context = Field(
        default_factory=Context.model_construct, description="How much of a long conversation the model sees."
    )
    structured_output: StructuredOutput | None = Field(None, description="The answer is JSON of this shape.")
    disable_safety_protocols: bool = Field(
        False, description="Leave out the line that tells a model with tools to wait for real tool results."
    )
    reply: Literal["task", "message", "auto"] = Field(
        "task", description="task: every answer is a task; message: a direct message; auto: the model may choose."
    )


Agent: TypeAlias = LlmAgent
