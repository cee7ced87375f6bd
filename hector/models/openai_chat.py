"""The chat/completions format: OpenAI's older one, and the one that every compatible server speaks.

Source: OpenAI's public API reference, and what vLLM, llama.cpp, LM Studio, Groq, OpenRouter and Azure make of it. The
request half is here, the reading half in `openai_chat_reply.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import ClassVar, Final

from hector.core.content import Data, JsonObject, Media, Message, Part, Text, Thinking, ToolResult
from hector.core.errors import UnsupportedContent
from hector.core.ports import ModelReply, ModelRequest, OutputSchema, ToolSpec
from hector.core.record import dataclass
from hector.models import quirks
from hector.models.history import (
    data_text,
    document_text,
    media_kind,
    result_media,
    result_text,
    settle,
    unanswered,
    unsupported,
)
from hector.models.names import mangle, reverse, wire_names
from hector.models.openai_chat_reply import ChatDecoder, decode_chat
from hector.models.openai_parts import ServedModel, audio, data_url, error_text, named, said, short_id
from hector.models.schema import parameters, strict_form
from hector.models.schema_turn import in_words
from hector.models.wire import REPLAY, HttpCall, compact, host_of, own_item
from hector.models.wording import NOTHING, Wording, worded

CALL_ID_LIMIT: Final = 40
"""Characters of a tool call id that OpenAI takes in this format."""

DROPPABLE: Final[Mapping[str, str]] = {
    "temperature": "temperature",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_completion_tokens",
    "stream_options": "stream_options",
    "include_usage": "stream_options",
    "reasoning_effort": "reasoning_effort",
    "parallel_tool_calls": "parallel_tool_calls",
    "strict": "strict",
    "tool_choice": "tool_choice",
    "response_format": "response_format",
    "json_schema": "response_format",
    "grammar": "response_format",
    "reasoning_content": REPLAY,
    "reasoning": REPLAY,
}
_TAKES: Final = "text, images, sound as audio/wav or audio/mpeg, and inline PDF"


@dataclass(frozen=True, slots=True)
class ChatWire(ServedModel):
    """chat/completions for one configured model. `name` is the llm's id in the configuration."""

    path: str = "/chat/completions"

    droppable: ClassVar[Mapping[str, str]] = DROPPABLE

    @property
    def origin(self) -> str:
        return f"openai-chat:{self.llm.model}"

    @property
    def host(self) -> str:
        """The server's name, which decides what it enforces."""
        return host_of(self.base_url)

    def encode(self, request: ModelRequest, *, stream: bool, dropped: frozenset[str]) -> HttpCall:
        """The request. Settings that the model is known to refuse are left out, see `quirks`."""
        names = wire_names(request)
        tools = self._worded(request, names, dropped)
        body: JsonObject = {"model": self.llm.model, "messages": self._messages(request, names, dropped)}
        body |= self.offered(request, tools, dropped)
        body |= self._settings(request, dropped)
        if request.output and "response_format" not in dropped:
            body["response_format"] = response_format(request.output, strict="strict" not in dropped)
        if stream:
            body["stream"] = True
            if "stream_options" not in dropped:
                body["stream_options"] = {"include_usage": True}
        return HttpCall(self.path, body, names=reverse(names), tools=tools.text)

    def decode(self, body: JsonObject, call: HttpCall) -> ModelReply:
        """The reply in a whole answer."""
        return decode_chat(body, self.label, self.origin, call.names)

    def decoder(self, call: HttpCall) -> ChatDecoder:
        """A reader for one stream."""
        return ChatDecoder(self.label, self.origin, call.names)

    def _settings(self, request: ModelRequest, dropped: frozenset[str]) -> JsonObject:
        settings: JsonObject = {}
        effort = self._effort(request, dropped)
        if effort is not None:
            settings["reasoning_effort"] = effort
        temperature = self.llm.temperature
        if temperature is not None and "temperature" not in dropped and quirks.takes_sampling(self.llm.model, effort):
            settings["temperature"] = temperature
        if self.llm.max_tokens:
            first = quirks.token_parameter(self.host, self.llm.model)
            order = (first, "max_completion_tokens" if first == "max_tokens" else "max_tokens")
            settings |= dict.fromkeys([name for name in order if name not in dropped][:1], self.llm.max_tokens)
        return settings

    def _effort(self, request: ModelRequest, dropped: frozenset[str]) -> quirks.Effort | None:
        """What to reason with. With tools, a refusal over it may mean that nothing but "none" will do (see quirks)."""
        model = self.llm.model
        effort = quirks.effort_of(model, self.llm.thinking)
        if request.tools and quirks.tools_exclude_reasoning(model):
            return "none" if quirks.is_openai_host(self.host) or "reasoning_effort" in dropped else effort
        if "reasoning_effort" in dropped:
            return "none" if effort is None and request.tools else None
        return effort

    def _worded(self, request: ModelRequest, names: Mapping[str, str], dropped: frozenset[str]) -> Wording:
        if not request.tools:
            return NOTHING
        strict = quirks.is_openai_host(self.host) and "strict" not in dropped
        write = partial(function, names=names, strict=strict)
        return worded(request, names, ("openai-chat", strict), write)

    def _messages(self, request: ModelRequest, names: Mapping[str, str], dropped: frozenset[str]) -> list[JsonObject]:
        settled = settle(request.messages)
        last_user = max((at for at, message in enumerate(settled) if message.role == "user"), default=-1)
        new, who = unanswered(settled), self.label
        out: list[JsonObject] = []
        for at, message in enumerate(settled):
            match message.role:
                case "user":
                    _add_user(out, [user_part(who, part, fresh=at >= new) for part in message.parts])
                case "assistant":
                    origin = self.origin if at > last_user and REPLAY not in dropped else None
                    out += assistant(message, names, origin)
                case "tool":
                    _add_results(out, who, message)
        system = request.system
        if request.output and "response_format" in dropped:
            system = f"{system}\n\n{in_words(request.output)}".strip()
        return [{"role": "system", "content": system}, *out] if system else out


