"""One agent's part of a run as it grows: its events, and whom it asks in whose name."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hector.agents.approval import ITSELF, Asker, Steps, Waiting, asked_at
from hector.agents.context import RunContext
from hector.agents.estimate import FORESEEN
from hector.agents.history import begin_of
from hector.agents.invoke import Answered
from hector.agents.kit import Kit
from hector.agents.standing import CallStanding, Phase, Standing, Turn, standing_of
from hector.core.content import Message, Text, ToolResult
from hector.core.event import ApprovalRequired, Artifact, Control, Event, InputRequired, PendingCall, call_name
from hector.core.ids import new_id
from hector.core.ports import Meter, ToolContext
from hector.core.record import dataclass

if TYPE_CHECKING:
    from hector.agents.progress import Progress


@dataclass(slots=True)
class Running:
    """`begun` are the calls whose execution was announced here rather than by somebody else.

    `foreseen` is what the model's next turn was estimated at, where anybody wants to know; `reminder` is what it is
    reminded of in this run, None as long as nobody has looked; `looked_up` are the messages (by their events) for which
    documents have been searched here.
    """

    context: RunContext
    kit: Kit
    system: str
    events: list[Event]
    standing: Standing
    asker: Asker
    begun: frozenset[str] = frozenset()
    paused: bool = False
    foreseen: int = 0
    reminder: str | None = None
    looked_up: frozenset[str] = frozenset()

    @classmethod
    def of(cls, agent: str, context: RunContext, kit: Kit, system: str) -> "Running":
        """Where the events of the context leave it. `system` is what the agent itself is told."""
        branch, events = context.branch, list(context.events)
        asker, prefix = ITSELF, ""
        if branch or context.root not in ("", agent):
            asker, prefix = Asker(agent, branch), call_name("", agent, branch, context.root)
            system = joined(context.above, system)
        own = events[context.start if context.start >= 0 else begin_of(events, context.invocation_id, branch) :]
        return cls(context, kit, system, events, standing_of(own, agent, context.invocation_id, branch, prefix), asker)

    def event(self, message: Message, **facts: Any) -> Event:
        """The next event; it counts from now on."""
        context, agent = self.context, self.standing.agent
        if self.foreseen and "usage" in facts:
            facts["metadata"] = {**(facts.get("metadata") or {}), FORESEEN: self.foreseen}
            self.foreseen = 0
        event = Event(new_id(), context.invocation_id, agent, context.clock.now(), message, context.branch, **facts)
        self.events.append(event)
        self.standing.take(event)
        return event

    def answered(self, found: Answered) -> Event:
        """Results as an event. What an agent asks for that is not the task's own carries its name."""
        artifacts, control = found.artifacts, found.control
        if self.asker.agent:
            artifacts = tuple(_signed(artifact, self.asker) for artifact in artifacts)
            control = self._named(control)
        return self.event(Message("tool", found.results), state=found.state, artifacts=artifacts, control=control)

    def pause(self, turn: Turn, ask: Sequence[PendingCall], waiting: Sequence[Waiting]) -> Event | Waiting | None:
        """What all that is still open waits for: in the session, an event that asks; in a branch, word to its caller.

        Questions are asked one at a time, approvals all at once, after the questions.
        """
        own = (call.question for call in turn.open if call.phase is Phase.QUESTION)
        questions = (*(one for one in own if one), *(one for branch in waiting for one in branch.questions))
        calls = (*ask, *(one for branch in waiting for one in branch.calls))
        if not questions and not calls:
            return None
        self.paused = True
        if self.context.branch:
            return Waiting(questions, calls)
        return self.event(Message("tool", ()), control=request_to_people(questions, calls, self.context.clock.now()))

    def _named(self, control: Control | None) -> Control | None:
        """A question says who asks it."""
        if not isinstance(control, InputRequired):
            return control
        return InputRequired(
            self.standing.prefix + control.call_id, control.prompt, self.asker.agent, self.asker.branch
        )


def request_to_people(questions: Sequence[InputRequired], calls: Sequence[PendingCall], now: float) -> Control:
    """What a run pauses with: the first question, else all approvals."""
    return questions[0] if questions else ApprovalRequired(tuple(asked_at(call, now) for call in calls))


def _signed(artifact: Artifact, by: Asker) -> Artifact:
    return replace(artifact, metadata={**(artifact.metadata or {}), "author": by.agent, "branch": by.branch})


def joined(*texts: str) -> str:
    """Those that are not empty, a blank line between them."""
    return "\n\n".join(text for text in texts if text)


async def metered(run: Running, meter: Meter, steps: Steps) -> Steps:
    """The steps without calls that are not to be carried out: the model is told why."""
    context = run.context
    own = [event for event in run.events if event.branch == context.branch]
    refused = await meter.before_tools(run.standing.agent, context.invocation_id, [one.call for one in steps.run], own)
    if not refused:
        return steps
    told = [one.call for one in steps.run if one.call.id in refused]
    results = (ToolResult(call.id, call.name, (Text(refused[call.id]),), is_error=True) for call in told)
    return Steps(
        (*steps.settled, *results),
        tuple(name for name in steps.intend if name not in refused),
        tuple(one for one in steps.run if one.call.id not in refused),
        steps.ask,
        steps.denied,
    )


def tool_context(agent: str, context: RunContext, call: CallStanding, told: "Progress | None") -> ToolContext:
    """What a tool may know of the run that calls it; `told` takes what it says of its progress."""
    caller = context.caller
    facts: dict[str, Any] = {"progress": told.teller(call.call.name, call.name)} if told is not None else {}
    return ToolContext(
        call.call.id,
        agent,
        caller.app,
        caller.user,
        context.session_id,
        context.task_id,
        context.state,
        call.effect_id,
        **facts,
        artifacts=context.artifacts,
        memories=context.memories,
        name=call.name,
        meter=context.meter,
    )


def progress_of(context: RunContext) -> "Progress | None":
    """Where tools tell how far they are; None where nobody watches."""
    if not context.stream:
        return None
    from hector.agents.progress import Progress  # noqa: PLC0415 - loaded on first use

    return Progress(context.branch)
