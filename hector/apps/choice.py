"""Which models an agent uses, and the client that stands for them: one, or several in order."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from hector.config.agents import LlmAgent
from hector.config.choice import listed
from hector.config.root import HectorConfig
from hector.core.ports import ChatModel
from hector.models.discreet import discreet
from hector.models.registry import create
from hector.observe import metrics

if TYPE_CHECKING:
    from hector.apps.parts import Parts
    from hector.config.llms import Llm


def model_client(app: str, name: str, section: "Llm") -> ChatModel:
    """The client of one model: says no secrets, and is counted where anything is."""
    model = create(name, section)
    if metrics.current is not None:
        from hector.models.counted import counted  # noqa: PLC0415 - only with metrics

        model = counted(model, metrics.current, app, (section.model, section.provider))
    return discreet(model)


def models_of(agent: LlmAgent, config: HectorConfig) -> tuple[str, ...]:
    """The ids of the models that an agent uses, in order: its own, the defaults, `default`, or the first one."""
    for names in (agent.llms, listed(config.defaults.llm), ("default",)):
        if known := tuple(name for name in names if name in config.llms):
            return known
    return (next(iter(config.llms)),)


def section_of(name: str, agent: LlmAgent, config: HectorConfig) -> "Llm":
    """The section of one of its models as it counts for this agent."""
    section = config.llms[name]
    return section if agent.llm_overrides is None else section.with_changes(**agent.llm_overrides.changes)


def client_of(agent_id: str, agent: LlmAgent, parts: "Parts") -> str:
    """The name under which `parts.models` has what an agent asks: a model of all agents, or one made for it alone."""
    names = models_of(agent, parts.config)
    own = [_own(agent_id, name, agent, parts) for name in names]
    if len(own) == 1:
        return own[0]
    whole = f"{agent_id}/"
    parts.models.offer(whole, partial(_fallback, parts, tuple(zip(names, own, strict=True))))
    return whole


def _own(agent_id: str, name: str, agent: LlmAgent, parts: "Parts") -> str:
    if agent.llm_overrides is None or not agent.llm_overrides.changes:
        return name
    own = f"{agent_id}/{name}"
    section = section_of(name, agent, parts.config)
    make: Callable[[], ChatModel] = lambda: model_client(parts.toolkit.app, name, section)  # noqa: E731 - bound to this section
    parts.models.offer(own, make)
    return own


def _fallback(parts: "Parts", members: tuple[tuple[str, str], ...]) -> ChatModel:
    from hector.models.fallback import Choice, Fallback, Rests  # noqa: PLC0415 - loaded where there are several

    models = parts.models
    if models.rests is None:
        models.rests = Rests()
    cooldowns = {name: parts.config.llms[name].cooldown for name, _ in members}
    return Fallback([Choice(name, partial(models.get, own), cooldowns[name]) for name, own in members], models.rests)
