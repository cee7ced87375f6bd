"""Wiring of agents that run others by a plan."""

from typing import Any, cast

from hector.agents.conditional import Conditional
from hector.agents.flow import Worker
from hector.agents.parallel import Parallel
from hector.agents.sequence import Sequence
from hector.agents.verdict import Rules, Side, folded
from hector.apps.parts import Parts, limits_of, overall
from hector.config.agentbase import AgentBase
from hector.config.flows import (
    MOST_ROUNDS,
    Case,
    ConditionalAgent,
    FlowAgent,
    LoopAgent,
    ParallelAgent,
    SequentialAgent,
)

DECLINED = "I cannot process this request."


def sequential(agent_id: str, section: AgentBase, parts: Parts) -> Worker:
    """Steps one after the other."""
    agent = cast("SequentialAgent", section)
    return Sequence(agent_id, parts.team, **_common(agent), steps=agent.sub_agents)


def loop(agent_id: str, section: AgentBase, parts: Parts) -> Worker:
    """The same in rounds."""
    agent = cast("LoopAgent", section)
    rounds = agent.max_iterations or MOST_ROUNDS
    return Sequence(agent_id, parts.team, **_common(agent), steps=agent.sub_agents, rounds=rounds, loop=True)


def parallel(agent_id: str, section: AgentBase, parts: Parts) -> Worker:
    """Steps side by side."""
    agent = cast("ParallelAgent", section)
    go_on = agent.on_error == "continue"
    return Parallel(agent_id, parts.team, **_common(agent), steps=agent.sub_agents, go_on=go_on)


def conditional(agent_id: str, section: AgentBase, parts: Parts) -> Worker:
    """A judgement, and what follows from it."""
    agent = cast("ConditionalAgent", section)
    common: dict[str, Any] = {
        "description": agent.description,
        "output_key": agent.output_key,
        "limits": limits_of(agent),
    }
    rules = rules_of(agent)
    sides = [agent.condition_agent, rules.yes.agent, rules.no.agent, *(side.agent for side in rules.cases.values())]
    involves = tuple(dict.fromkeys(name for name in sides if name))
    return Conditional(
        agent_id, parts.team, involves, **common, judge=agent.condition_agent, key=agent.condition_field, rules=rules
    )


def rules_of(agent: ConditionalAgent) -> Rules:
    """Which side follows from which value."""
    said = "" if agent.on_false_agent else agent.on_false_response or DECLINED
    return Rules(
        Side(agent.on_true_agent, agent.on_true_response),
        Side(agent.on_false_agent, said),
        {folded(value): _side(case) for value, case in agent.cases.items()},
        agent.condition_operator,
        agent.condition_value,
    )


def _side(case: Case) -> Side:
    return Side(case.agent, case.response)


def _common(agent: FlowAgent) -> dict[str, Any]:
    return {
        "involves": tuple(dict.fromkeys(agent.sub_agents)),
        "description": agent.description,
        "output_key": agent.output_key,
        "overall": overall(agent.global_instruction),
        "limits": limits_of(agent),
    }
