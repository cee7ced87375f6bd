"""The agents of types `sequential` and `loop`: others, one after the other, on the same conversation."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from hector.agents.approval import Waiting
from hector.agents.context import RunContext
from hector.agents.flow import Flow
from hector.agents.kit import Kit
from hector.agents.marks import STEP
from hector.agents.part import Part
from hector.core import points
from hector.core.event import DirectReply, ExitLoop, Output, Rejected
from hector.core.record import dataclass


@dataclass(frozen=True, slots=True)
class Sequence(Flow):
    """`steps` are agents, as often as each of them is to work. A `loop` has rounds, and ends by `ExitLoop`, too."""

    steps: tuple[str, ...] = ()
    rounds: int = 1
    loop: bool = False

    async def work(self, context: RunContext, kit: Kit | None = None) -> AsyncGenerator[Output | Waiting]:
        """The steps that have not ended, from where the events leave the first of them.

        What fails in a step is raised, and ends the plan; a step that declines the task or answers directly does so for
        the whole plan.
        """
        part = Part.of(self.id, context)
        while not part.over:
            at, since = len(part.steps), part.since
            async with aclosing(self._step(part, at)) as outputs:
                async for output in outputs:
                    yield output
            if part.paused:
                return
            control = part.outcome(since)
            if isinstance(control, Rejected | DirectReply):
                return
            if isinstance(control, ExitLoop) or at + 1 >= len(self.steps) * self.rounds:
                yield part.end(self.output_key, control, is_loop=self.loop)
            else:
                yield part.mark({STEP: at, "agent": self.steps[at % len(self.steps)]})
                points.reach("step.ended")

    def _step(self, part: Part, at: int) -> AsyncGenerator[Output | Waiting]:
        agent = self.steps[at % len(self.steps)]
        last = not self.loop and at + 1 == len(self.steps)
        running = self.team.run(agent, part.step_context(agent, self.announce(part.context)))
        return part.follow(running, "" if last else f"{self.id}.{at + 1}")
