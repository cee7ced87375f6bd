"""One agent's part of a run as it grows: its events, and whom it asks in whose name."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hector.agents.approval import ITSELF, Asker, Waiting, asked_at
from hector.agents.context import RunContext
from hector.agents.history import this_run
from hector.agents.invoke import Answered
from hector.agents.kit import Kit
from hector.agents.standing import Phase, Standing, Turn, standing_of
from hector.core.content import Message
from hector.core.event import ApprovalRequired, Artifact, Control, Event, InputRequired, PendingCall, call_name
from hector.core.ids import new_id
from hector.core.record import dataclass


@dataclass(slots=True)
class Running:
    """`begun` are the calls whose execution was announced here rather than by somebody else."""

    context: RunContext
    kit: Kit
    system: str
    events: list[Event]
    standing: Standing
    asker: Asker
    begun: frozenset[str] = frozenset()
    paused: bool = False

    @classmethod
    def of(cls, agent: str, context: RunContext, kit: Kit, system: str) -> "Running":
        """Where the events of the context leave it. `system` is what the agent itself is told."""
        branch, invocation, events = context.branch, context.invocation_id, list(context.events)
        asker, prefix = ITSELF, ""
        if branch or context.root not in ("", agent):
            asker, prefix = Asker(agent, branch), call_name("", agent, branch, context.root)
            system = joined(context.above, system)
        own = events if branch else this_run(events, invocation)
        return cls(context, kit, system, events, standing_of(own, agent, invocation, branch, prefix), asker)

    def event(self, message: Message, **facts: Any) -> Event:
        """The next event; it counts from now on."""
        context, agent = self.context, self.standing.agent
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
        now = self.context.clock.now()
        control = questions[0] if questions else ApprovalRequired(tuple(asked_at(call, now) for call in calls))
        return self.event(Message("tool", ()), control=control)

    def _named(self, control: Control | None) -> Control | None:
        """A question says who asks it."""
        if not isinstance(control, InputRequired):
            return control
        return InputRequired(
            self.standing.prefix + control.call_id, control.prompt, self.asker.agent, self.asker.branch
        )


def _signed(artifact: Artifact, by: Asker) -> Artifact:
    return replace(artifact, metadata={**(artifact.metadata or {}), "author": by.agent, "branch": by.branch})


def joined(*texts: str) -> str:
    """Those that are not empty, a blank line between them."""
    return "\n\n".join(text for text in texts if text)
