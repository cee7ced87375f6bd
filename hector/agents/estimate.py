"""How many tokens a conversation takes: an estimate from its length, corrected by what the provider counted before.

A quarter of a token for each byte of UTF-8: about right for English and for scripts of three bytes a character, rather
low for code. No tokenizer is loaded: each model has another one, and most of them are not public. What a provider says
of an earlier call of the same agent gives the factor between the estimate and the truth.
"""

from collections.abc import Sequence
from typing import Final

from hector.core.content import Data, Media, Message, Text, Thinking, ToolCall, ToolResult
from hector.core.event import Event
from hector.core.ports import ToolSpec, once

FORESEEN: Final = "foreseen"
"""The key of a model event's metadata that says how many tokens its input was estimated at, uncorrected."""
_BYTES: Final = 4
_MESSAGE: Final = 4
_PICTURE: Final = 1500
_LEAST, _MOST = 0.25, 4.0


def tokens_of(message: Message) -> int:
    """Of one message."""
    return _MESSAGE + sum(map(_part, message.parts))


def tokens_of_text(text: str) -> int:
    """Of a text by itself."""
    length = len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
    return -(-length // _BYTES)


def tokens_of_frame(system: str, tools: Sequence[ToolSpec]) -> int:
    """Of what stands around the messages: the system text, and the tools with their parameters."""
    return tokens_of_text(system) + once(tools, "tokens", lambda: sum(map(_spec, tools)))


def _spec(tool: ToolSpec) -> int:
    return tokens_of_text(tool.name + tool.description + str(tool.parameters))


def _part(part: object) -> int:
    match part:
        case Text(text=text) | Thinking(text=text):
            return tokens_of_text(text)
        case ToolCall(name=name, args=args, raw=raw):
            return _MESSAGE + tokens_of_text(name) + tokens_of_text(raw or str(args))
        case ToolResult(content=content):
            return _MESSAGE + sum(map(_part, content))
        case Data(value=value):
            return tokens_of_text(str(value))
        case Media():
            return _PICTURE
        case _:
            return 0


def factor_of(events: Sequence[Event], agent: str, branch: str) -> float:
    """What estimates are multiplied by: what the provider counted in the agent's last call, against the estimate."""
    for event in reversed(events):
        if event.author != agent or event.branch != branch or event.usage is None:
            continue
        foreseen = (event.metadata or {}).get(FORESEEN)
        if foreseen and event.usage.input:
            return min(_MOST, max(_LEAST, event.usage.input / float(foreseen)))
    return 1.0
