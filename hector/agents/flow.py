"""What all agents have that run others by a plan."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Final, Protocol, cast

from hector.agents.approval import Waiting
from hector.agents.context import NO_MORE, Limits, Others, RunContext
from hector.agents.kit import Kit
from hector.agents.prompt import Prompt
from hector.agents.running import joined
from hector.core.event import Output
from hector.core.record import dataclass
from hector.observe import metrics

NO_KIT: Final = Kit({}, {}, {})


class Worker(Protocol):
    """Any agent of a team. `involves` are all that it may set to work, `sub_agents` those that it may hand over to."""

    @property
    def id(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def prompt(self) -> Prompt: ...
    @property
    def kit(self) -> Kit: ...
    @property
    def involves(self) -> tuple[str, ...]: ...
    @property
    def sub_agents(self) -> tuple[str, ...]: ...
    @property
    def to_parent(self) -> bool: ...
    @property
    def to_peers(self) -> bool: ...
    @property
    def is_plan(self) -> bool: ...
    @property
    def wants_artifacts(self) -> bool: ...

    def run(self, context: RunContext) -> AsyncGenerator[Output]:
        """As the task's own agent."""

    def work(self, context: RunContext, kit: Kit | None = None) -> AsyncGenerator[Output | Waiting]:
        """Its own part of a run."""

    def announce(self, context: RunContext) -> str:
        """What it tells those below it."""


def working(agent: Worker, context: RunContext, *kit: Kit) -> AsyncGenerator[Output | Waiting]:
    """An agent's own part of a run, counted where anything is."""
    outputs = agent.work(context, *kit)
    if metrics.current is None:
        return outputs
    from hector.agents.counted import counted  # noqa: PLC0415 - only with metrics

    return counted(metrics.current, agent.id, context, outputs)


@dataclass(frozen=True, slots=True)
class Flow:
    """`overall` is what the plan tells all that it runs; `output_key` is the state that the answer is written to."""

    id: str
    team: Others
    involves: tuple[str, ...] = ()
    description: str = ""
    output_key: str = ""
    overall: Prompt = Prompt(())
    limits: Limits = NO_MORE
    sub_agents: tuple[str, ...] = ()
    to_parent: bool = True
    to_peers: bool = True
    is_plan: bool = True
    kit: Kit = NO_KIT

    @property
    def prompt(self) -> Prompt:
        """Its own words."""
        return self.overall

    @property
    def wants_artifacts(self) -> bool:
        """Whether an instruction of any agent that it may involve names an artifact."""
        return self.team.want_artifacts(self.id)

    def run(self, context: RunContext) -> AsyncGenerator[Output]:
        """As the task's own agent. Raises what the agents raise that it runs."""
        whole = replace(context, root=self.id, limits=self.limits)
        return cast("AsyncGenerator[Output]", self.team.run(self.id, whole))  # only a branch waits without an event

    def announce(self, context: RunContext) -> str:
        """What it tells those below it."""
        return joined(context.above, self.overall.render(context.state))
