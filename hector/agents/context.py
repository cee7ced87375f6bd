"""What a run hands to its agent."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from hector.core.clock import Clock
from hector.core.event import Event
from hector.core.record import dataclass
from hector.core.task import Caller


@dataclass(frozen=True, slots=True)
class RunContext:
    """One invocation: who asks, in which session and task, what was said before, and the merged state.

    `events` ends with the user's message of this invocation. `state` holds every scope by prefix, `temp:` included.
    `stream` is false when nobody watches: the model is then asked for its answer in one piece.
    """

    caller: Caller
    session_id: str
    task_id: str
    invocation_id: str
    clock: Clock
    events: Sequence[Event]
    state: Mapping[str, Any] = field(default_factory=dict)
    stream: bool = True
