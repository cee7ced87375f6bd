"""The agent of type `llm`: ask the model, run the tools it calls, until it has answered.

Each step looks at the run's events to see what comes next (standing.py), so that a run goes on from any of them.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from hector.agents.approval import Waiting, next_steps, verdict
from hector.agents.context import NO_MORE, Limits, Others, RunContext
from hector.agents.flow import working
from hector.agents.history import REPAIR, messages_of
from hector.agents.invoke import Answered, call_all, complaint
from hector.agents.kit import Delegate, Kit
from hector.agents.prompt import Prompt
from hector.agents.running import Running, joined, metered, progress_of, tool_context
from hector.agents.standing import FINISH, CallStanding, Turn
from hector.core import points
from hector.core.content import Message, Text, ToolCall
from hector.core.errors import AgentError, ContextOverflow
from hector.core.event import (
    DENIED,
    BranchPartial,
    Delta,
    Event,
    Output,
    Partial,
    TextDelta,
    ToolStarted,
)
from hector.core.ports import ChatModel, Meter, ModelReply, ModelRequest, OutputSchema, Tool, ToolPolicy
from hector.core.record import dataclass
from hector.core.usage import FinishReason

if TYPE_CHECKING:
    from hector.agents.sources import Sources
    from hector.agents.together import Step
    from hector.agents.views import View, Views

MOST_REPAIRS: Final = 1
"""How often a model may mend a structured answer."""
NO_ANSWER: Final[Mapping[FinishReason, str]] = {
    FinishReason.CONTENT_FILTER: "the model declined to answer (content filter)",
    FinishReason.LENGTH: "the model reached its token limit before it answered; raise max_tokens",
    FinishReason.ERROR: "the model ended its turn with an error and no answer",
}


_Said: TypeAlias = Partial | BranchPartial | ModelReply


@dataclass(frozen=True, slots=True)
class Agent:
    """One model, its tools, its instruction. Holds nothing of a run: one instance serves all of them.

    `model` is a function so that a client is made when it is first needed. Every tool has its row in `policies`.
    `team` is None for an agent that works alone; `overall` is what it tells those below it, too.
    """

    id: str
    model: Callable[[], ChatModel]
    prompt: Prompt
    tools: Mapping[str, Tool] = field(default_factory=dict)
    output: OutputSchema | None = None
    streaming: bool = True
    max_iterations: int = 100
    policies: Mapping[str, ToolPolicy] = field(default_factory=dict)
    description: str = ""
    delegates: Mapping[str, Delegate] = field(default_factory=dict)
    sub_agents: tuple[str, ...] = ()
    to_parent: bool = True
    to_peers: bool = True
    overall: Prompt = Prompt(())
    team: Others | None = None
    limits: Limits = NO_MORE
    sources: "Sources | None" = None
    output_key: str = ""
    views: "Views | None" = None
    is_plan: bool = False

    kit: Kit = field(init=False)
    """What it can do wherever it works."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kit", Kit(self.tools, self.policies, self.delegates, sources=self.sources))

    def run(self, context: RunContext) -> AsyncGenerator[Output]:
        """Yield what happens from where the events of the context end, until there is an answer or a pause.

        The last event is the answer, or carries the control that ends the run; nothing is yielded when it is already
        there. Raises ModelError, AgentError.
        """
        whole = replace(context, root=self.id, limits=self.limits) if self.team else context
        running = self.team.run(self.id, whole) if self.team else working(self, whole)
        return cast("AsyncGenerator[Output]", running)  # only a branch waits otherwise than by an event

    @property
    def wants_artifacts(self) -> bool:
        """Whether an instruction names any artifact: its own, or that of an agent that it may involve."""
        return self.team.want_artifacts(self.id) if self.team else self.prompt.wants_artifacts

    @property
    def involves(self) -> tuple[str, ...]:
        """The agents that it may set to work."""
        return (*self.sub_agents, *self.delegates)

    def announce(self, context: RunContext) -> str:
        """What it tells those below it."""
        return joined(context.above, self.overall.render(context.state))

    async def work(self, context: RunContext, kit: Kit | None = None) -> AsyncGenerator[Output | Waiting]:
        """Its own part of a run, in the session or in a branch, until it has answered, waits, or has handed over."""
        own = kit or self.kit
        run = Running.of(self.id, context, own, self.prompt.render(context.state))
        standing = run.standing
        while not run.paused and ((turn := standing.turn) is None or not turn.settled):
            if own.sources is not None:
                if own.sources.missing:
                    async with aclosing(own.sources.arrive()) as late:
                        async for entry in late:
                            yield _waits_for(entry, context.branch)
                run.kit = own.with_offer(await own.sources.offer())
            step = self._ask(run) if turn is None or not turn.open else self._act(run, turn)
            async with aclosing(step) as outputs:
                async for output in outputs:
                    yield output

    async def _ask(self, run: Running) -> AsyncGenerator[Output]:
        """One model turn."""
        self._check_turns(run)
        view = None if self.views is None else await self.views.of(run)
        for note in view.notes if view is not None else ():
            yield note
        points.reach("model.before")
        reply, shown = None, False
        while reply is None:
            try:
                if not (self.streaming and run.context.stream):
                    reply = await self._whole(run.context, self._request(run, view))
                    break
                async with aclosing(self._stream(run.context, self._request(run, view))) as answer:
                    async for item in answer:
                        if isinstance(item, ModelReply):
                            reply = item
                        else:
                            shown = True
                            yield item
                            points.reach("model.streaming")
                break
            except ContextOverflow:
                if shown or (view is not None and view.last):
                    raise
                view = await self._shorter(run)
            for note in view.notes:
                yield note
        if reply is None:
            raise AgentError(f"the model of agent {self.id!r} ended without a reply")
        points.reach("model.after")
        yield self._turn(run, reply)

    def _check_turns(self, run: Running) -> None:
        if run.standing.turns >= self.max_iterations:
            raise AgentError(
                f"agent {self.id!r} did not come to an answer within {self.max_iterations} model calls "
                "(reasoning.max_iterations)"
            )

    async def _shorter(self, run: Running) -> "View":
        """What is sent instead of what the provider refused as too long."""
        from hector.agents.views import PLAIN  # noqa: PLC0415 - loaded on first use

        return await (self.views or PLAIN).after_overflow(run)

    def _request(self, run: Running, view: "View | None") -> ModelRequest:
        context = run.context
        if view is None:
            seen = (context.invocation_id, context.branch, run.standing.prefix)
            messages: Sequence[Message] = messages_of(run.events, self.id, *seen)
        else:
            messages, run.foreseen = view.messages, view.foreseen
        return ModelRequest(run.system, messages, run.kit.specs, output=self.output)

    async def _whole(self, context: RunContext, request: ModelRequest) -> ModelReply:
        if context.meter is None:
            return await self._answer(context, request)
        permit = await context.meter.before_model(self.id, request)
        try:
            reply = await self._answer(context, request)
            permit.settle(reply)
        finally:
            permit.settle(None)
        return reply

    def _stream(self, context: RunContext, request: ModelRequest) -> AsyncGenerator[_Said]:
        meter = context.meter
        return self._pieces(context, request) if meter is None else self._paid_pieces(context, meter, request)

    async def _paid_pieces(self, context: RunContext, meter: Meter, request: ModelRequest) -> AsyncGenerator[_Said]:
        permit = await meter.before_model(self.id, request)
        try:
            async with aclosing(self._pieces(context, request)) as answer:
                async for item in answer:
                    if isinstance(item, ModelReply):
                        permit.settle(item)
                    else:
                        permit.hear(item.deltas)
                    yield item
        finally:
            permit.settle(None)

    async def _answer(self, context: RunContext, request: ModelRequest) -> ModelReply:
        """What the model says, in one piece."""
        return await self.model().complete(request)

    async def _pieces(self, context: RunContext, request: ModelRequest) -> AsyncGenerator[_Said]:
        """The same as it comes; the reply at the end."""
        async with aclosing(self.model().stream(request)) as answer:
            async for item in answer:
                if isinstance(item, ModelReply):
                    yield item
                elif deltas := item if self.output is None else _without_text(item):
                    if context.branch:
                        yield BranchPartial(self.id, deltas, context.branch, context.call)
                    else:
                        yield Partial(self.id, deltas)

    def _turn(self, run: Running, reply: ModelReply) -> Event:
        """The model's turn as an event, which announces the calls that run at once."""
        message = reply.message
        facts: dict[str, Any] = {"usage": reply.usage}
        if calls := message.tool_calls:
            run.begun = frozenset(call.id for call in calls if _begins(call, run.kit))
            facts["started"] = tuple(call.id for call in calls if call.id in run.begun)
            return run.event(message, **facts)
        if reply.finish is FinishReason.PAUSE:
            return run.event(message, metadata={FINISH: FinishReason.PAUSE.value}, **facts)
        body, findings = self._judge(reply)
        if not findings:
            if self.output_key:
                facts["state"] = {self.output_key: body.text}
            return run.event(body, **facts)
        if run.standing.repairs >= MOST_REPAIRS:
            raise AgentError(f"the answer does not fit structured_output.schema: {'; '.join(findings)}")
        from hector.agents.structured import repair_request  # noqa: PLC0415 - loaded on first use

        return run.event(message, metadata={REPAIR: repair_request(findings)}, **facts)

    def _judge(self, reply: ModelReply) -> tuple[Message, list[str]]:
        """The final message, and what is wrong with a structured one."""
        text = reply.message.text
        if not text and reply.finish in NO_ANSWER:
            raise AgentError(NO_ANSWER[reply.finish])
        if self.output is None:
            return reply.message, []
        from hector.agents.structured import check  # noqa: PLC0415 - loaded on first use

        body, findings = check(text, self.output)
        others = tuple(part for part in reply.message.parts if not isinstance(part, Text))
        return replace(reply.message, parts=(*others, Text(body, media_type="application/json"))), findings

    async def _act(self, run: Running, turn: Turn) -> AsyncGenerator[Output | Waiting]:
        """Whatever can be done for the calls of a turn now; what needs a person comes last, and pauses the run."""
        kit = run.kit
        complain = lambda call: complaint(call, kit.tools)  # noqa: E731 - bound to this kit
        steps = next_steps(turn, kit.policies, run.begun, complain, run.asker, kit.handovers)
        if run.context.meter is not None and steps.run:
            steps = await metered(run, run.context.meter, steps)
        if steps.settled or steps.intend:
            run.begun |= frozenset(steps.intend)
            metadata = {DENIED: dict(steps.denied)} if steps.denied else None
            for refused in steps.settled:  # whoever watches sees what it was
                yield ToolStarted(self.id, turn.calls[refused.call_id].call, run.context.branch)
            yield run.event(Message("tool", steps.settled), started=steps.intend, metadata=metadata)
        for call in steps.run:
            yield ToolStarted(self.id, call.call, run.context.branch)
        waiting: list[Waiting] = []
        async with aclosing(self._carry_out(run, turn, steps.run)) as found:
            async for step in found:
                if isinstance(step, Answered):
                    yield run.answered(step)
                    points.reach("tool.result")
                elif isinstance(step, Waiting):
                    waiting.append(step)
                else:
                    yield step
        if not turn.settled and (pause := run.pause(turn, steps.ask, waiting)):
            yield pause

    def _carry_out(self, run: Running, turn: Turn, calls: Sequence[CallStanding]) -> "AsyncGenerator[Step]":
        """Run calls side by side: those of tools as one stream, and one stream for each agent that is called."""
        delegates = run.kit.delegates
        told = progress_of(run.context) if calls else None
        plain = [
            (call.call, tool_context(self.id, run.context, call, told))
            for call in calls
            if call.call.name not in delegates
        ]
        away = run.kit.sources.away if run.kit.sources is not None else ()
        tools = call_all(plain, run.kit.tools, delegates, told, away)
        if len(plain) == len(calls):
            return tools
        from hector.agents.together import together  # noqa: PLC0415 - loaded on first use

        agents = (self._consult(run, turn, call) for call in calls if call.call.name in delegates)
        return together([tools, *agents])

    async def _consult(self, run: Running, turn: Turn, call: CallStanding) -> "AsyncGenerator[Step]":
        """One called agent."""
        from hector.agents.delegation import consult, too_many  # noqa: PLC0415 - loaded on first use

        context, delegates = run.context, run.kit.delegates
        called = [one.call.id for one in turn.calls.values() if one.call.name in delegates]
        if self.team is None or called.index(call.call.id) >= context.limits.calls:
            yield too_many(call.call, context.limits.calls)
            return
        inner = replace(context, above=self.announce(context))
        async with aclosing(consult(self.team, inner, turn.event, call, delegates[call.call.name])) as steps:
            async for step in steps:
                yield step


def _waits_for(entry: str, branch: str) -> BranchPartial:
    """What whoever watches is told while the tools of an entry are not there yet."""
    return BranchPartial(entry, (TextDelta("waiting for its tools ...\n"),), branch, f"tools-of-{entry}")


def _begins(call: ToolCall, kit: Kit) -> bool:
    """Whether the execution of a call is announced with the turn that makes it."""
    policy = kit.policies.get(call.name)
    return verdict(call, policy) == "allow" and not (policy is not None and policy.reentrant)


def _without_text(deltas: tuple[Delta, ...]) -> tuple[Delta, ...]:
    """Structured text is shown once it has been checked, not before."""
    return tuple(delta for delta in deltas if not isinstance(delta, TextDelta))
