"""What a server sends is not to be trusted: a reply is made sound before anybody stores it or sends it on.

Wrong types where text must be are a defect of the whole answer; counts that are none are left out; arguments of a call
that no JSON can hold are kept as text, as malformed ones are; halves of characters (lone surrogates, which JSON can
carry and UTF-8 cannot) are joined where their other half follows, else replaced.
"""

import json
from dataclasses import replace
from typing import Any, Final

from hector.core.content import JsonObject, Media, Message, Part, Replay, Text, Thinking, ToolCall
from hector.core.event import Delta
from hector.core.ids import new_id
from hector.core.ports import ModelReply
from hector.core.usage import Usage
from hector.models.wire import compact

MOST_DEPTH: Final = 64
"""Objects and lists within each other in the arguments of a call: what clients of A2A may send, too."""


def sound(reply: ModelReply) -> ModelReply:
    """The same reply, safe to store and to send. Raises TypeError when a part is not what it claims to be."""
    given = reply.message.parts
    parts = _distinct(tuple(map(_part, given)))
    if parts != given:
        reply = replace(reply, message=Message(reply.message.role, parts))
    usage = reply.usage
    counts = (usage.input, usage.output, usage.cache_read, usage.cache_write, usage.reasoning)
    if {*map(type, counts)} != {int} or min(counts) < 0:
        reply = replace(reply, usage=_counted(usage))
    _text(reply.model)
    _text(reply.raw_finish)
    return reply


def _counted(usage: Usage) -> Usage:
    """Without what is no count."""
    cached = (_count(usage.cache_read), _count(usage.cache_write), _count(usage.reasoning))
    return Usage(_count(usage.input), _count(usage.output), *cached, usage.model)


def _count(value: Any) -> int:
    return value if _is_count(value) else 0


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _part(part: Part) -> Part:
    match part:
        case Text(text, replay) | Thinking(text, replay):
            whole, item = _text(text), replay and _replay(replay)
            return part if whole is text and item is replay else replace(part, text=whole, replay=item)
        case ToolCall():
            return _call(part)
        case Media(media_type, data, url):
            _text(media_type)
            _text(data or "")
            _text(url or "")
            return part
        case _:
            return part


def _call(call: ToolCall) -> ToolCall:
    if not isinstance(call.args, dict):
        raise TypeError("arguments of a tool call that are no object")
    if _is_deep(call.args):
        call = replace(call, args={}, raw=f"nested more than {MOST_DEPTH} levels deep", replay=None)
    raw = None if call.raw is None else _text(call.raw)
    try:
        args, replay = _object(call.args), call.replay and _replay(call.replay)
    except ValueError:
        args, raw, replay = {}, mend(compact(call.args)), None
    name = _text(call.id).replace("\0", "\ufffd")  # it becomes a key, and no key of PostgreSQL holds that
    found = ToolCall(name, _text(call.name), args, raw, replay)
    return call if found == call else found


def _is_deep(value: Any) -> bool:
    """Whether objects and lists stand in each other so deep that encoders give up on them."""
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [item for box in level for item in (box.values() if isinstance(box, dict) else box)]
        level = [item for item in level if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def _distinct(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Calls of one turn have ids of their own; the second of two equal ones gets another, and loses its item."""
    ids = [part.id for part in parts if isinstance(part, ToolCall)]
    if len(ids) < 2 or len(set(ids)) == len(ids):
        return parts
    seen: set[str] = set()
    found: list[Part] = []
    for part in parts:
        if isinstance(part, ToolCall):
            part = replace(part, id=f"call_{new_id()}", replay=None) if part.id in seen else part
            seen.add(part.id)
        found.append(part)
    return tuple(found)


def _replay(replay: Replay) -> Replay:
    item = _object(replay.item)
    return replay if item is replay.item else Replay(replay.origin, item)


def _object(value: JsonObject) -> JsonObject:
    """Raises ValueError for infinities and NaN: Python reads and writes them, but JSON has no such numbers."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    mended = mend(text)
    if mended is text:
        return value
    found: JsonObject = json.loads(mended)
    return found


def _text(value: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where text was expected")
    return value if value.isascii() else mend(value)


def is_whole(text: str) -> bool:
    """Whether a text can be written as UTF-8."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def mend(text: str) -> str:
    """The text with halves of characters joined or replaced; the very same text when there are none."""
    return text if is_whole(text) else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class Mender:
    """Mends a stream: a first half at the end of a delta waits for the next one."""

    __slots__ = ("_half",)

    def __init__(self) -> None:
        self._half = ""

    def feed(self, deltas: list[Delta]) -> list[Delta]:
        """The deltas, sound. Raises AttributeError for one whose text is none."""
        if not self._half and all(is_whole(delta.text) for delta in deltas):
            return deltas
        return [mended for delta in deltas if (mended := self._mended(delta)).text]

    def _mended(self, delta: Delta) -> Delta:
        text, self._half = self._half + delta.text, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return replace(delta, text=mend(text))
