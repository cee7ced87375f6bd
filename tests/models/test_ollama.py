"""Ollama's own format: requests as tables, answers as recordings."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import pytest

from hector.config.llm_ollama import OllamaLlm
from hector.config.thinking import Thinking as ThinkingConfig
from hector.core.content import Data, Media, Message, Replay, Text, Thinking, ToolCall, ToolResult, user
from hector.core.errors import ModelError, ModelRejected, ModelUnavailable, UnsupportedContent
from hector.core.event import Delta, TextDelta, ThinkingDelta
from hector.core.ports import ModelReply, ModelRequest, OutputSchema, ToolSpec
from hector.core.usage import FinishReason, Usage
from hector.models import ollama
from hector.models.faults import rejected_parameter
from hector.models.ollama_chat import DROPPABLE, OllamaWire
from hector.models.wire import REPLAY, HttpCall

BASE = "http://127.0.0.1:11434"
PNG = base64.b64encode(b"\x89PNG....").decode()
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
ADD = ToolSpec("add", "Adds", SCHEMA)


def wire(model: str = "llama3.2", **settings: Any) -> OllamaWire:
    if "thinking" in settings:
        settings["thinking"] = ThinkingConfig(**settings["thinking"])
    return OllamaWire("main", OllamaLlm(model=model, base_url=BASE, **settings), model, BASE)


def ask(*messages: Message | str, **fields: Any) -> ModelRequest:
    found = tuple(user(message) if isinstance(message, str) else message for message in messages)
    return ModelRequest(fields.pop("system", ""), found, **fields)


def body(request: ModelRequest, of: OllamaWire | None = None, *dropped: str, stream: bool = True) -> dict[str, Any]:
    return (of or wire()).encode(request, stream=stream, dropped=frozenset(dropped)).body


def read(lines: Sequence[Any]) -> tuple[str, str, ModelReply]:
    """(streamed answer, streamed thinking, reply)"""
    decoder = wire().decoder(HttpCall("/", {}, names={"fs_read": "fs.read"}))
    deltas: list[Delta] = []
    for line in lines:
        deltas += decoder.feed(None, line if isinstance(line, str) else json.dumps(line))
    answer = "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
    return answer, "".join(delta.text for delta in deltas if isinstance(delta, ThinkingDelta)), decoder.finish()


def line(content: str = "", **message: Any) -> dict[str, Any]:
    return {"model": "m-1", "message": {"role": "assistant", "content": content, **message}, "done": False}


def last(reason: str | None = "stop", **fields: Any) -> dict[str, Any]:
    counts = {"total_duration": 5, "prompt_eval_count": 40, "eval_count": 17}
    ending = {} if reason is None else {"done_reason": reason}
    return {**line(), "done": True, **ending, **counts, **fields}


def call(name: str, args: Any, **fields: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": args}, **fields}


# addresses


@pytest.mark.proves("models.ollama", "models.base-url")
@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://localhost:11434", "http://localhost:11434"),
        ("http://localhost:11434/", "http://localhost:11434"),
        ("gpu-box", "http://gpu-box:11434"),
        ("gpu-box:8000", "http://gpu-box:8000"),
        (":8000", "http://127.0.0.1:8000"),
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("http://0.0.0.0:11434", "http://127.0.0.1:11434"),
        ("[::]:11434", "http://[::1]:11434"),
        ("https://ollama.com", "https://ollama.com"),
        ("http://gate.test/ollama/", "http://gate.test/ollama"),
        ("http://localhost:11434/v1", "http://localhost:11434"),
        ("http://localhost:11434/api/", "http://localhost:11434"),
    ],
)
def test_every_form_of_an_address(text: str, address: str) -> None:
    assert ollama.base_address(text) == address


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        (
            {"models": [{"name": "nomic-embed-text:latest"}, {"name": "b", "model": "a:1b"}, {"name": "c"}]},
            ["a:1b", "c"],
        ),
        ({"models": []}, []),
        ({"models": None}, []),
        ({}, []),
        ([], []),
    ],
)
def test_models_that_can_talk(tags: Any, found: list[str]) -> None:
    assert ollama.models(tags) == found


# the request


@pytest.mark.proves("models.ollama")
def test_a_plain_request() -> None:
    found = wire().encode(ask("hi", system="be kind"), stream=False, dropped=frozenset())
    assert found.path == "/api/chat"
    assert found.body == {
        "model": "llama3.2",
        "messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}],
        "stream": False,
        "options": {"num_ctx": 8192},
        "keep_alive": "5m",
    }
    assert body(ask("hi"))["stream"] is True


@pytest.mark.parametrize(
    ("settings", "field", "value"),
    [
        ({"temperature": 0, "max_tokens": 9}, "options", {"num_ctx": 8192, "temperature": 0, "num_predict": 9}),
        ({"context_size": 4}, "options", {"num_ctx": 4}),
        ({"keep_alive": "-1"}, "keep_alive", -1),
        ({"keep_alive": ""}, "keep_alive", None),
        ({}, "think", None),
        ({"thinking": {}}, "think", True),
        ({"thinking": {"enabled": False}}, "think", False),
        ({"thinking": {"effort": "max"}}, "think", True),
        ({"model": "gpt-oss:20b", "thinking": {"effort": "max"}}, "think", "high"),
        ({"model": "gpt-oss:20b", "thinking": {"budget_tokens": 4096}}, "think", "medium"),
        ({"model": "gpt-oss:20b", "thinking": {"enabled": False}}, "think", "low"),
    ],
)
def test_settings(settings: dict[str, Any], field: str, value: Any) -> None:
    assert body(ask("hi"), wire(**settings)).get(field) == value


@pytest.mark.proves("models.media", "models.ollama")
def test_parts_of_a_user() -> None:
    parts = (
        Text("look"),
        Media("image/png", data=PNG),
        Data([1]),
        Media("text/csv", data=base64.b64encode(b"a,b").decode()),
        Media("image/jpeg", data="/9j/"),
    )
    (message,) = body(ask(Message("user", parts)))["messages"]
    assert message == {"role": "user", "content": "look\n\n[1]\n\na,b", "images": [PNG, "/9j/"]}


@pytest.mark.proves("models.media")
@pytest.mark.parametrize(
    "part",
    [
        Media("image/png", url="https://example.invalid/a.png"),
        Media("audio/wav", data="UklG"),
        Media("application/pdf", data="JVBERi0="),
        Media("video/mp4", data="AAAA"),
    ],
)
def test_what_has_no_place_is_named(part: Media) -> None:
    with pytest.raises(UnsupportedContent, match=f"takes no {part.media_type}.* it takes text and inline images"):
        body(ask(Message("user", (part,))))


@pytest.mark.proves("models.tools", "models.ollama")
def test_the_tool_loop() -> None:
    thought = Thinking("hm", Replay("ollama:llama3.2", {"thinking": "hm"}))
    image = Media("image/png", data=PNG)
    results = (
        ToolResult("c2", "add", (Text("bad"),), is_error=True),
        ToolResult("c1", "fs.read", (Text("3"), image, Media("image/png", url="https://example.invalid/a.png"))),
    )
    messages = (
        user("go"),
        Message("assistant", (thought, ToolCall("c1", "fs.read", {"x": 1}), ToolCall("c2", "add", {}, raw="{"))),
        Message("tool", results),
    )
    found = wire().encode(ask(*messages, tools=(ADD,)), stream=True, dropped=frozenset())
    parameters = {"type": "function", "function": {"name": "add", "description": "Adds", "parameters": SCHEMA}}
    assert found.body["tools"] == [parameters]
    assert found.body["messages"][1:] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [call("fs_read", {"x": 1}), call("add", {})],
            "thinking": "hm",
        },
        {
            "role": "tool",
            "tool_name": "fs_read",
            "content": "3\n[image/png attached]\n[image/png https://example.invalid/a.png]",
        },
        {"role": "tool", "tool_name": "add", "content": "Error: bad"},
        {"role": "user", "content": "Files returned by the tool fs.read:", "images": [PNG]},
    ]
    assert found.names == {"fs_read": "fs.read"}
    assert "thinking" not in body(ask(*messages), None, REPLAY)["messages"][1]
    assert "thinking" not in body(ask(*messages), wire("other"))["messages"][1]
    assert "thinking" not in body(ask(*messages, "next"))["messages"][1]


@pytest.mark.proves("models.strip-and-retry")
@pytest.mark.parametrize(
    ("said", "dropped", "field"),
    [
        ("registry.ollama.ai/library/phi does not support tools", "tools", "tools"),
        ('"phi" does not support thinking', "think", "think"),
        ('invalid think value: "high"', "think", "think"),
        ("invalid format: expected an object", "format", "format"),
    ],
)
def test_refused_features_are_left_out(said: str, dropped: str, field: str) -> None:
    assert rejected_parameter(said, DROPPABLE) == dropped
    request = ask("hi", tools=(ADD,), output=OutputSchema(SCHEMA))
    assert field in body(request, wire(thinking={}))
    assert field not in body(request, wire(thinking={}), dropped)


@pytest.mark.proves("models.structured", "models.ollama")
def test_the_shape_of_the_answer_excludes_thinking() -> None:
    found = body(ask("hi", output=OutputSchema(SCHEMA)), wire(thinking={}))
    assert (found["format"], found["think"]) == (SCHEMA, False)
    words = body(ask("hi", output=OutputSchema(SCHEMA)), None, "format")
    assert "JSON Schema" in words["messages"][0]["content"]


def test_tool_choice_in_words() -> None:
    assert "tools" not in body(ask("hi", tools=(ADD,), tool_choice="none"))
    found = body(ask("hi", tools=(ADD,), tool_choice="required"))
    assert "tools" in found
    assert "Call one of the tools" in found["messages"][0]["content"]
    one = body(ask("hi", tools=(ADD,)), wire(parallel_tool_calls=False))
    assert "at most one tool at a time" in one["messages"][0]["content"]


# the answer


@pytest.mark.proves("models.ollama", "models.usage", "models.finish")
def test_a_stream_by_the_book() -> None:
    answer, thinking, reply = read([line(thinking="h"), line(thinking="m"), line("Hel"), "", line("lo"), last()])
    assert (answer, thinking) == ("Hello", "hm")
    thought = Thinking("hm", Replay("ollama:llama3.2", {"thinking": "hm"}))
    assert reply == ModelReply(
        Message("assistant", (thought, Text("Hello"))), FinishReason.STOP, Usage(40, 17), "m-1", "stop"
    )


def test_inline_thinking() -> None:
    answer, thinking, reply = read([line("<think>h"), line("m</thi"), line("nk>yes"), last()])
    assert (answer, thinking) == ("yes", "hm")
    assert reply.message.parts == (Thinking("hm"), Text("yes"))


@pytest.mark.proves("models.tools", "models.ollama")
def test_calls_over_several_lines() -> None:
    lines = [
        line(tool_calls=[call("fs_read", {"x": 1}), call("add", {}, id="a")]),
        line(tool_calls=[call("add", '{"x": 2}', id="a", index=0)]),
        line(tool_calls=[call("add", None)]),
        last(),
    ]
    reply = read(lines)[2]
    calls = reply.message.tool_calls
    assert [(found.name, found.args) for found in calls] == [
        ("fs.read", {"x": 1}),
        ("add", {}),
        ("add", {"x": 2}),
        ("add", {}),
    ]
    assert calls[1].id == "a"
    assert len({found.id for found in calls}) == 4
    assert (reply.finish, reply.raw_finish) == (FinishReason.TOOL_CALLS, "stop")


@pytest.mark.proves("models.finish")
@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop", FinishReason.STOP),
        (None, FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("load", FinishReason.ERROR),
        ("unload", FinishReason.ERROR),
        ("novel", FinishReason.STOP),
    ],
)
def test_finish_reasons(reason: str | None, finish: FinishReason) -> None:
    assert read([line("a"), last(reason)])[2].finish is finish


def test_counts_may_be_missing() -> None:
    ending = last()
    del ending["prompt_eval_count"]
    assert read([ending])[2].usage == Usage(0, 17)


@pytest.mark.proves("models.faults")
def test_faults_in_the_stream() -> None:
    with pytest.raises(ModelUnavailable, match="boom"):
        read([line("a"), {"error": "boom"}])
    with pytest.raises(ModelUnavailable, match="cut off"):
        read([line("a")])
    for broken in ("{broken", "[]"):
        with pytest.raises(ModelUnavailable, match="no JSON|no object"):
            read([broken])


def test_a_whole_answer() -> None:
    document = {**last(), "message": {"role": "assistant", "content": "Hello", "tool_calls": None}}
    reply = wire().decode(document, HttpCall("/", {}))
    assert (reply.message.text, reply.usage.total) == ("Hello", 57)
    with pytest.raises(ModelUnavailable, match="boom"):
        wire().decode({"error": "boom"}, HttpCall("/", {}))


@pytest.mark.proves("models.faults")
@pytest.mark.parametrize(
    ("status", "said", "kind", "shown"),
    [
        (404, "model 'llama3.2' not found", ModelRejected, "`ollama pull llama3.2`"),
        (400, "phi does not support tools", ModelRejected, "does not support tools"),
        (500, "model requires more system memory (5.6 GiB) than is available", ModelRejected, "more system memory"),
        (500, "llama runner process has terminated", ModelUnavailable, "terminated"),
        (503, "server busy", ModelUnavailable, "busy"),
    ],
)
def test_errors_are_bare_strings(status: int, said: str, kind: type[ModelError], shown: str) -> None:
    found = wire().error(status, {}, json.dumps({"error": said}).encode())
    assert type(found) is kind
    assert shown in str(found)
