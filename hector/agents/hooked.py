"""An agent with functions of a program around it, its model calls and its tools (core/hooks.py).

What a hook puts in the place of an answer is an event like any other. After a crash the hooks around what was finished
are not called again; those around what was cut off are.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import fields, replace
from typing import Any

from hector.agents.approval import Waiting
from hector.agents.context import RunContext
from hector.agents.history import REPAIR, begin_of
from hector.agents.kit import Kit
from hector.agents.llm import Agent
from hector.agents.running import Running
from hector.agents.sources import Sources
from hector.agents.standing import FINISH
from hector.core.content import JsonObject, Message, Text
from hector.core.errors import AgentError
from hector.core.event import BranchPartial, Event, Output, Partial, TextDelta
from hector.core.hooks import Hooks, first
from hector.core.ports import ModelReply, ModelRequest, Offer, Tool, ToolContext, ToolOutput, ToolSpec
from hector.core.record import dataclass
from hector.core.usage import FinishReason, Usage
from hector.tools.function import output_of


@dataclass(frozen=True, slots=True)
class HookedAgent(Agent):
    """The same agent with its hooks."""

    hooks: Hooks = Hooks()

    async def work(self, context: RunContext, kit: Kit | None = None) -> AsyncGenerator[Output | Waiting]:
        """As Agent does, with what is called before it begins and on its answer."""
        hooks = self.hooks
        if hooks.before_agent and not self._has_begun(context):
            found = await first(hooks.before_agent, context)
            if found is not None:
                run = Running.of(self.id, context, kit or self.kit, "")
                yield run.event(_message(found), state=self._kept(found))
                return
        async with aclosing(Agent.work(self, context, kit)) as outputs:
            async for output in outputs:
                if not hooks.after_agent:
                    yield output
                elif isinstance(output, Event):
                    yield await self._ended(context, output)
                elif (shown := _without_text(output)) is not None:
                    yield shown

    def _has_begun(self, context: RunContext) -> bool:
        start = context.start if context.start >= 0 else begin_of(context.events, context.invocation_id, context.branch)
        own = (event for event in context.events[start:] if event.branch == context.branch)
        return any(event.author == self.id for event in own)

    def _kept(self, text: Any) -> dict[str, Any]:
        return {self.output_key: _text(text)} if self.output_key else {}

    async def _ended(self, context: RunContext, event: Event) -> Event:
        """The event, with another text if it is the answer and a hook has one."""
        if not _is_answer(event):
            return event
        found = await first(self.hooks.after_agent, context, event.message.text)
        return event if found is None else replace(event, message=_message(found), state=self._kept(found))

    async def _answer(self, context: RunContext, request: ModelRequest) -> ModelReply:
        found = await first(self.hooks.before_model, context, request)
        if found is not None and not isinstance(found, ModelRequest):
            return _reply(found)
        return await self._replied(context, await Agent._answer(self, context, found or request))

    async def _pieces(self, context: RunContext, request: ModelRequest) -> AsyncGenerator[Any]:
        hooks = self.hooks
        found = await first(hooks.before_model, context, request)
        if found is not None and not isinstance(found, ModelRequest):
            yield _reply(found)
            return
        async with aclosing(Agent._pieces(self, context, found or request)) as items:
            async for item in items:
                if not hooks.after_model:
                    yield item
                elif isinstance(item, ModelReply):
                    yield await self._replied(context, item)
                elif (shown := _without_text(item)) is not None:
                    yield shown

    async def _replied(self, context: RunContext, reply: ModelReply) -> ModelReply:
        found = await first(self.hooks.after_model, context, reply)
        if found is None:
            return reply
        return found if isinstance(found, ModelReply) else replace(_reply(found), usage=reply.usage, model=reply.model)


class HookedTool:
    """A tool with what is called before and after each call."""

    def __init__(self, tool: Tool, hooks: Hooks) -> None:
        self._tool = tool
        self._hooks = hooks

    @property
    def spec(self) -> ToolSpec:
        """As the model sees it."""
        return self._tool.spec

    def check(self, args: JsonObject) -> None:
        """As the tool itself."""
        self._tool.check(args)

    async def call(self, args: JsonObject, context: ToolContext) -> ToolOutput:
        """As the tool itself, unless a hook has another result."""
        name = self._tool.spec.name
        found = await first(self._hooks.before_tool, context, name, args)
        output = output_of(found) if found is not None else await self._tool.call(args, context)
        other = await first(self._hooks.after_tool, context, name, args, output)
        return output if other is None else output_of(other)


class HookedSources:
    """Tools of servers, with the same around them."""

    def __init__(self, sources: Sources, hooks: Hooks) -> None:
        self._sources = sources
        self._hooks = hooks
        self._seen: Offer | None = None
        self._offer = Offer({}, {})

    @property
    def away(self) -> tuple[str, ...]:
        """The entries whose tools are missing for now."""
        return self._sources.away

    def arrive(self) -> AsyncGenerator[str]:
        """As the sources themselves."""
        return self._sources.arrive()

    async def offer(self) -> Offer:
        """Their tools now: the same object as before if nothing has changed."""
        found = await self._sources.offer()
        if found is not self._seen:
            self._seen, self._offer = found, Offer(_hooked(found.tools, self._hooks), found.policies)
        return self._offer


def hooked(agent: Agent, hooks: Hooks) -> Agent:
    """The agent with these hooks around it."""
    given = {one.name: getattr(agent, one.name) for one in fields(agent) if one.init}
    if hooks.before_tool or hooks.after_tool:
        given["tools"] = _hooked(agent.tools, hooks)
        if agent.sources is not None:
            given["sources"] = HookedSources(agent.sources, hooks)
    return HookedAgent(**given, hooks=hooks)


def _hooked(tools: Mapping[str, Tool], hooks: Hooks) -> dict[str, Tool]:
    return {name: HookedTool(tool, hooks) for name, tool in tools.items()}


def _is_answer(event: Event) -> bool:
    metadata = event.metadata or {}
    said = event.message.role == "assistant" and not event.message.tool_calls
    return said and event.control is None and not metadata.keys() & {REPAIR, FINISH}


def _without_text(output: Any) -> Any:
    """A partial output without the text that a hook may still change; None if nothing is left."""
    if not isinstance(output, Partial | BranchPartial):
        return output
    deltas = tuple(delta for delta in output.deltas if not isinstance(delta, TextDelta))
    return replace(output, deltas=deltas) if deltas else None


def _text(found: Any) -> str:
    if isinstance(found, Message):
        return found.text
    if isinstance(found, str):
        return found
    raise AgentError(f"a callback returned {type(found).__name__}; it may return a text, or None to change nothing")


def _message(found: Any) -> Message:
    return found if isinstance(found, Message) else Message("assistant", (Text(_text(found)),))


def _reply(found: Any) -> ModelReply:
    if isinstance(found, ModelReply):
        return found
    return ModelReply(_message(found), FinishReason.STOP, Usage())
