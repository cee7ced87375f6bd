"""Gemini: what the conformance suite cannot know of it."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from hector.config.llm_gemini import GeminiLlm
from hector.core.content import Data, JsonObject, Media, Message, Replay, Text, Thinking, ToolCall, ToolResult, user
from hector.core.errors import ModelAuthError, ModelUnavailable, UnsupportedContent
from hector.core.event import Delta, TextDelta, ThinkingDelta
from hector.core.ports import ModelReply, ModelRequest, OutputSchema, ToolSpec
from hector.core.usage import FinishReason, Usage
from hector.models.gemini import GeminiWire, create, model_version
from hector.models.wire import AskAgain, HttpCall
from tests.models.fakeprovider import BAD_KEY, Call, FakeProvider, Turn, fake_provider

ORIGIN = "gemini:gemini-3.8-flash"
READ = ToolSpec("read", "Reads.", {"type": "object", "properties": {"at": {"$ref": "#/$defs/P"}}, "$defs": {"P": {}}})
ASKED = ModelRequest("", (user("hi"),))


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with fake_provider() as server:
        yield server


def wire(model: str = "gemini-3.8-flash", **settings: Any) -> GeminiWire:
    return GeminiWire(GeminiLlm(model=model, **settings), "main")


def encode(wire: GeminiWire, *messages: Message, dropped: Sequence[str] = (), **more: Any) -> HttpCall:
    request = ModelRequest("Be brief.", messages or (user("hi"),), **more)
    return wire.encode(request, stream=True, dropped=frozenset(dropped))


def replies(*chunks: Any) -> tuple[list[Delta], ModelReply]:
    decoder = wire().decoder(HttpCall("", {}))
    deltas = [delta for chunk in chunks for delta in decoder.feed(None, json.dumps(chunk))]
    return deltas, decoder.finish()


def chunk(*parts: JsonObject, finish: str | None = None, **more: Any) -> JsonObject:
    candidate: JsonObject = {"content": {"role": "model", "parts": list(parts)}}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], **more}


# what is sent


@pytest.mark.parametrize(
    ("model", "version"),
    [("gemini-3.8-flash", (3, 8)), ("gemini-4-argon", (4, 0)), ("gemini-flash-latest", (99, 0)), ("gemma-4", (0, 0))],
)
def test_versions(model: str, version: tuple[int, int]) -> None:
    assert model_version(model) == version


def test_where_calls_go() -> None:
    assert encode(wire()).path == "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse"
    whole = wire("tunedModels/mine 1", api_version="v1").encode(ASKED, stream=False, dropped=frozenset())
    assert whole.path == "/v1/tunedModels/mine%201:generateContent"


@pytest.mark.proves("models.base-url")
@pytest.mark.parametrize("path", ["", "/", "/v1beta", "/v1beta/", "/v1"])
async def test_addresses_with_and_without_version(fake: FakeProvider, path: str) -> None:
    model = create(GeminiLlm(base_url=fake.url + path, api_key="k"), "main")
    await model.complete(ASKED)
    assert fake.seen[0].path == "/v1beta/models/gemini-3.8-flash:generateContent"
    await model.aclose()


@pytest.mark.proves("config.llms.thinking")
@pytest.mark.parametrize(
    ("model", "settings", "sent"),
    [
        ("gemini-3.8-flash", {}, {"includeThoughts": True, "thinkingLevel": "LOW"}),
        ("gemini-3.8-flash", {"budget_tokens": 30000}, {"includeThoughts": True, "thinkingLevel": "XHIGH"}),
        ("gemini-3.8-flash", {"effort": "high"}, {"includeThoughts": True, "thinkingLevel": "HIGH"}),
        ("gemini-3.8-flash", {"enabled": False}, {"thinkingLevel": "MINIMAL"}),
        ("gemini-2.5-pro", {"budget_tokens": 3000}, {"includeThoughts": True, "thinkingBudget": 3000}),
        ("gemini-2.5-pro", {"effort": "medium"}, {"includeThoughts": True, "thinkingBudget": 8192}),
        ("gemini-2.5-flash", {"enabled": False}, {"thinkingBudget": 0}),
        ("gemini-2.0-flash", {}, None),
        ("gemma-4", {}, None),
    ],
)
def test_thinking_by_version(model: str, settings: dict[str, Any], sent: Any) -> None:
    config = encode(wire(model, thinking=settings)).body.get("generationConfig", {})
    assert config.get("thinkingConfig") == sent


def test_settings_are_sent_only_when_set() -> None:
    assert "generationConfig" not in encode(wire()).body
    found = encode(wire(temperature=0.0, max_tokens=50)).body["generationConfig"]
    assert found == {"temperature": 0.0, "maxOutputTokens": 50}


@pytest.mark.proves("models.tools")
def test_declarations() -> None:
    (group,) = encode(wire(), tools=[READ, ToolSpec("now", "", {"type": "object", "properties": {}})]).body["tools"]
    assert group["functionDeclarations"] == [
        {"name": "read", "description": "Reads.", "parametersJsonSchema": READ.parameters},
        {"name": "now"},
    ]
    (legacy,) = encode(wire(), tools=[READ], dropped=["json_schema"]).body["tools"]
    assert legacy["functionDeclarations"][0]["parameters"] == {"type": "object", "properties": {"at": {}}}


@pytest.mark.proves("models.gemini.audio", "models.gemini.image", "models.gemini.video", "models.media")
@pytest.mark.parametrize("media_type", ["image/png", "audio/wav", "video/mp4", "application/pdf"])
def test_media(media_type: str) -> None:
    inline = Media(media_type, data="AAAA")
    linked = Media(media_type, url="https://a.test/b")
    assert encode(wire(), Message("user", (inline, linked))).body["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": media_type, "data": "AAAA"}},
        {"fileData": {"mimeType": media_type, "fileUri": "https://a.test/b"}},
    ]


@pytest.mark.proves("models.media")
@pytest.mark.parametrize("media_type", ["image/gif", "application/zip"])
def test_what_it_does_not_take(media_type: str) -> None:
    with pytest.raises(UnsupportedContent, match=f"takes no {media_type} parts; it takes text, images"):
        encode(wire(), Message("user", (Media(media_type, data="AAAA"),)))


def test_results_are_objects_and_their_pictures_follow() -> None:
    calls = tuple(ToolCall(str(at), "now", {}) for at in range(3))
    results = Message(
        "tool",
        (
            ToolResult("0", "now", (Text("noon"), Media("image/png", data="AAAA"))),
            ToolResult("1", "now", (Data({"hour": 12}),)),
            ToolResult("2", "now", (Text("broken"),), is_error=True),
        ),
    )
    parts = encode(wire(), user("hi"), Message("assistant", calls), results).body["contents"][-1]["parts"]
    assert [part["functionResponse"]["response"] for part in parts[:3]] == [
        {"result": "noon\n[image/png attached]"},
        {"hour": 12},
        {"error": "broken"},
    ]
    assert parts[3] == {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}


def test_foreign_calls_carry_the_word_for_no_signature() -> None:
    history = (user("hi"), Message("assistant", (ToolCall("1", "now", {}), ToolCall("2", "now", {}))))
    parts = encode(wire(), *history).body["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == ["skip_thought_signature_validator", None]
    older = encode(wire("gemini-2.5-pro"), *history).body["contents"][1]["parts"]
    assert not any("thoughtSignature" in part for part in older)


# what comes back


@pytest.mark.proves("models.gemini")
def test_parts_with_a_signature_stand_alone() -> None:
    signed: list[JsonObject] = [
        {"text": "c", "thoughtSignature": "s1"},
        {"functionCall": {"name": "now", "args": {}}, "thoughtSignature": "s2"},
        {"text": "", "thoughtSignature": "s3"},
    ]
    deltas, reply = replies(
        chunk({"text": "Hm", "thought": True}),
        chunk({"text": "m", "thought": True}, {"text": "a"}),
        chunk({"text": "b"}),
        chunk(*signed),
        chunk(finish="STOP"),
    )
    assert deltas == [ThinkingDelta("Hm"), ThinkingDelta("m"), TextDelta("a"), TextDelta("b"), TextDelta("c")]
    thinking, text, after, call, last = reply.message.parts
    assert (thinking, text) == (Thinking("Hmm"), Text("ab"))
    assert (after, last) == (Text("c", Replay(ORIGIN, signed[0])), Thinking("", Replay(ORIGIN, signed[2])))
    assert isinstance(call, ToolCall)
    assert call.id
    sent = encode(wire(), user("hi"), reply.message, Message("tool", (ToolResult(call.id, "now", ()),))).body[
        "contents"
    ]
    assert sent[1]["parts"] == [{"text": "ab"}, *signed]
    assert "id" not in sent[2]["parts"][0]["functionResponse"]


def test_thoughts_are_counted_as_output_and_counts_are_totals() -> None:
    counts = {"promptTokenCount": 10, "toolUsePromptTokenCount": 2, "candidatesTokenCount": 3}
    more = {"candidatesTokenCount": 5, "thoughtsTokenCount": 7, "cachedContentTokenCount": 4}
    _, reply = replies(
        chunk({"text": "a"}, usageMetadata=counts), chunk(finish="STOP"), {"usageMetadata": {**counts, **more}}
    )
    assert reply.usage == Usage(12, 12, 4, 0, 7)


@pytest.mark.proves("models.finish")
@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", FinishReason.STOP),
        ("MAX_TOKENS", FinishReason.LENGTH),
        ("SAFETY", FinishReason.CONTENT_FILTER),
        ("IMAGE_SAFETY", FinishReason.CONTENT_FILTER),
        ("IMAGE_SOMETHING_NEW", FinishReason.CONTENT_FILTER),
        ("CONTINUATION", FinishReason.PAUSE),
        ("UNEXPECTED_TOOL_CALL", FinishReason.ERROR),
        ("OTHER", FinishReason.ERROR),
        ("SOMETHING_NEW", FinishReason.STOP),
    ],
)
def test_finish_reasons(reason: str, finish: FinishReason) -> None:
    _, reply = replies(chunk({"text": "x"}, finish=reason))
    assert (reply.finish, reply.raw_finish) == (finish, reason)


@pytest.mark.parametrize(
    "parts",
    [
        (),
        ({"text": ""},),
        ({"text": " "},),
        ({"text": "Hm", "thought": True},),
        ({"text": "", "thoughtSignature": "s"},),
    ],
)
def test_an_empty_answer_is_worth_another_try(parts: tuple[JsonObject, ...]) -> None:
    with pytest.raises(AskAgain) as caught:
        replies(chunk(*parts, finish="STOP"))
    assert caught.value.reply.finish == FinishReason.STOP


@pytest.mark.proves("models.retry")
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("finish", ["MALFORMED_FUNCTION_CALL", "STOP"])
async def test_a_useless_answer_is_asked_for_again_once(fake: FakeProvider, finish: str, streamed: bool) -> None:
    model = create(GeminiLlm(base_url=fake.url, api_key="k"), "main")

    async def ask() -> ModelReply:
        if not streamed:
            return await model.complete(ASKED)
        items = [item async for item in model.stream(ASKED)]
        assert isinstance(items[-1], ModelReply)
        return items[-1]

    fake.script(Turn(finish=finish), Turn(text="here"), Turn(finish=finish), Turn(finish=finish))
    assert (await ask()).message.text == "here"
    again = await ask()
    assert (again.raw_finish, again.message.text) == (finish, "")
    assert len(fake.seen) == 4
    await model.aclose()


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_blocked_prompt(fake: FakeProvider, streamed: bool) -> None:
    model = create(GeminiLlm(base_url=fake.url, api_key="k"), "main")
    fake.default = Turn(finish="blocked")
    items = [item async for item in model.stream(ASKED)] if streamed else [await model.complete(ASKED)]
    assert isinstance(items[-1], ModelReply)
    assert (items[-1].finish, items[-1].raw_finish) == (FinishReason.CONTENT_FILTER, "blocked: PROHIBITED_CONTENT")
    await model.aclose()


def test_a_picture_in_the_answer() -> None:
    _, reply = replies(chunk({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}, finish="STOP"))
    assert reply.message.parts == (Media("image/png", data="AAAA"),)


def test_arguments_of_another_kind_are_kept_as_text() -> None:
    _, reply = replies(chunk({"functionCall": {"name": "now", "args": [1]}, "thoughtSignature": "c2ln"}, finish="STOP"))
    (call,) = reply.message.tool_calls
    assert (call.args, call.raw, call.replay) == ({}, "[1]", None)


# errors


def test_the_wait_stands_in_the_body() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}]
    fault = {"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED", "details": details}}
    for body in (fault, [fault]):
        found = wire().error(429, {}, json.dumps(body).encode())
        assert isinstance(found, ModelUnavailable)
        assert found.retry_after == 34.0


@pytest.mark.proves("sovereign.keys-stay")
async def test_a_bad_key_comes_as_400(fake: FakeProvider) -> None:
    model = create(GeminiLlm(base_url=fake.url, api_key=BAD_KEY), "main")
    with pytest.raises(ModelAuthError, match="HTTP 400 INVALID_ARGUMENT: API key not valid"):
        await model.complete(ASKED)
    await model.aclose()


@pytest.mark.proves("models.strip-and-retry")
async def test_spoilt_signatures_are_left_out_once(fake: FakeProvider) -> None:
    model = create(GeminiLlm(base_url=fake.url, api_key="k"), "main")
    item = {"functionCall": {"name": "now", "args": {}}, "thoughtSignature": "spoilt"}
    spoilt = Message("assistant", (ToolCall("1", "now", {}, None, Replay(ORIGIN, item)),))
    result = Message("tool", (ToolResult("1", "now", (Text("noon"),)),))
    reply = await model.complete(ModelRequest("", (user("hi"), spoilt, result)))
    assert reply.message.text == "echo: noon"
    assert [refusal.message for refusal in fake.refusals] == ["Corrupted thought signature."]
    await model.aclose()


@pytest.mark.proves("models.structured")
async def test_older_models_get_tools_and_schema_in_separate_turns(fake: FakeProvider) -> None:
    model = create(GeminiLlm(base_url=fake.url, api_key="k", model="gemini-2.5-flash"), "main")
    shape = OutputSchema({"type": "object", "properties": {"a": {"type": "integer"}}})
    fake.script(Turn(text="It is one."), Turn(text='{"a": 1}'))
    reply = await model.complete(ModelRequest("", (user("hi"),), [READ], output=shape))
    assert reply.message.text == '{"a": 1}'
    assert not fake.refusals
    fake.script(Turn(calls=(Call("read", {}),)))
    assert (await model.complete(ModelRequest("", (user("hi"),), [READ], output=shape))).message.tool_calls
    await model.aclose()
