"""One turn of a session: run the agent and keep the state of the session current while it runs."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Protocol

from hector.agents.context import RunContext
from hector.agents.template import ARTIFACT, text_of
from hector.core.event import Event, Output


class Runnable(Protocol):
    """Any kind of agent."""

    def run(self, context: RunContext) -> AsyncGenerator[Output, None]:
        """Yield what happens."""


async def run_turn(agent: Runnable, context: RunContext, state: dict[str, Any]) -> AsyncGenerator[Output, None]:
    """Everything that the agent yields, each event's state changes applied to `state` before it is passed on.

    What it keeps as artifacts is there for the instructions of the agents that follow.

    `state` is the mapping that `context.state` shows to templates and tools; None deletes a key.
    """
    async with aclosing(agent.run(context)) as outputs:
        async for output in outputs:
            if isinstance(output, Event) and (output.state or output.artifacts):
                _take(output, state)
            yield output


def _take(event: Event, state: dict[str, Any]) -> None:
    for key, value in event.state.items():
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value
    for artifact in event.artifacts:
        if artifact.name:
            state[f"{ARTIFACT}{artifact.name}"] = text_of(artifact)
