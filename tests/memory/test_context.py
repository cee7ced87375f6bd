"""Long conversations: what the model is shown of them, and that nothing is ever lost."""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from hector.agents.estimate import FORESEEN, factor_of, tokens_of, tokens_of_text
from hector.agents.history import SUMMARY
from hector.agents.summary import INTRODUCTION
from hector.agents.windows import fitting, last_messages, safe
from hector.config.checkpoint import Checkpoint
from hector.core.content import Message, Text, ToolCall, ToolResult, user
from hector.core.event import Event
from hector.core.usage import Usage
from hector.store.usage import UsageQuery
from hector.tasks.checkpoint import Checkpoints
from tests.memory.world import ANA, World, scripted, world

LOOK: dict[str, Any] = {
    "user": "look",
    "turn": 0,
    "tool_calls": [{"name": "look"}, {"name": "look", "args": {"at": "x"}}],
}
SUMMARIZE: dict[str, Any] = {"system": "You keep the record", "text": "They spoke of numbers."}
SAY: dict[str, Any] = {"text": "Understood, and this is an answer of some length for the sake of the budget."}


async def look(at: str = "it") -> str:
    """Look."""
    return f"saw {at}: " + "something " * 10


def config(*rules: dict[str, Any], **context: Any) -> dict[str, Any]:
    """An agent with a tool and a strategy."""
    made = scripted(*rules, tools=["look"], context=context, disable_safety_protocols=True)
    return made | {"tools": {"look": {"handler": "look", "idempotent": True}}}


def whole(messages: Sequence[Message]) -> bool:
    """Whether every result stands behind its call, and every call has its result."""
    open_calls: set[str] = set()
    for message in messages:
        results = {part.call_id for part in message.parts if isinstance(part, ToolResult)}
        if results != open_calls:
            return False
        open_calls = {call.id for call in message.tool_calls}
    return not open_calls


async def talk(server: World, *said: str, context: str = "c") -> list[str]:
    """One turn for each."""
    return [await server.ask(text, context=context) for text in said]


def turns(count: int) -> list[Message]:
    """Messages of so many turns with a tool."""
    found: list[Message] = []
    for at in range(count):
        call = ToolCall(f"c{at}", "look", {})
        found += [user(f"q{at}"), Message("assistant", (call,)), Message("tool", (ToolResult(f"c{at}", "look", ()),))]
        found.append(Message("assistant", (Text(f"a{at}"),)))
    return found


@pytest.mark.proves("context.whole")
def test_no_cut_parts_a_call_from_its_results() -> None:
    messages = turns(5)
    for count in range(1, len(messages) + 3):
        start = last_messages(messages, count)
        assert messages[start].role != "tool"
        assert count <= len(messages) - start <= count + 1 or start == 0
    chance = random.Random(7)
    for _ in range(200):
        start = fitting(messages, chance.uniform(0, 200), chance.choice((0.5, 1.0, 3.0)), chance.randrange(6))
        assert start < len(messages)
        assert messages[start].role != "tool"
    assert safe(messages, 2) == 1
    assert safe(messages, 99) == len(messages)


@pytest.mark.proves("context.tokens")
def test_estimates_count_bytes_and_learn_from_the_provider() -> None:
    assert tokens_of_text("") == 0
    assert tokens_of_text("word " * 100) == 125
    assert 70 <= tokens_of_text("火" * 100) <= 80
    assert tokens_of(user("x" * 40)) == 14

    def turn(foreseen: int, counted: int) -> Event:
        usage, facts = Usage(counted, 1), {FORESEEN: foreseen}
        return Event("e", "i", "helper", 0.0, Message("assistant", ()), usage=usage, metadata=facts)

    assert factor_of([turn(100, 150)], "helper", "") == 1.5
    assert factor_of([turn(100, 150), turn(100, 0)], "helper", "") == 1.5, "one that says nothing teaches nothing"
    assert factor_of([turn(100, 9000)], "helper", "") == 4.0
    assert factor_of([turn(100, 150)], "other", "") == 1.0
    assert factor_of([], "helper", "") == 1.0


