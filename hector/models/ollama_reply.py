"""Reading what Ollama answers: one JSON object, or one per line."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final

from hector.core.content import JsonObject, Message, Part, Replay, Text, Thinking, ToolCall
from hector.core.event import Delta, TextDelta, ThinkingDelta
from hector.core.ports import ModelReply
from hector.core.usage import FinishReason, Usage
from hector.models.faults import parse_event, reported
from hector.models.thinktags import ThinkSplitter
from hector.models.wire import compact, count, cut_off, parse_call

_log = logging.getLogger(__name__)

FINISH: Final[Mapping[str, FinishReason]] = {
    "": FinishReason.STOP,
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "load": FinishReason.ERROR,
    "unload": FinishReason.ERROR,
}


def decode_ollama(body: JsonObject, who: str, origin: str, names: Mapping[str, str]) -> ModelReply:
    """The reply in a whole answer. Raises ModelError if it is an error."""
    decoder = OllamaDecoder(who, origin, names)
    decoder.take(body)
    return decoder.finish()


class OllamaDecoder:
    """Reads the lines of one streamed turn."""

    def __init__(self, who: str, origin: str, names: Mapping[str, str]) -> None:
        self._who, self._origin, self._names = who, origin, names
        self._splitter = ThinkSplitter()
        self._text: list[str] = []
        self._thoughts: list[str] = []
        self._own_thoughts: list[str] = []
        self._calls: list[ToolCall] = []
        self._last: JsonObject = {}
        self.done = False

    def feed(self, event: str | None, data: str) -> tuple[Delta, ...]:
        """One line. Raises ModelError for an error that the server puts there."""
        if not data.strip():
            return ()
        return self.take(parse_event(self._who, data))

    def take(self, line: JsonObject) -> tuple[Delta, ...]:
        """One parsed line, or a whole answer."""
        if line.get("error"):
            raise reported(self._who, line)
        message = line.get("message") or {}
        found: list[Delta] = []
        if message.get("thinking"):
            self._own_thoughts.append(message["thinking"])
            found.append(ThinkingDelta(message["thinking"]))
        found += self._splitter.feed(message.get("content") or "")
        self._calls += self._called(message.get("tool_calls") or ())
        if line.get("done"):
            self.done, self._last = True, line
            found += self._splitter.finish()
        for item in found:
            (self._text if isinstance(item, TextDelta) else self._thoughts).append(item.text)
        return tuple(found)

    def finish(self) -> ModelReply:
        """The whole turn. Raises ModelUnavailable if the line with `done: true` never came."""
        if not self.done:
            raise cut_off(self._who)
        parts: list[Part] = []
        if self._thoughts:
            item = {"thinking": "".join(self._own_thoughts)}
            kept = Replay(self._origin, item) if self._own_thoughts else None
            parts.append(Thinking("".join(self._thoughts), kept))
        if self._text:
            parts.append(Text("".join(self._text)))
        raw = self._last.get("done_reason") or ""
        return ModelReply(
            Message("assistant", (*parts, *self._calls)),
            self._finish(raw),
            Usage(input=count(self._last, "prompt_eval_count"), output=count(self._last, "eval_count")),
            self._last.get("model") or "",
            raw,
        )

    def _called(self, calls: Iterable[Any]) -> list[ToolCall]:
        """Calls come whole, without an id or with one, on one line or on several."""
        found: list[ToolCall] = []
        for call in calls:
            function = call.get("function") or {}
            arguments = function.get("arguments")
            text = arguments if isinstance(arguments, str) else compact(arguments) if arguments is not None else ""
            taken = {known.id for known in (*self._calls, *found)}
            call_id = str(call.get("id") or "")
            name = str(function.get("name") or "")
            own = self._names.get(name, name) or "unnamed"
            found.append(parse_call("" if call_id in taken else call_id, own, text))
        return found

    def _finish(self, raw: str) -> FinishReason:
        """The server says "stop" for tool calls, too."""
        if self._calls:
            return FinishReason.TOOL_CALLS
        if raw not in FINISH:
            _log.info("%s: unknown done_reason %r, taken for a stop", self._who, raw)
        return FINISH.get(raw, FinishReason.STOP)
