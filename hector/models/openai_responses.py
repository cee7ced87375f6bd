"""OpenAI's Responses format, stateless: nothing is stored over there, every request carries the whole conversation.

The model's own output items go back verbatim, its encrypted reasoning included, so that it picks up its thread between
tool calls. Source: OpenAI's public API reference. The reading half is `openai_responses_reply.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import ClassVar, Final

from hector.core.content import Data, JsonObject, Media, Message, Part, Text, Thinking, ToolCall, ToolResult
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
from hector.models.openai_parts import ServedModel, audio, data_url, error_text, named, said, short_id
from hector.models.openai_responses_reply import ResponsesDecoder, decode_response
from hector.models.schema import parameters, strict_form
from hector.models.schema_turn import in_words
from hector.models.wire import REPLAY, HttpCall, compact, own_item
from hector.models.wording import Wording, worded

CALL_ID_LIMIT: Final = 64
"""Characters of a call id that OpenAI takes in this format."""

DROPPABLE: Final[Mapping[str, str]] = {
    "temperature": "temperature",
    "max_output_tokens": "max_output_tokens",
    "parallel_tool_calls": "parallel_tool_calls",
    "tool_choice": "tool_choice",
    "strict": "strict",
    "reasoning": "reasoning",
    "reasoning.effort": "reasoning",
    "reasoning.summary": "reasoning.summary",
    "reasoning summaries": "reasoning.summary",
    "include": "include",
    "encrypted content is not supported": "include",
    "encrypted content": REPLAY,
    "of type": REPLAY,
    "text.format": "text.format",
    "json_schema": "text.format",
}
"""Refusals over single items ("Item 'rs_1' of type 'reasoning' was provided without ...") mean the replayed ones."""

_TAKES: Final = "text, images, PDF, and sound as audio/wav or audio/mpeg"


@dataclass(frozen=True, slots=True)
class ResponsesWire(ServedModel):
    """Responses for one configured model. `name` is the llm's id in the configuration."""

    path: str = "/responses"

    droppable: ClassVar[Mapping[str, str]] = DROPPABLE

    @property
    def origin(self) -> str:
        return f"openai-responses:{self.llm.model}"

    def encode(self, request: ModelRequest, *, stream: bool, dropped: frozenset[str]) -> HttpCall:
        """The request. Settings that the model is known to refuse are left out, see `quirks`."""
        names = wire_names(request)
        tools = self._worded(request, names, dropped)
        body: JsonObject = {"model": self.llm.model, "input": self._input(request, names, dropped), "store": False}
        if system := _system(request, dropped):
            body["instructions"] = system
        body |= self.offered(request, tools, dropped)
        body |= self._settings(dropped)
        if request.output and "text.format" not in dropped:
            body["text"] = {"format": text_format(request.output, strict="strict" not in dropped)}
        if stream:
            body["stream"] = True
        return HttpCall(self.path, body, names=reverse(names), tools=tools.text)

    def decode(self, body: JsonObject, call: HttpCall) -> ModelReply:
        """The reply in a whole answer."""
        return decode_response(body, self.label, self.origin, call.names)

    def decoder(self, call: HttpCall) -> ResponsesDecoder:
        """A reader for one stream."""
        return ResponsesDecoder(self.label, self.origin, call.names)

    def _settings(self, dropped: frozenset[str]) -> JsonObject:
        settings: JsonObject = {}
        model, thinking = self.llm.model, self.llm.thinking
        effort = None if "reasoning" in dropped else quirks.effort_of(model, thinking)
        if effort is not None:
            settings["reasoning"] = {"effort": effort}
            if thinking is not None and thinking.enabled and "reasoning.summary" not in dropped:
                settings["reasoning"]["summary"] = "auto"
        if "include" not in dropped and not quirks.never_reasons(model):
            settings["include"] = ["reasoning.encrypted_content"]
        temperature = self.llm.temperature
        if temperature is not None and "temperature" not in dropped and quirks.takes_sampling(model, effort):
            settings["temperature"] = temperature
        if self.llm.max_tokens and "max_output_tokens" not in dropped:
            settings["max_output_tokens"] = self.llm.max_tokens
        return settings

    def _worded(self, request: ModelRequest, names: Mapping[str, str], dropped: frozenset[str]) -> Wording:
        strict = "strict" not in dropped
        write = partial(function, names=names, strict=strict)
        return worded(request, names, ("openai-responses", strict), write)

    def _input(self, request: ModelRequest, names: Mapping[str, str], dropped: frozenset[str]) -> list[JsonObject]:
        origin = "" if REPLAY in dropped else self.origin
        items: list[JsonObject] = []
        settled = settle(request.messages)
        new, who = unanswered(settled), self.label
        for at, message in enumerate(settled):
            match message.role:
                case "user":
                    content = [input_part(who, part, fresh=at >= new) for part in message.parts]
                    items.append({"type": "message", "role": "user", "content": content})
                case "assistant":
                    items += assistant(message, names, origin)
                case "tool":
                    results = [part for part in message.parts if isinstance(part, ToolResult)]
                    items += [call_output(who, result) for result in results]
        return items


