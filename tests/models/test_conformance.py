"""What every wire format must do, whatever its provider: run over all of `FORMATS` against the fake provider."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from hector.core.content import Data, Media, Message, Text, Thinking, ToolCall, ToolResult, user
from hector.core.errors import (
    ConfigError,
    ContextOverflow,
    ModelAuthError,
    ModelError,
    ModelRejected,
    ModelUnavailable,
    UnsupportedContent,
)
from hector.core.event import Delta, TextDelta, ThinkingDelta
from hector.core.ports import ChatModel, ModelReply, ModelRequest, OutputSchema, ToolSpec
from hector.core.usage import FinishReason
from hector.models.faults import BODY_LIMIT
from tests.models.fakeprovider import BAD_KEY, Call, FakeProvider, Turn, fake_provider
from tests.models.formats import FORMATS, KEY, Format

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(24)).decode()
SYSTEM = "Be brief."
READ = ToolSpec("fs.read/file", "Reads a file.", {"type": "object", "properties": {"path": {"type": "string"}}})
TIME = ToolSpec("now", "Tells the time.", {"$schema": "x", "type": "object", "properties": {}})
SHAPE = OutputSchema(
    {
        "type": "object",
        "properties": {"city": {"type": "string", "minLength": 1}, "size": {"type": "integer"}},
        "required": ["city", "size"],
    }
)


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with fake_provider() as server:
        yield server


@pytest.fixture(params=FORMATS, ids=lambda found: found.name)
def wire(request: pytest.FixtureRequest) -> Format:
    found = request.param
    assert isinstance(found, Format)
    return found


@pytest.fixture
async def model(wire: Format, fake: FakeProvider) -> AsyncIterator[ChatModel]:
    found = wire.model(fake.url)
    yield found
    await found.aclose()


def request(*messages: Message, **more: Any) -> ModelRequest:
    return ModelRequest(SYSTEM, messages or (user("hi"),), **more)


async def stream(model: ChatModel, asked: ModelRequest) -> tuple[list[Delta], ModelReply]:
    """All deltas, and the reply, which must come last and once."""
    deltas: list[Delta] = []
    replies: list[ModelReply] = []
    async with aclosing(model.stream(asked)) as items:
        async for item in items:
            assert not replies
            if isinstance(item, ModelReply):
                replies.append(item)
            else:
                assert item
                deltas += item
    return deltas, replies[0]


def texts(deltas: Sequence[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def answer(reply: ModelReply, *contents: tuple[Text | Media | Data, ...]) -> Message:
    """The results of a reply's calls; calls without content in order get "ok"."""
    given = [*contents, *[(Text("ok"),)] * 9]
    calls = reply.message.tool_calls
    return Message("tool", tuple(ToolResult(call.id, call.name, given[at]) for at, call in enumerate(calls)))


def last_body(fake: FakeProvider) -> str:
    return json.dumps(fake.seen[-1].body)


# plain turns


@pytest.mark.proves("models.usage", "models.finish", "models.anthropic")
async def test_whole_turn(wire: Format, model: ChatModel, fake: FakeProvider) -> None:
    reply = await model.complete(request())
    assert reply.message == Message("assistant", reply.message.parts)
    assert (reply.message.text, reply.finish, reply.usage) == ("echo: hi", FinishReason.STOP, wire.usage)
    assert reply.model
    assert not fake.refusals


@pytest.mark.proves("models.usage", "models.finish", "models.anthropic.streaming")
@pytest.mark.parametrize("noise", [False, True])
async def test_streamed_turn(wire: Format, model: ChatModel, fake: FakeProvider, noise: bool) -> None:
    fake.script(Turn(text="Grüße aus 東京 und 🗼 Paris", noise=noise))
    deltas, reply = await stream(model, request())
    assert texts(deltas) == reply.message.text == "Grüße aus 東京 und 🗼 Paris"
    assert len(deltas) > 2
    assert (reply.finish, reply.usage) == (FinishReason.STOP, wire.usage)
    assert not fake.refusals


@pytest.mark.proves("models.finish")
@pytest.mark.parametrize(
    ("finish", "expected"), [("length", FinishReason.LENGTH), ("content_filter", FinishReason.CONTENT_FILTER)]
)
async def test_other_ends(
    wire: Format, model: ChatModel, fake: FakeProvider, finish: str, expected: FinishReason
) -> None:
    if finish == "content_filter" and not wire.filters:
        pytest.skip("no filters on this wire")
    fake.script(Turn(text="so far", finish=finish), Turn(text="so far", finish=finish))
    assert (await model.complete(request())).finish == expected
    assert (await stream(model, request()))[1].finish == expected


