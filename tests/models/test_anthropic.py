"""Anthropic's Messages API: what the conformance suite cannot know of it."""

import base64
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from hector.config.llm_anthropic import AnthropicLlm
from hector.core.content import JsonObject, Media, Message, Replay, Text, Thinking, ToolCall, ToolResult, user
from hector.core.errors import ModelRejected, ModelUnavailable, UnsupportedContent
from hector.core.event import Delta, TextDelta, ThinkingDelta
from hector.core.ports import ModelReply, ModelRequest, OutputSchema, ToolChoice, ToolSpec
from hector.core.usage import FinishReason, Usage
from hector.models.anthropic import AnthropicWire, create, effort, model_version
from hector.models.wire import HttpCall
from tests.models.fakeprovider import FakeProvider, Turn, fake_provider

NOW = ToolSpec("now", "Tells the time.", {})
SHAPE = OutputSchema({"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}})


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with fake_provider() as server:
        yield server


def wire(model: str = "claude-sonnet-5-5", **settings: Any) -> AnthropicWire:
    return AnthropicWire(AnthropicLlm(model=model, **settings), "main")


def body(
    wire: AnthropicWire, *messages: Message, dropped: Sequence[str] = (), stream: bool = False, **more: Any
) -> JsonObject:
    request = ModelRequest("Be brief.", messages or (user("hi"),), **more)
    return wire.encode(request, stream=stream, dropped=frozenset(dropped)).body


def replies(wire: AnthropicWire, *events: Any, call: HttpCall | None = None) -> tuple[list[Delta], ModelReply]:
    decoder = wire.decoder(call or HttpCall("/v1/messages", {}))
    deltas = [delta for event in events for delta in decoder.feed(event["type"], json.dumps(event))]
    return deltas, decoder.finish()


# what is sent


@pytest.mark.parametrize(
    ("model", "version"),
    [
        ("claude-sonnet-5-5", (5, 5)),
        ("claude-opus-4-1-20250805", (4, 1)),
        ("claude-sonnet-4-20250514", (4, 0)),
        ("claude-sonnet-4@20250514", (4, 0)),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", (4, 5)),
        ("claude-3-7-sonnet-latest", (3, 7)),
        ("claude-3-haiku-20240307", (3, 0)),
        ("anthropic/claude-opus-4.7", (4, 7)),
        ("qwen3-8b", (0, 0)),
        ("claude-next", (0, 0)),
    ],
)
def test_versions(model: str, version: tuple[int, int]) -> None:
    assert model_version(model) == version


@pytest.mark.proves("models.anthropic.thinking", "config.llms.thinking")
@pytest.mark.parametrize(
    ("model", "settings", "thinking", "level", "limit"),
    [
        ("claude-sonnet-5-5", {}, {"type": "adaptive", "display": "summarized"}, "low", 16384),
        ("claude-sonnet-5-5", {"budget_tokens": 9000}, {"type": "adaptive", "display": "summarized"}, "high", 16384),
        ("claude-opus-4-6", {"effort": "max"}, {"type": "adaptive", "display": "summarized"}, "max", 16384),
        ("claude-sonnet-5-5", {"enabled": False}, {"type": "disabled"}, None, 16384),
        ("claude-sonnet-4-5", {"budget_tokens": 2000}, {"type": "enabled", "budget_tokens": 2000}, None, 8192),
        ("claude-sonnet-4-5", {"budget_tokens": 10}, {"type": "enabled", "budget_tokens": 1024}, None, 8192),
        ("claude-sonnet-4-5", {"budget_tokens": 9000}, {"type": "enabled", "budget_tokens": 9000}, None, 17192),
        ("claude-sonnet-4-5", {"enabled": False}, None, None, 8192),
        ("claude-3-haiku-20240307", {}, None, None, 4096),
        ("qwen3-8b", {}, {"type": "enabled", "budget_tokens": 1024}, None, 8192),
    ],
)
def test_thinking_by_version(
    model: str, settings: dict[str, Any], thinking: Any, level: str | None, limit: int
) -> None:
    found = body(wire(model, thinking=settings))
    assert found.get("thinking") == thinking
    assert found.get("output_config", {}).get("effort") == level
    assert found["max_tokens"] == limit


def test_levels_by_budget() -> None:
    budgets = (0, 2048, 2049, 8192, 8193, 24576, 24577)
    sections = [wire(thinking={"budget_tokens": budget})._llm.thinking for budget in budgets]
    levels = [effort(section) for section in sections if section]
    assert levels == ["low", "low", "medium", "medium", "high", "high", "xhigh"]


@pytest.mark.parametrize(
    ("model", "settings", "sent"),
    [
        ("claude-opus-4-6", {"temperature": 0.3}, 0.3),
        ("claude-opus-4-6", {"temperature": 1.8}, 1.0),
        ("claude-opus-4-7", {"temperature": 0.3}, None),
        ("claude-sonnet-5-5", {"temperature": 0.3}, None),
        ("claude-opus-4-6", {"temperature": 0.3, "api_version": "2026-10-21"}, None),
        ("claude-sonnet-4-5", {"temperature": 0.3, "thinking": {}}, None),
        ("claude-sonnet-4-5", {}, None),
    ],
)
def test_temperature_only_where_it_is_taken(model: str, settings: dict[str, Any], sent: float | None) -> None:
    assert body(wire(model, **settings)).get("temperature") == sent


@pytest.mark.proves("models.tools")
@pytest.mark.parametrize(
    ("choice", "settings", "sent"),
    [
        ("auto", {}, None),
        ("none", {}, {"type": "none"}),
        ("required", {}, {"type": "any"}),
        ("auto", {"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", {"parallel_tool_calls": False}, {"type": "any", "disable_parallel_tool_use": True}),
        ("required", {"model": "claude-sonnet-4-5", "thinking": {}}, None),
    ],
)
def test_tool_choice(choice: ToolChoice, settings: dict[str, Any], sent: Any) -> None:
    assert body(wire(**settings), tools=[NOW], tool_choice=choice).get("tool_choice") == sent


@pytest.mark.proves("models.structured")
def test_structured_output_by_version() -> None:
    native = body(wire(), output=SHAPE)
    assert native["output_config"]["format"]["schema"] == {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "additionalProperties": False,
    }
    assert "tools" not in native
    older = body(wire("claude-opus-4-1"), output=SHAPE)
    assert older["tool_choice"] == {"type": "tool", "name": "give_answer"}
    assert body(wire("claude-opus-4-1"), output=SHAPE, tools=[NOW])["tool_choice"] == {"type": "any"}
    refused = body(wire(), output=SHAPE, dropped=["output_config"])
    assert [tool["name"] for tool in refused["tools"]] == ["give_answer"]
    taken = body(wire("claude-opus-4-1"), output=SHAPE, tools=[ToolSpec("give_answer", "", {})])
    assert [tool["name"] for tool in taken["tools"]] == ["give_answer", "give_answer_"]


def test_marks_for_the_cache() -> None:
    found = body(wire(), user("hi"), Message("assistant", (Text("yes"),)), user("and"), tools=[NOW])
    assert found["system"][-1]["cache_control"] == {"type": "ephemeral"}
    assert found["messages"][-1]["content"][-1]["cache_control"] == {"type": "ephemeral"}
    assert json.dumps(found).count("cache_control") == 2
    assert "cache_control" not in json.dumps(body(wire(cache=False)))
    assert "cache_control" not in json.dumps(body(wire(), dropped=["cache_control"]))


@pytest.mark.proves("models.anthropic.media")
def test_documents_and_addresses() -> None:
    pdf = base64.b64encode(b"%PDF-1.7").decode()
    found = body(
        wire(),
        Message(
            "user",
            (
                Media("image/jpg", data="/9j/"),
                Media("image/png", url="https://a.test/b.png"),
                Media("application/pdf", data=pdf, name="a.pdf"),
                Media("application/pdf", url="https://a.test/b.pdf"),
            ),
        ),
    )
    sources = [block["source"] for block in found["messages"][0]["content"]]
    assert sources == [
        {"type": "base64", "media_type": "image/jpeg", "data": "/9j/"},
        {"type": "url", "url": "https://a.test/b.png"},
        {"type": "base64", "media_type": "application/pdf", "data": pdf},
        {"type": "url", "url": "https://a.test/b.pdf"},
    ]
    assert found["messages"][0]["content"][2]["title"] == "a.pdf"


@pytest.mark.proves("models.media")
@pytest.mark.parametrize("media_type", ["audio/wav", "video/mp4", "image/tiff", "application/zip"])
def test_what_it_does_not_take(media_type: str) -> None:
    with pytest.raises(UnsupportedContent, match=f"takes no {media_type} parts; it takes text, images"):
        body(wire(), Message("user", (Media(media_type, data="AAAA"),)))


def test_the_first_message_is_the_users() -> None:
    found = body(wire(), Message("assistant", (Text("Hello!"),)), user("hi"))
    assert [message["role"] for message in found["messages"]] == ["user", "assistant", "user"]


def test_manual_thinking_rests_in_a_tool_loop_that_began_without() -> None:
    loop = (user("hi"), Message("assistant", (ToolCall("1", "now", {}),)), Message("tool", ()))
    manual = wire("claude-sonnet-4-5", thinking={})
    assert "thinking" not in body(manual, *loop)
    assert "thinking" in body(manual, *loop, Message("assistant", (Text("noon"),)), user("thanks"))


def test_an_error_of_a_tool_is_text_only() -> None:
    """The API takes nothing else beside `is_error`."""
    shot = ToolResult("1", "now", (Text("no clock"), Media("image/png", data="aGk=", name="a.png")), is_error=True)
    sent = body(wire(), user("hi"), Message("assistant", (ToolCall("1", "now", {}),)), Message("tool", (shot,)))
    (block,) = sent["messages"][-1]["content"]
    block.pop("cache_control")
    text = "no clock\n[image/png a.png]"
    assert block == {"type": "tool_result", "tool_use_id": "1", "content": text, "is_error": True}


def test_interleaved_thinking_is_asked_for_where_it_is_not_the_rule() -> None:
    request = ModelRequest("", (user("hi"),), tools=[NOW])
    manual = wire("claude-sonnet-4-5", thinking={}).encode(request, stream=True, dropped=frozenset())
    assert manual.headers == {"anthropic-beta": "interleaved-thinking-2025-05-14"}
    assert wire(thinking={}).encode(request, stream=True, dropped=frozenset()).headers == {}
    own = wire("claude-sonnet-4-5", thinking={}, headers={"Anthropic-Beta": "files-1,search-2"})
    headers = own.encode(request, stream=True, dropped=frozenset()).headers
    assert headers == {"anthropic-beta": "files-1,search-2,interleaved-thinking-2025-05-14"}


@pytest.mark.proves("models.base-url")
@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
async def test_addresses_with_and_without_version(fake: FakeProvider, path: str) -> None:
    model = create(AnthropicLlm(base_url=fake.url + path, api_key="k"), "main")
    await model.complete(ModelRequest("", (user("hi"),)))
    assert fake.seen[0].path == "/v1/messages"
    await model.aclose()


# what comes back


def test_a_stream_with_everything_odd() -> None:
    """Null counts, several message_deltas, unknown events, deltas without a start, citations, whole inputs."""
    citation = {"type": "char_location", "cited_text": "x"}
    deltas, reply = replies(
        wire(),
        {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 5, "output_tokens": 1}}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "one"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "two"}},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": "Hel"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "lo"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": citation}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "new_delta", "new": 1}},
        {"type": "new_event"},
        {
            "type": "content_block_start",
            "index": 2,
            "content_block": {"type": "tool_use", "id": "t", "name": "now", "input": {"a": 1}},
        },
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"input_tokens": None}},
        {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 9, "cache_read_input_tokens": 2}},
        {"type": "message_stop"},
    )
    origin = "anthropic:claude-sonnet-5-5"
    assert deltas == [ThinkingDelta("Hm"), TextDelta("Hel"), TextDelta("lo")]
    assert reply.message.parts == (
        Thinking("Hm", Replay(origin, {"type": "thinking", "thinking": "Hm", "signature": "two"})),
        Text("Hello", Replay(origin, {"type": "text", "text": "Hello", "citations": [citation]})),
        ToolCall("t", "now", {"a": 1}),
    )
    assert (reply.usage, reply.finish) == (Usage(7, 9, 2), FinishReason.TOOL_CALLS)


