"""The agent of type `llm`: ask the model, run the tools it calls, until it has answered.

Each step looks at the run's events to see what comes next (standing.py), so that a run goes on from any of them.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import field, replace
from typing import Any, Final

from hector.agents.approval import needs_approval, next_steps
from hector.agents.context import RunContext
from hector.agents.history import REPAIR, messages_of, this_run
from hector.agents.invoke import call_all, complaint
from hector.agents.prompt import Prompt
from hector.agents.standing import FINISH, CallStanding, Standing, Turn, standing_of
from hector.agents.structured import check, repair_request
from hector.core import points
from hector.core.content import Message, Text
from hector.core.errors import AgentError
from hector.core.event import ApprovalRequired, Delta, Event, Output, Partial, TextDelta, ToolStarted
from hector.core.ids import new_id
from hector.core.ports import ChatModel, ModelReply, ModelRequest, OutputSchema, Tool, ToolContext, ToolPolicy
from hector.core.record import dataclass
from hector.core.usage import FinishReason

MOST_REPAIRS: Final = 1
"""How often a model may mend a structured answer."""
NO_ANSWER: Final[Mapping[FinishReason, str]] = {
    FinishReason.CONTENT_FILTER: "the model declined to answer (content filter)",
    FinishReason.LENGTH: "the model reached its token limit before it answered; raise max_tokens",
    FinishReason.ERROR: "the model ended its turn with an error and no answer",
}


@dataclass(slots=True)
class _Run:
    """One run as it grows. `begun` are the calls whose execution was announced here rather than by somebody else."""

    context: RunContext
    system: str
    events: list[Event]
    standing: Standing
    begun: frozenset[str] = frozenset()

    def event(self, message: Message, **facts: Any) -> Event:
        """The next event; it counts from now on."""
        context = self.context
        event = Event(new_id(), context.invocation_id, self.standing.agent, context.clock.now(), message, **facts)
        self.events.append(event)
        self.standing.take(event)
        return event


@dataclass(frozen=True, slots=True)
class Agent:
    """One model, its tools, its instruction. Holds nothing of a run: one instance serves all of them.

    `model` is a function so that a client is made when it is first needed. Every tool has its row in `policies`.
    """

    id: str
    model: Callable[[], ChatModel]
    prompt: Prompt
    tools: Mapping[str, Tool] = field(default_factory=dict)
    output: OutputSchema | None = None
    streaming: bool = True
    max_iterations: int = 100
    policies: Mapping[str, ToolPolicy] = field(default_factory=dict)

    async def run(self, context: RunContext) -> AsyncGenerator[Output, None]:
        """Yield what happens from where the events of the context end, until there is an answer or a pause.

        The last event is the answer, or carries the control that ends the run; nothing is yielded when it is already
        there. Raises ModelError, AgentError.
        """
        standing = standing_of(this_run(context.events, context.invocation_id), self.id, context.invocation_id)
        run = _Run(context, self.prompt.render(context.state), list(context.events), standing)
        while (turn := standing.turn) is None or not turn.settled:
            step = self._ask(run) if turn is None or not turn.open else self._act(run, turn)
            async with aclosing(step) as outputs:
                async for output in outputs:
                    yield output

    async def _ask(self, run: _Run) -> AsyncGenerator[Output, None]:
        """One model turn."""
        if run.standing.turns >= self.max_iterations:
            raise AgentError(
                f"agent {self.id!r} did not come to an answer within {self.max_iterations} model calls "
                "(reasoning.max_iterations)"
            )
        points.reach("model.before")
        reply: ModelReply | None = None
        async with aclosing(self._reply(run)) as answer:
            async for item in answer:
                if isinstance(item, ModelReply):
                    reply = item
                else:
                    yield item
                    points.reach("model.streaming")
        if reply is None:
            raise AgentError(f"the model of agent {self.id!r} ended without a reply")
        points.reach("model.after")
        yield self._turn(run, reply)

    async def _reply(self, run: _Run) -> AsyncGenerator[Partial | ModelReply, None]:
        context = run.context
        request = ModelRequest(
            run.system,
            messages_of(run.events, self.id, context.invocation_id),
            [tool.spec for tool in self.tools.values()],
            output=self.output,
        )
        model = self.model()
        if not (self.streaming and context.stream):
            yield await model.complete(request)
            return
        async with aclosing(model.stream(request)) as answer:
            async for item in answer:
                if isinstance(item, ModelReply):
                    yield item
                elif deltas := item if self.output is None else _without_text(item):
                    yield Partial(self.id, deltas)

    def _turn(self, run: _Run, reply: ModelReply) -> Event:
        """The model's turn as an event, which announces the calls that run at once."""
        message = reply.message
        facts: dict[str, Any] = {"usage": reply.usage}
        if calls := message.tool_calls:
            run.begun = frozenset(call.id for call in calls if not needs_approval(call, self.policies.get(call.name)))
            facts["started"] = tuple(call.id for call in calls if call.id in run.begun)
            return run.event(message, **facts)
        if reply.finish is FinishReason.PAUSE:
            return run.event(message, metadata={FINISH: FinishReason.PAUSE.value}, **facts)
        body, findings = self._judge(reply)
        if not findings:
            return run.event(body, **facts)
        if run.standing.repairs >= MOST_REPAIRS:
            raise AgentError(f"the answer does not fit structured_output.schema: {'; '.join(findings)}")
        return run.event(message, metadata={REPAIR: repair_request(findings)}, **facts)

    def _judge(self, reply: ModelReply) -> tuple[Message, list[str]]:
        """The final message, and what is wrong with a structured one."""
        text = reply.message.text
        if not text and reply.finish in NO_ANSWER:
            raise AgentError(NO_ANSWER[reply.finish])
        if self.output is None:
            return reply.message, []
        body, findings = check(text, self.output)
        others = tuple(part for part in reply.message.parts if not isinstance(part, Text))
        return replace(reply.message, parts=(*others, Text(body, media_type="application/json"))), findings

    async def _act(self, run: _Run, turn: Turn) -> AsyncGenerator[Output, None]:
        """Whatever can be done for the calls of a turn now; what needs a person comes last, and pauses the run."""
        steps = next_steps(
            turn, self.policies, run.begun, run.context.clock.now(), lambda call: complaint(call, self.tools)
        )
        if steps.settled or steps.intend:
            run.begun |= frozenset(steps.intend)
            yield run.event(Message("tool", steps.settled), started=steps.intend)
        for call in steps.run:
            yield ToolStarted(self.id, call.call)
        calls = [(call.call, self._tool_context(run.context, call)) for call in steps.run]
        async with aclosing(call_all(calls, self.tools)) as batches:
            async for found in batches:
                yield run.event(
                    Message("tool", found.results), state=found.state, artifacts=found.artifacts, control=found.control
                )
                points.reach("tool.result")
        if not turn.settled and steps.ask:
            yield run.event(Message("tool", ()), control=ApprovalRequired(steps.ask))

    def _tool_context(self, context: RunContext, call: CallStanding) -> ToolContext:
        caller = context.caller
        return ToolContext(
            call.call.id,
            self.id,
            caller.app,
            caller.user,
            context.session_id,
            context.task_id,
            context.state,
            call.effect_id,
        )


def _without_text(deltas: tuple[Delta, ...]) -> tuple[Delta, ...]:
    """Structured text is shown once it has been checked, not before."""
    return tuple(delta for delta in deltas if not isinstance(delta, TextDelta))