async def test_a_conversation_over_one_connection(model: ChatModel, fake: FakeProvider) -> None:
    messages: list[Message] = []
    for text in ("one", "two", "three"):
        messages.append(user(text))
        _, reply = await stream(model, request(*messages))
        messages.append(reply.message)
    assert messages[-1].text == "echo: three"
    assert not fake.refusals
    assert fake.connections == 1


# tools


@pytest.mark.proves("models.tools")
@pytest.mark.parametrize("streamed", [False, True])
async def test_parallel_calls_with_foreign_names(model: ChatModel, fake: FakeProvider, streamed: bool) -> None:
    read = "fs_read_file"
    fake.script(Turn(text="Let me see.", calls=(Call(read, {"path": "ä"}), Call("now"), Call(read, {"path": "b"}))))
    asked = request(tools=(READ, TIME))
    reply = (await stream(model, asked))[1] if streamed else await model.complete(asked)
    calls = reply.message.tool_calls
    assert [(call.name, call.args, call.raw) for call in calls] == [
        ("fs.read/file", {"path": "ä"}, None),
        ("now", {}, None),
        ("fs.read/file", {"path": "b"}, None),
    ]
    assert len({call.id for call in calls}) == 3
    assert reply.finish == FinishReason.TOOL_CALLS
    final = await model.complete(request(user("hi"), reply.message, answer(reply, (Text("A"),)), tools=(READ, TIME)))
    assert "A" in final.message.text
    assert not fake.refusals


@pytest.mark.proves("agents.tool-errors")
@pytest.mark.parametrize("streamed", [False, True])
async def test_malformed_arguments(wire: Format, model: ChatModel, fake: FakeProvider, streamed: bool) -> None:
    if wire.objects_only:
        pytest.skip("arguments are objects on this wire")
    fake.script(Turn(calls=(Call("now", '{"a": '),)))
    asked = request(tools=(TIME,))
    reply = (await stream(model, asked))[1] if streamed else await model.complete(asked)
    (call,) = reply.message.tool_calls
    assert call.args == {}
    if streamed:
        assert call.raw == '{"a": '
    sorry = Message("tool", (ToolResult(call.id, call.name, (Text("not JSON"),), is_error=True),))
    await model.complete(request(user("hi"), reply.message, sorry, tools=(TIME,)))
    assert not fake.refusals


@pytest.mark.proves("models.tools")
@pytest.mark.parametrize("choice", ["none", "required"])
async def test_tool_choice(model: ChatModel, fake: FakeProvider, choice: Any) -> None:
    await model.complete(request(tools=(TIME,), tool_choice=choice))
    assert not fake.refusals


@pytest.mark.proves("models.tools")
async def test_orphans_and_strays_are_settled(model: ChatModel, fake: FakeProvider) -> None:
    """Calls without results, results without calls, results out of order or too late."""
    calls = Message("assistant", (ToolCall("a", "now", {}), ToolCall("b", "now", {}), ToolCall("c", "now", {})))
    results = Message("tool", (ToolResult("c", "now", (Text("C"),)), ToolResult("zz", "now", (Text("stray"),))))
    messages = [user("hi"), calls, results, user("go on"), Message("assistant", (Text("  "), Text("fine")))]
    late = Message("tool", (ToolResult("b", "now", (Text("late"),)),))
    await model.complete(request(*messages, late, user("and"), user("now?"), tools=(TIME,)))
    assert not fake.refusals
    assert "cancelled" in last_body(fake)
    assert "stray" not in last_body(fake)
    assert "late" not in last_body(fake)


@pytest.mark.proves("models.tools")
async def test_equal_call_ids_in_one_history(model: ChatModel, fake: FakeProvider) -> None:
    """Some servers number calls from 0 in every turn, and use characters that others refuse."""
    messages = [user("hi")]
    for word in ("first", "second"):
        messages.append(Message("assistant", (ToolCall("functions.now:0", "now", {}),)))
        messages.append(Message("tool", (ToolResult("functions.now:0", "now", (Text(word),)),)))
    await model.complete(request(*messages, tools=(TIME,)))
    assert not fake.refusals
    assert last_body(fake).index("first") < last_body(fake).index("second")


# thinking


