"""What Gemini answers, whole or as a stream, as one ModelReply.

Parts that carry a signature or an id of Gemini's own are kept word for word, each by itself: they must come back in the
same place. Neighbouring plain texts, the pieces of a stream, become one.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Final

from hector.core.content import JsonObject, Media, Message, Part, Replay, Text, Thinking, ToolCall
from hector.core.event import Delta, TextDelta, ThinkingDelta
from hector.core.ids import new_id
from hector.core.ports import ModelReply
from hector.core.usage import FinishReason, Usage
from hector.models.faults import parse_event, reported
from hector.models.wire import AskAgain, HttpCall, count, cut_off

_log: Final = logging.getLogger("hector.models")
_FILTERED: Final = "SAFETY RECITATION BLOCKLIST PROHIBITED_CONTENT SPII LANGUAGE MODEL_ARMOR ESCALATION IMAGE NO_IMAGE"
_FAILED: Final = (
    "MALFORMED_FUNCTION_CALL MALFORMED_RESPONSE UNEXPECTED_TOOL_CALL TOO_MANY_TOOL_CALLS "
    "MISSING_THOUGHT_SIGNATURE OTHER PUP_LIMITED_DISABLED"
)
_FINISH: Final[Mapping[str, FinishReason]] = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "CONTINUATION": FinishReason.PAUSE,
    **dict.fromkeys(_FILTERED.split(" "), FinishReason.CONTENT_FILTER),
    **dict.fromkeys(_FAILED.split(" "), FinishReason.ERROR),
}
_WORTH_ANOTHER_TRY: Final = frozenset({"MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE"})


class GeminiDecoder:
    """Collects the answer, piece by piece. A whole answer is a stream of one piece."""

    def __init__(self, origin: str, label: str, call: HttpCall) -> None:
        self.done = False  # counts may follow the finish reason, so the end of the stream is the end
        self._origin = origin
        self._label = label
        self._call = call
        self._parts: list[JsonObject] = []
        self._finish = ""
        self._usage: JsonObject = {}
        self._model = ""

    def feed(self, event: str | None, data: str) -> tuple[Delta, ...]:
        """One event: a response that holds only new parts. Raises ModelError when it is an error."""
        return self.add(parse_event(self._label, data))

    def add(self, chunk: JsonObject) -> tuple[Delta, ...]:
        """The same, parsed."""
        if "error" in chunk:
            raise reported(self._label, chunk)
        self._usage.update(
            {key: count for key, count in (chunk.get("usageMetadata") or {}).items() if count is not None}
        )
        self._model = chunk.get("modelVersion") or self._model
        blocked = (chunk.get("promptFeedback") or {}).get("blockReason")
        candidates = chunk.get("candidates") or ()
        if blocked and not candidates:
            self._finish = f"blocked: {blocked}"
        if not candidates:
            return ()
        parts = (candidates[0].get("content") or {}).get("parts") or ()
        self._finish = candidates[0].get("finishReason") or self._finish
        self._parts += parts
        return tuple(_deltas(parts))

    def finish(self) -> ModelReply:
        """The reply. Raises ModelUnavailable without a finish reason, AskAgain for an answer of no use."""
        if not self._finish:
            raise cut_off(self._label)
        parts = tuple(_read_parts(self._parts, self._origin, self._call.names))
        reply = ModelReply(
            message=Message("assistant", parts),
            finish=_reason(self._finish, parts),
            usage=_read_usage(self._usage),
            model=self._model,
            raw_finish=self._finish,
        )
        if self._finish in _WORTH_ANOTHER_TRY or (self._finish == "STOP" and not _says_anything(parts)):
            raise AskAgain(f"{self._label}: an empty or malformed answer ({self._finish})", reply)
        return reply


def _deltas(parts: Iterable[JsonObject]) -> Iterator[Delta]:
    for part in parts:
        text = part.get("text")
        if text:
            yield ThinkingDelta(text) if part.get("thought") else TextDelta(text)


def _read_parts(parts: Iterable[JsonObject], origin: str, names: Mapping[str, str]) -> Iterator[Part]:
    for kind, group in groupby(parts, _kind):
        if kind == "text":
            yield Text("".join(part["text"] for part in group))
        elif kind == "thought":
            yield Thinking("".join(part["text"] for part in group))
        else:
            for part in group:
                yield _read_part(part, origin, names)


def _kind(part: JsonObject) -> str:
    """What may be joined with its neighbours of the same kind: "text" or "thought"; anything else stands alone."""
    if "text" not in part:
        return "single"
    if part.get("thought"):
        return "thought"
    return "single" if "thoughtSignature" in part else "text"


def _read_part(part: JsonObject, origin: str, names: Mapping[str, str]) -> Part:
    if part.get("text"):
        return Text(part["text"], Replay(origin, part))
    if "functionCall" in part:
        return _read_call(part, origin, names)
    blob = part.get("inlineData")
    if blob and not part.get("thought"):
        return Media(blob.get("mimeType") or "application/octet-stream", data=blob["data"])
    return Thinking("", Replay(origin, part))


def _read_call(part: JsonObject, origin: str, names: Mapping[str, str]) -> ToolCall:
    """A call. Its id is ours unless Gemini gave one; only an id of its own ever goes back."""
    call = part["functionCall"]
    own = call.get("id")
    args = call.get("args") or {}
    raw = None if isinstance(args, dict) else json.dumps(args)
    name = str(call.get("name") or "")
    replay = Replay(origin, part) if raw is None and (own or "thoughtSignature" in part) else None
    return ToolCall(own or f"call_{new_id()}", names.get(name, name), args if raw is None else {}, raw, replay)


def _reason(finish: str, parts: Iterable[Part]) -> FinishReason:
    if finish.startswith("blocked: "):
        return FinishReason.CONTENT_FILTER
    if any(isinstance(part, ToolCall) for part in parts):
        return FinishReason.TOOL_CALLS
    finish = "IMAGE" if finish.startswith("IMAGE_") else finish
    if finish not in _FINISH:
        _log.warning("unknown finish reason", extra={"provider": "gemini", "finish_reason": finish})
    return _FINISH.get(finish, FinishReason.STOP)


def _says_anything(parts: Iterable[Part]) -> bool:
    return any(not isinstance(part, Thinking) and (not isinstance(part, Text) or part.text.strip()) for part in parts)


def _read_usage(counts: Mapping[str, Any]) -> Usage:
    """Thoughts are not among the candidates' tokens."""
    thoughts = count(counts, "thoughtsTokenCount")
    return Usage(
        input=count(counts, "promptTokenCount") + count(counts, "toolUsePromptTokenCount"),
        output=count(counts, "candidatesTokenCount") + thoughts,
        cache_read=count(counts, "cachedContentTokenCount"),
        reasoning=thoughts,
    )
