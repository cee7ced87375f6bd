"""A model that does not say the secrets of the configuration, neither in one piece nor in many."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from itertools import groupby

from hector.core.content import Part, Text, Thinking, ToolCall, part_to_json
from hector.core.event import Delta, TextDelta, ThinkingDelta
from hector.core.ports import ChatModel, ModelReply, ModelRequest
from hector.models.wire import compact
from hector.observe.discreet import message
from hector.observe.redact import holds_secret, redact, undecided


class Discreet:
    """A ChatModel over another one. What may be the beginning of a secret waits for the next piece."""

    def __init__(self, model: ChatModel) -> None:
        self.inner = model

    async def complete(self, request: ModelRequest) -> ModelReply:
        """As ChatModel says."""
        return reply(await self.inner.complete(request))

    async def stream(self, request: ModelRequest) -> AsyncGenerator[tuple[Delta, ...] | ModelReply, None]:
        """As ChatModel says."""
        pieces = Pieces()
        async with aclosing(self.inner.stream(request)) as items:
            async for item in items:
                if isinstance(item, ModelReply):
                    if rest := pieces.finish():
                        yield rest
                    yield reply(item)
                elif deltas := pieces.feed(item):
                    yield deltas

    async def aclose(self) -> None:
        """Close every connection."""
        await self.inner.aclose()


class StartableModel(Discreet):
    """The same for a model that has something to bring up before its first answer."""

    async def start(self) -> None:
        """Bring it up. Raises ModelError."""
        await self.inner.start()  # type: ignore[attr-defined]


def discreet(model: ChatModel) -> ChatModel:
    """The model behind this guard."""
    return StartableModel(model) if hasattr(model, "start") else Discreet(model)


def reply(found: ModelReply) -> ModelReply:
    """The reply without secrets: the very same one if it holds none."""
    if any(holds_secret(_said(one)) for one in found.message.parts):
        return replace(found, message=message(found.message))
    return found


def _said(part: Part) -> str:
    match part:
        case Text(text) | Thinking(text):
            return text
        case ToolCall(args=args, raw=raw):
            return f"{compact(args)}{raw or ''}"
        case _:
            return compact(part_to_json(part))


class Pieces:
    """Text and thinking, as they come in pieces."""

    def __init__(self) -> None:
        self._held = ""
        self._kind: type[TextDelta | ThinkingDelta] = TextDelta

    def feed(self, deltas: tuple[Delta, ...]) -> tuple[Delta, ...]:
        """What may be shown by now. What came in one read is looked at, and goes on, as one delta for each stretch."""
        found: list[Delta] = []
        for kind, stretch in groupby(deltas, type):
            if kind is not self._kind:
                found += self.finish()
                self._kind = kind
            text = redact(self._held + "".join([one.text for one in stretch]))
            keep = undecided(text)
            self._held = text[len(text) - keep :]
            if shown := text[: len(text) - keep]:
                found.append(kind(shown))
        return tuple(found)

    def finish(self) -> tuple[Delta, ...]:
        """What was held back: it was no secret after all."""
        held, self._held = self._held, ""
        return (self._kind(held),) if held else ()
