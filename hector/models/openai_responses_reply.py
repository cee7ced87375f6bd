"""Reading what Responses answers, whole or as events.

Finished items count for more than the deltas that led to them. Servers other than OpenAI leave out `output_index` and
`sequence_number`, repeat `response.created`, or send an empty `output` at the end; all of that is read.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from typing import Any, Final

from hector.core.content import JsonObject, Message, Part, Replay, Text, Thinking, ToolCall
from hector.core.errors import ModelError, ModelUnavailable
from hector.core.event import Delta, TextDelta, ThinkingDelta
from hector.core.ports import ModelReply
from hector.core.record import dataclass
from hector.core.usage import FinishReason, Usage
from hector.models.faults import Fault, error_fields, parse_event, reported, to_error
from hector.models.openai_parts import read_usage
from hector.models.wire import cut_off, parse_call

_log = logging.getLogger(__name__)

INCOMPLETE: Final[Mapping[str, FinishReason]] = {
    "max_output_tokens": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
}
_PASSING: Final = frozenset({"", "server_error", "rate_limit_exceeded", "timeout", "internal_error"})
_TERMINAL: Final = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
_TEXT: Final = frozenset({"response.output_text.delta", "response.refusal.delta"})
_THOUGHT: Final = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})


def decode_response(body: JsonObject, who: str, origin: str, names: Mapping[str, str]) -> ModelReply:
    """The reply in a whole answer. Raises ModelError if it has failed or is not finished."""
    if body.get("status") in {"queued", "in_progress"}:
        raise ModelUnavailable(f"{who}: the answer is not finished (status {body['status']}); try again")
    _raise_failure(body, who)
    if not isinstance(body.get("output"), list):
        raise ModelUnavailable(f"{who}: the answer holds no output; check `base_url` and `api`")
    return _reply(body, _read_items(body["output"], origin, names), who)


def _raise_failure(response: JsonObject, who: str) -> None:
    """Raise what a failed response reports. Its code says whether another try makes sense."""
    if response.get("status") != "failed" and not response.get("error"):
        return
    fields = error_fields(response) if response.get("error") else {}
    code = fields.get("code", "")
    if code.isdigit():
        raise reported(who, response)
    message = fields.get("message") or "the response failed without details"
    raise to_error(who, Fault(message, code=code, param=fields.get("param", ""), should_retry=code in _PASSING))


def _read_items(items: Iterable[JsonObject], origin: str, names: Mapping[str, str]) -> list[Part]:
    return [_read_item(item, origin, names) for item in items]


def _read_item(item: JsonObject, origin: str, names: Mapping[str, str]) -> Part:
    """One finished item as one part, which carries it for replay."""
    kind = item.get("type")
    if kind == "function_call":
        call = _read_call(item, item.get("arguments") or "", names)
        return replace(call, replay=Replay(origin, {**item, "call_id": call.id}))
    if kind == "message":
        return Text(_item_text(item), Replay(origin, item))
    return Thinking(_thought(item), Replay(origin, item))


def _read_call(item: JsonObject, arguments: str, names: Mapping[str, str]) -> ToolCall:
    name = names.get(item.get("name", ""), item.get("name", "")) or "unnamed"
    return parse_call(item.get("call_id") or item.get("id") or "", name, arguments)


def _item_text(item: JsonObject) -> str:
    return "".join(part.get("text") or part.get("refusal") or "" for part in item.get("content") or ())


def _thought(item: JsonObject) -> str:
    """A summary, else (open models) the reasoning itself; empty for items of other kinds."""
    texts = [part.get("text") or "" for part in item.get("summary") or item.get("content") or ()]
    return "\n\n".join(text for text in texts if text) if item.get("type") == "reasoning" else ""


def _refused(items: Iterable[JsonObject]) -> bool:
    return any(part.get("type") == "refusal" for item in items for part in item.get("content") or ())


def _reply(response: JsonObject, parts: list[Part], who: str, *, refused: bool = False) -> ModelReply:
    message = Message("assistant", tuple(parts))
    usage = response.get("usage")
    details = response.get("incomplete_details")
    reason = (details.get("reason") if isinstance(details, dict) else None) or ""
    raw = reason or response.get("status") or ""
    refused = refused or _refused(response.get("output") or ())
    return ModelReply(
        message,
        _finish(raw, called=bool(message.tool_calls), refused=refused, who=who),
        read_usage(usage, "input", "output") if isinstance(usage, dict) else Usage(),
        response.get("model") or "",
        raw,
    )


def _finish(raw: str, *, called: bool, refused: bool, who: str) -> FinishReason:
    if called:
        return FinishReason.TOOL_CALLS
    if refused:
        return FinishReason.CONTENT_FILTER
    if raw in {"completed", ""}:
        return FinishReason.STOP
    if raw == "cancelled":
        return FinishReason.ERROR
    if raw not in INCOMPLETE:
        _log.info("%s: unknown reason for the end %r, taken for a stop", who, raw)
    return INCOMPLETE.get(raw, FinishReason.STOP)


@dataclass(slots=True)
class _Item:
    """One output item as far as it has come. `item` is the provider's own object, final once `done`."""

    item: JsonObject
    index: int | None
    done: bool = False
    text: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)

    def part(self, origin: str, names: Mapping[str, str]) -> Part:
        """The item itself, or, if it never finished, what its deltas say; that is never replayed."""
        if self.done:
            return _read_item(self.item, origin, names)
        text = "".join(self.text)
        match self.item.get("type"):
            case "function_call":
                return _read_call(self.item, "".join(self.arguments) or self.item.get("arguments") or "", names)
            case "reasoning":
                return Thinking(text)
            case _:
                return Text(text)


