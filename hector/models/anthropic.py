"""Anthropic's Messages API, and the servers and gateways that speak it: how a request is written.

What shapes this module: the first message is the user's and roles alternate; results of a turn's tool calls stand first
in the one user message that follows; thinking goes back unchanged and in its place; newer models refuse sampling
parameters and fixed thinking budgets. What a model takes is judged by the version in its name.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hector.config.llm_anthropic import AnthropicLlm
from hector.config.thinking import Thinking as ThinkingSection
from hector.core.content import JsonObject
from hector.core.errors import ModelError
from hector.core.ports import ChatModel, ModelReply, ModelRequest, OutputSchema, ToolSpec
from hector.models import names, schema
from hector.models.anthropic_messages import THOUGHTS, Conversation
from hector.models.anthropic_reply import AnthropicDecoder, Reading, read_reply
from hector.models.faults import read_fault, to_error
from hector.models.http import connect
from hector.models.wire import REPLAY, Framing, HttpCall, encoded, join_base, label
from hector.models.wording import Wording, worded

_NUMBER: Final = re.compile(r"(?<!\d)(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_CACHED: Final = {"type": "ephemeral"}
_OUTPUT_TOOL: Final = "give_answer"
_OUTPUT_HINT: Final = "Gives the final answer. Call this, and only this, when the answer is known."
_SMALL_ANSWER: Final = 4096
_NO_SAMPLING_SINCE: Final = "2026-10-21"
_EFFORTS: Final = ((2048, "low"), (8192, "medium"), (24576, "high"))
_BETA: Final = "anthropic-beta"
_INTERLEAVED: Final = "interleaved-thinking-2025-05-14"
_DROPPABLE: Final = {
    "temperature": "temperature",
    "max_tokens": "max_tokens",
    "signature": REPLAY,
    "`thinking` blocks": REPLAY,
    "`thinking` or `redacted_thinking` blocks": REPLAY,
    "expected `thinking`": REPLAY,
    "thinking": "thinking",
    "adaptive": "thinking",
    "budget_tokens": "thinking",
    "effort": "effort",
    "output_config.effort": "effort",
    "output_config": "output_config",
    "cache_control": "cache_control",
    "disable_parallel_tool_use": "parallel_tool_calls",
}


def model_version(model: str) -> tuple[int, int]:
    """(5, 5) for "claude-sonnet-5-5", (3, 7) for "claude-3-7-sonnet-20250219"; (0, 0) for names of other kinds."""
    _, claude, rest = model.lower().partition("claude")
    found = _NUMBER.search(rest) if claude else None
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def create(llm: AnthropicLlm, name: str) -> ChatModel:
    """The model that `llms.<name>` describes."""
    wire = AnthropicWire(llm, name)
    headers = {"anthropic-version": llm.api_version}
    if llm.api_key:
        headers["x-api-key"] = llm.api_key
    return connect(wire, llm, base_url=join_base(llm.base_url, "v1"), headers=headers, secret=llm.api_key)


class AnthropicWire:
    """Requests and answers of one configured model."""

    framing: Framing = "sse"
    droppable: Mapping[str, str] = _DROPPABLE

    def __init__(self, llm: AnthropicLlm, name: str) -> None:
        self.origin = f"anthropic:{llm.model}"
        self.label = label(name, llm.model, llm.base_url)
        self._llm = llm
        self._version = model_version(llm.model)
        self._thinks = llm.thinking is not None and llm.thinking.enabled
        self._adaptive = self._version >= (4, 6)
        own = [value for name, value in llm.headers.items() if name.lower() == _BETA]
        self._betas = ",".join([*own, _INTERLEAVED])
        self._samples = self._version < (4, 7) and llm.api_version < _NO_SAMPLING_SINCE

    def encode(self, request: ModelRequest, *, stream: bool, dropped: frozenset[str]) -> HttpCall:
        """One POST to /v1/messages. Raises UnsupportedContent."""
        mangled = names.wire_names(request)
        conversation = Conversation("" if REPLAY in dropped else self.origin, self.label, mangled)
        messages = conversation.encode(request.messages)
        thinking = self._thinking(dropped, messages)
        output_tool = self._output_tool(request, dropped)
        body: JsonObject = {
            "model": self._llm.model,
            "max_tokens": self._max_tokens(thinking, dropped),
            "messages": messages,
        }
        if request.system.strip():
            body["system"] = [{"type": "text", "text": request.system}]
        if thinking:
            body["thinking"] = thinking
        marks = self._llm.cache and "cache_control" not in dropped
        tools = _tools(request, mangled, output_tool, marked=marks and "system" not in body)
        if tools.tools:
            body["tools"] = tools.tools
            _set(body, "tool_choice", self._tool_choice(request, thinking, output_tool, dropped))
        _set(body, "output_config", self._output_config(request.output, thinking, dropped))
        _set(body, "temperature", self._temperature(thinking, dropped))
        if stream:
            body["stream"] = True
        if marks:
            _mark_for_cache(body)
        manual = thinking.get("type") == "enabled"
        headers = {_BETA: self._betas} if manual and tools.tools and self._version >= (4, 0) else {}
        return HttpCall("/v1/messages", body, headers, names.reverse(mangled), output_tool, tools.text)

    def decode(self, body: JsonObject, call: HttpCall) -> ModelReply:
        """A non-streaming answer."""
        return read_reply(body, Reading(self.origin, self.label, call))

    def decoder(self, call: HttpCall) -> AnthropicDecoder:
        """A reader for one stream."""
        return AnthropicDecoder(Reading(self.origin, self.label, call))

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ModelError:
        """What an error answer means."""
        return to_error(self.label, read_fault(status, headers, body))

    def _thinking(self, dropped: frozenset[str], messages: Sequence[JsonObject]) -> JsonObject:
        """The `thinking` field; empty where it is to be left out."""
        section = self._llm.thinking
        if section is None or "thinking" in dropped:
            return {}
        if not section.enabled:
            return {"type": "disabled"} if self._adaptive else {}
        if self._adaptive:
            return {"type": "adaptive", "display": "summarized"}
        old = (0, 0) < self._version < (3, 7)
        if old or not _starts_with_thought(messages):
            return {}
        return {"type": "enabled", "budget_tokens": max(section.budget_tokens, 1024)}

    def _max_tokens(self, thinking: JsonObject, dropped: frozenset[str]) -> int:
        """The mandatory limit. It counts thinking, so that a fixed budget is added when the limit leaves no room."""
        if "max_tokens" in dropped:
            return _SMALL_ANSWER + int(thinking.get("budget_tokens", 0))
        limit = self._llm.max_tokens or _usual_limit(self._version)
        budget = int(thinking.get("budget_tokens", 0))
        return limit if limit > budget else limit + budget

    def _output_tool(self, request: ModelRequest, dropped: frozenset[str]) -> str | None:
        """Models that cannot be given a schema are given a tool to call with the answer."""
        if request.output is None or (self._version >= (4, 5) and "output_config" not in dropped):
            return None
        name = _OUTPUT_TOOL
        while any(tool.name == name for tool in request.tools):
            name += "_"
        return name

    def _output_config(self, output: OutputSchema | None, thinking: JsonObject, dropped: frozenset[str]) -> JsonObject:
        config: JsonObject = {}
        if "output_config" in dropped:
            return config
        if thinking.get("type") == "adaptive" and self._llm.thinking and "effort" not in dropped:
            config["effort"] = effort(self._llm.thinking)
        if output is not None and self._version >= (4, 5):
            config["format"] = {"type": "json_schema", "schema": schema.close(output.schema)}
        return config

    def _tool_choice(
        self, request: ModelRequest, thinking: JsonObject, output_tool: str | None, dropped: frozenset[str]
    ) -> JsonObject:
        """Manual thinking forbids forcing a tool; then the model is only offered it."""
        single = self._llm.parallel_tool_calls is False and "parallel_tool_calls" not in dropped
        choice: JsonObject = {"disable_parallel_tool_use": True} if single else {}
        free = thinking.get("type") != "enabled"
        if output_tool and free and request.tool_choice != "none":
            return {"type": "any", **choice} if request.tools else {"type": "tool", "name": output_tool}
        if output_tool:
            return {"type": "auto"} if not free else {"type": "tool", "name": output_tool}
        if request.tool_choice == "none":
            return {"type": "none"}
        if request.tool_choice == "required" and free:
            return {"type": "any", **choice}
        return {"type": "auto", **choice} if choice else {}

    def _temperature(self, thinking: JsonObject, dropped: frozenset[str]) -> float | None:
        """Only when it was set, and only for models that take it; the scale ends at 1."""
        wanted = self._llm.temperature
        if wanted is None or not self._samples or "temperature" in dropped or thinking.get("type") == "enabled":
            return None
        return min(wanted, 1.0)


def effort(section: ThinkingSection) -> str:
    """The level for models that think as much as they find right; derived from the budget when none is given."""
    if section.effort is not None:
        return section.effort
    return next((level for limit, level in _EFFORTS if section.budget_tokens <= limit), "xhigh")


def _usual_limit(version: tuple[int, int]) -> int:
    if version >= (4, 6):
        return 16384
    return _SMALL_ANSWER if (0, 0) < version < (3, 5) else 8192


def _set(body: JsonObject, key: str, value: Any) -> None:
    """Leave out what is not to be said."""
    if value is not None and value != {}:
        body[key] = value


def _tools(request: ModelRequest, mangled: Mapping[str, str], output_tool: str | None, *, marked: bool) -> Wording:
    """What the model may call. `marked`: they are the last of what is the same in every conversation."""

    def whole(tools: list[JsonObject]) -> list[JsonObject]:
        if request.output is not None and output_tool:
            tools.append(_tool(ToolSpec(output_tool, _OUTPUT_HINT, request.output.schema), {}))
        if marked and tools:
            tools[-1]["cache_control"] = _CACHED
        return tools

    shape = (output_tool, encoded(request.output.schema)) if request.output is not None and output_tool else None
    return worded(request, mangled, ("anthropic", marked, shape), lambda tool: _tool(tool, mangled), whole)


def _tool(spec: ToolSpec, mangled: Mapping[str, str]) -> JsonObject:
    tool: JsonObject = {"name": mangled.get(spec.name, spec.name), "input_schema": schema.parameters(spec.parameters)}
    if spec.description:
        tool["description"] = spec.description
    return tool


def _starts_with_thought(messages: Sequence[JsonObject]) -> bool:
    """With a fixed budget, a tool loop that began without thinking (elsewhere, perhaps) must go on without."""
    last = next((message["content"] for message in reversed(messages) if message["role"] == "assistant"), None)
    if last is None or messages[-1]["content"][0].get("type") != "tool_result":
        return True
    return last[0].get("type") in THOUGHTS


def _mark_for_cache(body: JsonObject) -> None:
    """Two marks: after what is the same in every conversation, and after what is the same in this one's next turn.

    Without a system text, the first mark stands behind the tools (`_tools`).
    """
    if "system" in body:
        body["system"][-1]["cache_control"] = _CACHED
    last = body["messages"][-1] if body["messages"] else None
    if last is not None and last["role"] == "user":
        last["content"][-1]["cache_control"] = _CACHED
