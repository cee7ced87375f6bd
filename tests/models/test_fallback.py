"""Several models in place of one: over HTTP, with servers that fail and one that answers."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from hector.apps.app import App
from hector.apps.build import build
from hector.config.load import load_config
from hector.config.root import HectorConfig
from hector.core.content import Message, Text, user
from hector.core.errors import (
    AccountSpent,
    ConfigError,
    ContextOverflow,
    ModelAuthError,
    ModelError,
    ModelRejected,
    ModelUnavailable,
    UnsupportedContent,
)
from hector.core.event import TextDelta
from hector.core.ports import ChatModel, ModelReply, ModelRequest
from hector.core.usage import FinishReason, Usage
from hector.models.fallback import After, Choice, Fallback, Rests, after, in_order
from hector.tools.catalog import Catalog
from tests.mcp.test_serving import serving
from tests.models.fakeprovider import FakeProvider, Turn, fake_provider

ROOT = Path(__file__).parents[2]
ASKED = ModelRequest("", (user("hi"),))
pytestmark = pytest.mark.proves("models.fallback")


@pytest.fixture
async def first() -> AsyncIterator[FakeProvider]:
    async with fake_provider() as fake:
        yield fake


@pytest.fixture
async def second() -> AsyncIterator[FakeProvider]:
    async with fake_provider() as fake:
        fake.default = Turn(text="from the second one")
        yield fake


def app_of(first: FakeProvider, second: FakeProvider, agent: dict[str, Any] | None = None, **primary: Any) -> App:
    """An agent `a` that uses `one`, and `two` instead of it."""
    common = {"provider": "anthropic", "api_key": "k", "model": "claude-sonnet-4-5", "retry": {"max_attempts": 1}}
    llms = {"one": {**common, "base_url": first.url, **primary}, "two": {**common, "base_url": second.url}}
    agents = {"a": {"llm": ["one", "two"], **(agent or {})}, "b": {"llm": ["one", "two"]}, "plain": {"llm": "one"}}
    return build(HectorConfig.model_validate({"llms": llms, "agents": agents}), Catalog())


def model_of(app: App, agent: str = "a") -> ChatModel:
    return app.agents[agent].model()  # type: ignore[attr-defined, no-any-return]


async def streamed(model: ChatModel) -> tuple[str, ModelReply]:
    """The text of the pieces, and the reply."""
    text, reply = "", None
    async with aclosing(model.stream(ASKED)) as items:
        async for item in items:
            if isinstance(item, ModelReply):
                reply = item
            else:
                text += "".join(delta.text for delta in item if isinstance(delta, TextDelta))
    assert reply is not None
    return text, reply


@pytest.mark.parametrize(
    ("error", "then"),
    [
        (ModelUnavailable("down"), After(30, True)),
        (ModelUnavailable("busy", retry_after=90), After(90, True)),
        (ModelUnavailable("busy", retry_after=2), After(30, True)),
        (ModelAuthError("key"), After(30, True)),
        (AccountSpent("spent"), After(30, True)),
        (UnsupportedContent("pdf"), After(0, True)),
        (ContextOverflow("long"), After(0, True)),
        (ModelRejected("wrong"), After(0, False)),
        (ModelError("wrong"), After(0, False)),
    ],
)
def test_what_follows_from_a_failure(error: ModelError, then: After) -> None:
    assert after(error, 30) == then


def test_those_that_rest_come_last_and_soonest_first() -> None:
    now = [0.0]
    rests = Rests(lambda: now[0])
    choices = [Choice(name, lambda: None) for name in "abc"]  # type: ignore[arg-type, return-value]
    rests.begin("a", 20)
    rests.begin("b", 10)
    assert [one.id for one in in_order(choices, rests)] == ["c", "b", "a"]
    rests.begin("a", 5)
    assert rests.left("a") == 20
    now[0] = 15
    assert [one.id for one in in_order(choices, rests)] == ["b", "c", "a"]
    rests.end("a", 1)
    assert [one.id for one in in_order(choices, rests)] == ["b", "c", "a"], "it was asked before it failed again"
    rests.end("a", 2)
    assert [one.id for one in in_order(choices, rests)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "failure",
    [
        Turn(status=503),
        Turn(status=401),
        Turn(status=429, headers={"retry-after": "60"}),
        Turn(status=402, kind="billing_error"),
        Turn(hang_up=True),
    ],
)
async def test_the_next_one_answers_and_the_first_rests(
    first: FakeProvider, second: FakeProvider, failure: Turn, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_of(first, second)
    first.script(failure)
    with caplog.at_level(logging.WARNING, "hector.models"):
        reply = await model_of(app).complete(ASKED)
    assert reply.message.text == "from the second one"
    assert reply.usage.model == "two"
    assert any("another one is asked" in record.message for record in caplog.records)
    again = await model_of(app, "b").complete(ASKED)
    assert (again.usage.model, len(first.seen)) == ("two", 1)
    assert app.models.rests is not None
    assert app.models.rests.left("one") > (50 if failure.status == 429 else 20)
    await app.aclose()


async def test_it_is_used_again_after_its_rest(first: FakeProvider, second: FakeProvider) -> None:
    app = app_of(first, second, cooldown=0)
    first.script(Turn(status=503))
    assert (await model_of(app).complete(ASKED)).usage.model == "two"
    assert (await model_of(app).complete(ASKED)).usage.model == "one"
    await app.aclose()


async def test_a_stream_goes_over_before_its_first_piece(first: FakeProvider, second: FakeProvider) -> None:
    app = app_of(first, second)
    first.script(Turn(status=529))
    text, reply = await streamed(model_of(app))
    assert (text, reply.usage.model) == ("from the second one", "two")
    await app.aclose()


async def test_a_stream_that_broke_off_is_not_mixed_with_another(first: FakeProvider, second: FakeProvider) -> None:
    app = app_of(first, second)
    first.script(Turn(text="one two three four five six", cut=5))
    with pytest.raises(ModelUnavailable):
        await streamed(model_of(app))
    assert not second.seen
    text, reply = await streamed(model_of(app))
    assert (text, reply.usage.model) == ("from the second one", "two")
    await app.aclose()


async def test_the_first_error_counts_where_all_fail(first: FakeProvider, second: FakeProvider) -> None:
    app = app_of(first, second)
    first.script(Turn(status=400, message="prompt is too long: 9 > 8"))
    second.script(Turn(status=503))
    with pytest.raises(ContextOverflow):
        await model_of(app).complete(ASKED)
    first.script(Turn(status=400, message="prompt is too long: 9 > 8"))
    second.script(Turn(status=503))
    with pytest.raises(ContextOverflow):
        await streamed(model_of(app))
    assert app.models.rests is not None
    assert app.models.rests.left("one") == 0
    await app.aclose()


async def test_a_refused_request_is_not_sent_elsewhere(first: FakeProvider, second: FakeProvider) -> None:
    app = app_of(first, second)
    first.script(Turn(status=400, message="nonsense"))
    with pytest.raises(ModelRejected, match="nonsense"):
        await model_of(app).complete(ASKED)
    assert not second.seen
    await app.aclose()


async def test_an_answer_to_an_earlier_question_ends_no_rest() -> None:
    asked = asyncio.Event()

    class Late:
        """Answers once the others have been told to wait."""

        async def complete(self, request: ModelRequest) -> ModelReply:
            await asked.wait()
            return ModelReply(Message("assistant", (Text("late"),)), FinishReason.STOP, Usage())

    rests = Rests()
    late = Fallback([Choice("one", lambda: cast("ChatModel", Late()))], rests)
    async with asyncio.TaskGroup() as group:
        early = group.create_task(late.complete(ASKED))
        await asyncio.sleep(0)
        rests.begin("one", 60)
        asked.set()
    assert early.result().message.text == "late"
    assert rests.left("one") > 50
    await late.complete(ASKED)
    assert rests.left("one") == 0, "it answered again"


async def test_one_model_alone_has_nothing_around_it(first: FakeProvider, second: FakeProvider) -> None:
    app = app_of(first, second)
    assert model_of(app, "plain") is app.models.get("one")
    assert app.models.rests is None
    assert (await model_of(app, "plain").complete(ASKED)).usage.model == ""
    await app.aclose()


async def test_an_agent_may_have_it_otherwise(first: FakeProvider, second: FakeProvider) -> None:
    app = app_of(first, second, {"llm_overrides": {"temperature": 0.25, "max_tokens": 77}})
    first.script(Turn(status=503))
    await model_of(app).complete(ASKED)
    assert [seen.body["max_tokens"] for seen in (*first.seen, *second.seen)] == [77, 77]
    assert first.seen[0].body["temperature"] == 0.25
    await model_of(app, "plain").complete(ASKED)
    assert first.seen[1].body["max_tokens"] != 77
    assert "temperature" not in first.seen[1].body
    await app.aclose()


async def test_the_example() -> None:
    app = build(load_config(ROOT / "examples" / "fallback.yaml", {}).config, Catalog())
    reply = await model_of(app, "assistant").complete(ASKED)
    assert (reply.usage.model, reply.message.text) == ("spare", "This is the second model, since the first one rests.")
    await app.aclose()


async def test_a_model_that_cannot_be_made_is_passed_over(first: FakeProvider, second: FakeProvider) -> None:
    app = app_of(first, second)

    def broken() -> ChatModel:
        raise ConfigError("llms.one: the key is missing")

    rests = Rests()
    both = [Choice("one", broken), Choice("two", lambda: app.models.get("two"))]
    assert (await Fallback(both, rests).complete(ASKED)).usage.model == "two"
    assert rests.now().keys() == {"one"}
    async with aclosing(Fallback(both, Rests()).stream(ASKED)) as items:
        assert [item async for item in items]
    with pytest.raises(ConfigError, match="the key is missing"):
        await Fallback(both[:1], Rests()).complete(ASKED)
    await app.aclose()


async def test_the_health_says_who_rests(first: FakeProvider, tmp_path: Path) -> None:
    first.script(Turn(status=503))
    one = {"provider": "anthropic", "api_key": "k", "model": "m", "base_url": first.url, "retry": {"max_attempts": 1}}
    llms = {"default": one, "two": {"provider": "scripted", "rules": [{"text": "spare"}]}}
    agents = {"helper": {"llm": ["default", "two"]}}
    async with serving(tmp_path, llms=llms, agents=agents) as url, httpx.AsyncClient(trust_env=False) as client:
        root = url.removesuffix("/mcp")
        assert "models_resting" not in (await client.get(f"{root}/health")).json()
        asked = {"model": "helper", "messages": [{"role": "user", "content": "hi"}]}
        assert "spare" in (await client.post(f"{root}/v1/chat/completions", json=asked)).text
        (resting,) = (await client.get(f"{root}/health")).json()["models_resting"].items()
        assert resting[0] == "default"
        assert 0 < resting[1] <= 30


async def test_nobody_is_left() -> None:
    with pytest.raises(ModelUnavailable):
        await Fallback([], Rests()).complete(ASKED)
