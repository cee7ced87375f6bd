"""One turn of a session: what its events change is known to whatever runs after them."""

from collections.abc import MutableMapping
from typing import Any

from hector.agents.template import ARTIFACT, text_of
from hector.core.event import Event


def take_in(event: Event, state: MutableMapping[str, Any]) -> None:
    """Apply the changes of an event that an agent has just yielded, before the agent goes on.

    `state` is the mapping that `RunContext.state` shows to templates and tools; None deletes a key. What the event
    keeps as artifacts is there for the instructions of the agents that follow.
    """
    for key, value in event.state.items():
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value
    for artifact in event.artifacts:
        if artifact.name:
            state[f"{ARTIFACT}{artifact.name}"] = text_of(artifact)
