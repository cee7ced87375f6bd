"""Ollama's chat API: what it refuses (rather more than the real one), and how it answers."""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from tests.models.fakeprovider.dialect import USAGE, Refusal, Seen, is_base64, need, only
from tests.models.fakeprovider.openai_rules import NAME, check_function, pieces
from tests.models.fakeprovider.turn import Turn

MODELS = ("nomic-embed-text:latest", "bge-m3:latest", "phi:latest", "qwen3:8b", "llama3.2:latest")
"""What `/api/tags` lists. phi knows no tools; only qwen3 and gpt-oss think."""

ABLE = {"nomic-embed-text:latest": ["embedding"], "bge-m3:latest": ["embedding"], "phi:latest": ["completion"]}
"""What `/api/show` says of those that cannot do everything."""

_KEYS = "model messages tools format think stream keep_alive options"
_OPTIONS = "num_ctx num_predict temperature"
_FINISH = {"": "stop", "stop": "stop", "length": "length", "content_filter": "stop", "pause": "stop"}


class OllamaDialect:
    """Remembers the thinking that it gave with calls, and wants it back until the turn is over."""

    name = "ollama"
    stream_type = "application/x-ndjson"

    def __init__(self) -> None:
        self._thoughts: dict[str, str] = {}

    def handles(self, request: Seen) -> bool:
        return request.path in {"/api/chat", "/api/tags", "/api/show", "/api/version"}

    def streams(self, request: Seen) -> bool:
        return request.path == "/api/chat" and request.body.get("stream") is True

    def model(self, request: Seen) -> str:
        return str(request.body["model"])

    # what it refuses

    def check(self, request: Seen) -> None:
        need(request.headers.get("authorization", "Bearer x") != "Bearer ", "unauthorized", status=401)
        if request.method == "GET":
            return
        need(request.headers.get("content-type") == "application/json", "invalid content type")
        body = request.body
        need(isinstance(body, dict), "invalid character in body")
        if request.path == "/api/show":
            only(body, "model", "")
            return
        only(body, _KEYS, "")
        model = body.get("model")
        known = isinstance(model, str) and (model.partition(":")[0] in _names() or model.startswith("gpt-oss"))
        need(known, f"model {model!r} not found", status=404)
        need(isinstance(body.get("stream"), bool), "stream: left out, it would mean true")
        only(body["options"], _OPTIONS, "options.")
        need(body["options"].get("num_ctx", 0) > 0, "options.num_ctx: the default cuts long prompts in silence")
        alive = body.get("keep_alive", "5m")
        need(isinstance(alive, int) or re.fullmatch(r"-?\d+(ms|s|m|h)", alive), f"time: missing unit in {alive!r}")
        self._check_features(body)
        self._check_messages(body["messages"])

    def _check_features(self, body: Mapping[str, Any]) -> None:
        name = body["model"].partition(":")[0]
        need(not body.get("tools") or name != "phi", f"registry.ollama.ai/library/{name} does not support tools")
        think = body.get("think")
        leveled = name.startswith("gpt-oss")
        need(think is None or isinstance(think, bool) or leveled, f'invalid think value: "{think}"')
        need(not think or name in {"qwen3", "gpt-oss"}, f'"{name}" does not support thinking')
        need(not leveled or think in {None, "low", "medium", "high"}, f'invalid think value: "{think}"')
        for tool in body.get("tools", ()):
            need(set(tool) == {"type", "function"} and tool["type"] == "function", "invalid tool")
            only(tool["function"], "name description parameters", "tools.function.")
            check_function(tool["function"])
        if "format" in body:
            need(isinstance(body["format"], dict) and "type" in body["format"], "invalid format: expected a schema")
            need(not body.get("tools"), "invalid format: unreliable together with tools")
            need(think in {False, "low"}, "invalid format: unreliable together with thinking")

    def _check_messages(self, messages: Sequence[Mapping[str, Any]]) -> None:
        last_user = max((at for at, message in enumerate(messages) if message["role"] == "user"), default=-1)
        waiting: list[str] = []
        for at, message in enumerate(messages):
            role, content = message["role"], message.get("content")
            need(isinstance(content, str), "content must be a text")
            if role == "tool":
                only(message, "role content tool_name", "messages.")
                need(message["tool_name"] in waiting, "a tool result without a call")
                waiting.remove(message["tool_name"])
                continue
            need(not waiting, f"tool calls without results: {waiting}")
            match role:
                case "system":
                    need(at == 0 and content and set(message) == {"role", "content"}, "invalid system message")
                case "user":
                    only(message, "role content images", "messages.")
                    need(content or message.get("images"), "empty user message")
                    images = message.get("images", ())
                    need(all(is_base64(image) for image in images), "illegal base64 data in images")
                case "assistant":
                    waiting = self._check_assistant(message, current=at > last_user)
                case _:
                    need(False, f"invalid role {role!r}")
        need(not waiting, f"tool calls without results: {waiting}")

    def _check_assistant(self, message: Mapping[str, Any], *, current: bool) -> list[str]:
        only(message, "role content tool_calls thinking", "messages.")
        calls = message.get("tool_calls", [])
        need(message["content"] or calls, "empty assistant message")
        for call in calls:
            need(set(call) == {"function"} and set(call["function"]) == {"name", "arguments"}, "invalid tool call")
            need(NAME.fullmatch(call["function"]["name"]), "invalid tool name")
            need(isinstance(call["function"]["arguments"], dict), "arguments must be an object")
        if current and _mark(message["content"], calls) in self._thoughts and "thinking" in message:
            given = self._thoughts[_mark(message["content"], calls)]
            need(message["thinking"] == given, "thinking was changed on the way")
        need(current or "thinking" not in message, "thinking of earlier turns must not be sent")
        return [call["function"]["name"] for call in calls]

    # how it answers

    def last_words(self, request: Seen) -> str:
        if request.path != "/api/chat":
            return ""
        messages = request.body["messages"]
        results = list(takewhile(lambda message: message["role"] == "tool", reversed(messages)))[::-1]
        return "\n".join(message["content"] for message in results or messages[-1:])

    def _message(self, turn: Turn) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": turn.text}
        if turn.thinking:
            message["thinking"] = turn.thinking
        if turn.calls:
            message["tool_calls"] = [
                {"function": {"name": call.name, "arguments": _object(call.args)}} for call in turn.calls
            ]
            self._thoughts[_mark(turn.text, message["tool_calls"])] = turn.thinking
        return message

    def body(self, request: Seen, turn: Turn) -> bytes:
        if request.path == "/api/tags":
            return json.dumps({"models": [{"name": name, "model": name, "size": 1} for name in MODELS]}).encode()
        if request.path == "/api/show":
            return json.dumps({"capabilities": ABLE.get(self.model(request), ["completion", "tools"])}).encode()
        if request.path == "/api/version":
            return b'{"version":"0.13.5"}'
        return json.dumps(self._last(request, turn) | {"message": self._message(turn)}).encode()

    def events(self, request: Seen, turn: Turn) -> list[bytes]:
        head = {"model": self.model(request), "created_at": "2026-11-01T00:00:00Z"}
        whole = self._message(turn)
        messages: list[dict[str, Any]] = [{"content": "", "thinking": piece} for piece in pieces(turn.thinking)]
        messages += [{"content": piece} for piece in turn.chunks]
        messages += [{"content": "", "tool_calls": [call]} for call in whole.get("tool_calls", ())]
        lines = [{**head, "message": {"role": "assistant", **message}, "done": False} for message in messages]
        lines.append(self._last(request, turn))
        return [_line(line) for line in lines]

    def _last(self, request: Seen, turn: Turn) -> dict[str, Any]:
        return {
            "model": self.model(request),
            "created_at": "2026-11-01T00:00:00Z",
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "done_reason": _FINISH[turn.finish],
            "total_duration": 5_000_000,
            "prompt_eval_count": USAGE["input"],
            "eval_count": USAGE["output"],
        }

    def noise(self) -> bytes:
        return b"\n"

    def error(self, refusal: Refusal) -> bytes:
        return json.dumps({"error": refusal.message}).encode()

    def stream_error(self, refusal: Refusal) -> bytes:
        return _line({"error": refusal.message})


def _names() -> set[str]:
    return {name.partition(":")[0] for name in MODELS}


def _object(args: Any) -> Any:
    return json.loads(args) if isinstance(args, str) else args


def _line(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, ensure_ascii=False) + "\n").encode()


def _mark(content: str, calls: Sequence[Any]) -> str:
    """What a turn is known by: there are no ids."""
    return json.dumps([content, calls], sort_keys=True)
