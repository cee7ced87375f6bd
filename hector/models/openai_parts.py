"""What chat/completions and Responses have in common: the model served, files as data URLs, limits on ids, usage."""

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Protocol

from hector.core.content import Data, JsonObject, Media, Part, Text, Thinking, ToolCall, ToolResult
from hector.core.errors import ModelError, UnsupportedContent
from hector.core.ports import ModelRequest
from hector.core.record import dataclass
from hector.core.usage import Usage
from hector.models.faults import read_fault, to_error
from hector.models.history import data_text, placeholder, unsupported
from hector.models.quirks import ThinkingSetting
from hector.models.wire import Framing, count, label
from hector.models.wording import Wording

_AUDIO: Final = {
    "audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav", "audio/vnd.wave": "wav",
    "audio/mpeg": "mp3", "audio/mp3": "mp3", "audio/mpeg3": "mp3", "audio/x-mp3": "mp3",
}  # fmt: skip


class Generation(Protocol):
    """The settings of a configured model that go into every request."""

    @property
    def model(self) -> str: ...
    @property
    def temperature(self) -> float | None: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def thinking(self) -> ThinkingSetting | None: ...
    @property
    def parallel_tool_calls(self) -> bool | None: ...


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What the wires of both formats have in common. `name` is the llm's id in the configuration."""

    name: str
    llm: Generation
    base_url: str
    path: str

    framing: ClassVar[Framing] = "sse"

    @property
    def label(self) -> str:
        return label(self.name, self.llm.model, self.base_url)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ModelError:
        """The error of an answer of status 400 and above."""
        return to_error(self.label, read_fault(status, headers, body))

    def offered(self, request: ModelRequest, wording: Wording, dropped: frozenset[str]) -> JsonObject:
        """The tools of a request, and how they may be called."""
        if not request.tools:
            return {}
        found: JsonObject = {"tools": wording.tools}
        if request.tool_choice != "auto" and "tool_choice" not in dropped:
            found["tool_choice"] = request.tool_choice
        if self.llm.parallel_tool_calls is not None and "parallel_tool_calls" not in dropped:
            found["parallel_tool_calls"] = self.llm.parallel_tool_calls
        return found


def data_url(media: Media) -> str:
    """`data:image/png;base64,...`"""
    return f"data:{media.media_type};base64,{media.data}"


def audio(who: str, media: Media) -> JsonObject:
    """The `input_audio` object of a sound. Raises UnsupportedContent unless it is inline WAV or MP3."""
    kind = _AUDIO.get(media.media_type.partition(";")[0].strip().lower())
    if kind is None:
        raise unsupported(who, media.media_type, "sound as audio/wav or audio/mpeg")
    if media.data is None:
        raise UnsupportedContent(f"{who} takes sound inline only, not by URL; send the bytes of {media.url}")
    return {"data": media.data, "format": kind}


def said(part: Part) -> str:
    """A part of the model's own turn as text; empty for reasoning, calls and results."""
    match part:
        case Text(text):
            return text
        case Data():
            return data_text(part)
        case Media():
            return placeholder(part)
        case Thinking() | ToolCall() | ToolResult():
            return ""


def named(part: Part, error: UnsupportedContent, *, fresh: bool) -> str:
    """The name of a part that has no place, once it is history; raises `error` while a user waits for its answer."""
    if fresh or not isinstance(part, Media):
        raise error
    return placeholder(part)


def error_text(result: ToolResult, text: str) -> str:
    """`text` of a result, marked when it is an error: neither format has a flag for that."""
    return f"Error: {text}" if result.is_error and not text.lower().startswith("error") else text


def short_id(call_id: str, limit: int) -> str:
    """`call_id`, or, if it is longer than the provider allows, an id made from it that is always the same."""
    return call_id if len(call_id) <= limit else f"call_{hashlib.sha256(call_id.encode()).hexdigest()[:32]}"


def read_usage(usage: Mapping[str, Any], sent: str, received: str) -> Usage:
    """`usage` of either format, by its words for sent and received ("prompt" and "completion", say)."""
    cached = usage.get(f"{sent}_tokens_details")
    return Usage(
        input=count(usage, f"{sent}_tokens"),
        output=count(usage, f"{received}_tokens"),
        cache_read=count(cached, "cached_tokens"),
        cache_write=count(cached, "cache_write_tokens"),
        reasoning=count(usage.get(f"{received}_tokens_details"), "reasoning_tokens"),
    )