@pytest.mark.proves("models.finish")
@pytest.mark.parametrize(
    ("stop", "finish"),
    [
        ("end_turn", FinishReason.STOP),
        ("stop_sequence", FinishReason.STOP),
        ("tool_use", FinishReason.STOP),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("refusal", FinishReason.CONTENT_FILTER),
        ("pause_turn", FinishReason.PAUSE),
        ("something_new", FinishReason.STOP),
    ],
)
def test_stop_reasons(stop: str, finish: FinishReason) -> None:
    answer = {"content": [{"type": "text", "text": "x"}], "stop_reason": stop}
    assert wire().decode(answer, HttpCall("", {})).finish == finish


def test_a_refusal_says_why() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "no"}
    reply = wire().decode({"content": [], "stop_reason": "refusal", "stop_details": details}, HttpCall("", {}))
    assert (reply.finish, reply.raw_finish) == (FinishReason.CONTENT_FILTER, "refusal: cyber")


def test_an_answer_through_the_output_tool_is_text() -> None:
    call = HttpCall("", {}, output_tool="give_answer")
    block = {"type": "tool_use", "id": "t", "name": "give_answer", "input": {}}
    pieces = ['{"a"', ": 1}"]
    deltas, reply = replies(
        wire(),
        {"type": "content_block_start", "index": 0, "content_block": block},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": piece}}
            for piece in pieces
        ),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
        call=call,
    )
    assert deltas == [TextDelta(piece) for piece in pieces]
    assert (reply.message.text, reply.finish) == ('{"a": 1}', FinishReason.STOP)


