"""The meter of a run, from what the configuration says about its agents."""

from typing import TYPE_CHECKING

from hector.apps.build import model_of
from hector.config.root import HectorConfig
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
    subject = Subject(run.caller, base.agent, base.context_id, base.id, lambda agent: _model(config, agent))
    spent = [event for event in session.events if event.invocation_id == invocation]
    return limits.meter(subject, run.journal.charges, spent)


def _model(config: HectorConfig, agent: str) -> tuple[str, int]:
    """Provider and model of an agent, and the longest answer that is asked for."""
    found = config.agents.get(agent)
    if found is None:
        return agent, 0
    llm = config.llms[model_of(found, config)]
    return f"{llm.provider}/{llm.model}", llm.max_tokens