class ResponsesDecoder:
    """Reads the events of one streamed turn."""

    def __init__(self, who: str, origin: str, names: Mapping[str, str]) -> None:
        self._who, self._origin, self._names = who, origin, names
        self._items: list[_Item] = []
        self._refused = False
        self._response: JsonObject = {}
        self.done = False

    def feed(self, event: str | None, data: str) -> tuple[Delta, ...]:
        """One event. Raises ModelError for a failure that it reports."""
        text = data.strip()
        if not text or text.startswith("[DONE]"):
            return ()
        value = parse_event(self._who, text)
        kind = value.get("type") or event or ""
        if kind == "error" or (value.get("error") and not kind.startswith("response.")):
            raise self._error(value)
        if kind in _TERMINAL:
            return self._end(kind, value)
        return self._progress(kind, value)

    def finish(self) -> ModelReply:
        """The whole turn. Raises ModelUnavailable if the closing event never came."""
        if not self.done:
            raise cut_off(self._who)
        final = self._response.get("output") or ()
        parts = _read_items(final, self._origin, self._names) if final else self._collected()
        refused = self._refused or _refused(item.item for item in self._items)
        return _reply(self._response, parts, self._who, refused=refused)

    def _error(self, value: JsonObject) -> ModelError:
        inner = value.get("error") if isinstance(value.get("error"), dict) else {**value, "type": None}
        return reported(self._who, {"error": inner})

    def _end(self, kind: str, value: JsonObject) -> tuple[Delta, ...]:
        response = value.get("response") or {}
        _raise_failure(response | ({"status": "failed"} if kind == "response.failed" else {}), self._who)
        self._response = {"status": kind.removeprefix("response."), **response}
        self.done = True
        if any(item.text for item in self._items):
            return ()
        text = "".join(_item_text(item) for item in response.get("output") or () if item.get("type") == "message")
        return (TextDelta(text),) if text else ()

    def _progress(self, kind: str, value: JsonObject) -> tuple[Delta, ...]:
        """An event on the way. Those that add nothing, and unknown ones, are passed over."""
        if kind == "response.output_item.added":
            self._added(value)
        elif kind == "response.output_item.done":
            return self._finished(value)
        elif kind in _TEXT:
            self._refused = self._refused or "refusal" in kind
            return self._told(value, "message", TextDelta(value.get("delta") or ""))
        elif kind in _THOUGHT:
            return self._told(value, "reasoning", ThinkingDelta(value.get("delta") or ""))
        elif kind == "response.reasoning_summary_part.added" and value.get("summary_index"):
            return self._told(value, "reasoning", ThinkingDelta("\n\n"))
        elif kind == "response.function_call_arguments.delta":
            self._item(value, "function_call").arguments.append(value.get("delta") or "")
        elif kind == "response.function_call_arguments.done":
            self._item(value, "function_call").arguments = [value.get("arguments") or ""]
        return ()

    def _told(self, value: JsonObject, kind: str, delta: Delta) -> tuple[Delta, ...]:
        if not delta.text:
            return ()
        self._item(value, kind).text.append(delta.text)
        return (delta,)

    def _added(self, value: JsonObject) -> None:
        item = value.get("item") or {}
        if self._known(item.get("id"), value.get("output_index"), item.get("type")) is None:
            self._items.append(_Item(item, value.get("output_index")))

    def _finished(self, value: JsonObject) -> tuple[Delta, ...]:
        """A finished item; if it is a message of which no delta came, its text is shown now."""
        item = value.get("item") or {}
        found = self._known(item.get("id"), value.get("output_index"), item.get("type"))
        if found is None:
            found = _Item(item, value.get("output_index"))
            self._items.append(found)
        found.item, found.done = item, True
        if item.get("type") != "message" or found.text or not (text := _item_text(item)):
            return ()
        found.text.append(text)
        return (TextDelta(text),)

    def _item(self, value: JsonObject, kind: str) -> _Item:
        """The item that a delta belongs to; one that was never announced is made up."""
        found = self._known(value.get("item_id"), value.get("output_index"), kind)
        if found is None:
            found = _Item({"type": kind, "id": value.get("item_id")}, value.get("output_index"))
            self._items.append(found)
        return found

    def _known(self, item_id: Any, index: int | None, kind: str | None) -> _Item | None:
        """By index, else by id, else (neither given) the latest open item of its kind."""
        if index is not None:
            return next((item for item in self._items if item.index == index), None)
        if item_id:
            return next((item for item in self._items if item.item.get("id") == item_id), None)
        return next((item for item in reversed(self._items) if not item.done and item.item.get("type") == kind), None)

    def _collected(self) -> list[Part]:
        ordered = sorted(self._items, key=lambda item: len(self._items) if item.index is None else item.index)
        parts = [item.part(self._origin, self._names) for item in ordered]
        return [part for part in parts if not isinstance(part, Text | Thinking) or part.text or part.replay]
