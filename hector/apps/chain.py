"""Wiring of agents of type `runner`."""

from typing import cast

from hector.agents.chain import Chain
from hector.agents.llm import Agent
from hector.agents.prompt import Prompt
from hector.apps.parts import Parts, limits_of
from hector.config.agentbase import AgentBase
from hector.config.flows import RunnerAgent
from hector.core.errors import ConfigError


def runner(agent_id: str, section: AgentBase, parts: Parts) -> Agent:
    """An agent whose model is the list of its tools. Raises ConfigError for tools that are known only at run time."""
    agent = cast("RunnerAgent", section)
    given = parts.toolkit.give(agent.tools, 0)
    missing = [name for name in agent.tools if name not in given.tools]
    if missing and given.sources is None:
        raise ConfigError(f"agents.{agent_id}.tools: {missing[0]!r} is switched off, and the chain needs it")
    chain = Chain(agent_id, agent.tools)
    return Agent(
        agent_id,
        lambda: chain,
        Prompt(()),
        given.tools,
        None,
        streaming=False,
        max_iterations=len(agent.tools) + 1,
        policies=given.policies,
        description=agent.description,
        limits=limits_of(agent),
        sources=given.sources,
        output_key=agent.output_key,
    )
