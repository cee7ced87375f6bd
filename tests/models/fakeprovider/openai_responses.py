"""OpenAI's Responses, stateless: every item that it gave must come back as it was, next to what it belongs to."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

from tests.models.fakeprovider.dialect import USAGE, Refusal, Seen, call_id, need, only, sign, sse
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
    is_encrypted,
    pieces,
    reasons,
    refuse,
)
from tests.models.fakeprovider.turn import Turn

_KEYS = (
    "model instructions input tools tool_choice parallel_tool_calls text temperature max_output_tokens reasoning "
    "include store stream"
)
_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}
_ENCRYPTED = "reasoning.encrypted_content"


class OpenAiResponsesDialect:
    """Remembers every item that it gave, by its id, and what followed it."""

    name = "openai-responses"
    stream_type = "text/event-stream"

    def __init__(self) -> None:
        self._given: dict[str, dict[str, Any]] = {}
        self._next: dict[str, str] = {}
        self._turns = 0

    def handles(self, request: Seen) -> bool:
        return request.path == "/v1/responses"

    def streams(self, request: Seen) -> bool:
        return request.body.get("stream") is True

    def model(self, request: Seen) -> str:
        return str(request.body["model"])

    # what it refuses

    def check(self, request: Seen) -> None:
        check_head(request)
        need("authorization" in request.headers, "You didn't provide an API key.", status=401)
        body = request.body
        only(body, _KEYS, "")
        need(isinstance(body.get("model"), str) and body["model"], "Missing required parameter: 'model'.")
        need(body.get("store") is False, "store must be false: this organization retains nothing", param="store")
        need(body.get("instructions", "x"), "empty instructions")
        self._check_settings(body)
        check_tool_settings(body)
        for tool in body.get("tools", ()):
            keys = {"type", "name", "description", "parameters", "strict"}
            need(set(tool) == keys and tool["type"] == "function", "Missing required parameter: 'tools[0].strict'.")
            check_function(tool)
        self._check_format(body.get("text"))
        self._check_items(body["input"])

    def _check_settings(self, body: Mapping[str, Any]) -> None:
        reasoning = body.get("reasoning", {})
        only(reasoning, "effort summary", "reasoning.")
        need(reasoning.get("effort", "low") in EFFORTS, "Invalid 'reasoning.effort'", param="reasoning.effort")
        need(reasoning.get("summary", "auto") in {"auto", "concise", "detailed"}, "Invalid 'reasoning.summary'")
        if reasons(body["model"]):
            if reasoning.get("effort") != "none":
                refuse(body, "temperature")
        else:
            refuse(body, "reasoning")
            need("include" not in body, "Encrypted content is not supported with this model.", param="include")
        need(body.get("include", [_ENCRYPTED]) == [_ENCRYPTED], "Invalid 'include'", param="include")

    def _check_format(self, text: Mapping[str, Any] | None) -> None:
        if text is None:
            return
        only(text, "format", "text.")
        shape = text["format"]
        need(set(shape) == {"type", "name", "schema", "strict"}, "Missing required parameter: 'text.format'")
        need(shape["type"] == "json_schema" and NAME.fullmatch(shape["name"]), "Invalid 'text.format.name'")
        if shape["strict"]:
            check_strict(shape["schema"], "text.format")

    def _check_items(self, items: Sequence[Mapping[str, Any]]) -> None:
        need(items, "Invalid 'input': empty array", param="input")
        open_calls: list[str] = []
        before: Mapping[str, Any] = {}
        for item in items:
            kind = item.get("type")
            if before.get("type") == "reasoning":
                text = f"Item '{before['id']}' of type 'reasoning' was provided without its required following item."
                need(item.get("id") == self._next[before["id"]], text)
            need(kind == "function_call_output" or kind == "function_call" or not open_calls, _missing(open_calls))
            self._check_item(item, before)
            if kind == "function_call":
                open_calls.append(item["call_id"])
            elif kind == "function_call_output":
                need(item["call_id"] in open_calls, f"No tool call found for output with call_id {item['call_id']}.")
                open_calls.remove(item["call_id"])
            before = item
        need(not open_calls, _missing(open_calls))
        need(before.get("type") != "reasoning", "reasoning at the end")

    def _check_item(self, item: Mapping[str, Any], before: Mapping[str, Any]) -> None:
        if "id" in item:
            self._check_own(item, before)
            return
        match item.get("type"):
            case "message":
                only(item, "type role content", "input[0].")
                need(item["role"] in {"user", "assistant"}, "Invalid role")
                need(isinstance(item["content"], list) and item["content"], "Invalid 'input[0].content'")
                for part in item["content"]:
                    self._check_part(part, item["role"])
            case "function_call":
                only(item, "type call_id name arguments", "input[0].")
                need(0 < len(item["call_id"]) <= 64 and NAME.fullmatch(item["name"]), "Invalid 'input[0].call_id'")
                need(isinstance(json.loads(item["arguments"]), dict), "Invalid 'input[0].arguments'")
            case "function_call_output":
                only(item, "type call_id output", "input[0].")
                for part in () if isinstance(item["output"], str) else item["output"]:
                    self._check_part(part, "user")
            case other:
                need(False, f"Invalid item type {other!r}")

    def _check_own(self, item: Mapping[str, Any], before: Mapping[str, Any]) -> None:
        """An item of ours: word for word, and a call or message not without the reasoning that led to it."""
        given = self._given.get(item["id"])
        need(given is not None, f"Item with id '{item['id']}' not found.", status=404)
        need(item == given, f"Item '{item['id']}' was changed on the way")
        if item["type"] == "reasoning":
            need(is_encrypted(item.get("encrypted_content")), f"no encrypted content in '{item['id']}'")
        needed = next((found for found, follows in self._next.items() if follows == item["id"]), None)
        text = f"Item '{item['id']}' of type '{item['type']}' was provided without its required 'reasoning' item"
        need(needed is None or before.get("id") == needed, text)

    def _check_part(self, part: Mapping[str, Any], role: str) -> None:
        match part["type"], role:
            case ("input_text", "user") | ("output_text", "assistant"):
                need(set(part) == {"type", "text"}, "Invalid text part")
            case "input_image", "user":
                only(part, "type image_url detail", "input[0].content[0].")
                check_data_url(part["image_url"], IMAGES)
            case "input_file", "user" if "file_url" in part:
                need(set(part) == {"type", "file_url"}, "Invalid input_file")
            case "input_file", "user":
                need(set(part) == {"type", "filename", "file_data"}, "Invalid input_file")
                check_data_url(part["file_data"], "application/pdf")
            case "input_audio", "user":
                check_audio(part["input_audio"])
            case kind, _:
                need(False, f"Invalid value: '{kind}' for role {role}")

    # how it answers

    def last_words(self, request: Seen) -> str:
        last = [item for item in request.body["input"] if item["type"] == "message"][-1:]
        results = list(takewhile(lambda item: "output" in item, reversed(request.body["input"])))[::-1]
        words = []
        for item in results or last:
            content = item["output"] if "output" in item else item["content"]
            found = content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)
            words.append(found)
        return "\n".join(words)

    def _items(self, request: Seen, turn: Turn) -> list[dict[str, Any]]:
        self._turns += 1
        items: list[dict[str, Any]] = []
        encrypted = "include" in request.body
        thoughts = [*([""] if turn.redacted else []), *([turn.thinking] if turn.thinking else [])]
        for at, thought in enumerate(thoughts):
            shown = thought and "summary" in request.body.get("reasoning", {})
            summary = [{"type": "summary_text", "text": thought}] if shown else []
            item: dict[str, Any] = {"type": "reasoning", "id": f"rs_{self._turns}_{at}", "summary": summary}
            items.append(item | ({"encrypted_content": sign(thought)} if encrypted else {}))
        if turn.text:
            content = [{"type": "output_text", "text": turn.text, "annotations": [], "logprobs": []}]
            head = {"type": "message", "id": f"msg_{self._turns}", "role": "assistant", "status": "completed"}
            items.append({**head, "content": content})
        for index, call in enumerate(turn.calls):
            items.append(
                {
                    "type": "function_call",
                    "id": f"fc_{self._turns}_{index}",
                    "call_id": call_id("call_", request, index),
                    "name": call.name,
                    "arguments": arguments(call.args),
                    "status": "completed",
                }
            )
        self._remember(items)
        return items

    def _remember(self, items: Sequence[dict[str, Any]]) -> None:
        self._given |= {item["id"]: item for item in items}
        for item, following in zip(items, items[1:], strict=False):
            if item["type"] == "reasoning":
                self._next[item["id"]] = following["id"]

    def _response(self, request: Seen, turn: Turn, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
        reason = _REASONS.get(turn.finish)
        return {
            "id": f"resp_{self._turns}",
            "object": "response",
            "model": self.model(request),
            "status": "incomplete" if reason else "completed",
            "error": None,
            "incomplete_details": {"reason": reason} if reason else None,
            "output": list(items),
            "usage": _usage(),
        }

    def body(self, request: Seen, turn: Turn) -> bytes:
        return json.dumps(self._response(request, turn, self._items(request, turn))).encode()

    def events(self, request: Seen, turn: Turn) -> list[bytes]:
        items = self._items(request, turn)
        final = self._response(request, turn, items)
        begun = {**final, "status": "in_progress", "output": [], "usage": None}
        events: list[dict[str, Any]] = [
            {"type": "response.created", "response": begun},
            {"type": "response.in_progress", "response": begun},
        ]
        for index, item in enumerate(items):
            events += _item_events(item, index, turn)
        events.append({"type": f"response.{final['status']}", "response": final})
        return [sse({**event, "sequence_number": at}, event["type"]) for at, event in enumerate(events)]

    def noise(self) -> bytes:
        return b": keep-alive\n\n" + sse({"type": "response.novelty", "delta": "x", "item_id": "?"}, "response.novelty")

    def error(self, refusal: Refusal) -> bytes:
        return json.dumps(error(refusal)).encode()

    def stream_error(self, refusal: Refusal) -> bytes:
        found = error(refusal)["error"]
        event = {"type": "error", "code": found["code"] or found["type"], "message": found["message"], "param": None}
        return sse({**event, "sequence_number": 9}, "error")


def _missing(open_calls: Sequence[str]) -> str:
    return f"No tool output found for function call {', '.join(open_calls)}."


def _usage() -> dict[str, Any]:
    return {
        "input_tokens": USAGE["input"],
        "input_tokens_details": {"cached_tokens": USAGE["cache_read"], "cache_write_tokens": USAGE["cache_write"]},
        "output_tokens": USAGE["output"],
        "output_tokens_details": {"reasoning_tokens": USAGE["reasoning"]},
        "total_tokens": USAGE["input"] + USAGE["output"],
    }


def _item_events(item: Mapping[str, Any], index: int, turn: Turn) -> Iterator[dict[str, Any]]:
    """Everything about one item, from its announcement to its end."""
    where = {"item_id": item["id"], "output_index": index}
    empty: dict[str, dict[str, Any]] = {
        "message": {"content": []},
        "function_call": {"arguments": ""},
        "reasoning": {"summary": []},
    }
    begun = {**item, **empty[item["type"]]}
    if item["type"] != "reasoning":
        begun["status"] = "in_progress"
    yield {"type": "response.output_item.added", "output_index": index, "item": begun}
    if item["type"] == "message":
        part = {**where, "content_index": 0}
        yield {"type": "response.content_part.added", **part, "part": {"type": "output_text", "text": ""}}
        for piece in turn.chunks:
            yield {"type": "response.output_text.delta", **part, "delta": piece, "logprobs": []}
        yield {"type": "response.output_text.done", **part, "text": turn.text, "logprobs": []}
        yield {"type": "response.content_part.done", **part, "part": item["content"][0]}
    elif item["type"] == "function_call":
        for piece in pieces(item["arguments"]):
            yield {"type": "response.function_call_arguments.delta", **where, "delta": piece}
        yield {"type": "response.function_call_arguments.done", **where, "arguments": item["arguments"]}
    for at, summary in enumerate(item.get("summary", ())):
        part = {**where, "summary_index": at}
        yield {"type": "response.reasoning_summary_part.added", **part, "part": {"type": "summary_text", "text": ""}}
        for piece in pieces(summary["text"]):
            yield {"type": "response.reasoning_summary_text.delta", **part, "delta": piece}
        yield {"type": "response.reasoning_summary_text.done", **part, "text": summary["text"]}
        yield {"type": "response.reasoning_summary_part.done", **part, "part": summary}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}
