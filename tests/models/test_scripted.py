"""The scripted model: rules in, deltas and replies out."""

import asyncio
import time
from contextlib import aclosing
from typing import Any

import pytest

from hector.config.llm_scripted import ScriptedLlm
from hector.core.clock import FakeClock
from hector.core.content import Data, Message, Text, Thinking, ToolCall, ToolResult, user
from hector.core.errors import (
    ContextOverflow,
    ModelAuthError,
    ModelError,
    ModelRejected,
    ModelUnavailable,
)
from hector.core.event import Delta, TextDelta, ThinkingDelta
from hector.core.ports import ModelReply, ModelRequest
from hector.core.usage import FinishReason
from hector.models.scripted import ScriptedModel, create, describe, words


def model(*rules: dict[str, Any], clock: FakeClock | None = None) -> ScriptedModel:
    llm = ScriptedLlm.model_validate({"provider": "scripted", "rules": rules})
    return ScriptedModel(llm.rules, name="main", clock=clock or FakeClock())


def ask(*messages: Message, system: str = "") -> ModelRequest:
    return ModelRequest(system, messages)


async def run(scripted: ScriptedModel, request: ModelRequest) -> tuple[list[Delta], ModelReply]:
    deltas: list[Delta] = []
    async for item in scripted.stream(request):
        if isinstance(item, ModelReply):
            return deltas, item
        deltas += item
    raise AssertionError("no reply")


async def answer(scripted: ScriptedModel, request: ModelRequest) -> str:
    return (await scripted.complete(request)).message.text


def tool_turn(call: str, name: str, result: str) -> tuple[Message, Message]:
    return (
        Message("assistant", (ToolCall(call, name, {}),)),
        Message("tool", (ToolResult(call, name, (Text(result),)),)),
    )


@pytest.mark.proves("models.scripted")
async def test_first_matching_rule_answers() -> None:
    scripted = model({"user": "(?i)hello", "text": "Hi."}, {"system": "pirate", "text": "Arr."}, {"text": "What?"})
    assert await answer(scripted, ask(user("hello there"))) == "Hi."
    assert await answer(scripted, ask(user("x"), system="You are a pirate.")) == "Arr."
    assert await answer(scripted, ask(user("x"))) == "What?"


@pytest.mark.proves("models.scripted")
async def test_a_result_that_is_data_is_seen_as_a_real_model_sees_it() -> None:
    scripted = model({"tool_result_matches": "(?s)(?P<all>.+)", "text": r"\g<all>"})
    result = ToolResult("c", "weather", (Text("warm"), Data({"degrees": 21})))
    turn = (Message("assistant", (ToolCall("c", "weather", {}),)), Message("tool", (result,)))
    assert await answer(scripted, ask(user("x"), *turn)) == 'warm\n{"degrees":21}'


@pytest.mark.proves("models.scripted")
async def test_only_the_last_user_text_counts() -> None:
    scripted = model({"user": "red", "text": "R"}, {"user": "blue", "text": "B"})
    assert await answer(scripted, ask(user("red"), Message("assistant", (Text("R"),)), user("blue"))) == "B"


@pytest.mark.proves("models.scripted")
async def test_tool_results_and_turn_numbers_are_matched() -> None:
    scripted = model(
        {
            "tool_result": "weather",
            "tool_result_matches": r"(?P<degrees>\d+) C",
            "text": r"It has \g<degrees> degrees.",
        },
        {"tool_result": "weather", "text": "No idea."},
        {"turn": 0, "text": "first"},
        {"turn": 1, "text": "second"},
    )
    question = user("how warm?")
    assert await answer(scripted, ask(question)) == "first"
    assert await answer(scripted, ask(question, *tool_turn("c", "weather", "now 21 C"))) == "It has 21 degrees."
    assert await answer(scripted, ask(question, *tool_turn("c", "weather", "error"))) == "No idea."
    assert await answer(scripted, ask(question, *tool_turn("c", "other", "x"))) == "second"
    follow_up = ask(question, *tool_turn("c", "weather", "21 C"), Message("assistant", (Text("."),)), user("again"))
    assert await answer(scripted, follow_up) == "first"


@pytest.mark.proves("models.scripted")
async def test_groups_are_filled_into_text_thinking_and_arguments() -> None:
    scripted = model({
        "user": r"save (\w+) as (?P<name>\S+)",
        "thinking": r"They want \1.",
        "text": r"Saving \g<name> (\0). Costs \9 and \g<none>.",
        "tool_calls": [{"name": "save", "args": {"items": [r"\1", 7], "to": {"name": r"\g<name>"}}}],
    })  # fmt: skip
    reply = await scripted.complete(ask(user("please save notes as a.txt")))
    assert reply.message.parts == (
        Thinking("They want notes."),
        Text(r"Saving a.txt (save notes as a.txt). Costs \9 and \g<none>."),
        ToolCall("call_1", "save", {"items": ["notes", 7], "to": {"name": "a.txt"}}),
    )


@pytest.mark.proves("models.scripted")
async def test_words_stream_one_by_one_and_repeat_in_the_reply() -> None:
    clock = FakeClock()
    scripted = model({"thinking": "let me see", "text": "one  two\n\nthree ", "delay": 2, "pace": "100ms"}, clock=clock)
    deltas, reply = await run(scripted, ask(user("count")))
    assert [d.text for d in deltas if isinstance(d, ThinkingDelta)] == ["let", " me", " see"]
    assert [d.text for d in deltas if isinstance(d, TextDelta)] == ["one", "  two", "\n\nthree "]
    assert reply.message.parts == (Thinking("let me see"), Text("one  two\n\nthree "))
    assert clock.slept == [2.0] + [0.1] * 6


