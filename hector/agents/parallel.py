"""The agent of type `parallel`: others side by side, each in a branch, and their answers as one."""

import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, cast

from hector.agents.approval import Waiting
from hector.agents.context import RunContext
from hector.agents.flow import Flow
from hector.agents.invoke import LONGEST_ERROR
from hector.agents.kit import Kit
from hector.agents.marks import FLOW, STEP, answer_of, content_of, mark_of
from hector.agents.part import Part, text_of
from hector.agents.together import Step, together
from hector.core import points
from hector.core.content import Content, Message, Text
from hector.core.errors import HectorError
from hector.core.event import Control, DirectReply, Event, ExitLoop, Output, Rejected
from hector.core.ids import new_id
from hector.core.record import dataclass
from hector.observe.redact import redact

log = logging.getLogger("hector.agents")
ERROR: Final = "error"
"""In the mark that ends a branch: why it failed."""


@dataclass(frozen=True, slots=True)
class Parallel(Flow):
    """`steps` are the agents, each once. With `go_on`, the failure of one becomes its part of the answer."""

    steps: tuple[str, ...] = ()
    go_on: bool = False

    async def work(self, context: RunContext, kit: Kit | None = None) -> AsyncGenerator[Output | Waiting]:
        """Those that have not ended go on at the same time; the answer joins all when the last one has ended.

        Whatever one of them raises is raised once all others have ended or wait.
        """
        part = Part.of(self.id, context)
        if part.over:
            return
        waiting: list[Waiting] = []
        sources = [self._branch(part, agent) for agent in self.steps]
        async with aclosing(part.follow(_plain(together(sources)))) as outputs:
            async for output in outputs:
                if isinstance(output, Waiting):
                    waiting.append(output)
                else:
                    yield output
        if waiting:
            yield part.pause(waiting)
            return
        points.reach("branches.ended")
        yield part.over_with(self._joined(part), self.output_key, self._control(part))

    async def _branch(self, part: Part, agent: str) -> AsyncGenerator[Step]:
        """One agent in its branch, until it has ended or waits; the end is noted."""
        inner = part.branch_context(agent, self.announce(part.context))
        if _end_of(inner.events, inner.branch, self.id) is not None:
            return
        error = ""
        try:
            async with aclosing(self.team.run(agent, inner)) as outputs:
                async for output in outputs:
                    yield output
                    if isinstance(output, Waiting):
                        return
        except HectorError as failure:
            if not self.go_on or failure.retryable:
                raise
            log.warning("an agent of a plan failed", extra={"agent": agent, "plan": self.id, "error": str(failure)})
            error = redact(str(failure))[:LONGEST_ERROR]
        note = {STEP: agent, ERROR: error} if error else {STEP: agent}
        now = inner.clock.now()
        yield Event(
            new_id(), inner.invocation_id, self.id, now, Message("tool", ()), inner.branch, metadata={FLOW: note}
        )

    def _joined(self, part: Part) -> tuple[Content, ...]:
        """The answers in the order of the configuration, each under the name of its agent."""
        texts = [f"### {agent}\n\n{self._said(part, agent)}" for agent in self.steps]
        return (Text("\n\n".join(texts)),)

    def _said(self, part: Part, agent: str) -> str:
        branch = part.branch_of(agent)
        events = [one for one in part.events[part.start :] if one.branch == branch]
        control = _control_of(events, self.id)
        if isinstance(control, Rejected):
            return f"(declined: {control.reason})"
        if isinstance(control, DirectReply):
            return control.text
        if error := (_end_of(events, branch, self.id) or {}).get(ERROR):
            return f"(failed: {error})"
        answer = answer_of(events, branch)
        return text_of(content_of(answer)) if answer is not None else "(no answer)"

    def _control(self, part: Part) -> Control | None:
        """One that ends the loop around it does so for all, once they have ended."""
        for agent in self.steps:
            branch = part.branch_of(agent)
            events = [one for one in part.events[part.start :] if one.branch == branch]
            if isinstance(control := _control_of(events, self.id), ExitLoop):
                return control
        return None


def _plain(steps: AsyncGenerator[Step]) -> AsyncGenerator[Output | Waiting]:
    """Branches of a plan answer nobody, so that nothing but outputs and waits comes out of them."""
    return cast("AsyncGenerator[Output | Waiting]", steps)


def _end_of(events: Sequence[Event], branch: str, plan: str) -> Mapping[str, Any] | None:
    """What is noted of the end of a branch, if it has ended."""
    for event in reversed(events):
        if event.branch == branch and event.author == plan and (mark := mark_of(event)) and STEP in mark:
            return mark
    return None


def _control_of(events: Sequence[Event], plan: str) -> Control | None:
    """How the agent of a branch ended, if otherwise than by an answer."""
    return next((one.control for one in reversed(events) if one.author not in {plan, "user"}), None)
