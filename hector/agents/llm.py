"""The agent of type `llm`: ask the model, run the tools it calls, until it has answered."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import field, replace
from typing import Final

from hector.agents.context import RunContext
from hector.agents.history import messages_of
from hector.agents.invoke import Answered, call_all
from hector.agents.prompt import Prompt
from hector.agents.structured import check, repair_request
from hector.core.content import Message, Text, user
from hector.core.errors import AgentError
from hector.core.event import Delta, Event, Output, Partial, TextDelta, ToolStarted
from hector.core.ids import new_id
from hector.core.ports import ChatModel, ModelReply, ModelRequest, OutputSchema, Tool, ToolContext
from hector.core.record import dataclass
from hector.core.usage import FinishReason, Usage

NO_ANSWER: Final[Mapping[FinishReason, str]] = {
    FinishReason.CONTENT_FILTER: "the model declined to answer (content filter)",
    FinishReason.LENGTH: "the model reached its token limit before it answered; raise max_tokens",
    FinishReason.ERROR: "the model ended its turn with an error and no answer",
}


@dataclass(slots=True)
class _Turn:
    """The conversation of one run as it grows."""

    system: str
    messages: list[Message]
    repairs_left: int = 1
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Agent:
    """One model, its tools, its instruction. Holds nothing of a run: one instance serves all of them.

    `model` is a function so that a client is made when it is first needed.
    """

    id: str
    model: Callable[[], ChatModel]
    prompt: Prompt
    tools: Mapping[str, Tool] = field(default_factory=dict)
    output: OutputSchema | None = None
    streaming: bool = True
    max_iterations: int = 100

    async def run(self, context: RunContext) -> AsyncGenerator[Output, None]:
        """Yield what happens; the last event is the answer, or carries the control that ends the run.

        Raises ModelError, AgentError.
        """
        turn = _Turn(self.prompt.render(context.state), messages_of(context.events, self.id))
        for _ in range(self.max_iterations):
            reply: ModelReply | None = None
            async with aclosing(self._ask(turn, stream=self.streaming and context.stream)) as answer:
                async for item in answer:
                    if isinstance(item, ModelReply):
                        reply = item
                    else:
                        yield item
            if reply is None:
                raise AgentError(f"the model of agent {self.id!r} ended without a reply")
            turn.usage += reply.usage
            if reply.message.tool_calls:
                yield self._event(context, reply.message, turn)
                for call in reply.message.tool_calls:
                    yield ToolStarted(self.id, call)
                answered = await call_all(reply.message.tool_calls, self.tools, self._tool_context(context))
                yield self._results(context, answered)
                if answered.control is not None:
                    return
                turn.messages += [reply.message, Message("tool", answered.results)]
            elif reply.finish is FinishReason.PAUSE:
                yield self._event(context, reply.message, turn)
                turn.messages.append(reply.message)
            else:
                final = self._accept(reply, turn)
                if final is not None:
                    yield self._event(context, final, turn)
                    return
        raise AgentError(
            f"agent {self.id!r} did not come to an answer within {self.max_iterations} model calls "
            "(reasoning.max_iterations)"
        )

    async def _ask(self, turn: _Turn, *, stream: bool) -> AsyncGenerator[Partial | ModelReply, None]:
        request = ModelRequest(
            turn.system, turn.messages, [tool.spec for tool in self.tools.values()], output=self.output
        )
        model = self.model()
        if not stream:
            yield await model.complete(request)
            return
        async with aclosing(model.stream(request)) as answer:
            async for item in answer:
                if isinstance(item, ModelReply):
                    yield item
                elif deltas := item if self.output is None else _without_text(item):
                    yield Partial(self.id, deltas)

    def _accept(self, reply: ModelReply, turn: _Turn) -> Message | None:
        """The final message, or None when the model has been asked to repair its structured answer."""
        text = reply.message.text
        if not text and reply.finish in NO_ANSWER:
            raise AgentError(NO_ANSWER[reply.finish])
        if self.output is None:
            return reply.message
        body, findings = check(text, self.output)
        if not findings:
            others = tuple(part for part in reply.message.parts if not isinstance(part, Text))
            return replace(reply.message, parts=(*others, Text(body, media_type="application/json")))
        if not turn.repairs_left:
            raise AgentError(f"the answer does not fit structured_output.schema: {'; '.join(findings)}")
        turn.repairs_left -= 1
        turn.messages += [reply.message, user(repair_request(findings))]
        return None

    def _event(self, context: RunContext, message: Message, turn: _Turn) -> Event:
        usage, turn.usage = turn.usage, Usage()
        return Event(new_id(), context.invocation_id, self.id, context.clock.now(), message, usage=usage)

    def _results(self, context: RunContext, answered: Answered) -> Event:
        return Event(
            new_id(),
            context.invocation_id,
            self.id,
            context.clock.now(),
            Message("tool", answered.results),
            state=answered.state,
            artifacts=answered.artifacts,
            control=answered.control,
        )

    def _tool_context(self, context: RunContext) -> ToolContext:
        caller = context.caller
        return ToolContext("", self.id, caller.app, caller.user, context.session_id, context.task_id, context.state)


def _without_text(deltas: tuple[Delta, ...]) -> tuple[Delta, ...]:
    """Structured text is shown once it has been checked, not before."""
    return tuple(delta for delta in deltas if not isinstance(delta, TextDelta))
