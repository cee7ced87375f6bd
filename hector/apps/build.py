"""The wiring of an app: from frozen configuration to agents that run. Nothing else puts parts together."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final

from hector.agents.flow import Worker
from hector.agents.team import Team
from hector.apps.app import App, Models
from hector.apps.choice import model_client, models_of
from hector.apps.llm import llm_agent
from hector.apps.parts import Parts
from hector.apps.toolkit import Around, Toolkit
from hector.config.agentbase import AgentBase
from hector.config.agents import LlmAgent
from hector.config.root import HectorConfig
from hector.core.ports import ChatModel
from hector.observe import metrics
from hector.tools.catalog import Catalog

if TYPE_CHECKING:
    from hector.rag.knowledge import Knowledge
    from hector.rag.recollection import Meaning

Builder = Callable[[str, AgentBase, Parts], Worker]
EAGER_PROVIDERS = frozenset({"local"})


def _later(module: str, name: str) -> Builder:
    """A builder whose module is loaded for the first agent of its type."""

    def build_one(agent_id: str, section: AgentBase, parts: Parts) -> Worker:
        found: Builder = getattr(import_module(f"hector.apps.{module}"), name)
        return found(agent_id, section, parts)

    return build_one


BUILDERS: Final[Mapping[str, Builder]] = {
    "llm": llm_agent,
    "sequential": _later("plans", "sequential"),
    "parallel": _later("plans", "parallel"),
    "loop": _later("plans", "loop"),
    "conditional": _later("plans", "conditional"),
    "runner": _later("chain", "runner"),
    "remote": _later("remote", "remote"),
}
"""By `type`."""


def build(config: HectorConfig, catalog: Catalog, app_id: str = "default", file: HectorConfig | None = None) -> App:
    """`file` is the operator's, where the app is of another one.

    Raises ConfigError for a handler that nobody registered, and for what only the part itself can judge."""

    def create_model(name: str) -> ChatModel:
        return model_client(app_id, name, config.llms[name])

    models, team = Models(create_model), Team()
    knowledge = _knowledge(config, catalog, app_id, models, file)
    choose = None if knowledge is None else knowledge.retriever
    parts = Parts(config, models, Toolkit(Around(app_id, config, catalog)), team, [], choose)
    for name, section in config.agents.items():
        team.agents[name] = BUILDERS[section.type](name, section, parts)
    if metrics.current is not None:
        metrics.current.note_types(app_id, {name: section.type for name, section in config.agents.items()})
    own = [agent for agent in config.agents.values() if isinstance(agent, LlmAgent)]
    chains = [models_of(agent, config) for agent in own]
    used = tuple(sorted({name for names in chains for name in names}))
    eager = tuple(sorted({names[0] for names in chains if config.llms[names[0]].provider in EAGER_PROVIDERS}))
    facts = (
        _structured(config),
        parts.toolkit.toolsets,
        _keeps(config),
        tuple(parts.clients),
        knowledge,
        _meaning(config),
    )
    return App(app_id, config, team.agents, models, used, eager, *facts)


def _knowledge(
    config: HectorConfig, catalog: Catalog, app_id: str, models: Models, file: HectorConfig | None
) -> "Knowledge | None":
    """Its document stores, if it has any."""
    if not config.document_stores:
        return None
    from hector.apps.knowledge import indexes_of, knowledge_of  # noqa: PLC0415 - only where a file has any
    from hector.apps.lookup import named_models  # noqa: PLC0415 - likewise

    indexes = "" if file is None else indexes_of(file)
    return knowledge_of(config, catalog, app_id, named_models(config, models), indexes)


def _meaning(config: HectorConfig) -> "Meaning | None":
    """What finds memories by what they mean. Raises ConfigError where there is no embedder."""
    memory = config.storage.memory
    if memory is None or memory.backend != "vector":
        return None
    from hector.apps.meaning import meaning_of  # noqa: PLC0415 - only where it is wanted

    return meaning_of(memory.embedder, config)


def _keeps(config: HectorConfig) -> bool:
    """Whether any agent could keep something beside a conversation, or look it up."""
    has_tools = bool(config.tools) or any(getattr(agent, "tools", None) for agent in config.agents.values())
    return has_tools or config.storage.memory is not None


def _structured(config: HectorConfig) -> frozenset[str]:
    """The agents whose answers are JSON of a given shape."""
    llms = {name: agent for name, agent in config.agents.items() if isinstance(agent, LlmAgent)}
    return frozenset(name for name, agent in llms.items() if agent.structured_output is not None)
