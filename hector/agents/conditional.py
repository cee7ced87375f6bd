"""The agent of type `conditional`: one agent judges, and what follows from its judgement is the answer."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from hector.agents.approval import Waiting
from hector.agents.context import RunContext
from hector.agents.flow import Flow
from hector.agents.kit import Kit
from hector.agents.marks import STEP, answer_of, content_of
from hector.agents.part import Part, text_of
from hector.agents.verdict import Rules, Side, decide, judged
from hector.core import points
from hector.core.content import Text
from hector.core.event import BranchPartial, DirectReply, Output, Rejected
from hector.core.record import dataclass

JUDGED = "judged"
"""In the mark that ends the judgement: its name as a step."""
NOTHING = Rules(Side(), Side(), {})


@dataclass(frozen=True, slots=True)
class Conditional(Flow):
    """`judge` is the agent that judges, `key` what decides of its answer. Its words are shown to nobody."""

    judge: str = ""
    key: str = "safe"
    rules: Rules = NOTHING

    async def work(self, context: RunContext, kit: Kit | None = None) -> AsyncGenerator[Output | Waiting]:
        """The judgement, and then what follows from it: each from where the events leave it."""
        part = Part.of(self.id, context)
        if part.over:
            return
        if not part.steps:
            async with aclosing(self._judge(part)) as outputs:
                async for output in outputs:
                    yield output
            if part.paused:
                return
        mark = part.steps[-1]
        if not mark["agent"]:
            yield part.over_with((Text(mark["text"]),), self.output_key)
            return
        since = part.since
        running = self.team.run(mark["agent"], part.step_context(mark["agent"], self.announce(context)))
        async with aclosing(part.follow(running)) as outputs:
            async for output in outputs:
                yield output
        control = part.outcome(since)
        if not part.paused and not isinstance(control, Rejected | DirectReply):
            yield part.end(self.output_key, control)

    async def _judge(self, part: Part) -> AsyncGenerator[Output | Waiting]:
        inner = part.branch_context(self.judge, self.announce(part.context))
        waiting: list[Waiting] = []
        async with aclosing(part.follow(self.team.run(self.judge, inner))) as outputs:
            async for output in outputs:
                if isinstance(output, Waiting):
                    waiting.append(output)
                elif not isinstance(output, BranchPartial):
                    yield output
        if waiting:
            yield part.pause(waiting)
            return
        value = self._value(part, inner.branch)
        side = decide(self.rules, value)
        yield part.mark({STEP: JUDGED, "value": value, "agent": side.agent, "text": side.text})
        points.reach("step.ended")

    def _value(self, part: Part, branch: str) -> Any:
        answer = answer_of(part.events, branch)
        return judged(text_of(content_of(answer)), self.key) if answer is not None else None