@pytest.mark.proves("models.anthropic.thinking")
@pytest.mark.parametrize("streamed", [False, True])
async def test_thinking_is_replayed_over_three_turns(wire: Format, fake: FakeProvider, streamed: bool) -> None:
    """The fake refuses a request whose thoughts or signatures are lost, changed or out of place."""
    model = wire.model(fake.url, thinking={"budget_tokens": 2000})
    messages = [user("hi")]
    asked = [
        Turn(thinking="First, look.", redacted=True, text="I look.", calls=(Call("now"), Call("now", {"a": 1}))),
        Turn(thinking="Once more.", calls=(Call("now", {"b": [1, {"c": None}]}),)),
        Turn(thinking="That is it.", text="It is noon."),
        Turn(text="Bye."),
    ]
    fake.script(*asked)
    for turn in asked:
        found = request(*messages, tools=(TIME,))
        deltas, reply = await stream(model, found) if streamed else ([], await model.complete(found))
        thoughts = [part.text for part in reply.message.parts if isinstance(part, Thinking) and part.text]
        assert "".join(thoughts) == turn.thinking
        assert reply.message.text == turn.text
        if streamed:
            assert "".join(d.text for d in deltas if isinstance(d, ThinkingDelta)) == turn.thinking
        messages += [reply.message, answer(reply) if turn.calls else user("thanks")]
        assert not fake.refusals
    await model.aclose()


@pytest.mark.proves("standards.swap-provider")
async def test_history_from_every_other_format(wire: Format, fake: FakeProvider) -> None:
    """A conversation moves on to another provider: foreign thoughts stay behind, everything else goes along."""
    messages: list[Message] = []
    for other in (*FORMATS, wire):
        model = other.model(fake.url, thinking={"budget_tokens": 2000})
        fake.script(Turn(thinking="Hm.", text="I look.", calls=(Call("now"), Call("now"))), Turn(text="It is noon."))
        messages.append(user(f"and at {other.name}?"))
        for _ in range(2):
            _, reply = await stream(model, request(*messages, tools=(TIME,)))
            messages.append(reply.message)
            if reply.message.tool_calls:
                messages.append(answer(reply))
        assert not fake.refusals, f"{wire.name} after {other.name}"
        await model.aclose()


@pytest.mark.proves("standards.swap-provider")
async def test_a_tool_loop_changes_hands(wire: Format, fake: FakeProvider) -> None:
    """Call at one provider, result to another."""
    for other in FORMATS:
        fake.script(Turn(thinking="Hm.", calls=(Call("now"), Call("now"))))
        before = other.model(fake.url, thinking={})
        reply = await before.complete(request(tools=(TIME,)))
        after = wire.model(fake.url, thinking={})
        await after.complete(request(user("hi"), reply.message, answer(reply), tools=(TIME,)))
        assert not fake.refusals, f"{other.name} to {wire.name}"
        await before.aclose()
        await after.aclose()


# structured output


@pytest.mark.proves("models.structured")
@pytest.mark.parametrize("streamed", [False, True])
async def test_structured_output(model: ChatModel, fake: FakeProvider, streamed: bool) -> None:
    value = {"city": "Köln", "size": 7}
    fake.default = Turn(text=json.dumps(value), as_output=True)
    asked = request(output=SHAPE)
    deltas, reply = await stream(model, asked) if streamed else ([], await model.complete(asked))
    assert json.loads(reply.message.text) == value
    assert reply.finish == FinishReason.STOP
    if streamed:
        assert json.loads(texts(deltas)) == value
    assert not fake.refusals


@pytest.mark.proves("models.structured")
async def test_structured_output_beside_tools(model: ChatModel, fake: FakeProvider) -> None:
    asked = request(tools=(TIME,), output=SHAPE)
    fake.script(Turn(calls=(Call("now"),)))
    reply = await model.complete(asked)
    assert reply.finish == FinishReason.TOOL_CALLS
    fake.default = Turn(text='{"city": "Bonn", "size": 1}', as_output=True)
    final = await model.complete(request(user("hi"), reply.message, answer(reply), tools=(TIME,), output=SHAPE))
    assert json.loads(final.message.text) == {"city": "Bonn", "size": 1}
    assert not fake.refusals


# media


