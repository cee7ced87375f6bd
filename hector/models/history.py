"""What every wire format does to a conversation before it encodes it: settle calls, sort media, flatten results."""

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

from hector.core.content import Content, Data, Media, Message, Part, Text, ToolCall, ToolResult
from hector.core.errors import UnsupportedContent

MediaKind: TypeAlias = Literal["image", "audio", "video", "pdf", "text", "other"]
CANCELLED = "cancelled: this tool call was not carried out"


def settle(messages: Sequence[Message]) -> list[Message]:
    """The conversation in the one order that every provider accepts.

    Each message with tool calls is followed by exactly one message of role "tool" that answers each call once, in the
    order of the calls; a missing answer becomes CANCELLED, a result without a call is left out. Neighbours of one role
    are merged. Empty text without a replay item and messages without parts are left out.
    """
    settled: list[Message] = []
    for index, message in enumerate(messages):
        if message.role == "tool":
            _append(settled, "user", [part for part in message.parts if not isinstance(part, ToolResult)])
            continue
        _append(settled, message.role, [part for part in message.parts if not isinstance(part, ToolResult)])
        if message.role == "assistant" and message.tool_calls:
            settled.append(Message("tool", tuple(_answers(message.tool_calls, messages[index + 1 :]))))
    return settled


def _append(settled: list[Message], role: Literal["user", "assistant"], found: Sequence[Part]) -> None:
    parts = tuple(part for part in found if not isinstance(part, Text) or part.text or part.replay)
    if not parts:
        return
    if settled and settled[-1].role == role:
        settled[-1] = Message(role, settled[-1].parts + parts)
    else:
        settled.append(Message(role, parts))


def _answers(calls: Sequence[ToolCall], following: Sequence[Message]) -> Iterator[ToolResult]:
    found: dict[str, ToolResult] = {}
    for message in following:
        if message.role == "assistant":
            break
        for part in message.parts:
            if isinstance(part, ToolResult):
                found.setdefault(part.call_id, part)
    for call in calls:
        yield found.get(call.id) or ToolResult(call.id, call.name, (Text(CANCELLED),), is_error=True)


def unanswered(settled: Sequence[Message]) -> int:
    """Index of the first message that no model has seen yet: parts of older ones may be named instead of shown."""
    return max((at for at, message in enumerate(settled) if message.role == "assistant"), default=-1) + 1


def media_kind(media_type: str) -> MediaKind:
    """What a provider would call this part; "text" is anything that can be read as UTF-8 text."""
    kind = media_type.partition(";")[0].strip().lower()
    top = kind.partition("/")[0]
    if top == "image":
        return "image"
    if top == "audio":
        return "audio"
    if top == "video":
        return "video"
    if kind == "application/pdf":
        return "pdf"
    textual = top == "text" or kind in {"application/json", "application/xml", "application/yaml", "application/x-yaml"}
    return "text" if textual or kind.endswith(("+json", "+xml")) else "other"


def document_text(media: Media) -> str:
    """The words of a textual part that came inline. Raises UnsupportedContent when the bytes are not base64."""
    try:
        return base64.b64decode(media.data or "", validate=True).decode("utf-8", errors="replace")
    except binascii.Error as error:
        raise UnsupportedContent(f"the {media.media_type} part {media.name or ''} is not valid base64") from error


def data_text(part: Data) -> str:
    """A structured value as the JSON text that a model can read."""
    return json.dumps(part.value, ensure_ascii=False, separators=(",", ":"))


def result_text(result: ToolResult) -> str:
    """A result as plain text, for providers whose results hold nothing else. Media are named; see `result_media`."""
    return "\n".join(_words(part) for part in result.content)


def _words(part: Content) -> str:
    match part:
        case Text(text):
            return text
        case Data():
            return data_text(part)
        case Media() if part.data is not None and media_kind(part.media_type) == "text":
            return document_text(part)
        case Media():
            return placeholder(part)


def placeholder(media: Media) -> str:
    """What stands for a part that a provider cannot be shown."""
    return f"[{media.media_type} {media.name or media.url or 'attached'}]"


def result_media(result: ToolResult) -> tuple[Media, ...]:
    """The parts of a result that `result_text` could only name."""
    return tuple(
        part
        for part in result.content
        if isinstance(part, Media) and (part.data is None or media_kind(part.media_type) != "text")
    )


def unsupported(who: str, media_type: str, takes: str) -> UnsupportedContent:
    """The error for a part that a provider cannot take. `takes` lists what it does take."""
    return UnsupportedContent(f"{who} takes no {media_type} parts; it takes {takes}")
