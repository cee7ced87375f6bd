"""The wiring of an app: from frozen configuration to agents that run. Nothing else puts parts together."""

from collections.abc import Mapping

from hector.agents.context import Limits
from hector.agents.kit import REENTRANT, delegate
from hector.agents.llm import Agent
from hector.agents.prompt import Prompt, compose
from hector.agents.team import Team
from hector.agents.template import parse
from hector.apps.app import App, Models
from hector.config.agents import LlmAgent
from hector.config.root import HectorConfig
from hector.config.tools import GENERIC_TOOLS, FunctionTool
from hector.core.errors import ConfigError
from hector.core.ports import ChatModel, OutputSchema, Tool, ToolPolicy
from hector.models.registry import create
from hector.tools.catalog import Catalog

EAGER_PROVIDERS = frozenset({"local"})


def build(config: HectorConfig, catalog: Catalog, app_id: str = "default") -> App:
    """Raises ConfigError for a handler that nobody registered, and for what only the part itself can judge."""

    def create_model(name: str) -> ChatModel:
        return create(name, config.llms[name])

    models = Models(create_model)
    declared = {name: _function_tool(name, tool, catalog) for name, tool in config.tools.items() if tool.enabled}
    team = Team()
    for name, agent in config.agents.items():
        team.agents[name] = _agent(name, agent, config, models, declared, catalog, team)
    agents = team.agents
    used = tuple(sorted({model_of(agent, config) for agent in config.agents.values()}))
    eager = tuple(name for name in used if config.llms[name].provider in EAGER_PROVIDERS)
    structured = frozenset(name for name, agent in config.agents.items() if agent.structured_output is not None)
    return App(app_id, config, agents, models, used, eager, structured)


def model_of(agent: LlmAgent, config: HectorConfig) -> str:
    """The id of the model that an agent uses: its own, the default, `default`, or the first one."""
    for name in (agent.llm, config.defaults.llm, "default"):
        if name and name in config.llms:
            return name
    return next(iter(config.llms))


def _agent(
    agent_id: str,
    agent: LlmAgent,
    config: HectorConfig,
    models: Models,
    declared: Mapping[str, Tool],
    catalog: Catalog,
    team: Team,
) -> Agent:
    model = model_of(agent, config)
    cut = config.llms[model].max_tool_output_length
    tools = _tools_of(agent, declared, catalog)
    delegates = {name: delegate(name, config.agents[name].description, cut) for name in agent.agent_tools}
    limits = agent.delegation
    return Agent(
        agent_id,
        lambda: models.get(model),
        compose(agent, has_tools=bool(tools or delegates)),
        {name: _bounded(tool, cut) for name, tool in tools.items()},
        _output_of(agent_id, agent),
        agent.streaming,
        agent.reasoning.max_iterations,
        {name: _policy(name, config, catalog) for name in tools} | dict.fromkeys(delegates, REENTRANT),
        agent.description,
        delegates,
        agent.sub_agents,
        not agent.disallow_transfer_to_parent,
        not agent.disallow_transfer_to_peers,
        Prompt((parse(agent.global_instruction),)) if agent.global_instruction else Prompt(()),
        team if delegates or agent.sub_agents else None,
        Limits(limits.max_depth, limits.max_calls, limits.max_transfers),
    )


def _policy(name: str, config: HectorConfig, catalog: Catalog) -> ToolPolicy:
    from hector.tools.policy import policy_of  # noqa: PLC0415 - loaded for the first tool

    declared = config.tools.get(name)
    return policy_of(catalog.policy(declared.handler if declared else name), declared)


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


def _tools_of(agent: LlmAgent, declared: Mapping[str, Tool], catalog: Catalog) -> dict[str, Tool]:
    """Every enabled tool when the agent names none; otherwise those it names, generic ones included."""
    if agent.tools is None:
        chosen = dict(declared)
    else:
        chosen = {name: declared[name] for name in agent.tools if name in declared}
        chosen |= {name: catalog.create(name) for name in agent.tools if name not in declared and name in GENERIC_TOOLS}
    if agent.reply == "auto" and "reply_directly" not in chosen:
        chosen["reply_directly"] = catalog.create("reply_directly")
    return chosen


def _bounded(tool: Tool, most: int) -> Tool:
    """The tool with its output cut to so many characters, 0 for no bound."""
    if not most:
        return tool
    from hector.tools.wrappers import Cut  # noqa: PLC0415 - loaded on first use

    return Cut(tool, most)


def _function_tool(name: str, config: FunctionTool, catalog: Catalog) -> Tool:
    from hector.tools.wrappers import Timed  # noqa: PLC0415 - loaded for the first tool

    plain = catalog.create(config.handler, name=name, description=config.description or None, fixed=config.parameters)
    return _bounded(Timed(plain, config.timeout or None), config.max_output)