@pytest.mark.proves("models.media")
async def test_images_from_users_and_tools(model: ChatModel, fake: FakeProvider) -> None:
    picture = Media("image/png", data=PIXEL, name="dot.png")
    fake.script(Turn(calls=(Call("now"),)))
    first = Message("user", (Text("What is this?"), picture, Data({"a": 1})))
    reply = await model.complete(request(first, tools=(TIME,)))
    shown = answer(reply, (Text("seen:"), picture))
    await model.complete(request(first, reply.message, shown, tools=(TIME,)))
    assert not fake.refusals
    assert last_body(fake).count(PIXEL) == 2


@pytest.mark.proves("models.media")
async def test_text_documents(model: ChatModel, fake: FakeProvider) -> None:
    note = Media("text/markdown", data=base64.b64encode("# Maße".encode()).decode(), name="note.md")
    await model.complete(request(Message("user", (Text("Read."), note))))
    assert not fake.refusals
    assert "# Ma" in last_body(fake)


@pytest.mark.proves("models.media")
async def test_what_a_provider_does_not_take(wire: Format, model: ChatModel, fake: FakeProvider) -> None:
    """Refused with a clear text while it is new; named, not shown, once it is history."""
    odd = Message("user", (Text("Look."), Media("application/x-odd", data="AAAA", name="odd.bin")))
    with pytest.raises(UnsupportedContent, match=r"llm 'main' .*takes no application/x-odd parts; it takes text"):
        await model.complete(request(odd))
    assert not fake.seen
    await model.complete(request(odd, Message("assistant", (Text("I cannot."),)), user("Never mind.")))
    assert "odd.bin" in last_body(fake)
    assert not fake.refusals


# faults


@pytest.mark.proves("models.cancel")
@pytest.mark.parametrize("streamed", [False, True])
async def test_cancelling_closes_the_upstream(model: ChatModel, fake: FakeProvider, streamed: bool) -> None:
    fake.script(Turn(text="one two three", stall=2))

    async def consume() -> None:
        await (stream(model, request()) if streamed else model.complete(request()))

    async with asyncio.timeout(60):
        task = asyncio.create_task(consume())
        await fake.asked.wait()
        task.cancel()
        async with asyncio.timeout(60):
            await fake.gone.wait()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.proves("models.cancel")
async def test_closing_the_generator_closes_the_upstream(model: ChatModel, fake: FakeProvider) -> None:
    fake.script(Turn(text="one two three four five six seven eight", words=True, stall=6))
    async with asyncio.timeout(60):
        async with aclosing(model.stream(request())) as items:
            await anext(items)
        async with asyncio.timeout(60):
            await fake.gone.wait()


@pytest.mark.proves("models.faults")
@pytest.mark.parametrize("fault", ["truncate", "cut", "malform", "fail"])
async def test_broken_before_any_output_is_tried_again(model: ChatModel, fake: FakeProvider, fault: str) -> None:
    fake.script(Turn.from_json({"text": "lost", fault: 0}), Turn(text="here"))
    _, reply = await stream(model, request())
    assert reply.message.text == "here"
    assert len(fake.seen) == 2


@pytest.mark.proves("models.faults")
@pytest.mark.parametrize("fault", ["truncate", "cut", "malform", "fail"])
async def test_broken_after_output_is_an_error(wire: Format, model: ChatModel, fake: FakeProvider, fault: str) -> None:
    fake.script(Turn.from_json({"text": "one two three four five six seven", "pace": 0.01, fault: 6}))
    seen: list[Any] = []

    async def consume() -> None:
        async with aclosing(model.stream(request())) as items:
            async for item in items:
                seen.append(item)

    with pytest.raises(ModelUnavailable, match="llm 'main'"):
        await consume()
    assert seen
    assert not any(isinstance(item, ModelReply) for item in seen)
    assert len(fake.seen) == 1


@pytest.mark.proves("models.faults")
@pytest.mark.parametrize("fault", [{"hang_up": True}, {"cut": 10}, {"raw": "<html>oops</html>"}, {"raw": ""}])
async def test_broken_whole_answers_are_tried_again(
    model: ChatModel, fake: FakeProvider, fault: dict[str, Any]
) -> None:
    fake.script(Turn(text="lost", **fault), Turn(text="here"))
    assert (await model.complete(request())).message.text == "here"


@pytest.mark.proves("models.faults")
async def test_a_connection_that_died_unnoticed(model: ChatModel, fake: FakeProvider) -> None:
    fake.script(Turn(text="one", close=True))
    assert (await stream(model, request()))[1].message.text == "one"
    assert (await stream(model, request()))[1].message.text == "echo: hi"
    assert len(fake.seen) == 2


