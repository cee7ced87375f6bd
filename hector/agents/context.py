"""What a run hands to its agent."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, Final, Protocol

from hector.agents.approval import Waiting
from hector.core.clock import Clock
from hector.core.event import Event, Output
from hector.core.keeping import ArtifactShelf, MemoryShelf
from hector.core.ports import Meter
from hector.core.record import dataclass
from hector.core.task import Caller


@dataclass(frozen=True, slots=True)
class Limits:
    """How far agents may go in working together: calls within calls, calls of one turn, changes of hands of one run."""

    depth: int = 5
    calls: int = 8
    transfers: int = 10


NO_MORE: Final = Limits()


@dataclass(frozen=True, slots=True)
class RunContext:
    """One invocation: who asks, in which session and task, what was said before, and the merged state.

    `events` ends with the user's message of this invocation. `state` holds every scope by prefix, `temp:` included.
    `stream` is false when nobody watches: the model is then asked for its answer in one piece.

    `root` is the task's own agent, empty where no other can take part. An agent that another one calls works in
    `branch`, and `call` is the name of that call; `above` is what those above it tell all agents. One `meter` for all.
    After the `last` attempt the run is not tried again. `start` is where among the events the agent's own part begins,
    if something else than the turn or the branch says so (`begin_of`). `canceled` tells an end for good from one for
    now, where that is of use.
    """

    caller: Caller
    session_id: str
    task_id: str
    invocation_id: str
    clock: Clock
    events: Sequence[Event]
    state: Mapping[str, Any] = field(default_factory=dict)
    stream: bool = True
    root: str = ""
    branch: str = ""
    call: str = ""
    above: str = ""
    limits: Limits = NO_MORE
    meter: Meter | None = None
    last: bool = False
    start: int = -1
    canceled: Callable[[], bool] | None = None
    artifacts: ArtifactShelf | None = None
    memories: MemoryShelf | None = None


class Others(Protocol):
    """The agents that one may work with."""

    def want_artifacts(self, agent: str) -> bool:
        """Whether the instruction of one of them, or of any that it may involve, names an artifact."""

    def run(self, agent: str, context: RunContext) -> AsyncGenerator[Output | Waiting]:
        """One of them, or whoever has its conversation now; the last item says if a branch has to wait for people."""
