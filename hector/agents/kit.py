"""What an agent can do besides talking: its tools, the agents that it may call, and those that it may hand over to."""

from collections.abc import Mapping, Sequence
from typing import Final

from hector.core.content import JsonObject, Text
from hector.core.errors import ToolError
from hector.core.event import Transfer
from hector.core.ports import Tool, ToolContext, ToolOutput, ToolPolicy, ToolSpec
from hector.core.record import dataclass

REENTRANT: Final = ToolPolicy(reentrant=True)
HANDOVER: Final = "transfer_to_"
"""How the tools are named that hand a conversation over; what follows is the agent's id."""
_REQUEST: Final[JsonObject] = {
    "type": "object",
    "properties": {"request": {"type": "string", "minLength": 1}},
    "required": ["request"],
    "additionalProperties": False,
}


def request_of(name: str, args: JsonObject) -> str:
    """The one argument of a call that goes to an agent. Raises ToolError."""
    request = args.get("request")
    if not isinstance(request, str) or not request.strip() or len(args) > 1:
        raise ToolError(
            f"the arguments of {name} do not fit: it takes one text, request, which says what is to be done"
        )
    return request


def _spec(name: str, description: str, request: str) -> ToolSpec:
    about = {"request": {**_REQUEST["properties"]["request"], "description": request}}
    return ToolSpec(name, description, {**_REQUEST, "properties": about})


@dataclass(frozen=True, slots=True)
class Delegate:
    """An agent that is called like a tool. Its answer is cut to `cut` characters, 0 for not at all."""

    spec: ToolSpec
    agent: str
    cut: int = 0


def delegate(agent: str, description: str, cut: int = 0) -> Delegate:
    """The tool that calls an agent."""
    request = "what it is to do, with all that it needs to know: it sees nothing else of this conversation"
    return Delegate(_spec(agent, description, request), agent, cut)


@dataclass(frozen=True, slots=True)
class Handover:
    """The tool that hands the conversation over to another agent."""

    spec: ToolSpec
    agent: str

    def check(self, args: JsonObject) -> None:
        """Raises ToolError unless there is a request."""
        request_of(self.spec.name, args)

    async def call(self, args: JsonObject, context: ToolContext) -> ToolOutput:
        """Changes nothing by itself: the run goes on with the other agent."""
        request = request_of(self.spec.name, args)
        return ToolOutput((Text(f"{self.agent} has the conversation now"),), control=Transfer(self.agent, request))


def handover(agent: str, description: str) -> Handover:
    """The tool that hands over to an agent."""
    what = f"Hand the conversation over to the agent {agent}, who answers the user from then on. {description}"
    return Handover(
        _spec(HANDOVER + agent, what.strip(), "what it is to do for the user, and what it should know"), agent
    )


@dataclass(frozen=True, slots=True)
class Kit:
    """Every tool has its row in `policies`. The calls of `handovers` come last: they end the agent's own part."""

    tools: Mapping[str, Tool]
    policies: Mapping[str, ToolPolicy]
    delegates: Mapping[str, Delegate]
    handovers: frozenset[str] = frozenset()

    @property
    def specs(self) -> Sequence[ToolSpec]:
        """What the model is offered."""
        specs = [tool.spec for tool in self.tools.values()]
        return specs + [one.spec for one in self.delegates.values()] if self.delegates else specs

    def with_handovers(self, tools: Mapping[str, Handover]) -> "Kit":
        """The same, and what hands the conversation over."""
        policies = {**self.policies, **dict.fromkeys(tools, REENTRANT)}
        return Kit({**self.tools, **tools}, policies, self.delegates, frozenset(tools))
