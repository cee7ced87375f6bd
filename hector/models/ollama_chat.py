"""Ollama's own chat API, which unlike its OpenAI-compatible one takes the context size, thinking and keep-alive.

Source: Ollama's public API documentation. A `format` together with tools or thinking is unreliable there; `ollama.py`
therefore gives an answer in a given shape a turn of its own.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final, Literal

from hector.config.llm_ollama import OllamaLlm
from hector.core.content import JsonObject, Media, Message, Part, Text, Thinking, ToolResult
from hector.core.errors import ModelError, UnsupportedContent
from hector.core.ports import ModelReply, ModelRequest, ToolSpec
from hector.core.record import dataclass
from hector.models.faults import read_fault, to_error
from hector.models.history import document_text, media_kind, result_media, result_text, settle, unanswered, unsupported
from hector.models.names import reverse, wire_names
from hector.models.ollama_reply import OllamaDecoder, decode_ollama
from hector.models.openai_parts import error_text, named, said
from hector.models.quirks import budget_effort, family
from hector.models.schema import parameters
from hector.models.schema_turn import in_words
from hector.models.wire import REPLAY, HttpCall, label, own_item
from hector.models.wording import worded

DROPPABLE: Final[Mapping[str, str]] = {
    "does not support tools": "tools",
    "does not support thinking": "think",
    "think": "think",
    "temperature": "temperature",
    "format": "format",
    "thinking": REPLAY,
}
_TAKES: Final = "text and inline images"
_MUST_CALL: Final = "Call one of the tools now; do not answer in text."
_ONE_CALL: Final = "Call at most one tool at a time, and wait for its result."


@dataclass(frozen=True, slots=True)
class OllamaWire:
    """`/api/chat` for one model. `name` is the llm's id in the configuration."""

    name: str
    llm: OllamaLlm
    model: str
    base_url: str

    @property
    def origin(self) -> str:
        return f"ollama:{self.model}"

    @property
    def label(self) -> str:
        return label(self.name, self.model, self.base_url)

    @property
    def framing(self) -> Literal["ndjson"]:
        return "ndjson"

    @property
    def droppable(self) -> Mapping[str, str]:
        return DROPPABLE

    def encode(self, request: ModelRequest, *, stream: bool, dropped: frozenset[str]) -> HttpCall:
        """The request. `stream` is always sent: left out, it would mean true."""
        names = wire_names(request)
        body: JsonObject = {
            "model": self.model,
            "messages": self._messages(request, names, dropped),
            "stream": stream,
            "options": self._options(dropped),
        }
        text = b""
        if request.tools and request.tool_choice != "none" and "tools" not in dropped:
            wording = worded(request, names, "ollama", partial(function, names=names))
            body["tools"], text = wording.tools, wording.text
        bound = request.output is not None and "format" not in dropped
        if request.output is not None and bound:
            body["format"] = parameters(request.output.schema)
        think = self._think(bound=bound)
        if think is not None and "think" not in dropped:
            body["think"] = think
        if self.llm.keep_alive:
            body["keep_alive"] = _keep_alive(self.llm.keep_alive)
        return HttpCall("/api/chat", body, names=reverse(names), tools=text)

    def decode(self, body: JsonObject, call: HttpCall) -> ModelReply:
        """The reply in a whole answer."""
        return decode_ollama(body, self.label, self.origin, call.names)

    def decoder(self, call: HttpCall) -> OllamaDecoder:
        """A reader for one stream."""
        return OllamaDecoder(self.label, self.origin, call.names)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ModelError:
        """The error of an answer of status 400 and above."""
        fault = read_fault(status, headers, body)
        if status == 404 and "not found" in fault.message:
            advice = f"{fault.message}; get it with `ollama pull {self.model}`"
            return to_error(self.label, replace(fault, message=advice))
        if "requires more system memory" in fault.message:
            return to_error(self.label, replace(fault, should_retry=False))
        return to_error(self.label, fault)

    def _options(self, dropped: frozenset[str]) -> JsonObject:
        """Ollama's own default context is small and cuts long prompts in silence, so the size is always sent."""
        options: JsonObject = {"num_ctx": self.llm.context_size}
        if self.llm.temperature is not None and "temperature" not in dropped:
            options["temperature"] = self.llm.temperature
        if self.llm.max_tokens:
            options["num_predict"] = self.llm.max_tokens
        return options

    def _think(self, *, bound: bool) -> bool | str | None:
        """Whether to reason; never while the answer is bound to a shape. gpt-oss takes a level and cannot stop."""
        thinking = self.llm.thinking
        leveled = family(self.model).startswith("gpt-oss")
        if bound:
            return "low" if leveled else False
        if thinking is None:
            return None
        if not leveled:
            return thinking.enabled
        effort = (thinking.effort or budget_effort(thinking.budget_tokens)) if thinking.enabled else "low"
        return effort if effort in {"low", "medium"} else "high"

    def _messages(self, request: ModelRequest, names: Mapping[str, str], dropped: frozenset[str]) -> list[JsonObject]:
        settled = settle(request.messages)
        last_user = max((at for at, message in enumerate(settled) if message.role == "user"), default=-1)
        new, who = unanswered(settled), self.label
        out: list[JsonObject] = []
        for at, message in enumerate(settled):
            match message.role:
                case "user":
                    _add_user(out, who, message.parts, fresh=at >= new)
                case "assistant":
                    origin = self.origin if at > last_user and REPLAY not in dropped else None
                    out += _assistant(message, names, origin)
                case "tool":
                    _add_results(out, who, message, names)
        system = self._system(request, dropped)
        return [{"role": "system", "content": system}, *out] if system else out

    def _system(self, request: ModelRequest, dropped: frozenset[str]) -> str:
        """The system text, with what the API has no field for said in words."""
        texts = [request.system]
        if request.output and "format" in dropped:
            texts.append(in_words(request.output))
        if request.tools and request.tool_choice == "required":
            texts.append(_MUST_CALL)
        if request.tools and self.llm.parallel_tool_calls is False:
            texts.append(_ONE_CALL)
        return "\n\n".join(text for text in texts if text)