@pytest.mark.proves("models.retry")
@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
async def test_states_that_pass_are_waited_out(model: ChatModel, fake: FakeProvider, status: int) -> None:
    fake.script(Turn(status=status), Turn(status=status), Turn(text="here"))
    assert (await model.complete(request())).message.text == "here"
    assert len(fake.seen) == 3


@pytest.mark.proves("models.retry")
@pytest.mark.parametrize("headers", [{"retry-after": "0.15"}, {"retry-after-ms": "150"}])
async def test_the_wait_that_is_asked_for(model: ChatModel, fake: FakeProvider, headers: dict[str, str]) -> None:
    fake.script(Turn(status=429, headers=headers))
    began = time.monotonic()
    await stream(model, request())
    assert 0.15 <= time.monotonic() - began < 20


@pytest.mark.proves("models.retry")
async def test_giving_up(wire: Format, fake: FakeProvider) -> None:
    fake.default = Turn(status=503, message="too busy")
    model = wire.model(fake.url, retry={"max_attempts": 3, "initial_delay": 0.001})
    with pytest.raises(ModelUnavailable, match=r"llm 'main' .*503.*too busy.*gave up after 3 tries") as caught:
        await stream(model, request())
    assert (len(fake.seen), caught.value.status) == (3, 503)
    fake.default = Turn(status=429, headers={"retry-after": "3000"})
    with pytest.raises(ModelUnavailable, match="asks for a wait of 3000 seconds"):
        await model.complete(request())
    assert len(fake.seen) == 4
    await model.aclose()


@pytest.mark.proves("models.retry")
@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_what_is_never_tried_again(model: ChatModel, fake: FakeProvider, status: int) -> None:
    fake.script(Turn(status=status, message="no such thing"))
    with pytest.raises(ModelRejected, match="no such thing") as caught:
        await model.complete(request())
    assert (len(fake.seen), caught.value.status) == (1, status)


@pytest.mark.proves("models.faults")
@pytest.mark.parametrize("streamed", [False, True])
async def test_context_overflow(wire: Format, model: ChatModel, fake: FakeProvider, streamed: bool) -> None:
    fake.script(Turn(status=400, message=wire.overflow))
    with pytest.raises(ContextOverflow):
        await (stream(model, request()) if streamed else model.complete(request()))
    assert len(fake.seen) == 1


@pytest.mark.proves("sovereign.keys-stay")
async def test_a_key_that_is_refused(wire: Format, fake: FakeProvider) -> None:
    if wire.keyless:
        pytest.skip("no key on this wire")
    model = wire.model(fake.url, api_key=BAD_KEY)
    with pytest.raises(ModelAuthError, match="check the api_key") as caught:
        await model.complete(request())
    assert BAD_KEY not in str(caught.value)
    assert len(fake.seen) == 1
    await model.aclose()


@pytest.mark.proves("sovereign.keys-stay")
async def test_a_server_that_repeats_the_key(wire: Format, fake: FakeProvider) -> None:
    model = wire.model(fake.url, retry={"max_attempts": 1})
    fake.script(Turn(status=400, message=f"strange request with {KEY}"), Turn(fail=0, message=f"strange {KEY}"))
    for _ in range(2):
        with pytest.raises(ModelError, match="strange") as caught:
            await stream(model, request())
        assert KEY not in str(caught.value)
    await model.aclose()


