"""Where a run stands, read from its events alone: which model turn was the last, and what became of its calls.

A run that goes on after a crash, a pause or a retry begins here, and so does every step of one that was never cut off:
there is one way, and it is always taken.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

from hector.agents.history import DECISIONS, REPAIR
from hector.core.content import ToolCall
from hector.core.event import ApprovalRequired, Event, InputRequired, PendingCall, Transfer
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
    """A call of the last model turn. `pending` or `question` is what was asked of people, `comment` what they said.

    `name` is what the call is known by outside of its agent (`core.event.call_name`).
    """

    call: ToolCall
    effect_id: str
    name: str
    phase: Phase = Phase.NEW
    pending: PendingCall | None = None
    question: InputRequired | None = None
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
    _asked: str = ""
    """The call whose question the run pauses for."""

    @classmethod
    def of(cls, event: Event, prefix: str = "") -> "Turn":
        """A turn that was just taken. `prefix` makes the names of its calls out of their ids."""
        calls = enumerate(event.message.tool_calls)
        turn = cls(event, {call.id: CallStanding(call, f"{event.id}.{at}", prefix + call.id) for at, call in calls})
        turn.settled = not turn.calls and not _goes_on(event)
        turn.take(event)
        return turn

    @property
    def open(self) -> list[CallStanding]:
        """The calls that have no result yet."""
        return [call for call in self.calls.values() if call.phase is not Phase.DONE]

    def take(self, event: Event) -> None:
        """Take in an event that came after the turn, or the turn's own.

        Of others it may be the user's word, or a pause of the run, which asks for everybody who waits.
        """
        if event.author == "user":
            self._answered(event)
            return
        if event.author == self.event.author:
            for result in event.tool_results:
                self._move((result.call_id,), Phase.DONE)
            self._move(event.started, Phase.STARTED)
        if event.control is not None:
            self._paused(event)

    def _paused(self, event: Event) -> None:
        """In a branch, a question is only noted: what else there is to do goes on."""
        control = event.control
        self.settled = self.settled or not (event.branch and isinstance(control, InputRequired))
        if isinstance(control, InputRequired):
            self._asked = self._asked if event.branch else control.call_id
            for call in self._named(control.call_id):
                call.phase, call.question = Phase.QUESTION, control
        elif isinstance(control, ApprovalRequired):
            for pending in control.calls:
                for call in self._named(pending.call_id):
                    call.phase, call.pending = Phase.ASKED, pending

    def _answered(self, event: Event) -> None:
        """The user has ended a pause."""
        self.settled = False
        asked, self._asked = self._asked, ""
        decisions = (event.metadata or {}).get(DECISIONS)
        if decisions is None:
            for call in self._named(asked):
                call.phase = Phase.DONE
            return
        for name, decision in decisions.items():
            for call in self._named(name):
                call.decide(decision)

    def _named(self, name: str) -> list[CallStanding]:
        return [call for call in self.calls.values() if call.name == name]

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
    """The run of one agent in one branch so far. `turns` and `repairs` count those of the present invocation only.

    `prefix` makes the names of its calls out of their ids.
    """

    agent: str
    invocation: str
    branch: str = ""
    prefix: str = ""
    turn: Turn | None = None
    turns: int = 0
    repairs: int = 0

    def take(self, event: Event) -> None:
        """Take in the next event: one of the branch, or of the session itself."""
        if event.branch and event.branch != self.branch:
            return
        if event.author == self.agent and event.message.role == "assistant" and event.branch == self.branch:
            self.turn = Turn.of(event, self.prefix)
            if event.invocation_id == self.invocation:
                self.turns += 1
                self.repairs += REPAIR in (event.metadata or {})
        elif isinstance(event.control, Transfer) and event.control.agent == self.agent:
            self.turn = None
        elif self.turn is not None:
            self.turn.take(event)


def standing_of(run: Sequence[Event], agent: str, invocation: str, branch: str = "", prefix: str = "") -> Standing:
    """Read the events of a run."""
    standing = Standing(agent, invocation, branch, prefix)
    for event in run:
        standing.take(event)
    return standing
