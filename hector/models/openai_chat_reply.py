"""Reading what chat/completions answers, whole or in chunks, with what servers in the field make of it."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from hector.core.content import JsonObject, Message, Part, Replay, Text, Thinking
from hector.core.errors import ModelUnavailable
from hector.core.event import Delta, TextDelta, ThinkingDelta
from hector.core.ports import ModelReply
from hector.core.usage import FinishReason, Usage
from hector.models.callpieces import CallPieces
from hector.models.faults import parse_event, reported
from hector.models.mould import Mould
from hector.models.openai_parts import read_usage
from hector.models.thinktags import ThinkSplitter
from hector.models.wire import cut_off

_log = logging.getLogger(__name__)

FINISH: Final[Mapping[str, FinishReason]] = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "error": FinishReason.ERROR,
}
REASONING_FIELDS: Final = ("reasoning_content", "reasoning")
"""Where servers put reasoning: DeepSeek, vLLM and llama.cpp; OpenRouter, newer vLLM and Ollama."""


def decode_chat(body: JsonObject, who: str, origin: str, names: Mapping[str, str]) -> ModelReply:
    """The reply in a whole answer. Raises ModelError if it is an error, or holds no choice."""
    turn = ChatTurn(who, origin, names)
    turn.add(body, "message")
    if not turn.has_choice:
        raise ModelUnavailable(f"{who}: the answer holds no choice; try again")
    return turn.reply()


class ChatDecoder:
    """Reads the chunks of one streamed turn."""

    def __init__(self, who: str, origin: str, names: Mapping[str, str]) -> None:
        self._who = who
        self._turn = ChatTurn(who, origin, names)
        self._mould = Mould("content")
        self.done = False

    def feed(self, event: str | None, data: str) -> tuple[Delta, ...]:
        """One chunk, or the closing `[DONE]`. Raises ModelError for an error in the stream."""
        if event is None and (said := self._mould.text_of(data)) is not None:
            return self._turn.say(said)
        text = data.strip()
        if text.startswith("[DONE]"):
            self.done = True
            self._mould.cast(data, None)
        if self.done or not text:
            return ()
        chunk = parse_event(self._who, text)
        if event == "error":
            raise reported(self._who, chunk)
        found = self._turn.add(chunk, "delta")
        self._mould.cast(data, self._turn.said)
        return found

    def finish(self) -> ModelReply:
        """The whole turn. Raises ModelUnavailable if neither a finish reason nor `[DONE]` came."""
        if not self.done and not self._turn.raw_finish:
            raise cut_off(self._who)
        return self._turn.reply()


_TEXT_ONLY: Final = frozenset({"content", "role"})
"""The keys of a delta that brings text and nothing else."""


class ChatTurn:
    """What has been said so far in one turn. `said` is the text of the last chunk that brought nothing else."""

    def __init__(self, who: str, origin: str, names: Mapping[str, str]) -> None:
        self.raw_finish = ""
        self.has_choice = False
        self.said: str | None = None
        self._who, self._origin, self._names = who, origin, names
        self._splitter = ThinkSplitter()
        self._text: list[str] = []
        self._thoughts: list[str] = []
        self._reasoning: dict[str, list[str]] = {}
        self._refused = False
        self._calls = CallPieces()
        self._usage = Usage()
        self._model = ""

    def add(self, chunk: JsonObject, key: str) -> tuple[Delta, ...]:
        """Take in a chunk (`key` is "delta") or a whole answer ("message")."""
        if chunk.get("error") or chunk.get("object") == "error":
            raise reported(self._who, chunk)
        self._model = chunk.get("model") or self._model
        self.said = None
        if counted := isinstance(chunk.get("usage"), dict):
            self._usage = read_usage(chunk["usage"], "prompt", "completion")
        choices = chunk.get("choices")
        if not isinstance(choices, list) or not choices:
            return ()
        self.has_choice = True
        choice = choices[0]
        self.raw_finish = choice.get("finish_reason") or self.raw_finish
        delta = choice.get(key)
        said = delta or choice.get("message") or {}
        if said.keys() <= _TEXT_ONLY and not self.raw_finish:  # nearly every chunk of a stream
            content = said.get("content")
            if isinstance(content, str) and delta and not counted:
                self.said = content
            return self._kept(self._answered(content))
        return self._read(said, whole=key == "message" or not delta)

    def say(self, text: str) -> tuple[Delta, ...]:
        """Take in a chunk that is as the last one was but for its text, where that one brought nothing else."""
        return self._kept(self._splitter.feed(text))

    def _read(self, delta: Mapping[str, Any], *, whole: bool) -> tuple[Delta, ...]:
        """All of a delta or message. The finish reason releases what the tag splitter still held."""
        self._calls.add(delta.get("tool_calls") or (), whole=whole)
        if isinstance(delta.get("function_call"), dict):
            self._calls.add([{"index": 0, "function": delta["function_call"]}])
        found = [*self._reasoned(delta), *self._answered(delta.get("content"))]
        if delta.get("refusal"):
            self._refused = True
            found.append(TextDelta(delta["refusal"]))
        if self.raw_finish:
            found += self._splitter.finish()
        return self._kept(tuple(found))

    def _kept(self, found: tuple[Delta, ...]) -> tuple[Delta, ...]:
        for item in found:
            (self._text if isinstance(item, TextDelta) else self._thoughts).append(item.text)
        return found

    def _reasoned(self, delta: Mapping[str, Any]) -> tuple[Delta, ...]:
        """Reasoning in a field of its own; of two fields with the same words only one is read."""
        for name in REASONING_FIELDS:
            text = delta.get(name)
            if isinstance(text, str) and text:
                self._reasoning.setdefault(name, []).append(text)
                return (ThinkingDelta(text),)
        return ()

    def _answered(self, content: Any) -> tuple[Delta, ...]:
        """The answer: a string, null, or (Mistral) a list of text and thinking parts."""
        if isinstance(content, str):
            return self._splitter.feed(content)
        found: list[Delta] = []
        for part in content if isinstance(content, list) else ():
            if part.get("type") == "thinking":
                inner = part.get("thinking")
                texts = [item.get("text", "") for item in inner] if isinstance(inner, list) else [str(inner or "")]
                found.append(ThinkingDelta("".join(texts)))
            else:
                found += self._splitter.feed(part.get("text") or "")
        return tuple(found)

    def reply(self) -> ModelReply:
        """The turn as a whole. Call once, at the end."""
        self._kept(self._splitter.finish())
        parts: list[Part] = []
        if self._thoughts:
            item = {name: "".join(texts) for name, texts in self._reasoning.items()}
            parts.append(Thinking("".join(self._thoughts), Replay(self._origin, item) if item else None))
        if self._text:
            parts.append(Text("".join(self._text)))
        calls = self._calls.finish(self._names)
        message = Message("assistant", (*parts, *calls))
        return ModelReply(message, self._finish(bool(calls)), self._usage, self._model, self.raw_finish)

    def _finish(self, called: bool) -> FinishReason:
        """Calls decide over whatever the server says; so does a refusal over a plain stop."""
        if called:
            return FinishReason.TOOL_CALLS
        if self.raw_finish and self.raw_finish not in FINISH:
            _log.info("%s: unknown finish reason %r, taken for a stop", self._who, self.raw_finish)
        found = FINISH.get(self.raw_finish, FinishReason.STOP)
        if self._refused and found is FinishReason.STOP:
            return FinishReason.CONTENT_FILTER
        return FinishReason.STOP if found is FinishReason.TOOL_CALLS else found
