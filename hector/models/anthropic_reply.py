"""What Anthropic's Messages API answers, whole or as a stream, as one ModelReply."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from typing import Any, Final

from hector.core.content import JsonObject, Message, Part, Replay, Text, Thinking, ToolCall
from hector.core.event import Delta, TextDelta, ThinkingDelta
from hector.core.ports import ModelReply
from hector.core.record import dataclass
from hector.core.usage import FinishReason, Usage
from hector.models.faults import parse_event, reported
from hector.models.wire import HttpCall, compact, count, cut_off, parse_call

_log: Final = logging.getLogger("hector.models")
_FINISH: Final[Mapping[str, FinishReason]] = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "tool_use": FinishReason.TOOL_CALLS,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "refusal": FinishReason.CONTENT_FILTER,
    "pause_turn": FinishReason.PAUSE,
}
_EMPTY: Final[Mapping[str, JsonObject]] = {
    "text_delta": {"type": "text", "text": ""},
    "thinking_delta": {"type": "thinking", "thinking": "", "signature": ""},
    "signature_delta": {"type": "thinking", "thinking": "", "signature": ""},
}
"""What a block is when a server sends its deltas without its start."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the reader of an answer must know of the call: whose items they are, and what its tool names mean."""

    origin: str
    label: str
    call: HttpCall


def read_reply(answer: Mapping[str, Any], reading: Reading) -> ModelReply:
    """A whole answer, or what a stream amounted to. Raises ModelError for an error in an answer of status 200."""
    if "content" not in answer:
        raise reported(reading.label, answer, "an answer without content")
    parts = tuple(_part(block, reading) for block in answer["content"] or ())
    stop = str(answer.get("stop_reason") or "")
    details = answer.get("stop_details") or {}
    return ModelReply(
        message=Message("assistant", parts),
        finish=_finish(stop, parts),
        usage=_usage(answer.get("usage") or {}),
        model=str(answer.get("model") or ""),
        raw_finish=f"{stop}: {details['category']}" if details.get("category") else stop,
    )


def _part(block: JsonObject, reading: Reading) -> Part:
    """One content block. What cannot be rebuilt word for word carries the block itself."""
    match block["type"]:
        case "text":
            return Text(block["text"], Replay(reading.origin, block) if _says_more(block, "type", "text") else None)
        case "thinking":
            return Thinking(block.get("thinking") or "", Replay(reading.origin, block))
        case "tool_use":
            return _call(block, reading)
        case str():
            return Thinking("", Replay(reading.origin, block))
        case other:
            raise TypeError(f"a content block of type {other!r}")


def _call(block: JsonObject, reading: Reading) -> Text | ToolCall:
    given = block.get("input")
    name = str(block["name"])
    if name == reading.call.output_tool:
        return Text(given if isinstance(given, str) else compact(given))
    text = given if isinstance(given, str) else compact(given or {})
    call = parse_call(str(block.get("id") or ""), reading.call.names.get(name, name), text)
    if _says_more(block, "type", "id", "name", "input"):
        return replace(call, replay=Replay(reading.origin, {**block, "id": call.id, "input": call.args}))
    return call


def _says_more(block: JsonObject, *known: str) -> bool:
    """Whether a block holds anything that could not be rebuilt from our part."""
    return any(value is not None for key, value in block.items() if key not in known)


def _finish(stop: str, parts: Iterable[Part]) -> FinishReason:
    if stop and stop not in _FINISH:
        _log.warning("unknown stop reason", extra={"provider": "anthropic", "stop_reason": stop})
    reason = _FINISH.get(stop, FinishReason.STOP)
    if reason is not FinishReason.CONTENT_FILTER and any(isinstance(part, ToolCall) for part in parts):
        return FinishReason.TOOL_CALLS
    return FinishReason.STOP if reason is FinishReason.TOOL_CALLS else reason


def _usage(counts: Mapping[str, Any]) -> Usage:
    """`input_tokens` leaves out what the cache gave or took; ours does not."""
    read = count(counts, "cache_read_input_tokens")
    written = count(counts, "cache_creation_input_tokens")
    return Usage(
        input=count(counts, "input_tokens") + read + written,
        output=count(counts, "output_tokens"),
        cache_read=read,
        cache_write=written,
        reasoning=count(counts.get("output_tokens_details"), "thinking_tokens"),
    )