def _system(request: ModelRequest, dropped: frozenset[str]) -> str:
    if request.output and "text.format" in dropped:
        return f"{request.system}\n\n{in_words(request.output)}".strip()
    return request.system


def function(tool: ToolSpec, names: Mapping[str, str], *, strict: bool) -> JsonObject:
    """A tool on offer. `strict` is always sent: left out, it would mean true."""
    closed = strict_form(tool.parameters) if strict else None
    return {
        "type": "function",
        "name": names.get(tool.name, tool.name),
        "description": tool.description,
        "parameters": closed or parameters(tool.parameters),
        "strict": closed is not None,
    }


def text_format(output: OutputSchema, *, strict: bool) -> JsonObject:
    """The shape of the answer; strict only where the schema is fit for it."""
    closed = strict_form(output.schema) if strict and output.strict else None
    name = mangle({output.name}).get(output.name, output.name)
    schema = closed or parameters(output.schema)
    return {"type": "json_schema", "name": name, "schema": schema, "strict": closed is not None}


def input_part(who: str, part: Part, *, fresh: bool = True) -> JsonObject:
    """One part of a user's message. Raises UnsupportedContent for a `fresh` one that the format has no place for."""
    match part:
        case Text(text):
            return {"type": "input_text", "text": text}
        case Data():
            return {"type": "input_text", "text": data_text(part)}
        case Media():
            try:
                return _media(who, part)
            except UnsupportedContent as error:
                return {"type": "input_text", "text": named(part, error, fresh=fresh)}
        case _:
            raise TypeError(f"a user's message holds no {type(part).__name__}")


def _media(who: str, media: Media) -> JsonObject:
    match media_kind(media.media_type):
        case "image":
            return {"type": "input_image", "image_url": media.url if media.data is None else data_url(media)}
        case "audio":
            return {"type": "input_audio", "input_audio": audio(who, media)}
        case "pdf" if media.data is None:
            return {"type": "input_file", "file_url": media.url}
        case "pdf":
            return {"type": "input_file", "filename": media.name or "document.pdf", "file_data": data_url(media)}
        case "text" if media.data is not None:
            return {"type": "input_text", "text": document_text(media)}
        case _:
            where = "" if media.data is not None else " (by URL)"
            raise unsupported(who, media.media_type + where, _TAKES)


def assistant(message: Message, names: Mapping[str, str], origin: str) -> list[JsonObject]:
    """The model's own turn as items: its own ones verbatim, others made from the parts.

    Reasoning goes back only in front of an own item: alone, or before something changed, it is refused.
    """
    items: list[JsonObject] = []
    waiting: list[JsonObject] = []
    for part in message.parts:
        own = own_item(part.replay, origin) if not isinstance(part, Media | Data | ToolResult) else None
        if own is not None and own.get("type") == "reasoning":
            waiting.append(own)
        elif own is not None:
            items += [*waiting, own]
            waiting = []
        elif made := list(_made(part, names)):
            items += made
            waiting = []
    return items


def _made(part: Part, names: Mapping[str, str]) -> Iterator[JsonObject]:
    """A part that this model did not make itself, or whose item is not to be used."""
    if isinstance(part, ToolCall):
        yield {
            "type": "function_call",
            "call_id": short_id(part.id, CALL_ID_LIMIT),
            "name": names.get(part.name, part.name),
            "arguments": compact(part.args),
        }
    elif not isinstance(part, Thinking) and (text := said(part)):
        yield {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def call_output(who: str, result: ToolResult) -> JsonObject:
    """The result of a call: text, or a list of parts when there is something to look at."""
    shown = _shown(who, result)
    text = error_text(result, result_text(result))
    output = [{"type": "input_text", "text": text}, *shown] if shown else text
    return {"type": "function_call_output", "call_id": short_id(result.call_id, CALL_ID_LIMIT), "output": output}


def _shown(who: str, result: ToolResult) -> Sequence[JsonObject]:
    """Images and PDFs of a result; any other file stays a mere name in its text."""
    return [_media(who, media) for media in result_media(result) if media_kind(media.media_type) in {"image", "pdf"}]
