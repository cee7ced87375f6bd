"""chat/completions: requests as tables, answers as recordings of what servers in the field send."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from hector.config.llm_openai import OpenAiLlm
from hector.config.thinking import Thinking as ThinkingConfig
from hector.core.content import Content, Data, Media, Message, Part, Replay, Text, Thinking, ToolCall, ToolResult, user
from hector.core.errors import (
    AccountSpent,
    ContextOverflow,
    ModelAuthError,
    ModelRejected,
    ModelUnavailable,
    UnsupportedContent,
)
from hector.core.event import Delta, TextDelta, ThinkingDelta
from hector.core.ports import ModelReply, ModelRequest, OutputSchema, ToolSpec
from hector.core.usage import FinishReason, Usage
from hector.models.openai_chat import ChatWire
from hector.models.sound import sound
from hector.models.wire import REPLAY, HttpCall

OPENAI = "https://api.openai.com/v1"
LOCAL = "http://127.0.0.1:8000/v1"
PNG = base64.b64encode(b"\x89PNG....").decode()
CLOSED = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
OPEN = {"type": "object", "properties": {"x": {"type": "integer"}}}
NONE: frozenset[str] = frozenset()


def wire(base_url: str = LOCAL, model: str = "qwen3:8b", **settings: Any) -> ChatWire:
    return ChatWire("main", OpenAiLlm(model=model, base_url=base_url, **settings), base_url)


def ask(*messages: Message | str, **fields: Any) -> ModelRequest:
    found = tuple(user(message) if isinstance(message, str) else message for message in messages)
    return ModelRequest(fields.pop("system", ""), found, **fields)


def body(request: ModelRequest, of: ChatWire | None = None, *dropped: str, stream: bool = True) -> dict[str, Any]:
    return (of or wire()).encode(request, stream=stream, dropped=frozenset(dropped)).body


def read(
    chunks: Sequence[Any], of: ChatWire | None = None, call: HttpCall | None = None
) -> tuple[str, str, ModelReply]:
    """(streamed answer, streamed thinking, reply)"""
    decoder = (of or wire()).decoder(call or HttpCall("/", {}))
    deltas: list[Delta] = []
    for chunk in chunks:
        deltas += decoder.feed(None, chunk if isinstance(chunk, str) else json.dumps(chunk))
    answer = "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
    return answer, "".join(delta.text for delta in deltas if isinstance(delta, ThinkingDelta)), decoder.finish()


def chunk(delta: Mapping[str, Any] | None = None, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "model": "m-1", "choices": [choice], **fields}


# the request


@pytest.mark.proves("models.openai.chat")
def test_a_plain_request() -> None:
    call = wire().encode(ask("hi", system="be kind"), stream=True, dropped=NONE)
    assert call.path == "/chat/completions"
    assert call.body == {
        "model": "qwen3:8b",
        "messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert "stream" not in body(ask("hi"), stream=False)
    assert "stream_options" not in body(ask("hi"), None, "stream_options")


@pytest.mark.proves("models.media", "models.openai.chat")
def test_parts_of_a_user() -> None:
    parts: tuple[Part, ...] = (
        Text("look"),
        Data({"a": 1}),
        Media("image/png", data=PNG),
        Media("image/png", url="https://example.invalid/a.png"),
        Media("audio/x-wav", data="UklG"),
        Media("audio/mpeg; rate=8000", data="SUQz"),
        Media("application/pdf", data="JVBERi0=", name="a.pdf"),
        Media("text/csv", data=base64.b64encode(b"a,b").decode()),
    )
    (message,) = body(ask(Message("user", parts)))["messages"]
    assert message["content"] == [
        {"type": "text", "text": "look"},
        {"type": "text", "text": '{"a":1}'},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {"type": "image_url", "image_url": {"url": "https://example.invalid/a.png"}},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        {"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
        {"type": "text", "text": "a,b"},
    ]


def test_text_alone_is_a_plain_string() -> None:
    (message,) = body(ask(Message("user", (Text("a"), Data([1])))))["messages"]
    assert message == {"role": "user", "content": "a\n\n[1]"}


@pytest.mark.proves("models.media")
@pytest.mark.parametrize(
    ("part", "said"),
    [
        (Media("video/mp4", data="AAAA"), "takes no video/mp4 parts"),
        (Media("audio/ogg", data="AAAA"), "audio/wav or audio/mpeg"),
        (Media("audio/wav", url="https://example.invalid/a.wav"), "inline only"),
        (Media("application/pdf", url="https://example.invalid/a.pdf"), "application/pdf (by URL)"),
        (Media("application/zip", data="AAAA"), "application/zip"),
        (Media("text/plain", data="%%%"), "not valid base64"),
    ],
)
def test_what_has_no_place_is_named(part: Media, said: str) -> None:
    with pytest.raises(UnsupportedContent) as caught:
        body(ask(Message("user", (part,))))
    assert said in str(caught.value)
    assert str(caught.value).startswith(("llm 'main' (qwen3:8b at 127.0.0.1:8000)", "the text/plain"))


@pytest.mark.proves("models.tools", "models.openai.chat")
def test_tools_on_offer() -> None:
    request = ask("hi", tools=(ToolSpec("add", "Adds", CLOSED), ToolSpec("any", "Any", OPEN), ToolSpec("no", "", {})))
    plain = body(request)
    assert plain["tools"] == [
        {"type": "function", "function": {"name": "add", "description": "Adds", "parameters": CLOSED}},
        {"type": "function", "function": {"name": "any", "description": "Any", "parameters": OPEN}},
        {
            "type": "function",
            "function": {"name": "no", "description": "", "parameters": {"type": "object", "properties": {}}},
        },
    ]
    assert plain.keys().isdisjoint({"tool_choice", "parallel_tool_calls"})
    strict = [tool["function"] for tool in body(request, wire(OPENAI, "gpt-4.1"))["tools"]]
    assert strict[0]["strict"] is True
    assert strict[0]["parameters"] == CLOSED | {"additionalProperties": False}
    assert "strict" not in strict[1]
    assert "strict" not in body(request, wire(OPENAI, "gpt-4.1"), "strict")["tools"][0]["function"]


@pytest.mark.proves("models.tools")
def test_tool_settings_go_only_with_tools() -> None:
    tools = (ToolSpec("add", "", CLOSED),)
    assert "parallel_tool_calls" not in body(ask("hi", tool_choice="required"), wire(parallel_tool_calls=False))
    found = body(ask("hi", tools=tools, tool_choice="required"), wire(parallel_tool_calls=False))
    assert (found["tool_choice"], found["parallel_tool_calls"]) == ("required", False)
    less = body(ask("hi", tools=tools), wire(parallel_tool_calls=False), "parallel_tool_calls")
    assert "parallel_tool_calls" not in less


@pytest.mark.proves("models.tools")
def test_the_tool_loop() -> None:
    answered = (
        user("go"),
        Message("assistant", (Text("well"), ToolCall("c1", "fs.read", {"x": 1}), ToolCall("c2", "add", {}, raw="{"))),
        Message("tool", (ToolResult("c2", "add", (Text("bad"),), is_error=True), ToolResult("c1", "fs.read", ()))),
    )
    call = wire().encode(ask(*answered, tools=(ToolSpec("fs.read", "", OPEN),)), stream=True, dropped=NONE)
    functions = [
        {"id": "c1", "type": "function", "function": {"name": "fs_read", "arguments": '{"x":1}'}},
        {"id": "c2", "type": "function", "function": {"name": "add", "arguments": "{}"}},
    ]
    assert call.body["messages"][1:] == [
        {"role": "assistant", "content": "well", "tool_calls": functions},
        {"role": "tool", "tool_call_id": "c1", "content": ""},
        {"role": "tool", "tool_call_id": "c2", "content": "Error: bad"},
    ]
    assert call.names == {"fs_read": "fs.read"}
    silent = body(ask("go", Message("assistant", (ToolCall("c1", "add", {}),))))["messages"]
    assert silent[1]["content"] is None
    assert silent[2]["role"] == "tool"


def test_ids_that_are_too_long_are_shortened_alike() -> None:
    long = "call_" + "x" * 60
    first = body(ask("go", Message("assistant", (ToolCall(long, "add", {}),))))["messages"]
    assert len(first[1]["tool_calls"][0]["id"]) <= 40
    assert first[1]["tool_calls"][0]["id"] == first[2]["tool_call_id"]


@pytest.mark.proves("models.media", "models.tools")
def test_images_of_results_follow_as_a_users_message() -> None:
    content: tuple[Content, ...] = (
        Text("done"),
        Media("image/png", data=PNG, name="a.png"),
        Media("video/mp4", data="A"),
    )
    messages = (
        user("go"),
        Message("assistant", (ToolCall("c1", "draw", {}),)),
        Message("tool", (ToolResult("c1", "draw", content),)),
        user("and now?"),
    )
    found = body(ask(*messages))["messages"]
    assert [message["role"] for message in found] == ["user", "assistant", "tool", "user"]
    assert found[2]["content"] == "done\n[image/png a.png]\n[video/mp4 attached]"
    assert found[3]["content"] == [
        {"type": "text", "text": "Files returned by the tool draw:"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {"type": "text", "text": "and now?"},
    ]


@pytest.mark.proves("models.structured")
def test_the_shape_of_the_answer() -> None:
    request = ask("hi", output=OutputSchema(CLOSED, "my answer"))
    found = body(request)["response_format"]
    assert found["type"] == "json_schema"
    assert found["json_schema"] == {
        "name": "my_answer",
        "schema": CLOSED | {"additionalProperties": False},
        "strict": True,
    }
    loose = body(ask("hi", output=OutputSchema(OPEN)))["response_format"]["json_schema"]
    assert loose == {"name": "response", "schema": OPEN}
    assert "strict" not in body(ask("hi", output=OutputSchema(CLOSED, strict=False)))["response_format"]["json_schema"]


def test_a_server_without_response_format_is_asked_in_words() -> None:
    found = body(ask("hi", system="be kind", output=OutputSchema(CLOSED)), None, "response_format")
    assert "response_format" not in found
    assert found["messages"][0]["content"].startswith("be kind\n\nWrite your final answer as one JSON value")
    assert json.dumps(CLOSED, separators=(",", ":")) in found["messages"][0]["content"]


@pytest.mark.proves("models.openai.reasoning", "config.llms.thinking")
@pytest.mark.parametrize(
    ("base_url", "model", "settings", "expected"),
    [
        (LOCAL, "qwen3", {"max_tokens": 9, "temperature": 0.5}, {"max_tokens": 9, "temperature": 0.5}),
        (OPENAI, "gpt-4.1", {"max_tokens": 9, "temperature": 0}, {"max_tokens": 9, "temperature": 0}),
        (OPENAI, "gpt-6.2-sol", {"max_tokens": 9, "temperature": 0.5}, {"max_completion_tokens": 9}),
        (OPENAI, "gpt-5.1", {"thinking": {"effort": "high"}, "temperature": 1}, {"reasoning_effort": "high"}),
        (OPENAI, "gpt-5.1", {"thinking": {"budget_tokens": 4096}}, {"reasoning_effort": "medium"}),
        (
            OPENAI,
            "gpt-5.1",
            {"thinking": {"enabled": False}, "temperature": 0.3},
            {"reasoning_effort": "none", "temperature": 0.3},
        ),
        (OPENAI, "gpt-4.1", {"thinking": {"effort": "high"}}, {}),
        (LOCAL, "gpt-oss", {"thinking": {"effort": "low"}}, {"reasoning_effort": "low"}),
        (LOCAL, "qwen3", {}, {}),
    ],
)
def test_settings_that_the_model_takes(base_url: str, model: str, settings: Any, expected: dict[str, Any]) -> None:
    if "thinking" in settings:
        settings = {**settings, "thinking": ThinkingConfig(**settings["thinking"])}
    found = body(ask("hi"), wire(base_url, model, **settings))
    rest = found.keys() - {"model", "messages", "stream", "stream_options"}
    assert {key: found[key] for key in rest} == expected


def test_tools_at_openai_turn_reasoning_off() -> None:
    request = ask("hi", tools=(ToolSpec("add", "", CLOSED),))
    thinking = ThinkingConfig(effort="high")
    assert body(request, wire(OPENAI, "gpt-5.4", thinking=thinking))["reasoning_effort"] == "none"
    assert body(request, wire(OPENAI, "gpt-5.1", thinking=thinking))["reasoning_effort"] == "high"
    assert body(request, wire(LOCAL, "gpt-5.4", thinking=thinking))["reasoning_effort"] == "high"
    assert body(request, wire("https://a.openai.azure.com", "mine"), "reasoning_effort")["reasoning_effort"] == "none"
    assert "reasoning_effort" not in body(request, wire(thinking=thinking), "reasoning_effort")


@pytest.mark.proves("models.strip-and-retry")
def test_the_output_limit_has_two_names_to_try() -> None:
    of = wire("https://a.openai.azure.com/openai/v1", "my-deployment", max_tokens=7)
    assert body(ask("hi"), of)["max_tokens"] == 7
    assert body(ask("hi"), of, "max_tokens")["max_completion_tokens"] == 7
    assert body(ask("hi"), wire(OPENAI, "o3", max_tokens=7), "max_completion_tokens")["max_tokens"] == 7
    assert body(ask("hi"), of, "max_tokens", "max_completion_tokens").keys() == body(ask("hi"), wire()).keys()


def test_reasoning_goes_back_until_the_turn_is_over() -> None:
    of = wire()
    thought = Thinking("hm", Replay(of.origin, {"reasoning_content": "hm"}))
    loop = (user("go"), Message("assistant", (thought, ToolCall("c1", "add", {}))), Message("tool", ()))
    assert body(ask(*loop))["messages"][1]["reasoning_content"] == "hm"
    assert "reasoning_content" not in body(ask(*loop), of, REPLAY)["messages"][1]
    assert "reasoning_content" not in body(ask(*loop), wire(model="other"))["messages"][1]
    later = body(ask(*loop, Message("assistant", (Text("done"),)), "next"))["messages"]
    assert all("reasoning_content" not in message for message in later)


def test_a_turn_of_mere_thinking_is_left_out() -> None:
    found = body(ask("a", Message("assistant", (Thinking("hm"),)), "b"))["messages"]
    assert found == [{"role": "user", "content": "a\n\nb"}]


# the answer

CALL = {"index": 0, "id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"x":1}'}}
USAGE = {
    "prompt_tokens": 40,
    "completion_tokens": 17,
    "total_tokens": 57,
    "prompt_tokens_details": {"cached_tokens": 25, "cache_write_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 9},
}


@pytest.mark.proves("models.openai.chat", "models.usage", "models.finish")
def test_a_stream_by_the_book() -> None:
    answer, thinking, reply = read(
        [
            chunk({"role": "assistant", "content": ""}),
            chunk({"content": "Hel"}, obfuscation="x"),
            chunk({"content": "lo"}, service_tier="default"),
            chunk(finish="stop"),
            {"id": "c1", "model": "m-1", "choices": [], "usage": USAGE},
            "[DONE]",
        ]
    )
    assert (answer, thinking) == ("Hello", "")
    assert reply == ModelReply(
        Message("assistant", (Text("Hello"),)), FinishReason.STOP, Usage(40, 17, 25, 5, 9), "m-1", "stop"
    )


@pytest.mark.proves("models.openai.chat", "models.usage")
@pytest.mark.parametrize(
    "chunks",
    [
        [chunk({"content": "Hello"}, "stop", usage=USAGE), "[DONE] "],
        [chunk({"content": "Hello"}), chunk(finish="stop", usage=USAGE)],
        [{"choices": [], "prompt_filter_results": []}, chunk({"content": "Hello"}, "stop"), chunk(None, usage=USAGE)],
        [chunk({"role": "assistant", "content": None}), chunk({"content": "Hello"}, "", usage=USAGE), "[DONE]"],
        ["", chunk({"content": "Hello"}, "stop", usage=USAGE, timings={"prompt_ms": 1.5}), "[DONE]"],
        [chunk({"content": "Hello"}), {"choices": [{"finish_reason": "stop"}], "usage": USAGE}],
        [chunk({"content": "Hello"}), {"choices": [{"delta": None, "finish_reason": "stop"}], "usage": USAGE}],
        [
            {
                "choices": [{"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
                "usage": USAGE,
            }
        ],
        [chunk({"content": [{"type": "text", "text": "Hello"}]}, "stop"), chunk(usage=USAGE)],
    ],
)
def test_streams_of_the_field(chunks: list[Any]) -> None:
    answer, _, reply = read(chunks)
    assert answer == reply.message.text == "Hello"
    assert reply.finish is FinishReason.STOP
    assert reply.usage == Usage(40, 17, 25, 5, 9)


@pytest.mark.proves("models.openai.reasoning")
@pytest.mark.parametrize(
    ("deltas", "replay"),
    [
        ([{"reasoning_content": "h"}, {"reasoning_content": "m"}, {"content": "yes"}], {"reasoning_content": "hm"}),
        ([{"reasoning": "h"}, {"reasoning": "m", "content": None}, {"content": "yes"}], {"reasoning": "hm"}),
        ([{"reasoning": "hm", "reasoning_content": "hm"}, {"content": "yes"}], {"reasoning_content": "hm"}),
        ([{"content": "<thi"}, {"content": "nk>h"}, {"content": "m</th"}, {"content": "ink>\n\nyes"}], None),
        ([{"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}, {"content": "yes"}], None),
    ],
)
def test_reasoning_is_thinking_wherever_it_comes(deltas: list[Any], replay: dict[str, str] | None) -> None:
    answer, thinking, reply = read([*(chunk(delta) for delta in deltas), chunk(finish="stop")])
    assert (thinking, answer) == ("hm", "yes")
    kept = Replay("openai-chat:qwen3:8b", replay) if replay else None
    assert reply.message.parts == (Thinking("hm", kept), Text("yes"))


def test_what_the_tag_splitter_held_is_streamed_before_the_end() -> None:
    answer, _, reply = read([chunk({"content": "<th"}), chunk(finish="length"), "[DONE]"])
    assert answer == reply.message.text == "<th"


@pytest.mark.proves("models.finish")
@pytest.mark.parametrize(
    ("finish", "delta", "expected"),
    [
        ("stop", {"content": "a"}, FinishReason.STOP),
        ("length", {"content": "a"}, FinishReason.LENGTH),
        ("content_filter", {"content": "a"}, FinishReason.CONTENT_FILTER),
        ("stop", {"refusal": "no"}, FinishReason.CONTENT_FILTER),
        ("tool_calls", {"tool_calls": [CALL]}, FinishReason.TOOL_CALLS),
        ("stop", {"tool_calls": [CALL]}, FinishReason.TOOL_CALLS),
        ("length", {"tool_calls": [CALL]}, FinishReason.TOOL_CALLS),
        ("function_call", {"function_call": {"name": "add", "arguments": "{}"}}, FinishReason.TOOL_CALLS),
        ("tool_calls", {"content": "a"}, FinishReason.STOP),
        ("error", {"content": "a"}, FinishReason.ERROR),
        ("eos", {"content": "a"}, FinishReason.STOP),
    ],
)
def test_finish_reasons(finish: str, delta: dict[str, Any], expected: FinishReason) -> None:
    _, _, reply = read([chunk(delta), chunk(finish=finish)])
    assert (reply.finish, reply.raw_finish) == (expected, finish)


def test_a_refusal_is_shown() -> None:
    answer, _, reply = read([chunk({"refusal": "I will "}), chunk({"refusal": "not."}), chunk(finish="stop")])
    assert answer == reply.message.text == "I will not."


@pytest.mark.proves("models.tools")
def test_streamed_calls_with_mangled_names() -> None:
    call = HttpCall("/", {}, names={"fs_read": "fs.read"})
    pieces = [
        {
            "tool_calls": [
                {"index": 0, "id": "c1", "type": "function", "function": {"name": "fs_read", "arguments": ""}}
            ]
        },
        {"tool_calls": [{"index": 1, "id": "c2", "type": "function", "function": {"name": "add", "arguments": ""}}]},
        {
            "tool_calls": [
                {"index": 0, "function": {"arguments": '{"a":'}},
                {"index": 1, "function": {"arguments": "{"}},
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
    ]
    _, _, reply = read([*(chunk(piece) for piece in pieces), chunk(finish="tool_calls"), "[DONE]"], call=call)
    assert reply.message.tool_calls == (ToolCall("c1", "fs.read", {"a": 1}), ToolCall("c2", "add", {}, raw="{"))


@pytest.mark.proves("models.faults")
def test_a_stream_without_an_end_is_cut_off() -> None:
    with pytest.raises(ModelUnavailable, match="cut off"):
        read([chunk({"content": "Hel"})])
    assert read([chunk({"content": "Hel"}), "[DONE]"])[2].finish is FinishReason.STOP


@pytest.mark.proves("models.faults")
@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"error": {"message": "boom", "type": "server_error"}}, ModelUnavailable),
        ({"error": {"message": "boom", "code": 429}}, ModelUnavailable),
        ({"error": {"message": "boom", "code": 400, "type": "invalid_request_error"}}, ModelRejected),
        ({"error": "boom"}, ModelUnavailable),
        ({"object": "error", "message": "boom", "type": "BadRequestError", "code": 400}, ModelRejected),
        (
            {"error": {"message": "boom", "code": 502}, "choices": [{"delta": {}, "finish_reason": "error"}]},
            ModelUnavailable,
        ),
    ],
)
def test_an_error_in_the_stream_is_raised(data: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="boom") as caught:
        read([chunk({"content": "Hel"}), data])
    assert type(caught.value) is kind
    with pytest.raises(kind, match="boom"):
        wire().decode(data, HttpCall("/", {}))


@pytest.mark.proves("models.tools")
def test_calls_of_a_whole_message_are_never_joined() -> None:
    """Not even when a server gives all of them one id and no index."""
    calls = [{"id": "c0", "type": "function", "function": {"name": "f", "arguments": f'{{"n":{at}}}'}} for at in (1, 2)]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    found = sound(wire().decode(body, HttpCall("/", {}))).message.tool_calls
    assert [call.args for call in found] == [{"n": 1}, {"n": 2}]
    assert found[0].id != found[1].id


def test_a_broken_chunk_is_named() -> None:
    with pytest.raises(ModelUnavailable, match="no JSON object: {broken"):
        read(["{broken"])


@pytest.mark.proves("models.openai.chat")
def test_a_whole_answer() -> None:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
        "reasoning_content": "hm",
    }
    document = {
        "id": "c1",
        "object": "chat.completion",
        "model": "m-1",
        "choices": [{"index": 0, "message": {**message, "tool_calls": [CALL]}, "finish_reason": "tool_calls"}],
        "usage": USAGE,
    }
    reply = wire().decode(document, HttpCall("/", {}))
    thought = Thinking("hm", Replay("openai-chat:qwen3:8b", {"reasoning_content": "hm"}))
    assert reply.message == Message("assistant", (thought, ToolCall("c1", "add", {"x": 1})))
    assert (reply.finish, reply.usage.total, reply.model) == (FinishReason.TOOL_CALLS, 57, "m-1")
    with pytest.raises(ModelUnavailable, match="no choice"):
        wire().decode({"choices": []}, HttpCall("/", {}))


@pytest.mark.proves("models.faults")
@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"code": 400, "type": "exceed_context_size_error", "message": "request (9) exceeds"}, ContextOverflow),
        (400, {"code": "context_length_exceeded", "type": "invalid_request_error", "message": "long"}, ContextOverflow),
        (503, {"code": 503, "type": "unavailable_error", "message": "Loading model"}, ModelUnavailable),
        (401, {"code": "invalid_api_key", "message": "Incorrect API key"}, ModelAuthError),
        (429, {"code": "rate_limit_exceeded", "message": "slow down"}, ModelUnavailable),
        (429, {"code": "insufficient_quota", "message": "no money"}, AccountSpent),
        (404, {"code": "model_not_found", "message": "no such model"}, ModelRejected),
        (400, {"code": None, "param": "temperature", "message": "Unsupported value"}, ModelRejected),
    ],
)
def test_errors_of_the_field(status: int, error: Any, kind: type[Exception]) -> None:
    found = wire().error(status, {}, json.dumps({"error": error}).encode())
    assert type(found) is kind
    assert str(error["message"]) in str(found)