@dataclass(slots=True)
class _Block:
    """One content block while it grows."""

    start: JsonObject
    pieces: list[str] = field(default_factory=list)

    def whole(self) -> JsonObject:
        """The block as a non-streaming answer would hold it; a tool's input stays text."""
        text = "".join(self.pieces)
        match self.start.get("type"):
            case "text":
                return {**self.start, "text": text}
            case "thinking":
                return {**self.start, "thinking": text}
            case _ if text and "input" in self.start:
                return {**self.start, "input": text}
            case _:
                return self.start


class AnthropicDecoder:
    """Reads one stream. Unknown events and deltas are left out."""

    def __init__(self, reading: Reading) -> None:
        self.done = False
        self._reading = reading
        self._blocks: dict[int, _Block] = {}
        self._usage: dict[str, Any] = {}
        self._answer: dict[str, Any] = {}

    def feed(self, event: str | None, data: str) -> tuple[Delta, ...]:
        """One event. Raises ModelError for the stream's own error event."""
        value = parse_event(self._reading.label, data)
        handle = _HANDLERS.get(value.get("type") or event or "")
        return handle(self, value) if handle else ()

    def finish(self) -> ModelReply:
        """The reply. Raises ModelUnavailable when message_stop never came."""
        if not self.done:
            raise cut_off(self._reading.label)
        blocks = [_settled(self._blocks[index].whole()) for index in sorted(self._blocks)]
        return read_reply({**self._answer, "content": blocks, "usage": self._usage}, self._reading)

    def _delta(self, value: JsonObject) -> tuple[Delta, ...]:
        delta = value["delta"]
        kind = delta.get("type")
        block = self._blocks.get(value["index"])
        if block is None:
            block = self._blocks[value["index"]] = _Block(dict(_EMPTY.get(kind, {"type": "unknown"})))
        match kind:
            case "text_delta":
                return self._grown(block, delta["text"], TextDelta)
            case "thinking_delta":
                return self._grown(block, delta["thinking"], ThinkingDelta)
            case "input_json_delta":
                answers = block.start.get("name") == self._reading.call.output_tool
                return self._grown(block, delta["partial_json"], TextDelta if answers else None)
            case "signature_delta":
                block.start["signature"] = delta["signature"]
            case "citations_delta":
                block.start.setdefault("citations", []).append(delta["citation"])
            case _:
                pass
        return ()

    def _grown(self, block: _Block, piece: str, show: Callable[[str], Delta] | None) -> tuple[Delta, ...]:
        block.pieces.append(piece)
        return (show(piece),) if show and piece else ()

    def _start(self, value: JsonObject) -> tuple[Delta, ...]:
        start = value["content_block"]
        block = self._blocks[value["index"]] = _Block(start)
        if start.get("type") == "text":
            return self._grown(block, start.get("text") or "", TextDelta)
        if start.get("type") == "thinking":
            return self._grown(block, start.get("thinking") or "", ThinkingDelta)
        return ()

    def _message_start(self, value: JsonObject) -> tuple[Delta, ...]:
        self._answer["model"] = value["message"].get("model")
        self._count(value["message"])
        return ()

    def _message_delta(self, value: JsonObject) -> tuple[Delta, ...]:
        self._answer.update({key: item for key, item in (value.get("delta") or {}).items() if item is not None})
        self._count(value)
        return ()

    def _count(self, value: JsonObject) -> None:
        """Counts are totals so far; one that is absent or null keeps its last value."""
        self._usage.update({key: item for key, item in (value.get("usage") or {}).items() if item is not None})

    def _stop(self, value: JsonObject) -> tuple[Delta, ...]:
        self.done = True
        return ()

    def _error(self, value: JsonObject) -> tuple[Delta, ...]:
        raise reported(self._reading.label, value)


_HANDLERS: Final[Mapping[str, Callable[[AnthropicDecoder, JsonObject], tuple[Delta, ...]]]] = {
    "content_block_delta": AnthropicDecoder._delta,
    "content_block_start": AnthropicDecoder._start,
    "message_start": AnthropicDecoder._message_start,
    "message_delta": AnthropicDecoder._message_delta,
    "message_stop": AnthropicDecoder._stop,
    "error": AnthropicDecoder._error,
}
"""Not methods bound to a decoder: it would hold itself, and with it the whole answer."""


def _settled(block: JsonObject) -> JsonObject:
    """Inputs of tools that run at the provider go back as objects, not as the text in which they were streamed."""
    if block.get("type") != "tool_use" and isinstance(block.get("input"), str):
        return {**block, "input": json.loads(block["input"])}
    return block