def function(tool: ToolSpec, names: Mapping[str, str], *, strict: bool) -> JsonObject:
    """A tool on offer. `strict` is set only where the schema is fit for it."""
    closed = strict_form(tool.parameters) if strict else None
    found: JsonObject = {
        "name": names.get(tool.name, tool.name),
        "description": tool.description,
        "parameters": closed or parameters(tool.parameters),
    }
    return {"type": "function", "function": found | ({"strict": True} if closed else {})}


def response_format(output: OutputSchema, *, strict: bool) -> JsonObject:
    """The shape of the answer; strict only where the schema is fit for it."""
    closed = strict_form(output.schema) if strict and output.strict else None
    name = mangle({output.name}).get(output.name, output.name)
    found: JsonObject = {"name": name, "schema": closed or parameters(output.schema)}
    return {"type": "json_schema", "json_schema": found | ({"strict": True} if closed else {})}


def user_part(who: str, part: Part, *, fresh: bool = True) -> JsonObject:
    """One part of a user's message. Raises UnsupportedContent for a `fresh` one that the format has no place for."""
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case Data():
            return {"type": "text", "text": data_text(part)}
        case Media():
            try:
                return _media(who, part)
            except UnsupportedContent as error:
                return {"type": "text", "text": named(part, error, fresh=fresh)}
        case _:
            raise TypeError(f"a user's message holds no {type(part).__name__}")


def _media(who: str, media: Media) -> JsonObject:
    match media_kind(media.media_type):
        case "image":
            url = media.url if media.data is None else data_url(media)
            return {"type": "image_url", "image_url": {"url": url}}
        case "audio":
            return {"type": "input_audio", "input_audio": audio(who, media)}
        case "pdf" if media.data is not None:
            file = {"filename": media.name or "document.pdf", "file_data": data_url(media)}
            return {"type": "file", "file": file}
        case "text" if media.data is not None:
            return {"type": "text", "text": document_text(media)}
        case _:
            where = "" if media.data is not None else " (by URL)"
            raise unsupported(who, media.media_type + where, _TAKES)


def _add_user(out: list[JsonObject], parts: list[JsonObject]) -> None:
    """Add a user's message, or parts to the one before. Text alone goes as a plain string: every server reads it."""
    if out and out[-1]["role"] == "user":
        before = out.pop()["content"]
        parts = ([{"type": "text", "text": before}] if isinstance(before, str) else before) + parts
    if all(part["type"] == "text" for part in parts):
        out.append({"role": "user", "content": "\n\n".join(part["text"] for part in parts)})
    else:
        out.append({"role": "user", "content": parts})


def assistant(message: Message, names: Mapping[str, str], origin: str | None) -> Iterable[JsonObject]:
    """The model's own turn; nothing if there is neither text nor a call in it.

    With `origin`, reasoning that this very model sent in a field of its own goes back in that field: servers whose
    models reason between tool calls want it until the turn is over, and no longer.
    """
    text = "".join(said(part) for part in message.parts)
    calls = [
        {
            "id": short_id(call.id, CALL_ID_LIMIT),
            "type": "function",
            "function": {"name": names.get(call.name, call.name), "arguments": compact(call.args)},
        }
        for call in message.tool_calls
    ]
    if not text and not calls:
        return
    found: JsonObject = {"role": "assistant", "content": text or None}
    if calls:
        found["tool_calls"] = calls
    for part in message.parts if origin else ():
        if isinstance(part, Thinking):
            found |= own_item(part.replay, origin or "") or {}
    yield found


def _add_results(out: list[JsonObject], who: str, message: Message) -> None:
    """One `tool` message per result, text only; then what is not text, as a user's message."""
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    for result in results:
        content = error_text(result, result_text(result))
        out.append({"role": "tool", "tool_call_id": short_id(result.call_id, CALL_ID_LIMIT), "content": content})
    shown = [part for result in results for part in shown_media(who, result)]
    if shown:
        _add_user(out, shown)


def shown_media(who: str, result: ToolResult) -> Sequence[JsonObject]:
    """The media of a result that the model can look at, with a word on where they come from.

    A kind that the format cannot carry stays a mere name in the result's text: a tool must not end the conversation.
    """
    found = [_media(who, media) for media in result_media(result) if carries(media)]
    return [{"type": "text", "text": f"Files returned by the tool {result.name}:"}, *found] if found else ()


def carries(media: Media) -> bool:
    """Whether the format has a place for this file."""
    kind = media_kind(media.media_type)
    return kind == "image" or (kind == "pdf" and media.data is not None)