@pytest.mark.proves("context.windows", "context.whole")
@pytest.mark.parametrize(
    ("settings", "most"),
    [
        ({"strategy": "buffer_window", "window_size": 4}, 6),
        ({"strategy": "token_window", "budget": 100, "preserve_recent": 2}, 16),
    ],
    ids=["messages", "tokens"],
)
async def test_a_window_shows_the_last_messages_and_the_session_keeps_all(settings: dict[str, Any], most: int) -> None:
    async with world("sqlite://:memory:", config(LOOK, SAY, **settings), look) as server:
        asked = server.listen("default")
        for at in range(5):
            await talk(server, f"look {at}", f"say {at}")
        assert all(len(request.messages) <= most for request in asked)
        assert all(whole(request.messages) for request in asked)
        assert all(any(one.role == "user" for one in request.messages) for request in asked)
        assert asked[-1].messages[-1].text == "say 4"
        session = await server.store.sessions.load(ANA, "c")
        assert len([event for event in session.events if event.author == "user"]) == 10


@pytest.mark.proves("context.windows")
async def test_the_task_stays_in_sight_however_long_its_run_becomes() -> None:
    left = iter(range(8))

    async def look(at: str = "it") -> str:
        """Look."""
        return f"{at} {next(left, 'done')}"

    rules = ({"tool_result_matches": "done", **SAY}, {"tool_calls": [{"name": "look"}]})
    settings = config(*rules, strategy="buffer_window", window_size=2)
    async with world("sqlite://:memory:", settings, look) as server:
        asked = server.listen("default")
        await talk(server, "the task")
        assert [request.messages[0].text for request in asked] == ["the task"] * 10
        assert all(whole(request.messages) for request in asked)


@pytest.mark.proves("context.summary")
async def test_a_summary_is_made_once_and_stands_beside_the_conversation(dsn: str) -> None:
    settings = {"strategy": "summary_buffer", "budget": 400, "preserve_recent": 2, "threshold": 0.8, "target": 0.4}
    async with world(dsn, config(SUMMARIZE, LOOK, SAY, **settings), look) as server:
        asked = server.listen("default")
        while not any("You keep the record" in request.system for request in asked):
            assert len(asked) < 40
            await talk(server, f"look at number {len(asked)}")
        written = len(asked)
        await talk(server, "and now?")
        assert len(asked) == written + 1 or all("You keep the record" not in one.system for one in asked[written:])
        shown = asked[-1].messages
        assert shown[0].text == f"{INTRODUCTION}\nThey spoke of numbers."
        assert whole(shown)
        assert shown[-1].text == "and now?"
        session = await server.store.sessions.load(ANA, "c")
        (summary,) = [event for event in session.events if SUMMARY in (event.metadata or {})]
        assert summary.usage is not None
        assert summary.usage.total > 0
        assert summary.author == "helper"
        assert len([event for event in session.events if event.message.text.startswith("look at number")]) > 2
    if dsn == "sqlite://:memory:":
        return
    async with world(dsn, config(SUMMARIZE, LOOK, SAY, **settings), look) as server:
        asked = server.listen("default")
        await talk(server, "go on")
        assert asked[0].messages[0].text.startswith(INTRODUCTION), "another process uses the same summary"


@pytest.mark.proves("context.summary")
async def test_a_summary_that_cannot_be_written_does_not_cost_the_answer() -> None:
    broken = {"system": "You keep the record", "error": {"status": 400, "message": "no"}}
    settings = {"strategy": "summary_buffer", "budget": 300, "preserve_recent": 2}
    async with world("sqlite://:memory:", config(broken, LOOK, SAY, **settings), look) as server:
        answers = [*(await talk(server, *(f"look {at}" for at in range(8))))]
        assert set(answers) == {SAY["text"]}
        session = await server.store.sessions.load(ANA, "c")
        assert not [event for event in session.events if SUMMARY in (event.metadata or {})]


