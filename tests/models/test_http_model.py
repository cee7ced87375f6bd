"""The HTTP loop itself: what is the same for every wire format and needs only one to be seen."""

import asyncio
import gc
import time
import tracemalloc
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from hector.config.llm_anthropic import AnthropicLlm
from hector.config.llm_gemini import GeminiLlm
from hector.core.clock import FakeClock
from hector.core.content import Message, Text, ToolResult, user
from hector.core.errors import ConfigError, ModelError, ModelRejected, ModelUnavailable
from hector.core.ports import ModelReply, ModelRequest, ToolSpec
from hector.models import answers, anthropic
from hector.models.anthropic import AnthropicWire
from hector.models.http import HttpModel
from hector.models.registry import create
from hector.net.call import CallerOptions
from hector.net.caller import open_caller
from hector.net.retry import RetryPolicy
from tests.models.fakeprovider import FakeProvider, Turn, fake_provider

ASKED = ModelRequest("Be brief.", (user("hi"),))


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with fake_provider() as server:
        yield server


def llm(url: str, **settings: Any) -> AnthropicLlm:
    return AnthropicLlm(**{"base_url": url, "api_key": "k", "retry": {"initial_delay": 0.01}, **settings})


async def last(model: Any, asked: ModelRequest = ASKED) -> ModelReply:
    found = [item async for item in model.stream(asked)][-1]
    assert isinstance(found, ModelReply)
    return found


@pytest.mark.proves("models.retry")
async def test_waits_double_and_vary(fake: FakeProvider) -> None:
    clock = FakeClock()
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    caller = partial(open_caller, CallerOptions(fake.url, headers))
    wire = AnthropicWire(llm(fake.url), "main")
    for chance, waits in ((0.0, [0.375, 0.75, 1.5]), (1.0, [0.5, 1.0, 2.0])):
        clock.slept.clear()
        model = HttpModel(wire, caller, RetryPolicy(max_attempts=4), clock=clock, chance=partial(float, chance))
        fake.script(*[Turn(status=529)] * 3)
        assert (await model.complete(ASKED)).message.text == "echo: hi"
        assert clock.slept == waits
        await model.aclose()


@pytest.mark.proves("models.retry")
async def test_a_wait_longer_than_allowed_ends_the_call(fake: FakeProvider) -> None:
    model = create("main", llm(fake.url, retry={"max_delay": 5}))
    fake.script(Turn(status=429, headers={"retry-after": "6"}))
    with pytest.raises(ModelUnavailable, match="asks for a wait of 6 seconds"):
        await model.complete(ASKED)
    await model.aclose()


@pytest.mark.proves("models.retry")
async def test_a_server_that_wishes_to_be_asked_again(fake: FakeProvider) -> None:
    model = create("main", llm(fake.url))
    fake.script(Turn(status=400, headers={"x-should-retry": "true"}))
    assert (await model.complete(ASKED)).message.text == "echo: hi"
    fake.script(Turn(status=500, headers={"x-should-retry": "false"}))
    with pytest.raises(ModelRejected):
        await model.complete(ASKED)
    assert len(fake.seen) == 3
    await model.aclose()


async def test_a_stream_that_is_not_closed_after_its_end(fake: FakeProvider) -> None:
    model = create("main", llm(fake.url))
    fake.script(Turn(text="done", linger=True))
    began = time.monotonic()
    assert (await last(model)).message.text == "done"
    assert time.monotonic() - began < answers.DRAIN_SECONDS + 10
    await model.aclose()


async def test_a_connection_lost_after_the_end_does_no_harm(fake: FakeProvider) -> None:
    """Gemini's streams end with the connection's; the finish reason came one event before."""
    model = create("main", GeminiLlm(base_url=fake.url, api_key="k"))
    fake.script(Turn(text="done", cut=3))
    assert (await last(model)).message.text == "done"
    assert len(fake.seen) == 1
    await model.aclose()


@pytest.mark.proves("models.faults")
@pytest.mark.parametrize("streamed", [False, True])
async def test_answers_have_a_limit(fake: FakeProvider, monkeypatch: pytest.MonkeyPatch, streamed: bool) -> None:
    monkeypatch.setattr(answers, "ANSWER_LIMIT", 5000)
    model = create("main", llm(fake.url, retry={"max_attempts": 1}))
    fake.default = Turn(text="x" * 6000)
    with pytest.raises(ModelError, match="longer than"):
        await (last(model) if streamed else model.complete(ASKED))
    await model.aclose()


@pytest.mark.proves("models.faults", "serve.model-down")
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_failed_call_holds_nothing(fake: FakeProvider, streamed: bool) -> None:
    """The error is kept by whoever reports it; what had been read must not live on with it."""
    model = create("main", llm(fake.url, retry={"max_attempts": 1}))
    fake.default = Turn(text="x" * 1_000_000, words=False, cut=1_000_000 if not streamed else 4)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(8):
            with pytest.raises(ModelError):
                await (last(model) if streamed else model.complete(ASKED))
        assert tracemalloc.get_traced_memory()[0] < 4_000_000
    finally:
        tracemalloc.stop()
        gc.enable()
    await model.aclose()


@pytest.mark.proves("models.faults")
async def test_error_pages_without_end(fake: FakeProvider) -> None:
    model = create("main", llm(fake.url))
    fake.script(Turn(status=400, raw="<p>" + "no " * 500_000, content_type="text/html"))
    with pytest.raises(ModelRejected, match="HTTP 400: no no no") as caught:
        await model.complete(ASKED)
    assert len(str(caught.value)) < 1000
    await model.aclose()


