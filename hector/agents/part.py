"""One plan's stretch of the log as it grows: what was noted of it, and what the agents that it runs are shown."""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final
from zlib import crc32

from hector.agents.approval import Waiting
from hector.agents.context import RunContext
from hector.agents.history import begin_of
from hector.agents.marks import FLOW, OVER, PLANNED, REPEATS, STEP, WITHIN, answer_of, content_of, mark_of
from hector.agents.running import request_to_people
from hector.core.content import Content, Message, Text, user
from hector.core.event import (
    ASIDE,
    ApprovalRequired,
    BranchPartial,
    Control,
    Event,
    ExitLoop,
    InputRequired,
    Output,
    Partial,
)
from hector.core.ids import new_id
from hector.core.record import dataclass

GO_ON: Final = "Go on: the next round begins. Build on what has been said."
"""What an agent is told that would otherwise be shown its own words last."""


@dataclass(slots=True)
class Part:
    """`start` is where the plan begins among the events. `paused`: people have been asked, so nothing more can be done.

    The marks of the plan's own branch count; those of a plan within it name another agent.
    """

    agent: str
    context: RunContext
    events: list[Event]
    start: int
    paused: bool = False

    @classmethod
    def of(cls, agent: str, context: RunContext) -> "Part":
        """Where the events of the context leave it."""
        events = list(context.events)
        given = context.start
        start = given if given >= 0 else begin_of(events, context.invocation_id, context.branch)
        return cls(agent, context, events, start)

    @property
    def steps(self) -> list[Mapping[str, Any]]:
        """What is noted of the steps that have ended."""
        return [mark for _, mark in self._marks() if STEP in mark]

    @property
    def over(self) -> bool:
        """Whether the plan has ended."""
        return any(OVER in mark for _, mark in self._marks())

    @property
    def since(self) -> int:
        """Where the present step begins."""
        return next((at + 1 for at, mark in reversed(list(self._marks())) if STEP in mark), self.start)

    @property
    def fork(self) -> int:
        """Where branches of the present step leave the conversation: behind the message that the run began with."""
        since = self.since
        return since + (since < len(self.events) and self.events[since].author == "user")

    def _marks(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        for at in range(self.start, len(self.events)):
            event = self.events[at]
            if event.author == self.agent and event.branch == self.context.branch and (mark := mark_of(event)):
                yield at, mark

    def step_context(self, agent: str, above: str) -> RunContext:
        """What the agent of the present step is shown, in the branch of the plan: everything that was said so far."""
        events, since = self.events, self.since
        last = next((one for one in reversed(events[:since]) if _speaks(one, self.context.branch)), None)
        asked = since < len(events) and events[since].author == "user"
        if asked or last is None or last.author != agent:
            return replace(self.context, events=list(events), start=since, above=above)
        told = Event(f"{last.id}.next", self.context.invocation_id, "user", last.at, user(GO_ON))
        return replace(self.context, events=[*events[:since], told, *events[since:]], start=since + 1, above=above)

    def branch_context(self, agent: str, above: str) -> RunContext:
        """The same in a branch: the conversation as it was when the step began, and what concerns it since."""
        from hector.agents.delegation import concerning  # noqa: PLC0415 - loaded on first use

        fork, outer = self.fork, self.context.branch
        branch = self.branch_of(agent)
        before = [_as_of(one, branch) for one in self.events[:fork] if one.author == "user" or one.branch == outer]
        events = [*before, *concerning(branch, self.events[fork:])]
        call = branch.rpartition(".")[2]
        return replace(self.context, events=events, start=len(before), branch=branch, call=call, above=above)

    def branch_of(self, agent: str) -> str:
        """Where an agent of the present step works; the same whenever the step is gone on with."""
        fork = self.fork
        anchor = self.events[fork - 1].id if fork else ""
        step = f"{agent}@{PLANNED}{crc32(anchor.encode()):08x}"
        return f"{self.context.branch}.{step}" if self.context.branch else step

    async def follow(
        self, running: AsyncGenerator[Output | Waiting], aside: str = ""
    ) -> AsyncGenerator[Output | Waiting]:
        """What an agent does in the plan's branch. With `aside`, a name for the step, that is no part of the answer."""
        branch = self.context.branch
        async with aclosing(running) as outputs:
            async for output in outputs:
                if isinstance(output, Event):
                    output = self._noted(output, aside=bool(aside))
                    self.paused = self.paused or _asks(output)
                    self.events.append(output)
                elif isinstance(output, Waiting):
                    self.paused = True
                elif aside and isinstance(output, Partial):
                    output = BranchPartial(output.author, output.deltas, branch, aside)
                yield output

    def _noted(self, event: Event, *, aside: bool) -> Event:
        if event.branch != self.context.branch:
            return event
        known = event.metadata or {}
        metadata = {**known, WITHIN: [self.agent, *known.get(WITHIN, ())]}
        return replace(event, metadata=metadata | {ASIDE: True} if aside else metadata)

    def outcome(self, since: int) -> Control | None:
        """How the last agent that worked in the plan's branch ended, if otherwise than by an answer."""
        for event in reversed(self.events[since:]):
            if event.branch == self.context.branch and event.author != "user":
                return event.control
        return None

    def answer(self, since: int = -1) -> Event | None:
        """The last answer that was given in the plan, or since then."""
        return answer_of(self.events[self.start if since < 0 else since :], self.context.branch)

    def mark(self, note: Mapping[str, Any], parts: Sequence[Content] = (), **facts: Any) -> Event:
        """An event that notes how far the plan has come. It counts from now on."""
        message = Message("assistant" if parts else "tool", tuple(parts))
        return self.event(message, metadata={FLOW: dict(note)}, **facts)

    def event(self, message: Message, **facts: Any) -> Event:
        """The next event of the plan's own agent. It counts from now on."""
        context = self.context
        now = context.clock.now()
        event = Event(new_id(), context.invocation_id, self.agent, now, message, context.branch, **facts)
        self.events.append(event)
        return event

    def end(self, output_key: str, control: Control | None = None, *, is_loop: bool = False) -> Event:
        """The mark that ends the plan: it says the answer again where that is not yet part of the task's own.

        That an agent has ended a loop is passed on, unless the plan is one.
        """
        answer, left = self.answer(), control if isinstance(control, ExitLoop) else None
        passed = None if is_loop else left
        if answer is None:
            return self.over_with((Text(left.reason),) if left and left.reason else (), output_key, passed)
        said = content_of(answer)
        hidden = answer.metadata is not None and ASIDE in answer.metadata
        facts = {"state": {output_key: text_of(said)}} if output_key else {}
        return self.mark({OVER: True, REPEATS: True}, said if hidden else (), control=passed, **facts)

    def over_with(self, said: Sequence[Content], output_key: str, control: Control | None = None) -> Event:
        """The mark that ends the plan with an answer of its own."""
        facts = {"state": {output_key: text_of(said)}} if output_key else {}
        return self.mark({OVER: True}, said, control=control, **facts)

    def pause(self, waiting: Sequence[Waiting]) -> Event | Waiting:
        """What agents in branches of the plan wait for: asked in the session, handed on in a branch."""
        questions = tuple(one for branch in waiting for one in branch.questions)
        calls = tuple(one for branch in waiting for one in branch.calls)
        self.paused = True
        if self.context.branch:
            return Waiting(questions, calls)
        control = request_to_people(questions, calls, self.context.clock.now())
        return self.event(Message("tool", ()), control=control)


def text_of(said: Sequence[Content]) -> str:
    """The text of an answer."""
    return "".join(part.text for part in said if isinstance(part, Text))


def _speaks(event: Event, branch: str) -> bool:
    return event.author == "user" or (event.branch == branch and bool(content_of(event)))


def _as_of(event: Event, branch: str) -> Event:
    return event if event.author == "user" else replace(event, branch=branch)


def _asks(event: Event) -> bool:
    return not event.branch and isinstance(event.control, InputRequired | ApprovalRequired)
