"""One turn of a session: run the agent and keep the state of the session current while it runs."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Protocol

from hector.agents.context import RunContext
from hector.core.event import Event, Output


class Runnable(Protocol):
    """Any kind of agent."""

    def run(self, context: RunContext) -> AsyncGenerator[Output, None]:
        """Yield what happens."""


async def run_turn(agent: Runnable, context: RunContext, state: dict[str, Any]) -> AsyncGenerator[Output, None]:
    """Everything that the agent yields, each event's state changes applied to `state` before it is passed on.

    `state` is the mapping that `context.state` shows to templates and tools; None deletes a key.
    """
    async with aclosing(agent.run(context)) as outputs:
        async for output in outputs:
            if isinstance(output, Event) and output.state:
                for key, value in output.state.items():
                    if value is None:
                        state.pop(key, None)
                    else:
                        state[key] = value
            yield output