@pytest.mark.proves("context.overflow")
@pytest.mark.parametrize("strategy", ["none", "buffer_window", "token_window", "summary_buffer"])
async def test_what_a_provider_refuses_as_too_long_is_made_shorter_once(strategy: str) -> None:
    refuse = {"user": "too long", "error": {"status": 400, "message": "prompt is too long: 9 > 8", "times": 1}, **SAY}
    rules = (SUMMARIZE, refuse, LOOK, SAY)
    async with world("sqlite://:memory:", config(*rules, strategy=strategy), look) as server:
        await talk(server, *(f"look {at}" for at in range(4)))
        asked = server.listen("default")
        assert await talk(server, "too long") == [SAY["text"]]
        answers = [request for request in asked if "You keep the record" not in request.system]
        assert len(answers) == 2
        assert len(answers[1].messages) < len(answers[0].messages)
        assert all(whole(request.messages) for request in answers)
        assert (len(asked) == 3) == (strategy == "summary_buffer")


@pytest.mark.proves("context.overflow")
async def test_what_is_too_long_a_second_time_fails_and_says_so() -> None:
    refuse = {"user": "too long", "error": {"status": 400, "message": "prompt is too long: 9 > 8"}}
    async with world("sqlite://:memory:", config(refuse, SAY), look) as server:
        (answer,) = await talk(server, "too long")
        assert "the conversation is longer than the model's context" in answer


@pytest.mark.proves("context.summary")
async def test_a_summary_does_not_count_once_somebody_answers_what_was_open_then() -> None:
    ask = {"user": "^question", "turn": 0, "tool_calls": [{"name": "ask_user", "args": {"question": "which?"}}]}
    settings = {"strategy": "summary_buffer", "budget": 120, "preserve_recent": 2, "target": 0.3}
    made = config(SUMMARIZE, ask, LOOK, SAY, **settings)
    made["agents"]["helper"]["tools"] = ["look", "ask_user"]
    async with world("sqlite://:memory:", made, look) as server:
        from hector.core.content import user as words
        from hector.core.ids import new_id
        from hector.core.task import ClientMessage, Task, TaskQuery
        from hector.tasks.service import SendOptions

        assert await talk(server, "question") == ["which?"]
        await talk(server, *(f"look {at}" for at in range(6)))
        session = await server.store.sessions.load(ANA, "c")
        assert [event for event in session.events if SUMMARY in (event.metadata or {})]
        page = await server.service.list(ANA, "helper", TaskQuery())
        waiting = next(task for task in page.tasks if task.status.state == "input-required")
        asked = server.listen("default")
        reply = ClientMessage(new_id(), words("the blue one"), "c", waiting.id)
        done = await server.service.send(ANA, "helper", reply, SendOptions())
        assert isinstance(done, Task)
        assert whole(asked[-1].messages)
        results = [part for one in asked[-1].messages for part in one.parts if isinstance(part, ToolResult)]
        assert [part.content for part in results] == [(Text("the blue one"),)]
        asked.clear()
        await talk(server, "and then?")
        assert whole(asked[-1].messages)


@pytest.mark.proves("context.summary")
async def test_a_summary_is_paid_for_as_the_model_that_wrote_it() -> None:
    settings = {"strategy": "summary_buffer", "budget": 120, "preserve_recent": 2, "summarizer_llm": "small"}
    made = config(LOOK, SAY, **settings) | {"limits": {"usage": True}}
    made["llms"]["small"] = {"provider": "scripted", "model": "tiny", "rules": [SUMMARIZE]}
    made["prices"] = [{"model": "scripted/tiny", "input": 5, "output": 5}]
    async with world("sqlite://:memory:", made, look) as server:
        await talk(server, *(f"look {at}" for at in range(6)))
        while await server.store.counters.fold():
            pass
        lines = await costs(server)
        assert lines["scripted/tiny"] > 0
        assert lines["scripted/scripted"] == 0


async def costs(server: World) -> dict[str, int]:
    """What each model has cost, once both have been counted."""
    report = await server.store.usage.report(UsageQuery(by=("model",)))
    found = {line.place.model: line.amounts.money for line in report.lines}
    return found if len(found) > 1 else {}


@pytest.mark.proves("context.summary")
def test_a_summary_is_on_the_disk_before_the_model_goes_on() -> None:
    made = Event("e", "i", "helper", 0.0, user("They spoke."), metadata={SUMMARY: {"until": "x", "open": []}})
    assert Checkpoints(Checkpoint(enabled=False)).due(made)
