"""Anthropic's Messages API: what it refuses, and how it answers."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tests.models.fakeprovider.dialect import (
    BAD_KEY,
    USAGE,
    Refusal,
    Seen,
    call_id,
    good_image,
    is_base64,
    need,
    only,
    sign,
    sse,
)
from tests.models.fakeprovider.turn import Call, Turn

_KEYS = (
    "model max_tokens system messages stop_sequences stream tools tool_choice thinking output_config metadata "
    "temperature top_p top_k"
)
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_CACHE = "cache_control"
_STOPS = {
    "": "end_turn",
    "stop": "end_turn",
    "length": "max_tokens",
    "content_filter": "refusal",
    "pause": "pause_turn",
}
SECRET_THOUGHT = "c2VjcmV0IHRob3VnaHQ="


def version(model: str) -> tuple[int, int]:
    """(5, 5) for claude-sonnet-5-5, (4, 0) for claude-sonnet-4-20250514."""
    numbers = [int(part) for part in model.split("-") if part.isdigit() and len(part) < 3]
    return (numbers[0], numbers[1] if len(numbers) > 1 else 0) if numbers else (9, 9)


class AnthropicDialect:
    """Remembers every turn that it gave, to see that it comes back unchanged."""

    name = "anthropic"
    stream_type = "text/event-stream; charset=utf-8"

    def __init__(self) -> None:
        self._given: list[tuple[str, list[dict[str, Any]]]] = []

    def handles(self, request: Seen) -> bool:
        return request.path == "/v1/messages"

    def streams(self, request: Seen) -> bool:
        return request.body.get("stream") is True

    def model(self, request: Seen) -> str:
        return str(request.body["model"])

    # what it refuses

    def check(self, request: Seen) -> None:
        key = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        need(key and key != BAD_KEY, "invalid x-api-key", status=401)
        need(request.method == "POST", "method not allowed", status=405)
        api = request.headers.get("anthropic-version")
        need(api in {"2023-06-01", "2026-10-21"}, f"anthropic-version: {api!r} is not a valid version")
        need(request.headers.get("content-type") == "application/json", "content-type must be application/json")
        body = request.body
        need(isinstance(body, dict), "the body is not a JSON object")
        only(body, _KEYS, "")
        need(isinstance(body.get("model"), str), "model: Field required")
        need(isinstance(body.get("max_tokens"), int) and body["max_tokens"] > 0, "max_tokens: Field required")
        self._check_parameters(body, api == "2026-10-21")
        self._check_tools(body)
        self._check_system(body.get("system"))
        self._check_messages(body["messages"], body["model"])
        need(json.dumps(body).count(f'"{_CACHE}"') <= 4, "A maximum of 4 blocks with cache_control may be provided.")

    def _check_parameters(self, body: Mapping[str, Any], latest: bool) -> None:
        number = version(body["model"])
        thinking = body.get("thinking") or {}
        manual = thinking.get("type") == "enabled"
        for name in ("temperature", "top_p", "top_k"):
            refused = latest or number >= (4, 7)
            need(name not in body or not refused, f"{name}: Extra inputs are not permitted", param=name)
        need(0 <= body.get("temperature", 1) <= 1, "temperature: range: 0..1")
        if thinking:
            need(thinking.get("type") in {"enabled", "adaptive", "disabled"}, "thinking.type: unknown")
            only(thinking, "type budget_tokens" if manual else "type display", "thinking.")
        if manual:
            need(number < (4, 7), "thinking.type: enabled is not supported for this model, use adaptive")
            need(
                1024 <= thinking["budget_tokens"] < body["max_tokens"], "max_tokens must be greater than budget_tokens"
            )
            need(body.get("temperature", 1) == 1, "temperature may only be set to 1 when thinking is enabled")
            choice = body.get("tool_choice", {}).get("type", "auto")
            need(choice in {"auto", "none"}, "Thinking may not be enabled when tool_choice forces tool use.")
        need(thinking.get("type") != "adaptive" or number >= (4, 6), "adaptive thinking is not supported on this model")
        self._check_output(body.get("output_config", {}), number)

    def _check_output(self, config: Mapping[str, Any], number: tuple[int, int]) -> None:
        only(config, "effort format", "output_config.")
        if "effort" in config:
            need(number >= (4, 6), "effort is not supported on this model", param="effort")
            need(config["effort"] in {"low", "medium", "high", "xhigh", "max"}, "output_config.effort: unknown")
        if "format" in config:
            need(number >= (4, 5), "output_config.format is not supported on this model")
            need(config["format"].get("type") == "json_schema", "output_config.format.type: unknown")
            self._check_closed(config["format"]["schema"])

    def _check_closed(self, schema: Any) -> None:
        if isinstance(schema, list):
            for item in schema:
                self._check_closed(item)
        if not isinstance(schema, dict):
            return
        if schema.get("type") == "object":
            closed = schema.get("additionalProperties") is False
            need(closed, "output_config.format.schema: For 'object' type, 'additionalProperties' must be false")
        for bound in ("minimum", "maximum", "minLength", "maxLength", "maxItems"):
            need(bound not in schema or isinstance(schema[bound], dict), f"property '{bound}' is not supported")
        for value in schema.values():
            self._check_closed(value)

    def _check_tools(self, body: Mapping[str, Any]) -> None:
        tools = body.get("tools", [])
        for tool in tools:
            only(tool, f"name description input_schema strict {_CACHE}", "tools.0.")
            need(_NAME.fullmatch(tool["name"]), f"tools.0.name: {tool['name']!r} should match '{_NAME.pattern}'")
            need(tool["input_schema"].get("type") == "object", "tools.0.input_schema.type: Input should be 'object'")
            need("$schema" not in tool["input_schema"], "tools.0.input_schema: $schema")
        need(len({tool["name"] for tool in tools}) == len(tools), "tools: Tool names must be unique.")
        choice = body.get("tool_choice")
        need(choice is None or tools, "tool_choice may only be specified while providing tools")
        if choice is not None:
            need(choice.get("type") in {"auto", "any", "tool", "none"}, "tool_choice.type: unknown")
            only(choice, "type name disable_parallel_tool_use", "tool_choice.")

    def _check_system(self, system: Any) -> None:
        if isinstance(system, list):
            need(system, "system: must not be empty")
            for block in system:
                only(block, f"type text {_CACHE}", "system.0.")
                need(block["text"].strip(), "system: text content blocks must be non-empty")
        else:
            need(system is None or system, "system: must not be empty")

    def _check_messages(self, messages: Sequence[Mapping[str, Any]], model: str) -> None:
        need(messages, "messages: at least one message is required")
        need(messages[0]["role"] == "user", 'messages: first message must use the "user" role')
        for message, following in zip(messages, [*messages[1:], None], strict=True):
            only(message, "role content", "messages.0.")
            need(message["role"] in {"user", "assistant"}, f"messages: Unexpected role {message['role']!r}")
            need(following is None or following["role"] != message["role"], "messages: roles must alternate")
            need(isinstance(message["content"], list) and message["content"], "messages: content must not be empty")
            for block in message["content"]:
                self._check_block(block, message["role"])
            if message["role"] == "assistant":
                thought = message["content"][-1]["type"] in {"thinking", "redacted_thinking"}
                need(not thought, "The final block in an assistant message cannot be `thinking`.")
                self._check_answered(message["content"], following)
                self._check_unchanged(message["content"], model)
        self._check_orphans(messages)
        last = messages[-1]
        paused = last["content"] in [blocks for _, blocks in self._given]
        need(last["role"] == "user" or paused, "This model does not support assistant message prefill.")

    def _check_block(self, block: Mapping[str, Any], role: str) -> None:
        kinds = {
            "user": {"text", "image", "document", "tool_result"},
            "assistant": {"text", "tool_use", "thinking", "redacted_thinking"},
        }
        kind = block["type"]
        need(kind in kinds[role], f"messages: {kind} blocks are not allowed in a {role} message")
        match kind:
            case "text":
                only(block, f"type text {_CACHE}", "messages.0.content.0.")
                need(block["text"].strip(), "messages: text content blocks must be non-empty")
            case "image" | "document":
                self._check_source(kind, block)
            case "tool_use":
                only(block, f"type id name input caller {_CACHE}", "messages.0.content.0.")
                need(isinstance(block["input"], dict), "tool_use.input: Input should be a valid dictionary")
                need(re.fullmatch(r"[a-zA-Z0-9_-]+", block["id"]), "tool_use.id: String should match pattern")
                need(_NAME.fullmatch(block["name"]), "tool_use.name: String should match pattern")
            case "thinking":
                only(block, "type thinking signature", "messages.0.content.0.")
                need(block["signature"] == sign(block["thinking"]), "Invalid `signature` in `thinking` block")
            case "redacted_thinking":
                need(block == {"type": kind, "data": SECRET_THOUGHT}, "Invalid `data` in `redacted_thinking` block")
            case _:
                self._check_result(block)

    def _check_result(self, block: Mapping[str, Any]) -> None:
        only(block, f"type tool_use_id content is_error {_CACHE}", "messages.0.content.0.")
        content = block.get("content", "")
        if not isinstance(content, str):
            for item in content:
                need(item["type"] in {"text", "image", "document"}, "tool_result.content: unknown block")
                self._check_block(item, "user")

    def _check_source(self, kind: str, block: Mapping[str, Any]) -> None:
        only(block, f"type source title context citations {_CACHE}", "messages.0.content.0.")
        source = block["source"]
        match source["type"], kind:
            case "base64", "image":
                need(good_image(source["media_type"], source["data"]), "image.source: Could not process image")
            case "base64", _:
                need(
                    source["media_type"] == "application/pdf" and is_base64(source["data"]),
                    "document.source: not a PDF",
                )
            case "text", "document":
                need(source["media_type"] == "text/plain" and source["data"], "document.source: bad text")
            case "url", _:
                need(re.match(r"https?://", source["url"]), "source.url: Only HTTPS URLs are supported.")
            case _:
                need(False, "source.type: unknown")

    def _check_answered(self, content: Sequence[Mapping[str, Any]], following: Mapping[str, Any] | None) -> None:
        asked = [block["id"] for block in content if block["type"] == "tool_use"]
        if not asked:
            return
        blocks = following["content"] if following else []
        answered = [block.get("tool_use_id") for block in blocks[: len(asked)]]
        text = "`tool_use` ids were found without `tool_result` blocks immediately after"
        need(sorted(asked) == sorted(str(found) for found in answered), f"messages: {text}: {asked}")

    def _check_orphans(self, messages: Sequence[Mapping[str, Any]]) -> None:
        asked: list[str] = []
        for message in messages:
            found = [block["tool_use_id"] for block in message["content"] if block["type"] == "tool_result"]
            unknown = [item for item in found if item not in asked]
            need(not unknown, f"messages: unexpected `tool_use_id` found in `tool_result` blocks: {unknown}")
            need(len(set(found)) == len(found), "each tool_use must have a single result")
            asked = [block["id"] for block in message["content"] if block["type"] == "tool_use"]

    def _check_unchanged(self, content: list[dict[str, Any]], model: str) -> None:
        """A turn that we gave, known by its calls, must be there block for block; thoughts only for their own model."""
        ids = {block["id"] for block in content if block["type"] == "tool_use"}
        for author, given in self._given:
            if ids & {block.get("id") for block in given}:
                expected = given if author == model else _foreign(given)
                text = "`thinking` blocks in the latest assistant message cannot be modified"
                need(_contains(content, expected), f"messages: {text}")

    # how it answers

    def last_words(self, request: Seen) -> str:
        words = []
        for block in request.body["messages"][-1]["content"]:
            if block["type"] == "text":
                words.append(block["text"])
            elif block["type"] == "tool_result":
                content = block.get("content", "")
                words.append(content if isinstance(content, str) else content[0].get("text", ""))
        return "\n".join(words)

    def _blocks(self, request: Seen, turn: Turn) -> list[dict[str, Any]]:
        turn = _as_call(request, turn)
        blocks: list[dict[str, Any]] = []
        if turn.thinking:
            blocks.append({"type": "thinking", "thinking": turn.thinking, "signature": sign(turn.thinking)})
        if turn.redacted:
            blocks.append({"type": "redacted_thinking", "data": SECRET_THOUGHT})
        if turn.text:
            blocks.append({"type": "text", "text": turn.text})
        for index, call in enumerate(turn.calls):
            found = call_id("toolu_", request, index)
            block = {"type": "tool_use", "id": found, "name": call.name, "input": call.args}
            blocks.append(block if index else {**block, "caller": {"type": "direct"}})
        return blocks

    def _remember(self, request: Seen, blocks: Sequence[dict[str, Any]]) -> None:
        parsed = [{**block, "input": _object(block["input"])} if "input" in block else block for block in blocks]
        self._given.append((self.model(request), parsed))

    def _stop(self, request: Seen, turn: Turn) -> str:
        return "tool_use" if _as_call(request, turn).calls and not turn.finish else _STOPS[turn.finish]

    def _envelope(self, request: Seen) -> dict[str, Any]:
        return {
            "id": "msg_01",
            "type": "message",
            "role": "assistant",
            "model": request.body["model"],
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {
                "input_tokens": USAGE["input"] - USAGE["cache_read"] - USAGE["cache_write"],
                "cache_creation_input_tokens": USAGE["cache_write"],
                "cache_read_input_tokens": USAGE["cache_read"],
                "output_tokens": 1,
            },
        }

    def body(self, request: Seen, turn: Turn) -> bytes:
        blocks = self._blocks(request, turn)
        self._remember(request, blocks)
        answer = self._envelope(request)
        answer["content"] = [
            {**block, "input": _object(block["input"])} if "input" in block else block for block in blocks
        ]
        answer["stop_reason"] = self._stop(request, turn)
        answer["usage"]["output_tokens"] = USAGE["output"]
        answer["usage"]["output_tokens_details"] = {"thinking_tokens": USAGE["reasoning"]}
        return json.dumps(answer).encode()

    def events(self, request: Seen, turn: Turn) -> list[bytes]:
        blocks = self._blocks(request, turn)
        self._remember(request, blocks)
        events = [{"type": "message_start", "message": self._envelope(request)}]
        for index, block in enumerate(blocks):
            events += _block_events(index, block, turn)
        usage = {
            "input_tokens": None,
            "output_tokens": USAGE["output"],
            "output_tokens_details": {"thinking_tokens": USAGE["reasoning"]},
        }
        delta = {"stop_reason": self._stop(request, turn), "stop_sequence": None}
        events.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 3}})
        events.append({"type": "message_delta", "delta": delta, "usage": usage})
        events.append({"type": "message_stop"})
        return [sse(event, str(event["type"])) for event in events]

    def noise(self) -> bytes:
        unknown = {"type": "content_block_delta", "index": 0, "delta": {"type": "novel_delta", "novel": 1}}
        return (
            b": keep-alive\n\n"
            + sse({"type": "ping"}, "ping")
            + sse({"type": "novelty", "a": 1}, "novelty")
            + sse(unknown, "content_block_delta")
        )

    def error(self, refusal: Refusal) -> bytes:
        return json.dumps({**_error(refusal), "request_id": "req_01"}).encode()

    def stream_error(self, refusal: Refusal) -> bytes:
        return sse(_error(refusal), "error")


def _error(refusal: Refusal) -> dict[str, Any]:
    error: dict[str, Any] = {
        "type": refusal.kind or _KINDS.get(refusal.status, "api_error"),
        "message": refusal.message,
    }
    if refusal.code:
        error["details"] = {"error_code": refusal.code}
    return {"type": "error", "error": error}


def _as_call(request: Seen, turn: Turn) -> Turn:
    """A structured answer from a model that was given a tool for it instead of a format."""
    native = "format" in request.body.get("output_config", {})
    tools = [tool["name"] for tool in request.body.get("tools", ()) if tool["name"].startswith("give_answer")]
    if not turn.as_output or native or not tools:
        return turn
    return replace(turn, text="", calls=(Call(tools[0], turn.text),))


def _object(args: Any) -> Any:
    """Arguments as the client shall send them back: `{}` for what was malformed."""
    if not isinstance(args, str):
        return args
    try:
        return json.loads(args)
    except ValueError:
        return {}


def _foreign(given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What remains of a turn for another model: no thoughts, none of the author's own notes."""
    return [
        {key: value for key, value in block.items() if key != "caller"}
        for block in given
        if "thinking" not in block["type"]
    ]


