"""Wiring of agents of type `llm`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from hector.agents.kit import REENTRANT, delegate
from hector.agents.llm import Agent
from hector.agents.prompt import compose
from hector.apps.choice import client_of, models_of
from hector.apps.parts import Parts, limits_of, overall
from hector.apps.views import views_of
from hector.config.agentbase import AgentBase
from hector.config.agents import LlmAgent
from hector.core.errors import ConfigError
from hector.core.ports import OutputSchema

if TYPE_CHECKING:
    from hector.agents.documents import Documents
    from hector.tools.search import Lookup


def llm_agent(
    agent_id: str,
    section: AgentBase,
    parts: Parts,
) -> Agent:
    """A model that is asked, with its tools. Raises ConfigError for a shape of answers that is no JSON Schema."""
    agent, config, team = cast("LlmAgent", section), parts.config, parts.team
    model = client_of(agent_id, agent, parts)
    cut = config.llms[models_of(agent, config)[0]].max_tool_output_length
    lookup, documents = _documents(agent, parts)
    given = parts.toolkit.give(agent.tools, cut, _extra(agent), lookup)
    delegates = {name: delegate(name, config.agents[name].description, cut) for name in agent.agent_tools}
    made = Agent(
        agent_id,
        lambda: parts.models.get(model),
        compose(agent, has_tools=bool(given.tools or given.sources or delegates)),
        given.tools,
        _output_of(agent_id, agent),
        agent.streaming,
        agent.reasoning.max_iterations,
        {**given.policies, **dict.fromkeys(delegates, REENTRANT)},
        agent.description,
        delegates,
        agent.sub_agents,
        not agent.disallow_transfer_to_parent,
        not agent.disallow_transfer_to_peers,
        overall(agent.global_instruction),
        team if delegates or agent.sub_agents else None,
        limits_of(agent),
        given.sources,
        agent.output_key,
        views_of(
            agent.context,
            agent.memory if config.storage.memory else None,
            model,
            parts.models.get,
            documents,
        ),
    )
    hooks = parts.toolkit.hooks_of(agent_id)
    if hooks is None:
        return made
    from hector.agents.hooked import hooked  # noqa: PLC0415 - only where a program has put some around an agent

    return hooked(made, hooks)


def _documents(agent: LlmAgent, parts: Parts) -> "tuple[Lookup | None, Documents | None]":
    """What it can look up, and what it is shown before it answers."""
    if parts.choose is None:
        return None, None
    from hector.apps.lookup import documents_of, lookup_of  # noqa: PLC0415 - only where there are document stores

    return lookup_of(agent, parts), documents_of(agent, parts)


def _extra(agent: LlmAgent) -> Iterator[str]:
    """Generic tools that other keys ask for."""
    if agent.reply == "auto":
        yield "reply_directly"
    if agent.reasoning.enable_exit_tool:
        yield "exit_loop"
    if agent.reasoning.enable_escalate_tool:
        yield "escalate"


def _output_of(agent_id: str, agent: LlmAgent) -> OutputSchema | None:
    output = agent.structured_output
    if output is None:
        return None
    from hector.agents.structured import check_schema  # noqa: PLC0415 - loaded on first use

    try:
        check_schema(output.json_schema)
    except ConfigError as error:
        raise ConfigError(f"agents.{agent_id}.structured_output.schema: {error}") from None
    return OutputSchema(output.json_schema, output.name, output.strict)
