"""When the steps of a run are written down, and whether one that was cut off goes on. Decisions only."""

from hector.agents.history import DECISIONS, REPAIR, is_beside
from hector.agents.marks import ends_step
from hector.agents.standing import FINISH
from hector.config.checkpoint import Checkpoint, Recovery
from hector.core.content import Message
from hector.core.event import Event
from hector.core.record import dataclass


@dataclass(slots=True)
class Checkpoints:
    """Follows the events of one run and says of each whether it, and what came before, is written at once.

    What is about to take effect always is, and so is what nobody should pay for twice. An answer and a pause are not:
    the end of the run follows and writes them.
    """

    settings: Checkpoint
    turns: int = 0
    open: frozenset[str] = frozenset()
    """Calls of the last model turn that have no result yet."""

    def due(self, event: Event) -> bool:
        """Take in the next event.

        What agents do in branches goes on side by side: it is written as it comes, none of it waits for the others.
        """
        if ends_step(event) or is_beside(event):
            return True
        if event.branch:
            return self.settings.enabled or bool(event.started)
        model_turn = _is_turn(event.message)
        if model_turn:
            self.turns += 1
            self.open = frozenset(call.id for call in event.message.tool_calls)
        self.open -= {result.call_id for result in event.tool_results}
        if event.started:
            return True
        if not self.settings.enabled or event.control is not None or _ends(event):
            return False
        return self._by_setting(event, model_turn=model_turn)

    def _by_setting(self, event: Event, *, model_turn: bool) -> bool:
        settings = self.settings
        if model_turn and settings.strategy != "interval":
            return True
        if event.tool_results and settings.after_tools:
            return True
        if self.open:
            return False
        by_interval = settings.strategy != "event" and settings.interval and self.turns % settings.interval == 0
        return settings.before_llm or bool(by_interval)


def _is_turn(message: Message) -> bool:
    return message.role == "assistant"


def _ends(event: Event) -> bool:
    metadata = event.metadata or {}
    goes_on = event.message.tool_calls or REPAIR in metadata or FINISH in metadata
    return _is_turn(event.message) and not goes_on


def refusal(settings: Recovery, begun_by: Event, cut_off: float, now: float) -> str | None:
    """Why a run that was cut off does not go on by itself; None: it does.

    `begun_by` is the event that set it going, `cut_off` when its process was last heard of (seconds since the epoch).
    """
    if not settings.auto_resume:
        return (
            "the process that worked on this task died, and storage.checkpoint.recovery.auto_resume is off; "
            "requeue it to let it go on"
        )
    if not settings.auto_resume_hitl and DECISIONS in (begun_by.metadata or {}):
        return (
            "the process died that carried out what a person had decided, and "
            "storage.checkpoint.recovery.auto_resume_hitl is off; requeue the task to let it go on"
        )
    if settings.timeout and now - cut_off > settings.timeout:
        return (
            f"this task was cut off {now - cut_off:.0f} s ago, longer than storage.checkpoint.recovery.timeout "
            f"({settings.timeout:g} s); requeue it to let it go on"
        )
    return None
