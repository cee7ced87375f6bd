"""An agent's part of a run, counted; only where metrics are wanted."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from hector.agents.approval import Waiting
from hector.agents.context import RunContext
from hector.core.errors import HectorError
from hector.core.event import Output
from hector.observe.metrics_table import Metrics


async def counted(
    metrics: Metrics, agent: str, context: RunContext, outputs: AsyncGenerator[Output | Waiting]
) -> AsyncGenerator[Output | Waiting]:
    """What the agent yields. Going on with what was begun is no new call."""
    app = context.caller.app
    kind, calls, seconds, active = metrics.agent(app, agent)
    if not _has_begun(agent, context):
        calls.value += 1
    active.value += 1
    began = time.perf_counter()
    try:
        async with aclosing(outputs):
            async for output in outputs:
                yield output
    except HectorError as error:
        metrics.agent_errors.add(app, agent, kind, error.code)
        raise
    except Exception:
        metrics.agent_errors.add(app, agent, kind, "defect")
        raise
    finally:
        active.value -= 1
        seconds.observe(time.perf_counter() - began)


def _has_begun(agent: str, context: RunContext) -> bool:
    """Whether the events tell of its own work in this part of the run; those of one run stand together at the end."""
    for at in range(len(context.events) - 1, max(context.start, 0) - 1, -1):
        event = context.events[at]
        if event.invocation_id != context.invocation_id:
            return False
        if event.author == agent and event.branch == context.branch:
            return True
    return False
