"""Wiring of what agents look up in documents."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from hector.config.agents import LlmAgent
from hector.config.choice import listed
from hector.config.root import HectorConfig
from hector.core.ports import ChatModel

if TYPE_CHECKING:
    from hector.agents.documents import Documents
    from hector.apps.app import Models
    from hector.apps.parts import Parts
    from hector.tools.search import Lookup


def stores_of(agent: LlmAgent, config: HectorConfig) -> tuple[str, ...]:
    """The document stores of an agent: those that it names, or all."""
    return tuple(config.document_stores) if agent.document_stores is None else agent.document_stores


def lookup_of(agent: LlmAgent, parts: "Parts") -> "Lookup | None":
    """What its tool searches; None where it has no store, or is not to have the tool."""
    stores = stores_of(agent, parts.config)
    if parts.choose is None or not stores or (agent.search is not None and not agent.search.enabled):
        return None
    from hector.tools.search import Lookup  # noqa: PLC0415 - loaded for the first agent with documents

    return Lookup(parts.choose, stores, None if agent.search is None else agent.search.max_results)


def documents_of(agent: LlmAgent, parts: "Parts") -> "Documents | None":
    """What it is shown before it answers; None where that is nothing."""
    stores, choose = stores_of(agent, parts.config), parts.choose
    if choose is None or not stores or not agent.include_context:
        return None
    from hector.agents.documents import Documents  # noqa: PLC0415 - loaded for the first agent that is shown any

    return Documents(lambda: choose(stores), agent.include_context_limit, agent.include_context_max_length)


def named_models(config: HectorConfig, models: "Models") -> Callable[[str], tuple[str, ChatModel]]:
    """Makes a model by its id, the default one of the app for the empty text; with the id that it has."""
    known = (*listed(config.defaults.llm), "default")
    usual = next((name for name in known if name in config.llms), next(iter(config.llms), ""))

    def named(llm: str) -> tuple[str, ChatModel]:
        name = llm or usual
        return name, models.get(name)

    return named