@pytest.mark.proves("sovereign.keys-stay")
async def test_a_server_that_repeats_other_credentials(wire: Format, fake: FakeProvider) -> None:
    """Those in headers of the section, and keys that stand where an error text is cut off."""
    model = wire.model(fake.url, headers={"X-Gateway-Key": "gate-0123456789", "Cf-Authorization": "Bearer tkn-987654"})
    fake.script(Turn(status=400, message="strange gate-0123456789 and tkn-987654"))
    fake.script(Turn(status=400, message="strange" + "." * (BODY_LIMIT - 15) + KEY))
    fake.script(Turn(status=400, raw="strange" + " " * 300 + "." * (BODY_LIMIT // 4 - 15) + KEY, content_type="x/y"))
    for _ in range(3):
        with pytest.raises(ModelError, match="strange") as caught:
            await stream(model, request())
        assert not any(secret in str(caught.value) for secret in ("gate-0123", "tkn-9", KEY[:6]))
    await model.aclose()


@pytest.mark.proves("sovereign.keys-stay")
def test_credentials_in_the_address_are_refused(wire: Format) -> None:
    with pytest.raises(ConfigError, match="`base_url` holds a user name") as caught:
        wire.model("http://bob:urlpass666@127.0.0.1:1")
    assert "bob" not in str(caught.value)


@pytest.mark.proves("models.faults")
async def test_streams_that_are_none(model: ChatModel, fake: FakeProvider) -> None:
    """A page or binary noise under the right content type is named; an empty stream has been cut off."""
    fake.default = Turn(raw="<html>Welcome to nginx", content_type="text/event-stream")
    with pytest.raises(ModelUnavailable, match="Welcome to nginx"):
        await stream(model, request())
    fake.default = Turn(raw=": keep-alive\n\n", content_type="text/event-stream")
    with pytest.raises(ModelUnavailable):
        await stream(model, request())


@pytest.mark.proves("models.faults")
async def test_redirects_are_not_followed(model: ChatModel, fake: FakeProvider) -> None:
    fake.script(Turn(status=307, raw="", headers={"location": f"{fake.url}/elsewhere"}))
    with pytest.raises(ModelRejected, match="HTTP 307.*redirects are not followed; check `base_url`"):
        await model.complete(request())
    assert len(fake.seen) == 1


@pytest.mark.proves("models.faults")
async def test_pages_instead_of_answers(model: ChatModel, fake: FakeProvider) -> None:
    page = "<html><style>b{}</style><h1>Bad Gateway</h1>" + "<p>very long</p>" * 5000
    fake.default = Turn(status=502, raw=page, content_type="text/html")
    with pytest.raises(ModelUnavailable, match="502: Bad Gateway very long") as caught:
        await model.complete(request())
    assert len(str(caught.value)) < 2500
    fake.default = Turn(raw=page, content_type="text/html")
    with pytest.raises(ModelUnavailable, match="not in the expected form"):
        await stream(model, request())


@pytest.mark.proves("models.faults")
@pytest.mark.parametrize("raw", ["[]", "{}", "null", '{"candidates": 3, "choices": 3, "content": 3, "output": 3}'])
async def test_documents_of_another_shape(model: ChatModel, fake: FakeProvider, raw: str) -> None:
    fake.default = Turn(raw=raw)
    for streamed in (False, True):
        with pytest.raises(ModelError):
            await (stream(model, request()) if streamed else model.complete(request()))


@pytest.mark.proves("models.faults")
async def test_a_server_that_is_too_slow(wire: Format, fake: FakeProvider) -> None:
    fake.default = Turn(text="late", first_delay=5)
    model = wire.model(fake.url, timeout=0.1, retry={"max_attempts": 1})
    with pytest.raises(ModelUnavailable, match=r"llm 'main' .*127\.0\.0\.1.*raise `timeout`"):
        await stream(model, request())
    await model.aclose()


@pytest.mark.proves("models.faults", "serve.model-down")
async def test_a_server_that_is_not_there(wire: Format) -> None:
    async with fake_provider() as gone:
        url = gone.url
    model = wire.model(url, retry={"max_attempts": 2, "initial_delay": 0.001})
    with pytest.raises(ModelUnavailable, match=r"llm 'main' .*is the server running\? check `base_url`.*after 2 tries"):
        await model.complete(request())
    await model.aclose()


@pytest.mark.proves("models.strip-and-retry")
async def test_a_refused_parameter_is_left_out_from_then_on(wire: Format, fake: FakeProvider) -> None:
    text = f"Unsupported parameter: '{wire.sampling}' is not supported with this model."
    fake.script(Turn(status=400, message=text, param=wire.sampling))
    model = wire.model(fake.url, temperature=0.5)
    for _ in range(2):
        assert (await stream(model, request()))[1].message.text == "echo: hi"
    assert len(fake.seen) == 3
    assert [f'"{wire.sampling}"' in json.dumps(seen.body) for seen in fake.seen][1:] == [False, False]
    await model.aclose()


@pytest.mark.proves("models.proxy")
async def test_extra_headers(wire: Format, fake: FakeProvider) -> None:
    model = wire.model(fake.url, headers={"X-Team": "blue", "User-Agent": "ours"})
    await model.complete(request())
    assert (fake.seen[0].headers["x-team"], fake.seen[0].headers["user-agent"]) == ("blue", "ours")
    await model.aclose()


async def test_many_at_once(model: ChatModel, fake: FakeProvider) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(stream(model, request(user(f"number {at}")))) for at in range(20)]
    assert [task.result()[1].message.text for task in tasks] == [f"echo: number {at}" for at in range(20)]
