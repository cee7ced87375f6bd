"""chat/completions as a strict compatible server, with OpenAI's rules for OpenAI's model names, and as Azure."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

from tests.models.fakeprovider.dialect import USAGE, Refusal, Seen, call_id, need, only, sse
from tests.models.fakeprovider.openai_rules import (
    EFFORTS,
    IMAGES,
    NAME,
    arguments,
    check_audio,
    check_data_url,
    check_function,
    check_head,
    check_strict,
    check_tool_settings,
    error,
    pieces,
    reasons,
    refuse,
)
from tests.models.fakeprovider.turn import Turn

_AZURE = re.compile(r"/openai/deployments/([^/]+)/chat/completions")
_KEYS = (
    "model messages tools tool_choice parallel_tool_calls response_format temperature max_tokens max_completion_tokens "
    "reasoning_effort stream stream_options"
)
_FINISH = {"": "stop", "stop": "stop", "length": "length", "content_filter": "content_filter", "pause": "stop"}
_THOUGHT = "reasoning_content"


class OpenAiChatDialect:
    """Remembers the reasoning that it gave with calls, and wants it back until the turn is over."""

    name = "openai-chat"
    stream_type = "text/event-stream"

    def __init__(self) -> None:
        self._thoughts: dict[tuple[str, str], str] = {}

    def handles(self, request: Seen) -> bool:
        return request.path == "/v1/chat/completions" or _AZURE.fullmatch(request.path) is not None

    def streams(self, request: Seen) -> bool:
        return request.body.get("stream") is True

    def model(self, request: Seen) -> str:
        azure = _AZURE.fullmatch(request.path)
        return azure[1] if azure else str(request.body["model"])

    # what it refuses

    def check(self, request: Seen) -> None:
        check_head(request)
        if _AZURE.fullmatch(request.path):
            need("api-key" in request.headers and "authorization" not in request.headers, "no api-key", status=401)
            need(re.fullmatch(r"api-version=[\w-]+", request.query), "Resource not found", status=404)
        else:
            need("api-key" not in request.headers, "api-key header", status=401)
        body = request.body
        only(body, _KEYS, "")
        need(isinstance(body.get("model"), str) and body["model"], "you must provide a model parameter")
        self._check_settings(body)
        check_tool_settings(body)
        for tool in body.get("tools", ()):
            need(set(tool) == {"type", "function"} and tool["type"] == "function", "Invalid 'tools[0]'", param="tools")
            only(tool["function"], "name description parameters strict", "tools[0].function.")
            check_function(tool["function"])
        names = [tool["function"]["name"] for tool in body.get("tools", ())]
        need(len(set(names)) == len(names), "Duplicate function names", param="tools")
        self._check_format(body.get("response_format"))
        self._check_messages(body["messages"], self.model(request))

    def _check_settings(self, body: Mapping[str, Any]) -> None:
        if reasons(body["model"]):
            refuse(body, "max_tokens", " Use 'max_completion_tokens' instead.")
            if body.get("reasoning_effort") != "none":
                refuse(body, "temperature")
            if "tools" in body and re.match(r"gpt-(5\.[4-9]|6)", body["model"]):
                text = "Function tools with reasoning_effort are not supported here; set it to 'none'."
                need(body.get("reasoning_effort") == "none", text, param="reasoning_effort")
        elif body["model"].startswith("gpt-4"):
            refuse(body, "reasoning_effort")
        need("max_tokens" not in body or "max_completion_tokens" not in body, "max_tokens and max_completion_tokens")
        need(body.get("reasoning_effort", "low") in EFFORTS, "Invalid 'reasoning_effort'", param="reasoning_effort")
        need(body.get("stream") is not False, "send stream only when it is wanted")
        need("stream_options" not in body or body.get("stream"), "'stream_options' is only allowed with 'stream'")
        need(body.get("stream_options", {"include_usage": True}) == {"include_usage": True}, "Invalid 'stream_options'")

    def _check_format(self, value: Mapping[str, Any] | None) -> None:
        if value is None:
            return
        need(value.get("type") == "json_schema" and set(value) == {"type", "json_schema"}, "Invalid 'response_format'")
        shape = value["json_schema"]
        only(shape, "name schema strict", "response_format.json_schema.")
        need(NAME.fullmatch(shape["name"]), "Invalid 'response_format.json_schema.name'")
        if shape.get("strict"):
            check_strict(shape["schema"], "response_format")

    def _check_messages(self, messages: Sequence[Mapping[str, Any]], model: str) -> None:
        need(messages, "Invalid 'messages': empty array")
        last_user = max((at for at, message in enumerate(messages) if message["role"] == "user"), default=-1)
        waiting: list[str] = []
        for at, message in enumerate(messages):
            role = message["role"]
            if role == "tool":
                self._check_result(message, waiting)
                continue
            text = "An assistant message with 'tool_calls' must be followed by tool messages for each 'tool_call_id'"
            need(not waiting, f"{text}: {waiting}")
            if role == "system":
                need(at == 0, "the system message must come first")
                need(set(message) == {"role", "content"} and message["content"], "empty system message")
            elif role == "user":
                only(message, "role content", "messages.")
                self._check_user(message["content"])
            else:
                need(role == "assistant", f"Invalid role {role!r}")
                waiting = self._check_assistant(message)
                self._check_thought(message, model, current=at > last_user)
        need(not waiting, "tool calls without results")
        need(messages[-1]["role"] in {"user", "tool"}, "the last message must be the user's or a tool's")

    def _check_user(self, content: Any) -> None:
        need(content, "empty user message")
        if isinstance(content, str):
            return
        for part in content:
            match part["type"]:
                case "text":
                    need(set(part) == {"type", "text"} and part["text"], "empty text part")
                case "image_url":
                    check_data_url(part["image_url"]["url"], IMAGES)
                case "input_audio":
                    check_audio(part["input_audio"])
                case "file":
                    only(part["file"], "filename file_data file_id", "file.")
                    check_data_url(part["file"]["file_data"], "application/pdf")
                case other:
                    need(False, f"Invalid content type {other!r}")

    def _check_assistant(self, message: Mapping[str, Any]) -> list[str]:
        only(message, f"role content tool_calls {_THOUGHT}", "messages.")
        content, calls = message["content"], message.get("tool_calls")
        need(content is None or (isinstance(content, str) and content), "assistant content must be null or a text")
        need(content or calls, "assistant message must have content or tool_calls")
        need(calls is None or calls, "Invalid 'tool_calls': empty array")
        for call in calls or ():
            need(set(call) == {"id", "type", "function"} and call["type"] == "function", "Invalid 'tool_calls[0]'")
            need(0 < len(call["id"]) <= 40, "Invalid 'tool_calls[0].id': string too long", param="tool_calls")
            need(NAME.fullmatch(call["function"]["name"]), "Invalid 'tool_calls[0].function.name'")
            need(isinstance(json.loads(call["function"]["arguments"]), dict), "arguments must be a JSON object")
        return [call["id"] for call in calls or ()]

    def _check_result(self, message: Mapping[str, Any], waiting: list[str]) -> None:
        only(message, "role tool_call_id content", "messages.")
        text = "messages with role 'tool' must be a response to a preceding message with 'tool_calls'"
        need(message["tool_call_id"] in waiting, text)
        need(isinstance(message["content"], str), "tool content must be a text")
        waiting.remove(message["tool_call_id"])

    def _check_thought(self, message: Mapping[str, Any], model: str, *, current: bool) -> None:
        ids = [call["id"] for call in message.get("tool_calls", ())]
        given = next((self._thoughts[model, found] for found in ids if (model, found) in self._thoughts), None)
        if current:
            need(message.get(_THOUGHT) == given, f"{_THOUGHT} must be passed back as it was until the turn is over")
        else:
            need(_THOUGHT not in message, f"{_THOUGHT} of earlier turns must not be sent")

    # how it answers

    def last_words(self, request: Seen) -> str:
        messages = request.body["messages"]
        results = list(takewhile(lambda message: message["role"] == "tool", reversed(messages)))[::-1]
        content = "\n".join(message["content"] for message in results) or messages[-1]["content"]
        if isinstance(content, str):
            return content
        return "\n".join(part["text"] for part in content if part["type"] == "text")

    def _calls(self, request: Seen, turn: Turn) -> list[dict[str, Any]]:
        calls = [
            {
                "id": call_id("call_", request, index),
                "type": "function",
                "function": {"name": call.name, "arguments": arguments(call.args)},
            }
            for index, call in enumerate(turn.calls)
        ]
        if turn.thinking:
            self._thoughts |= {(self.model(request), str(call["id"])): turn.thinking for call in calls}
        return calls

    def body(self, request: Seen, turn: Turn) -> bytes:
        calls = self._calls(request, turn)
        message: dict[str, Any] = {"role": "assistant", "content": turn.text or None, "refusal": None}
        if turn.thinking:
            message[_THOUGHT] = turn.thinking
        if calls:
            message["tool_calls"] = calls
        choice = {"index": 0, "message": message, "finish_reason": _finish(turn), "logprobs": None}
        head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": self.model(request)}
        return json.dumps({**head, "choices": [choice], "usage": _usage()}).encode()

    def events(self, request: Seen, turn: Turn) -> list[bytes]:
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": self.model(request)}
        chunks = []
        if _AZURE.fullmatch(request.path):
            chunks.append({**head, "choices": [], "prompt_filter_results": [{"prompt_index": 0}]})
        for delta in _deltas(turn, self._calls(request, turn)):
            chunks.append({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": _finish(turn)}]})
        if "stream_options" in request.body:
            chunks.append({**head, "choices": [], "usage": _usage()})
        return [*map(sse, chunks), b"data: [DONE]\n\n"]

    def noise(self) -> bytes:
        return b": keep-alive\n\n" + sse({"id": "x", "choices": [], "obfuscation": "ab", "usage": None})

    def error(self, refusal: Refusal) -> bytes:
        return json.dumps(error(refusal)).encode()

    def stream_error(self, refusal: Refusal) -> bytes:
        return sse(error(refusal))


def _finish(turn: Turn) -> str:
    return "tool_calls" if turn.calls and not turn.finish else _FINISH[turn.finish]


def _usage() -> dict[str, Any]:
    cached = {"cached_tokens": USAGE["cache_read"], "cache_write_tokens": USAGE["cache_write"]}
    return {
        "prompt_tokens": USAGE["input"],
        "completion_tokens": USAGE["output"],
        "total_tokens": USAGE["input"] + USAGE["output"],
        "prompt_tokens_details": cached,
        "completion_tokens_details": {"reasoning_tokens": USAGE["reasoning"]},
    }


def _deltas(turn: Turn, calls: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": ""}
    for piece in pieces(turn.thinking):
        yield {_THOUGHT: piece}
    for piece in turn.chunks:
        yield {"content": piece}
    for index, call in enumerate(calls):
        function = call["function"]
        yield {"tool_calls": [{**call, "index": index, "function": {"name": function["name"], "arguments": ""}}]}
        for piece in pieces(function["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