@pytest.mark.proves("models.finish")
async def test_a_paused_turn_goes_back_as_it_is(fake: FakeProvider) -> None:
    model = create(AnthropicLlm(base_url=fake.url, api_key="k"), "main")
    fake.script(Turn(thinking="Hm.", text="Searching", finish="pause"))
    paused = await model.complete(ModelRequest("", (user("hi"),)))
    assert paused.finish == FinishReason.PAUSE
    await model.complete(ModelRequest("", (user("hi"), paused.message)))
    assert not fake.refusals
    await model.aclose()


@pytest.mark.proves("models.anthropic.thinking")
async def test_spoilt_signatures_are_left_out_once(fake: FakeProvider) -> None:
    """Not remembered: the thoughts of the next turn are good again."""
    model = create(AnthropicLlm(base_url=fake.url, api_key="k", thinking={}), "main")
    item = {"type": "thinking", "thinking": "Hm", "signature": "spoilt"}
    spoilt = Message("assistant", (Thinking("Hm", Replay("anthropic:claude-sonnet-5-5", item)), Text("Yes.")))
    assert (await model.complete(ModelRequest("", (user("hi"), spoilt, user("so"))))).message.text == "echo: so"
    assert [refusal.message for refusal in fake.refusals] == ["Invalid `signature` in `thinking` block"]
    assert "thinking" in fake.seen[-1].body
    await model.complete(ModelRequest("", (user("hi"), spoilt, user("so"))))
    assert len(fake.refusals) == 2
    await model.aclose()


