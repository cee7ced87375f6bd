"""Where a run stands, read from its events alone: which model turn was the last, and what became of its calls.

A run that goes on after a crash, a pause or a retry begins here, and so does every step of one that was never cut off:
there is one way, and it is always taken.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

from hector.agents.history import DECISIONS, REPAIR
from hector.core.content import ToolCall
from hector.core.event import ApprovalRequired, Event, InputRequired, PendingCall
from hector.core.record import dataclass
from hector.core.usage import FinishReason

FINISH: Final = "finish"
"""The key of a model event's metadata that says that the turn was no answer: `FinishReason.PAUSE`."""


class Phase(StrEnum):
    """How far a call has come."""

    NEW = "new"
    STARTED = "started"
    ASKED = "asked"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    QUESTION = "question"
    DONE = "done"


_DECIDED: Final = {"approve": Phase.APPROVED, "deny": Phase.DENIED, "expire": Phase.EXPIRED}


@dataclass(slots=True)
class CallStanding:
    """A call of the last model turn. `pending` is what was asked of people, `comment` what they said to it."""

    call: ToolCall
    effect_id: str
    phase: Phase = Phase.NEW
    pending: PendingCall | None = None
    comment: str = ""

    def decide(self, decision: Any) -> None:
        """Take a decision, if it is about what was asked: the very arguments that were shown."""
        if self.phase is not Phase.ASKED or self.pending is None or decision.get("args_hash") != self.pending.args_hash:
            return
        self.phase = _DECIDED.get(decision.get("decision"), Phase.ASKED)
        self.comment = decision.get("comment") or ""


@dataclass(slots=True)
class Turn:
    """A model turn and what has become of it. `settled`: an outcome of its tools, or its own answer, ends the run."""

    event: Event
    calls: dict[str, CallStanding]
    settled: bool = False

    @classmethod
    def of(cls, event: Event) -> "Turn":
        """A turn that was just taken."""
        calls = event.message.tool_calls
        turn = cls(event, {call.id: CallStanding(call, f"{event.id}.{at}") for at, call in enumerate(calls)})
        turn.settled = not calls and not _goes_on(event)
        turn.take(event)
        return turn

    @property
    def open(self) -> list[CallStanding]:
        """The calls that have no result yet."""
        return [call for call in self.calls.values() if call.phase is not Phase.DONE]

    def take(self, event: Event) -> None:
        """Take in an event that came after the turn, or the turn's own."""
        for result in event.tool_results:
            self._move((result.call_id,), Phase.DONE)
        for call_id, decision in (event.metadata or {}).get(DECISIONS, {}).items():
            if call_id in self.calls:
                self.calls[call_id].decide(decision)
        self._move(event.started, Phase.STARTED)
        if event.author == "user":
            self._answered(event)
        elif event.control is not None:
            self._paused(event)

    def _paused(self, event: Event) -> None:
        self.settled = True
        if isinstance(event.control, InputRequired):
            self._move((event.control.call_id,), Phase.QUESTION)
        elif isinstance(event.control, ApprovalRequired):
            for pending in event.control.calls:
                self._move((pending.call_id,), Phase.ASKED)
                if pending.call_id in self.calls:
                    self.calls[pending.call_id].pending = pending

    def _answered(self, event: Event) -> None:
        """The user has ended a pause."""
        self.settled = False
        if DECISIONS not in (event.metadata or {}):
            self._move([name for name, call in self.calls.items() if call.phase is Phase.QUESTION], Phase.DONE)

    def _move(self, call_ids: Sequence[str], phase: Phase) -> None:
        for call_id in call_ids:
            if call_id in self.calls:
                self.calls[call_id].phase = phase


def _goes_on(event: Event) -> bool:
    """Whether a model turn without calls asks for another one."""
    metadata = event.metadata or {}
    return REPAIR in metadata or metadata.get(FINISH) == FinishReason.PAUSE


@dataclass(slots=True)
class Standing:
    """The run of one agent so far. `turns` and `repairs` count those of the present invocation only."""

    agent: str
    invocation: str
    turn: Turn | None = None
    turns: int = 0
    repairs: int = 0

    def take(self, event: Event) -> None:
        """Take in the next event."""
        if event.author == self.agent and event.message.role == "assistant":
            self.turn = Turn.of(event)
            if event.invocation_id == self.invocation:
                self.turns += 1
                self.repairs += REPAIR in (event.metadata or {})
        elif self.turn is not None:
            self.turn.take(event)


def standing_of(run: Sequence[Event], agent: str, invocation: str) -> Standing:
    """Read the events of a run."""
    standing = Standing(agent, invocation)
    for event in run:
        standing.take(event)
    return standing
