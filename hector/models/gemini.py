"""Google Gemini: how a request is written.

What shapes this module: roles are user and model; all results of one step stand in one user content, in the order of
the calls; a call's signature goes back on the very part that brought it, and from generation 3 on the first call of
a step must have one. An id goes back only if Gemini gave it. What a model takes is judged by the version in its name.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final
from urllib.parse import quote

from hector.config.llm_gemini import GeminiLlm
from hector.config.thinking import Thinking as ThinkingSection
from hector.core.content import Data, JsonObject, Media, Message, Part, Text, Thinking, ToolCall, ToolResult
from hector.core.errors import ModelError
from hector.core.ports import ChatModel, ModelReply, ModelRequest, ToolSpec
from hector.models import history, names, schema
from hector.models.faults import read_fault, to_error
from hector.models.gemini_reply import GeminiDecoder
from hector.models.http import connect
from hector.models.schema_turn import SchemaTurn
from hector.models.wire import REPLAY, Framing, HttpCall, join_base, label, own_item
from hector.models.wording import worded
from hector.net.retry import retry_info

_NUMBER: Final = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
_TAKES: Final = "text, images (not gif or svg), sound, video, PDF files and text documents"
_NOT_TAKEN: Final = frozenset({"image/gif", "image/svg+xml"})
_UNSIGNED: Final = "skip_thought_signature_validator"
_NEWEST: Final = (99, 0)
_LEVELS: Final = {"low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "XHIGH", "max": "XHIGH"}
_BUDGETS: Final = {"low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576, "max": 24576}
_BY_BUDGET: Final = ((2048, "LOW"), (8192, "MEDIUM"), (24576, "HIGH"))
_MODES: Final = {"none": "NONE", "required": "ANY"}
_LEGACY_KEYS: Final = frozenset({
    "type", "format", "title", "description", "nullable", "enum", "items", "properties", "required", "anyOf",
    "minItems", "maxItems", "minimum", "maximum", "minLength", "maxLength", "pattern",
})  # fmt: skip
_DROPPABLE: Final = {
    "thought signature": REPLAY,
    "thought_signature": REPLAY,
    "thoughtsignature": REPLAY,
    "thinking": "thinking",
    "thinking_budget": "thinking",
    "thinking_level": "thinking",
    "thinking_config": "thinking",
    "thinkingbudget": "thinking",
    "thinkinglevel": "thinking",
    "thinkingconfig": "thinking",
    "temperature": "temperature",
    "max_output_tokens": "max_tokens",
    "maxoutputtokens": "max_tokens",
    "parametersjsonschema": "json_schema",
    "parameters_json_schema": "json_schema",
    "responsejsonschema": "output",
    "response_json_schema": "output",
    "response_mime_type": "output",
}


def model_version(model: str) -> tuple[int, int]:
    """(2, 5) for "gemini-2.5-pro"; (99, 0) for "gemini-flash-latest"; (0, 0) for models of other families."""
    found = _NUMBER.search(model.lower())
    if found:
        return int(found[1]), int(found[2] or 0)
    return _NEWEST if "gemini" in model.lower() else (0, 0)


def create(llm: GeminiLlm, name: str) -> ChatModel:
    """The model that `llms.<name>` describes."""
    headers = {"x-goog-api-key": llm.api_key} if llm.api_key else {}
    base_url = join_base(llm.base_url, llm.api_version, "v1beta", "v1")
    model = connect(GeminiWire(llm, name), llm, base_url=base_url, headers=headers, secret=llm.api_key)
    return model if model_version(llm.model) >= (3, 0) else SchemaTurn(model)


class GeminiWire:
    """Requests and answers of one configured model."""

    framing: Framing = "sse"
    droppable: Mapping[str, str] = _DROPPABLE

    def __init__(self, llm: GeminiLlm, name: str) -> None:
        self.origin = f"gemini:{llm.model}"
        self.label = label(name, llm.model, llm.base_url)
        self._llm = llm
        self._version = model_version(llm.model)
        model = llm.model if "/" in llm.model else f"models/{llm.model}"
        self._path = f"/{llm.api_version}/{quote(model)}"

    def encode(self, request: ModelRequest, *, stream: bool, dropped: frozenset[str]) -> HttpCall:
        """One POST to generateContent or its streaming sibling. Raises UnsupportedContent."""
        mangled = names.wire_names(request, names.GEMINI)
        origin = "" if REPLAY in dropped else self.origin
        conversation = _Conversation(origin, self.label, mangled, signed=self._version >= (3, 0))
        body: JsonObject = {"contents": conversation.encode(request.messages)}
        if request.system.strip():
            body["systemInstruction"] = {"parts": [{"text": request.system}]}
        legacy = "json_schema" in dropped
        write = partial(_declaration, names=mangled, legacy=legacy)
        tools = worded(request, mangled, ("gemini", legacy), write, _declared)
        if request.tools:
            body["tools"] = tools.tools
            if request.tool_choice in _MODES:
                body["toolConfig"] = {"functionCallingConfig": {"mode": _MODES[request.tool_choice]}}
        if config := self._generation(request, dropped):
            body["generationConfig"] = config
        path = f"{self._path}:streamGenerateContent?alt=sse" if stream else f"{self._path}:generateContent"
        return HttpCall(path, body, names=names.reverse(mangled), tools=tools.text)

    def decode(self, body: JsonObject, call: HttpCall) -> ModelReply:
        """A non-streaming answer."""
        decoder = self.decoder(call)
        decoder.add(body)
        return decoder.finish()

    def decoder(self, call: HttpCall) -> GeminiDecoder:
        """A reader for one stream."""
        return GeminiDecoder(self.origin, self.label, call)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ModelError:
        """What an error answer means; the wait that Google asks for stands in the body."""
        fault = read_fault(status, headers, body)
        if fault.retry_after is None:
            fault = replace(fault, retry_after=retry_info(body))
        return to_error(self.label, fault)

    def _generation(self, request: ModelRequest, dropped: frozenset[str]) -> JsonObject:
        config: JsonObject = {}
        if self._llm.temperature is not None and "temperature" not in dropped:
            config["temperature"] = self._llm.temperature
        if self._llm.max_tokens and "max_tokens" not in dropped:
            config["maxOutputTokens"] = self._llm.max_tokens
        if request.output is not None and "output" not in dropped:
            config["responseMimeType"] = "application/json"
            config["responseJsonSchema"] = schema.parameters(request.output.schema)
        if self._llm.thinking is not None and self._version >= (2, 5) and "thinking" not in dropped:
            config["thinkingConfig"] = _thinking(self._llm.thinking, leveled=self._version >= (3, 0))
        return config


def _thinking(section: ThinkingSection, *, leveled: bool) -> JsonObject:
    """A level from generation 3 on, a number of tokens before."""
    if not section.enabled:
        return {"thinkingLevel": "MINIMAL"} if leveled else {"thinkingBudget": 0}
    if not leveled:
        budget = _BUDGETS[section.effort] if section.effort else section.budget_tokens
        return {"includeThoughts": True, "thinkingBudget": budget}
    by_budget = next((level for limit, level in _BY_BUDGET if section.budget_tokens <= limit), "XHIGH")
    return {"includeThoughts": True, "thinkingLevel": _LEVELS[section.effort] if section.effort else by_budget}


def _declared(functions: list[JsonObject]) -> list[JsonObject]:
    return [{"functionDeclarations": functions}] if functions else []


def _declaration(tool: ToolSpec, names: Mapping[str, str], *, legacy: bool) -> JsonObject:
    """A function; one without parameters has no schema. `legacy` is for servers that know only OpenAPI's subset."""
    declared: JsonObject = {"name": names.get(tool.name, tool.name)}
    parameters = tool.parameters
    if tool.description:
        declared["description"] = tool.description
    if not schema.has_fields(parameters):
        return declared
    if legacy:
        subset = schema.rewrite(schema.inline(parameters), _openapi)
        return {**declared, "parameters": subset}
    return {**declared, "parametersJsonSchema": schema.parameters(parameters)}


