"""The meter of a run, from what the configuration says about its agents."""

from typing import TYPE_CHECKING, Any

from hector.apps.choice import models_of, section_of
from hector.config.agents import LlmAgent
from hector.config.root import HectorConfig
from hector.core.ports import BY_ID
from hector.limits.limits import Limits
from hector.store import Session
from hector.tasks.run import Run

if TYPE_CHECKING:
    from hector.limits.meter import RunMeter


def meter_of(
    limits: Limits | None, run: Run, config: HectorConfig, session: Session, invocation: str
) -> "RunMeter | None":
    """None where nothing is metered. Payments wait in the run's journal for its next write."""
    if limits is None or limits.spending is None:
        return None
    from hector.limits.meter import Subject  # noqa: PLC0415 - loaded where something is metered

    base = run.live.base
    subject = Subject(
        run.caller, base.agent, base.context_id, base.id, lambda agent, answered: _models(config, agent, answered)
    )
    spent = [event for event in session.events if event.invocation_id == invocation]
    return limits.meter(subject, run.journal.charges, spent)


def _models(config: HectorConfig, agent: str, answered: str) -> tuple[tuple[str, int], ...]:
    """Provider and model of an agent, or of an id behind `llm:`, and the longest answer that is asked for.

    All that the agent may ask, in order; or the one that has `answered`, where that is known and there still.
    """
    if agent.startswith(BY_ID) and (name := agent.removeprefix(BY_ID)) in config.llms:
        return (_facts(config.llms[name]),)
    found = config.agents.get(agent)
    if not isinstance(found, LlmAgent):
        return ((agent, 0),)
    names = (answered,) if answered in config.llms else models_of(found, config)
    return tuple(_facts(section_of(name, found, config)) for name in names)


def _facts(llm: Any) -> tuple[str, int]:
    return f"{llm.provider}/{llm.model}", llm.max_tokens