@pytest.mark.proves("models.faults")
async def test_an_error_answer_that_breaks_off(fake: FakeProvider) -> None:
    model = create("main", llm(fake.url))
    fake.script(Turn(status=404, message="gone", cut=30))
    with pytest.raises(ModelRejected, match="HTTP 404"):
        await model.complete(ASKED)
    await model.aclose()


async def test_a_whole_answer_to_a_wish_for_a_stream(fake: FakeProvider) -> None:
    """Some gateways ignore `stream`."""
    model = create("main", llm(fake.url))
    raw = '{"content": [{"type": "text", "text": "all at once"}], "stop_reason": "end_turn"}'
    fake.script(Turn(raw=raw))
    assert (await last(model)).message.text == "all at once"
    await model.aclose()


async def test_halves_of_characters_are_replaced(fake: FakeProvider) -> None:
    model = create("main", llm(fake.url))
    reply = await model.complete(ModelRequest("", (user("half \ud83d"),)))
    assert reply.message.text == "echo: half ?"
    await model.aclose()


@pytest.mark.proves("models.strip-and-retry")
async def test_two_refused_parameters_one_after_the_other(fake: FakeProvider) -> None:
    model = create("main", llm(fake.url, model="claude-opus-4-6", temperature=0.1, parallel_tool_calls=False))
    fake.script(
        Turn(status=400, message="temperature: Extra inputs are not permitted"),
        Turn(status=400, message="tool_choice.disable_parallel_tool_use: Extra inputs are not permitted"),
    )
    asked = ModelRequest("", (user("hi"),), [ToolSpec("now", "", {})])
    await model.complete(asked)
    await model.complete(asked)
    assert len(fake.seen) == 4
    assert not fake.seen[3].body.keys() & {"temperature", "tool_choice"}
    await model.aclose()


@pytest.mark.proves("models.strip-and-retry")
async def test_a_parameter_that_is_refused_although_left_out(fake: FakeProvider) -> None:
    model = create("main", llm(fake.url))
    fake.default = Turn(status=400, message="temperature: still wrong")
    with pytest.raises(ModelRejected, match="still wrong"):
        await model.complete(ASKED)
    assert len(fake.seen) == 2
    fake.default = None
    await model.complete(ASKED)
    await model.aclose()


@pytest.mark.proves("models.proxy")
async def test_through_a_proxy(fake: FakeProvider) -> None:
    model = create("main", llm("http://provider.invalid", proxy=fake.url))
    assert (await last(model)).message.text == "echo: hi"
    assert fake.seen[0].headers["host"] == "provider.invalid"
    await model.aclose()


@pytest.mark.proves("models.proxy", "sovereign.keys-stay")
async def test_a_proxy_that_is_not_there() -> None:
    async with fake_provider() as gone:
        proxy = gone.url.replace("//", "//joe:proxypass99@")
    model = create("main", llm("http://provider.invalid", proxy=proxy, retry={"max_attempts": 1}))
    with pytest.raises(ModelUnavailable, match="no connection to the proxy.*check `proxy`") as caught:
        await model.complete(ASKED)
    assert "proxypass99" not in str(caught.value)
    await model.aclose()


@pytest.mark.proves("models.proxy")
async def test_a_ca_bundle_that_is_not_there() -> None:
    model = create("main", llm("https://127.0.0.1:1", ca_bundle="/nowhere/ca.pem"))
    with pytest.raises(ModelRejected, match=r"llm 'main' .*/nowhere/ca\.pem"):
        await model.complete(ASKED)
    await model.aclose()


@pytest.mark.parametrize("url", ["127.0.0.1:80", "ftp://a.test", "http://", "http://a.test:port"])
def test_addresses_of_no_use(url: str) -> None:
    with pytest.raises(ConfigError, match="usable URL"):
        create("main", llm("http://a.test").with_changes(base_url=url))


async def test_headers_that_cannot_be_sent(fake: FakeProvider) -> None:
    model = create("main", llm(fake.url, api_key="two\nlines"))
    with pytest.raises(ModelError, match="check `api_key` and `headers`") as caught:
        await model.complete(ASKED)
    assert "two" not in str(caught.value)
    assert not fake.seen
    await model.aclose()


@pytest.mark.proves("models.cancel")
async def test_cancelling_while_waiting_for_the_next_try(fake: FakeProvider) -> None:
    model = create("main", llm(fake.url, retry={"initial_delay": 20}))
    fake.script(Turn(status=503))
    async with asyncio.timeout(60):
        task = asyncio.create_task(last(model))
        await fake.asked.wait()
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await model.aclose()


async def test_the_default_answers_of_the_fake(fake: FakeProvider) -> None:
    """What other test-suites rely on: words are echoed, `call NAME {json}` calls a tool."""
    model = anthropic.create(llm(fake.url), "main")
    tools = [ToolSpec("now", "", {})]
    reply = await model.complete(ModelRequest("", (user('call now {"zone": "UTC"}'),), tools))
    (call,) = reply.message.tool_calls
    assert (call.name, call.args) == ("now", {"zone": "UTC"})
    result = Message("tool", (ToolResult(call.id, "now", (Text("noon"),)),))
    final = await model.complete(ModelRequest("", (user("hi"), reply.message, result), tools))
    assert final.message.text == "echo: noon"
    await model.aclose()
