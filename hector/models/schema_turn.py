"""An answer in a given shape from servers that cannot bind an answer and offer tools (or reason) at the same time."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from hector.core.content import Message, Thinking, user
from hector.core.event import Delta, TextDelta
from hector.core.ports import ChatModel, ModelReply, ModelRequest, OutputSchema
from hector.core.record import dataclass
from hector.core.usage import FinishReason
from hector.models.wire import compact

_ASK_AGAIN = "Give this answer again as one JSON value in the required shape, and nothing else."


def in_words(output: OutputSchema) -> str:
    """The wish for a shape, for the system text."""
    return (
        "Write your final answer as one JSON value that is valid under this JSON Schema, without any text or code "
        f"fence around it:\n{compact(output.schema)}"
    )


@dataclass(frozen=True, slots=True)
class SchemaTurn:
    """A ChatModel around another: a request with tools and a shape becomes two, the second bound and without tools.

    The first asks for the shape in words. A tool call, or an answer that has the shape already, is final and costs
    nothing more. Anything else is followed by a turn of its own that puts the answer into the shape. The text of the
    first turn is held back until then; thinking streams at once. `always` splits requests without tools as well.
    """

    inner: ChatModel
    always: bool = False

    async def stream(self, request: ModelRequest) -> AsyncGenerator[tuple[Delta, ...] | ModelReply, None]:
        """As ChatModel.stream; the reply's usage is that of both turns."""
        if not self._split(request):
            async with aclosing(self.inner.stream(request)) as items:
                async for item in items:
                    yield item
            return
        held: list[Delta] = []
        first: ModelReply | None = None
        async with aclosing(self.inner.stream(_free(request))) as items:
            async for item in items:
                if not isinstance(item, ModelReply):
                    held += [delta for delta in item if isinstance(delta, TextDelta)]
                    if thoughts := tuple(delta for delta in item if not isinstance(delta, TextDelta)):
                        yield thoughts
                    continue
                first = item
        if first is None:
            return
        if _final(first, request.output):
            if held:
                yield tuple(held)
            yield first
            return
        async with aclosing(self.inner.stream(_bound(request, first))) as items:
            async for item in items:
                yield _joined(first, item) if isinstance(item, ModelReply) else item

    async def complete(self, request: ModelRequest) -> ModelReply:
        """As ChatModel.complete."""
        if not self._split(request):
            return await self.inner.complete(request)
        first = await self.inner.complete(_free(request))
        if _final(first, request.output):
            return first
        return _joined(first, await self.inner.complete(_bound(request, first)))

    async def aclose(self) -> None:
        """Close the inner model."""
        await self.inner.aclose()

    def _split(self, request: ModelRequest) -> bool:
        return request.output is not None and (self.always or bool(request.tools))


def _free(request: ModelRequest) -> ModelRequest:
    """The request with its shape as a mere wish."""
    wish = in_words(request.output) if request.output else ""
    return replace(request, output=None, system=f"{request.system}\n\n{wish}".strip())


def _bound(request: ModelRequest, first: ModelReply) -> ModelRequest:
    """The request for the same answer once more, bound to its shape."""
    messages = (*request.messages, first.message, user(_ASK_AGAIN))
    return replace(request, tools=(), tool_choice="auto", messages=messages)


def _final(reply: ModelReply, output: OutputSchema | None) -> bool:
    """Whether no second turn is needed, or none would help."""
    if reply.message.tool_calls or reply.finish is not FinishReason.STOP or output is None:
        return True
    try:
        value = json.loads(reply.message.text)
    except ValueError:
        return False
    required = output.schema.get("required", ())
    return isinstance(value, dict) and all(name in value for name in required)


def _joined(first: ModelReply, second: ModelReply) -> ModelReply:
    """The second reply with the first one's thinking, at the price of both."""
    thoughts = tuple(part for part in first.message.parts if isinstance(part, Thinking))
    message = Message("assistant", (*thoughts, *second.message.parts))
    return replace(second, message=message, usage=first.usage + second.usage)
