"""What an agent can do besides talking: its tools, the agents that it may call, and those that it may hand over to."""

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Final

from hector.core.content import JsonObject, Text
from hector.core.errors import ToolError
from hector.core.event import Transfer
from hector.core.ports import Offer, Tool, ToolContext, ToolOutput, ToolPolicy, ToolSpec, ToolSpecs
from hector.core.record import dataclass

if TYPE_CHECKING:
    from hector.agents.sources import Sources

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
    """Every tool has its row in `policies`. The calls of `handovers` come last: they end the agent's own part.

    `sources` are of tools that join at run time. What follows from the tools is made when it is first asked for.
    """

    tools: Mapping[str, Tool]
    policies: Mapping[str, ToolPolicy]
    delegates: Mapping[str, Delegate]
    handovers: frozenset[str] = frozenset()
    sources: "Sources | None" = None

    _specs: ToolSpecs | None = field(default=None, init=False, repr=False)
    _joined: "tuple[Offer, Kit] | None" = field(default=None, init=False, repr=False)

    @property
    def specs(self) -> ToolSpecs:
        """What the model is offered: the same object each time."""
        if (specs := self._specs) is None:
            own = [tool.spec for tool in self.tools.values()]
            specs = ToolSpecs([*own, *(one.spec for one in self.delegates.values())])
            object.__setattr__(self, "_specs", specs)
        return specs

    def with_handovers(self, tools: Mapping[str, Handover]) -> "Kit":
        """The same, and what hands the conversation over."""
        policies = {**self.policies, **dict.fromkeys(tools, REENTRANT)}
        return Kit({**self.tools, **tools}, policies, self.delegates, frozenset(tools), self.sources)

    def with_offer(self, offer: Offer) -> "Kit":
        """The same, and the tools that its sources have: the same kit for the same offer."""
        if self._joined is not None and self._joined[0] is offer:
            return self._joined[1]
        tools, policies = {**offer.tools, **self.tools}, {**offer.policies, **self.policies}
        joined = Kit(tools, policies, self.delegates, self.handovers, self.sources)
        object.__setattr__(self, "_joined", (offer, joined))
        return joined