@pytest.mark.parametrize("text", ["", " ", "a", " a b ", "a\n", "\n\n- x\n- y\n", "ä ö\tü"])
def test_words_lose_nothing(text: str) -> None:
    assert "".join(words(text)) == text
    assert len(words(text)) == max(1, len(text.split())) or not text


@pytest.mark.proves("models.scripted")
async def test_parallel_calls_get_ids_that_are_unique_in_the_conversation() -> None:
    scripted = model({"tool_calls": [{"name": "a"}, {"name": "b", "args": {"x": 1}}]})
    question = user("go")
    first = await scripted.complete(ask(question))
    assert [(c.id, c.name, c.args) for c in first.message.tool_calls] == [
        ("call_1", "a", {}),
        ("call_2", "b", {"x": 1}),
    ]
    assert first.finish is FinishReason.TOOL_CALLS
    second = await scripted.complete(ask(question, first.message))
    assert [c.id for c in second.message.tool_calls] == ["call_3", "call_4"]


async def test_equal_conversations_give_equal_replies() -> None:
    scripted = model({"text": "same", "tool_calls": [{"name": "a"}]})
    assert await scripted.complete(ask(user("x"))) == await scripted.complete(ask(user("x")))


@pytest.mark.proves("models.scripted")
async def test_finish_and_model_name_are_reported() -> None:
    reply = await model({"text": "cut", "finish": "length"}).complete(ask(user("x")))
    assert (reply.finish, reply.raw_finish, reply.model) == (FinishReason.LENGTH, "length", "scripted")
    assert (await model({"text": "done"}).complete(ask(user("x")))).finish is FinishReason.STOP


@pytest.mark.proves("models.scripted")
async def test_usage_counts_words() -> None:
    scripted = model({"thinking": "a b", "text": "c d e"})
    usage = (await scripted.complete(ask(user("four words in all"), system="two words"))).usage
    assert (usage.input, usage.output, usage.reasoning, usage.total) == (6, 5, 2, 11)


@pytest.mark.proves("models.scripted")
@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "bad", ModelRejected),
        (400, "prompt is too long: 9 tokens > 8", ContextOverflow),
        (401, "no", ModelAuthError),
        (403, "no", ModelAuthError),
        (404, "no", ModelRejected),
        (429, "slow down", ModelUnavailable),
        (503, "later", ModelUnavailable),
        (529, "overloaded", ModelUnavailable),
    ],
)
async def test_errors_are_those_of_a_real_provider(status: int, message: str, kind: type[ModelError]) -> None:
    scripted = model({"error": {"status": status, "message": message, "retry_after": "3s"}})
    with pytest.raises(ModelError, match="main") as caught:
        await scripted.complete(ask(user("x")))
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.retry_after) == (status, 3.0)
    assert message in str(caught.value)


@pytest.mark.proves("models.scripted")
@pytest.mark.parametrize(
    "rules",
    [[{"error": {"times": 2}, "text": "recovered"}], [{"error": {"times": 2}}, {"text": "recovered"}]],
    ids=["own answer", "next rule"],
)
async def test_an_error_with_times_passes(rules: list[dict[str, Any]]) -> None:
    scripted = model(*rules)
    for _ in range(2):
        with pytest.raises(ModelUnavailable, match="scripted failure"):
            await scripted.complete(ask(user("x")))
    assert await answer(scripted, ask(user("x"))) == "recovered"


@pytest.mark.proves("models.scripted")
async def test_configured_retries_ride_over_passing_errors() -> None:
    rules = [{"user": "busy", "error": {"status": 529, "times": 2}, "text": "at last"}, {"error": {"status": 400}}]
    scripted = create(ScriptedLlm.model_validate({"rules": rules, "retry": {"initial_delay": "1ms"}}), "main")
    assert await answer(scripted, ask(user("busy"))) == "at last"
    with pytest.raises(ModelRejected):
        await scripted.complete(ask(user("x")))


@pytest.mark.proves("models.scripted")
async def test_no_matching_rule_names_the_text_and_the_rules() -> None:
    scripted = model({"user": "^ping$", "text": "pong"}, {"tool_result": "clock", "turn": 1, "text": "tick"})
    with pytest.raises(ModelRejected) as caught:
        await scripted.complete(ask(user("hello"), *tool_turn("c", "weather", "rain")))
    text = str(caught.value)
    for piece in ("llm 'main'", "'hello'", "weather", "user ~ '^ping$'", "tool_result = clock, turn = 1"):
        assert piece in text
    with pytest.raises(ModelRejected, match="Rules, in order: none"):
        await model().complete(ask(user("hello")))


def test_describe_names_every_condition() -> None:
    llm = ScriptedLlm.model_validate({
        "rules": [{}, {"user": "u", "system": "s", "tool_result": "t", "tool_result_matches": "m", "turn": 3}]
    })  # fmt: skip
    texts = [describe(rule) for rule in llm.rules]
    assert texts == ["always", "user ~ 'u', system ~ 's', tool_result = t, tool_result ~ 'm', turn = 3"]


@pytest.mark.proves("models.scripted")
async def test_a_slow_answer_is_cancelled_at_once() -> None:
    scripted = create(ScriptedLlm.model_validate({"rules": [{"text": "a b c", "pace": "1h"}]}), "main")
    began = time.monotonic()
    async with aclosing(scripted.stream(ask(user("x")))) as items:
        assert await anext(items) == (TextDelta("a"),)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(items)
    assert time.monotonic() - began < 60