def _keep_alive(text: str) -> str | int:
    """A duration with its unit; a bare number of seconds (-1: for ever) must go as a number."""
    try:
        return int(text)
    except ValueError:
        return text


def function(tool: ToolSpec, names: Mapping[str, str]) -> JsonObject:
    """A tool on offer."""
    name = names.get(tool.name, tool.name)
    found = {"name": name, "description": tool.description, "parameters": parameters(tool.parameters)}
    return {"type": "function", "function": found}


def _add_user(out: list[JsonObject], who: str, parts: tuple[Part, ...], *, fresh: bool = True) -> None:
    """Add a user's message, or more to the one before: texts joined, images aside.

    Raises UnsupportedContent for a `fresh` part that the API has no place for.
    """
    if not out or out[-1]["role"] != "user":
        out.append({"role": "user", "content": ""})
    message = out[-1]
    texts = [message["content"], *(_words(who, part, fresh) for part in parts if not _is_image(part))]
    message["content"] = "\n\n".join(text for text in texts if text)
    images = [part.data for part in parts if isinstance(part, Media) and _is_image(part)]
    if images:
        message["images"] = [*message.get("images", ()), *images]


def _is_image(part: Part) -> bool:
    return isinstance(part, Media) and part.data is not None and media_kind(part.media_type) == "image"


def _words(who: str, part: Part, fresh: bool) -> str:
    """A part as text. Raises UnsupportedContent for fresh files that are none."""
    if not isinstance(part, Media):
        return said(part)
    try:
        if media_kind(part.media_type) == "text" and part.data is not None:
            return document_text(part)
        raise unsupported(who, part.media_type + ("" if part.data is not None else " (by URL)"), _TAKES)
    except UnsupportedContent as error:
        return named(part, error, fresh=fresh)


def _assistant(message: Message, names: Mapping[str, str], origin: str | None) -> list[JsonObject]:
    """The model's own turn; with `origin`, its own thinking goes back as well, as long as the turn lasts."""
    text = "".join(said(part) for part in message.parts)
    calls = [
        {"function": {"name": names.get(call.name, call.name), "arguments": call.args}} for call in message.tool_calls
    ]
    if not text and not calls:
        return []
    found: JsonObject = {"role": "assistant", "content": text}
    if calls:
        found["tool_calls"] = calls
    for part in message.parts if origin else ():
        if isinstance(part, Thinking):
            found |= own_item(part.replay, origin or "") or {}
    return [found]


def _add_results(out: list[JsonObject], who: str, message: Message, names: Mapping[str, str]) -> None:
    """One `tool` message per result; then its inline images, as a user's message."""
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    for result in results:
        content = error_text(result, result_text(result))
        out.append({"role": "tool", "tool_name": names.get(result.name, result.name), "content": content})
    for result in results:
        images = tuple(media for media in result_media(result) if _is_image(media))
        if images:
            _add_user(out, who, (Text(f"Files returned by the tool {result.name}:"), *images))
