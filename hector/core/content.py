"""What models, agents and clients say to each other: messages made of parts.

One superset that every provider and A2A can be encoded from. Parts are immutable values; `to_json` and `from_json` give
the form that is stored in the event log.
"""

from typing import Any, Literal, TypeAlias, assert_never

from hector.core.record import dataclass

JsonObject: TypeAlias = dict[str, Any]
Role: TypeAlias = Literal["user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Replay:
    """A provider's own item, kept verbatim and sent back unchanged, only to the origin that made it.

    `origin` is "<wire format>:<model>", for example "anthropic:claude-sonnet-5-5". One item may cover several parts:
    the first of them carries it, the rest carry None.
    """

    origin: str
    item: JsonObject


@dataclass(frozen=True, slots=True)
class Text:
    """Text; `media_type` and `name` where it is a file rather than talk."""

    text: str
    replay: Replay | None = None
    metadata: JsonObject | None = None
    media_type: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Thinking:
    """A model's reasoning. Shown to people as progress, never as the answer."""

    text: str
    replay: Replay | None = None


@dataclass(frozen=True, slots=True)
class Media:
    """An image, sound, video or document: either inline `data` (base64, standard alphabet) or a `url`."""

    media_type: str
    data: str | None = None
    url: str | None = None
    name: str | None = None
    metadata: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Data:
    """A structured value (any JSON)."""

    value: Any
    media_type: str | None = None
    metadata: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a tool. `raw` keeps arguments that were not a JSON object; `args` is then empty."""

    id: str
    name: str
    args: JsonObject
    raw: str | None = None
    replay: Replay | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered. Exactly one follows every ToolCall before the next model turn."""

    call_id: str
    name: str
    content: tuple["Text | Media | Data", ...]
    is_error: bool = False


Content: TypeAlias = Text | Media | Data
Part: TypeAlias = Text | Thinking | Media | Data | ToolCall | ToolResult


@dataclass(frozen=True, slots=True)
class Message:
    """One side's turn. Tool results stand in a message of role `tool`."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """All text parts joined; thinking left out."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls in order."""
        return tuple([part for part in self.parts if isinstance(part, ToolCall)])


def user(text: str) -> Message:
    """A user message of one text part."""
    return Message("user", (Text(text),))


def _set(target: JsonObject, **fields: Any) -> JsonObject:
    for key, value in fields.items():
        if value is not None:
            target[key] = value
    return target


def _replay(replay: Replay) -> JsonObject:
    return {"origin": replay.origin, "item": replay.item}


def part_to_json(part: Part) -> JsonObject:
    """The stored form of a part: `{"type": ..., ...}` without nulls."""
    match part:
        case Text(text, replay, metadata, media_type, name):
            found = {"type": "text", "text": text}
            return _set(found, replay=replay and _replay(replay), metadata=metadata, media_type=media_type, name=name)
        case Thinking(text, replay):
            return _set({"type": "thinking", "text": text}, replay=replay and _replay(replay))
        case Media(media_type, data, url, name, metadata):
            return _set({"type": "media", "media_type": media_type}, data=data, url=url, name=name, metadata=metadata)
        case Data(value, media_type, metadata):
            return _set({"type": "data", "value": value}, media_type=media_type, metadata=metadata)
        case ToolCall(call_id, name, args, raw, replay):
            return _set(
                {"type": "tool_call", "id": call_id, "name": name, "args": args},
                raw=raw,
                replay=replay and _replay(replay),
            )
        case ToolResult(call_id, name, content, is_error):
            return {
                "type": "tool_result",
                "call_id": call_id,
                "name": name,
                "content": [part_to_json(item) for item in content],
                "is_error": is_error,
            }
        case _:
            assert_never(part)


def content_from_json(value: JsonObject) -> Content:
    """A text, media or data part. Raises KeyError or ValueError on any other shape."""
    match value["type"]:
        case "text":
            return Text(
                value["text"], _replay_from(value), value.get("metadata"), value.get("media_type"), value.get("name")
            )
        case "media":
            return Media(
                value["media_type"], value.get("data"), value.get("url"), value.get("name"), value.get("metadata")
            )
        case "data":
            return Data(value["value"], value.get("media_type"), value.get("metadata"))
        case other:
            raise ValueError(f"{other!r} is not the type of a content part")


def part_from_json(value: JsonObject) -> Part:
    """The reverse of `part_to_json`. Raises KeyError or ValueError on a foreign shape."""
    match value["type"]:
        case "thinking":
            return Thinking(value["text"], _replay_from(value))
        case "tool_call":
            return ToolCall(value["id"], value["name"], value["args"], value.get("raw"), _replay_from(value))
        case "tool_result":
            content = tuple(content_from_json(item) for item in value["content"])
            return ToolResult(value["call_id"], value["name"], content, value["is_error"])
        case _:
            return content_from_json(value)


def _replay_from(value: JsonObject) -> Replay | None:
    found = value.get("replay")
    return Replay(found["origin"], found["item"]) if found else None


def message_to_json(message: Message) -> JsonObject:
    """`{"role": ..., "parts": [...]}`."""
    return {"role": message.role, "parts": [part_to_json(part) for part in message.parts]}


def message_from_json(value: JsonObject) -> Message:
    """The reverse of `message_to_json`."""
    return Message(value["role"], tuple(part_from_json(part) for part in value["parts"]))