def _openapi(part: JsonObject) -> JsonObject:
    return {key: value for key, value in part.items() if key in _LEGACY_KEYS}


class _Conversation:
    """Encodes one conversation."""

    def __init__(self, origin: str, label: str, mangled: Mapping[str, str], *, signed: bool) -> None:
        self._origin = origin
        self._label = label
        self._mangled = mangled
        self._signed = signed
        self._contents: list[JsonObject] = []
        self._ids: dict[str, str] = {}

    def encode(self, messages: Sequence[Message]) -> list[JsonObject]:
        """Alternating contents, the user's first. Raises UnsupportedContent for parts not answered yet."""
        settled = history.settle(messages)
        fresh = history.unanswered(settled)
        for at, message in enumerate(settled):
            if message.role == "assistant":
                self._add("model", self._model(message.parts))
            elif message.role == "tool":
                results = [part for part in message.parts if isinstance(part, ToolResult)]
                self._add("user", [self._result(result) for result in results])
                self._add("user", self._attached(results))
            else:
                self._add("user", self._user(message.parts, strict=at >= fresh))
        return self._contents

    def _add(self, role: str, parts: list[JsonObject]) -> None:
        if not parts:
            return
        if not self._contents and role == "model":
            self._contents.append({"role": "user", "parts": [{"text": "Continue."}]})
        if self._contents and self._contents[-1]["role"] == role:
            self._contents[-1]["parts"] += parts
        else:
            self._contents.append({"role": role, "parts": parts})

    def _user(self, parts: Iterable[Part], *, strict: bool) -> list[JsonObject]:
        found: list[JsonObject] = []
        for part in parts:
            match part:
                case Text(text) if text:
                    found.append({"text": text})
                case Data():
                    found.append({"text": history.data_text(part)})
                case Media():
                    found.append(self._media(part, strict=strict))
                case _:
                    pass
        return found

    def _model(self, parts: Iterable[Part]) -> list[JsonObject]:
        self._ids = {}
        encoded = [item for part in parts if (item := self._own(part) or self._said(part)) is not None]
        if self._signed:
            first = next((at for at, item in enumerate(encoded) if "functionCall" in item), None)
            if first is not None and "thoughtSignature" not in encoded[first]:
                encoded[first] = {**encoded[first], "thoughtSignature": _UNSIGNED}
        return encoded

    def _own(self, part: Part) -> JsonObject | None:
        """Gemini's own part, if this model made it."""
        replay = part.replay if isinstance(part, Text | Thinking | ToolCall) else None
        item = own_item(replay, self._origin)
        if item is not None and isinstance(part, ToolCall) and "id" in item.get("functionCall", {}):
            self._ids[part.id] = item["functionCall"]["id"]
        return item

    def _said(self, part: Part) -> JsonObject | None:
        match part:
            case Text(text) if text:
                return {"text": text}
            case ToolCall(_, name, args):
                return {"functionCall": {"name": self._mangled.get(name, name), "args": args}}
            case Data():
                return {"text": history.data_text(part)}
            case Media():
                return {"text": history.placeholder(part)}
            case _:
                return None

    def _result(self, result: ToolResult) -> JsonObject:
        """A result as an object: a structured one as it is, anything else as text under a key."""
        name = self._mangled.get(result.name, result.name)
        found: JsonObject = {"name": name, "response": _response(result)}
        if result.call_id in self._ids:
            found["id"] = self._ids[result.call_id]
        return {"functionResponse": found}

    def _attached(self, results: Iterable[ToolResult]) -> list[JsonObject]:
        """Pictures and the like that tools gave, after all results; what cannot be shown was named there already."""
        media = [item for result in results for item in history.result_media(result)]
        parts = [self._media(item, strict=False) for item in media]
        return [part for part in parts if "text" not in part]

    def _media(self, media: Media, *, strict: bool) -> JsonObject:
        kind = history.media_kind(media.media_type)
        if kind == "other" or media.media_type in _NOT_TAKEN:
            if strict:
                raise history.unsupported(self._label, media.media_type, _TAKES)
            return {"text": history.placeholder(media)}
        if media.data is None:
            return {"fileData": {"mimeType": media.media_type, "fileUri": media.url}}
        if kind == "text":
            return {"text": history.document_text(media) or history.placeholder(media)}
        return {"inlineData": {"mimeType": media.media_type, "data": media.data}}


def _response(result: ToolResult) -> JsonObject:
    only = result.content[0] if len(result.content) == 1 else None
    if isinstance(only, Data) and isinstance(only.value, dict) and not result.is_error:
        return only.value
    return {"error" if result.is_error else "result": history.result_text(result)}