@pytest.mark.proves("models.faults")
def test_an_error_inside_the_stream() -> None:
    decoder = wire().decoder(HttpCall("", {}))
    busy = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    with pytest.raises(ModelUnavailable, match="overloaded_error: Overloaded"):
        decoder.feed("error", json.dumps(busy))
    with pytest.raises(ModelUnavailable, match="cut off before its end"):
        decoder.finish()


def test_an_error_with_status_200() -> None:
    wrong = {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}
    with pytest.raises(ModelRejected, match="invalid_request_error: no"):
        wire().decode(wrong, HttpCall("", {}))


def test_blocks_of_tools_that_run_at_the_provider_come_back_unchanged() -> None:
    call = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    found = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}
    _, reply = replies(
        wire(),
        {"type": "content_block_start", "index": 0, "content_block": call},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": '{"query": "x"}'},
        },
        {"type": "content_block_start", "index": 1, "content_block": found},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "So."}},
        {"type": "message_stop"},
    )
    blocks = body(wire(), user("hi"), reply.message, user("and"))["messages"][1]["content"]
    assert blocks == [{**call, "input": {"query": "x"}}, found, {"type": "text", "text": "So."}]


def test_results_that_hold_more_than_text() -> None:
    picture = Media("image/png", data="AAAA")
    sound = Media("audio/wav", data="AAAA", name="a.wav")
    results = Message("tool", (ToolResult("1", "now", (Text("see"), picture, sound)),))
    found = body(wire(), user("hi"), Message("assistant", (ToolCall("1", "now", {}),)), results)
    (block,) = found["messages"][-1]["content"]
    assert [part["type"] for part in block["content"]] == ["text", "image", "text"]
    assert block["content"][2]["text"] == "[audio/wav a.wav]"
