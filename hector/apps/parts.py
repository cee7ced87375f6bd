"""What agents of all types are made from."""

from typing import TYPE_CHECKING

from hector.agents.context import Limits
from hector.agents.prompt import Prompt
from hector.agents.team import Team
from hector.agents.template import parse
from hector.apps.app import Models
from hector.apps.toolkit import Toolkit
from hector.config.agentbase import AgentBase
from hector.config.root import HectorConfig
from hector.core.record import dataclass

if TYPE_CHECKING:
    from hector.a2a.client import Client
    from hector.tools.search import Choose


@dataclass(frozen=True, slots=True)
class Parts:
    """What they share. The team is complete once all agents are made, before the first run."""

    config: HectorConfig
    models: Models
    toolkit: Toolkit
    team: Team
    clients: "list[Client]"
    """Of agents elsewhere, to be closed with the app."""
    choose: "Choose | None" = None
    """Makes what searches document stores, of their ids; None where there are none."""


def limits_of(agent: AgentBase) -> Limits:
    """How far the agents of a turn go that begins with this one."""
    limits = agent.delegation
    return Limits(limits.max_depth, limits.max_calls, limits.max_transfers)


def overall(text: str) -> Prompt:
    """What an agent tells all below it."""
    return Prompt((parse(text),)) if text else Prompt(())