def _contains(content: Sequence[Any], given: Sequence[Any]) -> bool:
    plain = [{key: value for key, value in block.items() if key != _CACHE} for block in content]
    return any(plain[at : at + len(given)] == list(given) for at in range(len(plain)))


def _block_events(index: int, block: Mapping[str, Any], turn: Turn) -> Iterator[dict[str, Any]]:
    """Start, deltas, stop of one content block."""
    deltas: list[dict[str, Any]] = []
    start = dict(block)
    match block["type"]:
        case "text":
            start["text"] = ""
            deltas = [{"type": "text_delta", "text": piece} for piece in turn.chunks]
        case "thinking":
            start |= {"thinking": "", "signature": ""}
            half = len(block["thinking"]) // 2
            deltas = [
                {"type": "thinking_delta", "thinking": block["thinking"][:half]},
                {"type": "thinking_delta", "thinking": block["thinking"][half:]},
                {"type": "signature_delta", "signature": block["signature"]},
            ]
        case "tool_use":
            start["input"] = {}
            args = block["input"]
            text = args if isinstance(args, str) else json.dumps(args) if args else ""
            pieces = ["", *(text[at : at + 9] for at in range(0, len(text), 9))]
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        case _:
            pass  # redacted thinking comes whole in the start
    yield {"type": "content_block_start", "index": index, "content_block": start}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}
