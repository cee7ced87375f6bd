"""Responses: stateless requests with the model's own items verbatim, and events as OpenAI and others send them."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import pytest

from hector.config.llm_openai import OpenAiLlm
from hector.config.thinking import Thinking as ThinkingConfig
from hector.core.content import Data, Media, Message, Replay, Text, Thinking, ToolCall, ToolResult, user
from hector.core.errors import ContextOverflow, ModelError, ModelRejected, ModelUnavailable, UnsupportedContent
from hector.core.event import Delta, TextDelta, ThinkingDelta
from hector.core.ports import ModelReply, ModelRequest, OutputSchema, ToolSpec
from hector.core.usage import FinishReason, Usage
from hector.models.openai_responses import ResponsesWire
from hector.models.wire import REPLAY, HttpCall

BASE = "https://api.openai.com/v1"
ORIGIN = "openai-responses:gpt-6.2-sol"
PNG = base64.b64encode(b"\x89PNG....").decode()
CLOSED = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
OPEN = {"type": "object", "properties": {"x": {"type": "integer"}}}

REASONING = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "First"}, {"type": "summary_text", "text": "Then"}],
    "encrypted_content": "gAAAA==",
}
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "fs_read",
    "arguments": '{"x":1}',
    "status": "completed",
}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
}
USAGE = {
    "input_tokens": 40,
    "input_tokens_details": {"cached_tokens": 25, "cache_write_tokens": 5},
    "output_tokens": 17,
    "output_tokens_details": {"reasoning_tokens": 9},
    "total_tokens": 57,
}


def wire(model: str = "gpt-6.2-sol", **settings: Any) -> ResponsesWire:
    return ResponsesWire("main", OpenAiLlm(model=model, base_url=BASE, **settings), BASE)


def ask(*messages: Message | str, **fields: Any) -> ModelRequest:
    found = tuple(user(message) if isinstance(message, str) else message for message in messages)
    return ModelRequest(fields.pop("system", ""), found, **fields)


def body(request: ModelRequest, of: ResponsesWire | None = None, *dropped: str, stream: bool = True) -> dict[str, Any]:
    return (of or wire()).encode(request, stream=stream, dropped=frozenset(dropped)).body


def read(events: Sequence[Any]) -> tuple[str, str, ModelReply]:
    """(streamed answer, streamed thinking, reply)"""
    decoder = wire().decoder(HttpCall("/", {}, names={"fs_read": "fs.read"}))
    deltas: list[Delta] = []
    for event in events:
        data = event if isinstance(event, str) else json.dumps(event)
        deltas += decoder.feed(None if isinstance(event, str) else event.get("type"), data)
    answer = "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
    return answer, "".join(delta.text for delta in deltas if isinstance(delta, ThinkingDelta)), decoder.finish()


def end(*output: Any, status: str = "completed", **fields: Any) -> dict[str, Any]:
    response = {"id": "resp_1", "object": "response", "model": "m-1", "status": status, "error": None, "usage": USAGE}
    return {"type": f"response.{status}", "response": {**response, "output": list(output), **fields}}


# the request


@pytest.mark.proves("models.openai.responses")
def test_a_plain_request() -> None:
    call = wire().encode(ask("hi", system="be kind"), stream=True, dropped=frozenset())
    assert call.path == "/responses"
    assert call.body == {
        "model": "gpt-6.2-sol",
        "instructions": "be kind",
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "stream": True,
    }
    plain = body(ask("hi"), wire("gpt-4.1"), stream=False)
    assert plain.keys() == {"model", "input", "store"}


@pytest.mark.proves("models.media", "models.openai.responses")
def test_parts_of_a_user() -> None:
    parts = (
        Data({"a": 1}),
        Media("image/png", data=PNG),
        Media("image/png", url="https://example.invalid/a.png"),
        Media("audio/mp3", data="SUQz"),
        Media("application/pdf", data="JVBERi0=", name="a.pdf"),
        Media("application/pdf", url="https://example.invalid/a.pdf"),
        Media("text/markdown", data=base64.b64encode(b"# a").decode()),
    )
    (item,) = body(ask(Message("user", parts)))["input"]
    assert item["content"] == [
        {"type": "input_text", "text": '{"a":1}'},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
        {"type": "input_image", "image_url": "https://example.invalid/a.png"},
        {"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
        {"type": "input_file", "file_url": "https://example.invalid/a.pdf"},
        {"type": "input_text", "text": "# a"},
    ]
    with pytest.raises(UnsupportedContent, match="takes no video/mp4 parts"):
        body(ask(Message("user", (Media("video/mp4", data="AAAA"),))))


@pytest.mark.proves("models.tools", "models.openai.responses")
def test_tools_are_flat_and_always_say_strict() -> None:
    request = ask("hi", tools=(ToolSpec("add", "Adds", CLOSED), ToolSpec("any", "", OPEN)), tool_choice="required")
    found = body(request, wire(parallel_tool_calls=True))
    assert found["tools"] == [
        {
            "type": "function",
            "name": "add",
            "description": "Adds",
            "parameters": CLOSED | {"additionalProperties": False},
            "strict": True,
        },
        {"type": "function", "name": "any", "description": "", "parameters": OPEN, "strict": False},
    ]
    assert (found["tool_choice"], found["parallel_tool_calls"]) == ("required", True)
    assert [tool["strict"] for tool in body(request, None, "strict")["tools"]] == [False, False]
    assert (
        body(ask("hi", tool_choice="required"), wire(parallel_tool_calls=True))
        .keys()
        .isdisjoint({"tools", "tool_choice", "parallel_tool_calls"})
    )


@pytest.mark.proves("models.structured", "models.openai.structured")
def test_the_shape_of_the_answer() -> None:
    found = body(ask("hi", output=OutputSchema(CLOSED, "out")))["text"]["format"]
    schema = CLOSED | {"additionalProperties": False}
    assert found == {"type": "json_schema", "name": "out", "schema": schema, "strict": True}
    loose = body(ask("hi", output=OutputSchema(OPEN)))["text"]["format"]
    assert loose == {"type": "json_schema", "name": "response", "schema": OPEN, "strict": False}
    words = body(ask("hi", output=OutputSchema(OPEN)), None, "text.format")
    assert "text" not in words
    assert "JSON Schema" in words["instructions"]


@pytest.mark.proves("models.openai.reasoning", "config.llms.thinking")
@pytest.mark.parametrize(
    ("model", "settings", "expected"),
    [
        ("gpt-6.2-sol", {"temperature": 0.5, "max_tokens": 9}, {"max_output_tokens": 9}),
        ("gpt-4.1", {"temperature": 0.5}, {"temperature": 0.5}),
        ("gpt-6.2-sol", {"thinking": {"effort": "high"}}, {"reasoning": {"effort": "high", "summary": "auto"}}),
        ("o3", {"thinking": {"budget_tokens": 99999}}, {"reasoning": {"effort": "high", "summary": "auto"}}),
        (
            "gpt-6.2-sol",
            {"thinking": {"enabled": False}, "temperature": 1},
            {"reasoning": {"effort": "none"}, "temperature": 1},
        ),
        ("gpt-4.1", {"thinking": {"effort": "high"}}, {}),
    ],
)
def test_settings_that_the_model_takes(model: str, settings: Any, expected: dict[str, Any]) -> None:
    if "thinking" in settings:
        settings = {**settings, "thinking": ThinkingConfig(**settings["thinking"])}
    found = body(ask("hi"), wire(model, **settings))
    rest = found.keys() - {"model", "input", "store", "include", "stream"}
    assert {key: found[key] for key in rest} == expected
    assert ("include" in found) is (model != "gpt-4.1")


@pytest.mark.proves("models.strip-and-retry")
def test_refused_settings_are_left_out() -> None:
    of = wire(thinking=ThinkingConfig(effort="low"), max_tokens=9)
    assert body(ask("hi"), of, "reasoning.summary")["reasoning"] == {"effort": "low"}
    assert body(ask("hi"), of, "reasoning", "include", "max_output_tokens").keys() == {
        "model",
        "input",
        "store",
        "stream",
    }


# replay


def turn(*parts: Any) -> tuple[Message, ...]:
    results = tuple(ToolResult(part.id, part.name, (Text("ok"),)) for part in parts if isinstance(part, ToolCall))
    return user("go"), Message("assistant", parts), Message("tool", results)


def kept(item: dict[str, Any], origin: str = ORIGIN) -> Replay:
    return Replay(origin, item)


THOUGHT = Thinking("First\n\nThen", kept(REASONING))
CALLED = ToolCall("call_1", "fs.read", {"x": 1}, None, kept(CALL))


@pytest.mark.proves("models.openai.responses", "models.openai.reasoning", "models.tools")
def test_own_items_go_back_verbatim() -> None:
    reply = wire().decode(end(REASONING, CALL)["response"], HttpCall("/", {}, names={"fs_read": "fs.read"}))
    assert reply.message.parts == (THOUGHT, CALLED)
    found = body(ask(*turn(*reply.message.parts)))["input"]
    assert found[1:] == [REASONING, CALL, {"type": "function_call_output", "call_id": "call_1", "output": "ok"}]
    assert body(ask("a", Message("assistant", (Text("Hello", kept(MESSAGE)),)), "b"))["input"][1] == MESSAGE


@pytest.mark.proves("models.openai.responses")
def test_foreign_items_are_made_anew() -> None:
    foreign = (
        Thinking("hm", kept({"type": "thinking"}, "anthropic:x")),
        Text("well"),
        ToolCall("toolu_1", "fs.read", {"x": 1}, None, kept({"type": "tool_use"}, "anthropic:x")),
    )
    made: list[dict[str, Any]] = [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "well"}]},
        {"type": "function_call", "call_id": "toolu_1", "name": "fs_read", "arguments": '{"x":1}'},
    ]
    assert body(ask(*turn(*foreign)))["input"][1:3] == made
    again = body(ask(*turn(THOUGHT, CALLED)), None, REPLAY)["input"][1:]
    assert again[0] == {**made[1], "call_id": "call_1"}
    assert again[1]["call_id"] == "call_1"
    assert body(ask(*turn(THOUGHT, CALLED)), wire("gpt-6-luna"))["input"][1]["type"] == "function_call"


@pytest.mark.parametrize(
    "parts",
    [
        (THOUGHT,),
        (Text("Hello", kept(MESSAGE)), THOUGHT),
        (THOUGHT, Text("changed on the way")),
    ],
)
def test_reasoning_never_goes_back_without_its_item(parts: tuple[Any, ...]) -> None:
    found = body(ask("a", Message("assistant", parts), "b"))["input"]
    assert all(item["type"] != "reasoning" for item in found)


def test_results_with_something_to_look_at() -> None:
    content = (Text("done"), Media("image/png", data=PNG), Media("video/mp4", data="A", name="v.mp4"))
    result = ToolResult("c1", "draw", content, is_error=True)
    messages = user("go"), Message("assistant", (ToolCall("c1", "draw", {}),)), Message("tool", (result,))
    assert body(ask(*messages))["input"][-1]["output"] == [
        {"type": "input_text", "text": "Error: done\n[image/png attached]\n[video/mp4 v.mp4]"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
    ]


# the answer


def added(item: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "response.output_item.added", "item": item, **fields}


def done(item: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "response.output_item.done", "item": item, **fields}


def by_the_book() -> list[dict[str, Any]]:
    summary = "response.reasoning_summary_text.delta"
    events = [
        {"type": "response.created", "response": {"status": "in_progress"}},
        {"type": "response.in_progress", "response": {"status": "in_progress"}},
        added({"type": "reasoning", "id": "rs_1", "summary": []}, output_index=0),
        {"type": "response.reasoning_summary_part.added", "item_id": "rs_1", "output_index": 0, "summary_index": 0},
        {"type": summary, "item_id": "rs_1", "output_index": 0, "summary_index": 0, "delta": "First"},
        {"type": "response.reasoning_summary_part.added", "item_id": "rs_1", "output_index": 0, "summary_index": 1},
        {"type": summary, "item_id": "rs_1", "output_index": 0, "summary_index": 1, "delta": "Then"},
        done(REASONING, output_index=0),
        added({**MESSAGE, "content": [], "status": "in_progress"}, output_index=1),
        {"type": "response.content_part.added", "item_id": "msg_1", "output_index": 1, "content_index": 0},
        {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 1, "delta": "Hel"},
        {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 1, "delta": "lo"},
        {"type": "response.output_text.done", "item_id": "msg_1", "output_index": 1, "text": "Hello"},
        done(MESSAGE, output_index=1),
        added({**CALL, "arguments": "", "status": "in_progress"}, output_index=2),
        {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 2, "delta": '{"x":'},
        {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 2, "delta": "1}"},
        {"type": "response.function_call_arguments.done", "item_id": "fc_1", "output_index": 2, "arguments": '{"x":1}'},
        done(CALL, output_index=2),
        {"type": "response.some.future.event", "delta": "?"},
        end(REASONING, MESSAGE, CALL),
    ]
    return [{**event, "sequence_number": at} for at, event in enumerate(events)]


def without(events: Sequence[dict[str, Any]], *fields: str) -> list[dict[str, Any]]:
    return [{key: value for key, value in event.items() if key not in fields} for event in events]


def deltas_only(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] != "response.output_item.done"]


VARIANTS: dict[str, list[Any]] = {
    "by the book": by_the_book(),
    "with [DONE]": [*by_the_book(), "[DONE]"],
    "without index and number": without(by_the_book(), "output_index", "sequence_number"),
    "created again and again": [by_the_book()[0], by_the_book()[1], *by_the_book()],
    "empty output at the end": [*by_the_book()[:-1], end()],
    "empty output, no index": without([*by_the_book()[:-1], end()], "output_index"),
    "nothing but deltas to identify": without([*by_the_book()[:-1], end()], "output_index", "item_id"),
    "no items announced": [event for event in by_the_book() if event["type"] != "response.output_item.added"],
    "other ids at the end": [
        done({**event["item"], "id": "other"}, output_index=event["output_index"])
        if event["type"] == "response.output_item.done"
        else event
        for event in by_the_book()
    ],
    "no items finished": deltas_only(by_the_book()),
}


@pytest.mark.proves("models.openai.responses", "models.usage", "models.tools")
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_stream_in_its_variants(variant: str) -> None:
    answer, thinking, reply = read(VARIANTS[variant])
    assert (answer, thinking) == ("Hello", "First\n\nThen")
    assert reply.message.parts == (THOUGHT, Text("Hello", kept(MESSAGE)), CALLED)
    assert (reply.finish, reply.model, reply.raw_finish) == (FinishReason.TOOL_CALLS, "m-1", "completed")
    assert reply.usage == Usage(40, 17, 25, 5, 9)


def test_deltas_alone_make_a_reply_that_is_not_replayed() -> None:
    answer, thinking, reply = read([*deltas_only(by_the_book())[:-1], end()])
    assert (answer, thinking) == ("Hello", "First\n\nThen")
    assert reply.message.parts == (Thinking("First\n\nThen"), Text("Hello"), ToolCall("call_1", "fs.read", {"x": 1}))


def test_text_without_deltas_is_shown_at_the_end() -> None:
    assert read([done(MESSAGE, output_index=0), end(MESSAGE)])[0] == "Hello"
    assert read([end(MESSAGE)])[0] == "Hello"


def test_open_reasoning_is_thinking() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    delta = {"type": "response.reasoning_text.delta", "item_id": "rs_1", "delta": "hm"}
    _, thinking, reply = read([added({**item, "content": []}), delta, done(item), end(item, MESSAGE)])
    assert thinking == "hm"
    assert reply.message.parts[0] == Thinking("hm", kept(item))


@pytest.mark.proves("models.finish")
@pytest.mark.parametrize(
    ("event", "finish", "raw"),
    [
        (end(MESSAGE), FinishReason.STOP, "completed"),
        (end(CALL), FinishReason.TOOL_CALLS, "completed"),
        (
            end(MESSAGE, status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
            FinishReason.LENGTH,
            "max_output_tokens",
        ),
        (
            end(MESSAGE, status="incomplete", incomplete_details={"reason": "content_filter"}),
            FinishReason.CONTENT_FILTER,
            "content_filter",
        ),
        (
            end(MESSAGE, status="incomplete", incomplete_details={"reason": "steered"}),
            FinishReason.STOP,
            "steered",
        ),
        (
            end(CALL, status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
            FinishReason.TOOL_CALLS,
            "max_output_tokens",
        ),
        (
            end({**MESSAGE, "content": [{"type": "refusal", "refusal": "no"}]}),
            FinishReason.CONTENT_FILTER,
            "completed",
        ),
        (end(status="cancelled"), FinishReason.ERROR, "cancelled"),
    ],
)
def test_finish_reasons(event: dict[str, Any], finish: FinishReason, raw: str) -> None:
    for reply in (read([event])[2], wire().decode(event["response"], HttpCall("/", {}))):
        assert (reply.finish, reply.raw_finish) == (finish, raw)


def test_a_refusal_is_shown() -> None:
    events = [
        {"type": "response.refusal.delta", "item_id": "msg_1", "delta": "I will "},
        {"type": "response.refusal.delta", "item_id": "msg_1", "delta": "not."},
        end(),
    ]
    answer, _, reply = read(events)
    assert answer == reply.message.text == "I will not."
    assert reply.finish is FinishReason.CONTENT_FILTER


@pytest.mark.proves("models.faults")
@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"type": "error", "code": "server_error", "message": "boom", "param": None}, ModelUnavailable),
        ({"type": "error", "error": {"type": "invalid_request_error", "message": "boom"}}, ModelRejected),
        ({"error": {"code": 500, "message": "boom"}}, ModelUnavailable),
        (end(status="failed", error={"code": "server_error", "message": "boom"}), ModelUnavailable),
        (end(status="failed", error={"code": "rate_limit_exceeded", "message": "boom"}), ModelUnavailable),
        (end(status="failed", error={"code": "invalid_prompt", "message": "boom"}), ModelRejected),
        (end(status="failed", error={"code": "image_too_large", "message": "boom"}), ModelRejected),
        (end(status="failed", error={"code": "context_length_exceeded", "message": "boom"}), ContextOverflow),
        (end(status="failed"), ModelUnavailable),
    ],
)
def test_failures_in_the_stream_are_raised(event: dict[str, Any], kind: type[ModelError]) -> None:
    with pytest.raises(kind, match="boom|without details") as caught:
        read([*by_the_book()[:12], event])
    assert type(caught.value) is kind


@pytest.mark.proves("models.faults")
def test_a_stream_without_an_end_is_cut_off() -> None:
    with pytest.raises(ModelUnavailable, match="cut off"):
        read(by_the_book()[:-1])
    with pytest.raises(ModelUnavailable, match="no JSON"):
        read(["{broken"])


def test_a_whole_answer_must_be_finished() -> None:
    with pytest.raises(ModelUnavailable, match="not finished"):
        wire().decode({"status": "in_progress", "output": []}, HttpCall("/", {}))
    with pytest.raises(ModelRejected, match="boom"):
        wire().decode({"status": "failed", "error": {"code": "invalid_prompt", "message": "boom"}}, HttpCall("/", {}))
