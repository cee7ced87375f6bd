"""What every agent says of itself, whatever its type: on its card, to other agents, in its answer."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from hector.config.base import Names, Section
from hector.config.later import later

if TYPE_CHECKING:
    from hector.config.cardskill import Skill
    from hector.config.triggers import Trigger
else:
    Skill = later("hector.config.cardskill", "Skill")
    Trigger = later("hector.config.triggers", "Trigger")


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


class AgentBase(Section):
    """What every agent says of itself."""

    type: str = Field("llm", description="Kind of agent.")
    name: str = Field("", description="Name to show. Left out: the id.")
    description: str = Field("", description="What it is for; shown in the agent card and to other agents' models.")
    visibility: Literal["public", "internal", "private"] = Field(
        "public",
        description="public: open to everyone whom the server lets in; internal: to those who proved who they are; "
        "private: never over HTTP, but for other agents.",
    )
    output_key: str = Field(
        "",
        pattern=r"^((app:|user:)?[A-Za-z_][A-Za-z0-9_]*)?$",
        description="State that its answer is written to, as text, for the instructions of others: {key}. "
        "Left out: none.",
    )
    delegation: Delegation = Field(
        default_factory=Delegation.model_construct, description="How far agents go in working together in one turn."
    )
    input_modes: Names = Field(("text/plain",), description="Media types that the agent card offers to take.")
    output_modes: Names = Field(("text/plain",), description="Media types that the agent card offers to give.")
    enforce_input_modes: bool = Field(False, description="Refuse messages with parts of any other media type.")
    skills: tuple[Skill, ...] = Field((), description="Entries of the agent card. Left out: one general entry.")
    trigger: Trigger | None = Field(None, description="What begins runs beside its users. Left out: nothing.")

    @property
    def answers_as(self) -> Literal["task", "message", "auto"]:
        """Whether an answer may be a direct message; agents of some types let their configuration say so."""
        return "task"
