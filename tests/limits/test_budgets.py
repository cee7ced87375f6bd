"""Budgets: what is held before a call and paid after it, and what becomes of a task whose budget is used up."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest

from hector.core.content import Message, Text, ToolCall
from hector.core.errors import RateLimited
from hector.core.event import Event
from hector.core.ids import new_id
from hector.core.ports import ModelRequest
from hector.core.task import Caller, ClientMessage, Task, TaskState
from hector.core.usage import Usage
from hector.limits.meter import Subject
from hector.limits.prices import Model, Rate, dearest
from hector.store.counters import Charge
from hector.store.usage import UsageQuery
from hector.tasks.service import SendOptions
from tests.limits.conftest import ANA, process, settings, text_of, until

WORDS = " ".join(["word"] * 48)
ANSWER = {"text": WORDS}
CALL = 50
"""Tokens of the first call of a conversation with ANSWER: 48 words, "Help." and "go"."""
PRICES = [{"model": "scripted/*", "input": 1_000, "output": 10_000}]


def look(place: str) -> str:
    """Look somewhere."""
    return f"nothing at {place}"


def take(place: str) -> str:
    """Take something."""
    return f"took {place}"


def looping(calls: int, place: Callable[[int], str] = lambda _: "door") -> list[dict[str, Any]]:
    """A model that looks so many times, then answers."""
    rules = [{"turn": at, "tool_calls": [{"name": "look", "args": {"place": place(at)}}]} for at in range(calls)]
    return [*rules, {"text": "done"}]


LOOK = {"tools": {"look": {"type": "function", "handler": "look"}}}


@pytest.mark.proves("limits.budget")
@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"tokens": 90}, "tokens"),
        ({"money": 0.9}, "in money"),
    ],
)
async def test_a_task_of_a_user_whose_budget_is_used_up_fails_and_says_so(dsn: str, budget: Any, said: str) -> None:
    config = settings(ANSWER, prices=PRICES, budgets=[{"per": "user", **budget}])
    async with process(dsn, config) as server:
        done = [await server.send() for _ in range(3)]
        states = [task.status.state for task in done]
        assert states[0] is TaskState.COMPLETED
        assert states[-1] is TaskState.FAILED
        assert "the budget of user:default/ana for this day is used up" in text_of(done[-1])
        assert said in text_of(done[-1])
        assert (await server.send(caller=Caller(user="bo"))).status.state is TaskState.COMPLETED


@pytest.mark.proves("limits.budget")
async def test_a_run_ends_when_its_own_budget_is_used_up(dsn: str) -> None:
    config = settings(*looping(20, str), budgets=[{"per": "run", "tool_calls": 3}], **LOOK)
    async with process(dsn, config, (look,)) as server:
        task = await server.send()
        assert task.status.state is TaskState.FAILED
        assert text_of(task) == "the budget of this run is used up: 3 tool calls of 3 tool calls (budgets)"
        assert (await server.usage()).tools == 3


@pytest.mark.proves("limits.budget")
async def test_a_call_that_waits_for_approval_counts_when_it_is_made(dsn: str) -> None:
    calls = [{"name": "look", "args": {"place": "door"}}, {"name": "take", "args": {"place": "key"}}]
    rules: list[dict[str, Any]] = [{"turn": 0, "tool_calls": calls}, {"text": "done"}]
    asks = {"type": "function", "handler": "take", "require_approval": True}
    tools = {"tools": {**LOOK["tools"], "take": asks}}
    config = settings(*rules, budgets=[{"per": "run", "tool_calls": 2}], limits={"usage": True}, **tools)
    async with process(dsn, config, (look, take)) as server:
        task = await server.send()
        assert task.status.state is TaskState.INPUT_REQUIRED
        message = ClientMessage(new_id(), Message("user", (Text("approve"),)), task_id=task.id)
        answer = await server.service.send(ANA, "helper", message, SendOptions())
        assert isinstance(answer, Task)
        assert (answer.status.state, text_of(answer)) == (TaskState.COMPLETED, "")
        assert (await server.usage()).tools == 2


@pytest.mark.proves("limits.budget", "limits.usage")
@pytest.mark.parametrize(("announced", "count"), [((), 1), (("c1",), 0)])
async def test_a_call_that_was_paid_for_when_it_began_is_not_paid_for_again(
    dsn: str, announced: tuple[str, ...], count: int
) -> None:
    call = ToolCall("c1", "look", {"place": "door"})
    turn = Event("e1", "i", "helper", 0.0, Message("assistant", (call,)), usage=Usage(1, 1), started=("c1",))
    before = [turn, Event("e2", "i", "helper", 1.0, Message("tool", ()), started=announced)]
    async with process(dsn, settings(ANSWER, limits={"usage": True})) as server:
        charges: list[Charge] = []
        subject = Subject(ANA, "helper", "s", "t", lambda _agent, _answered: [("scripted/x", 50)])
        meter = server.limits.meter(subject, charges, before)
        assert meter is not None
        assert await meter.before_tools("helper", "i", [call], before) == {}
        assert sum(charge.amounts.tools for charge in charges) == count


@pytest.mark.proves("limits.budget")
async def test_a_run_that_takes_too_long_is_ended(dsn: str) -> None:
    config = settings({"text": "late", "delay": 30}, budgets=[{"per": "run", "time": 0.2}])
    async with process(dsn, config) as server, asyncio.timeout(60):
        task = await server.send()
        assert text_of(task) == "the budget of this run is used up: 0.2 s of time (budgets)"


@pytest.mark.proves("limits.budget")
async def test_budgets_may_be_meant_for_some_only(dsn: str) -> None:
    config = settings(ANSWER, budgets=[{"per": "user", "tokens": 1, "only": ["bo"]}])
    async with process(dsn, config) as server:
        assert (await server.send()).status.state is TaskState.COMPLETED
        assert (await server.send()).status.state is TaskState.COMPLETED
        bo = Caller(user="bo")
        states = [(await server.send(caller=bo)).status.state for _ in range(2)]
        assert states == [TaskState.COMPLETED, TaskState.FAILED]


@pytest.mark.proves("limits.repeated-calls")
async def test_equal_calls_are_refused_then_end_the_task(dsn: str) -> None:
    limits = {"repeated_calls": {"refuse_after": 2, "fail_after": 4}}
    config = settings(*looping(20), limits=limits, **LOOK)
    async with process(dsn, config, (look,)) as server:
        task = await server.send()
        assert task.status.state is TaskState.FAILED
        assert "called look 5 times in a row with the same arguments" in text_of(task)
        session = await server.store.sessions.load(ANA, task.context_id)
        told = [result for event in session.events for result in event.tool_results]
        assert [result.is_error for result in told] == [False, False, True, True]
        assert "was not called again" in str(told[2].content)
    config = settings(*looping(6, lambda at: str(at % 2)), limits=limits, **LOOK)
    async with process(dsn, config, (look,)) as server:
        assert (await server.send()).status.state is TaskState.COMPLETED


@pytest.mark.proves("limits.usage")
async def test_usage_counts_calls_tokens_tools_and_money_once(dsn: str) -> None:
    config = settings(*looping(2, str), prices=PRICES, **LOOK)
    async with process(dsn, config, (look,)) as server:
        task = await server.send()
        session = await server.store.sessions.load(ANA, task.context_id)
        used = [event.usage for event in session.events if event.usage]
        total = await server.usage()
        assert (total.calls, total.tools) == (3, 2)
        assert total.input == sum(one.input for one in used)
        assert total.output == sum(one.output for one in used)
        assert total.money == total.input * 1_000 + total.output * 10_000
        page = await server.store.usage.report(UsageQuery())
        assert [(line.place.app, line.place.agent, line.place.user, line.place.model) for line in page.lines] == [
            ("default", "helper", "ana", "scripted/scripted")
        ]


@pytest.mark.proves("limits.budget")
async def test_a_call_that_fails_gives_back_what_it_held(dsn: str) -> None:
    fails = {"user": "fail", "error": {"status": 400, "message": "no"}}
    config = settings(fails, ANSWER, budgets=[{"per": "app", "tokens": 150}])
    async with process(dsn, config) as server:
        for _ in range(5):
            assert (await server.send("fail")).status.state is TaskState.FAILED
        assert (await server.send()).status.state is TaskState.COMPLETED
        await until(lambda: _held(server, 0))


@pytest.mark.proves("limits.budget", "limits.usage")
async def test_an_answer_that_is_broken_off_is_paid_as_far_as_it_came(dsn: str) -> None:
    slow = {"text": WORDS, "pace": 0.05}
    config = settings(slow, prices=PRICES, budgets=[{"per": "run", "time": 0.5}, {"per": "app", "tokens": 10_000}])
    async with process(dsn, config) as server:
        task = await server.send(return_immediately=True)

        async def failed() -> bool:
            found = await server.service.get(ANA, None, task.id, history_length=0)
            return found.status.state is TaskState.FAILED

        async def paid() -> bool:
            return (await server.usage()).calls == 1

        await until(failed)
        await until(paid)
        total = await server.usage()
        assert 0 < total.output < CALL, "the words that came"
        assert total.input > 0
        assert total.money == total.input * 1_000 + total.output * 10_000
        await until(lambda: _held(server, 0))


async def _held(server: Any, count: int) -> bool:
    await server.limits.folding.fold()

    async def unit(con: Any) -> Any:
        return await con.one("SELECT COALESCE(sum(held), 0) FROM counters")

    return bool(int((await server.store.database.read(unit))[0]) == count)


@pytest.mark.proves("limits.budget", "limits.token-rate")
async def test_tokens_of_a_rate_limit_are_those_that_models_really_used(dsn: str) -> None:
    for backend in ("memory", "sql"):
        rule = {"type": "token", "window": "day", "limit": 2 * CALL, "scope": "user"}
        config = settings(ANSWER, rate_limiting={"enabled": True, "backend": backend, "limits": [rule]})
        user = Caller(user=backend)
        async with process(dsn, config) as server:
            assert (await server.send(caller=user)).status.state is TaskState.COMPLETED
            assert (await server.send(caller=user)).status.state is TaskState.COMPLETED
            await until(partial(_refused, server, user, RateLimited))


async def _refused(server: Any, user: Caller, kind: type[Exception]) -> bool:
    """The payment of a run is moved to its counter a moment after its end."""
    try:
        task = await server.send(caller=user)
    except kind:
        return True
    assert task.status.state is TaskState.FAILED
    return False


@pytest.mark.proves("limits.no-overspend")
@pytest.mark.parametrize("processes", [1, 3])
@pytest.mark.parametrize("kind", ["tokens", "money"])
async def test_200_clients_at_once_overspend_by_one_call_at_most(
    postgres_ready: str, processes: int, kind: str
) -> None:
    budget = {"tokens": 60 * CALL} if kind == "tokens" else {"money": 60 * 0.482}
    config = settings(ANSWER, prices=PRICES, budgets=[{"per": "app", **budget}])
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(process(postgres_ready, config)) for _ in range(processes)]
        async with asyncio.timeout(100), asyncio.TaskGroup() as group:
            sending = [
                group.create_task(servers[number % processes].send(caller=Caller(user=f"u{number}")))
                for number in range(200)
            ]
        states = [task.result().status.state for task in sending]
        used = await servers[0].usage()
        done = states.count(TaskState.COMPLETED)
        assert done + states.count(TaskState.FAILED) == 200
        assert used.calls == done
        assert 60 <= done <= 61
        assert await _held(servers[0], 0)


@pytest.mark.proves("limits.runs-at-once")
async def test_no_more_runs_at_once_than_allowed(dsn: str) -> None:
    agents = {"helper": {"instruction": "Help."}, "other": {"instruction": "Help."}}
    limits = {"runs": {"per_app": 3, "per_user": 2, "per_agent": 2}}
    config = settings({"text": "hi", "delay": 1.5}, agents=agents, limits=limits)
    async with process(dsn, config) as server:
        async with asyncio.TaskGroup() as group:
            sending = [
                group.create_task(_try(server, f"u{number % 5}", agent)) for agent in agents for number in range(5)
            ]
        found = [task.result() for task in sending]
        assert found.count(TaskState.COMPLETED) == 3
        assert found.count(RateLimited) == 7
        assert found[:5].count(TaskState.COMPLETED) in (1, 2), "of one agent"
        for _ in range(3):  # one after the other
            assert await _try(server, "u1") is TaskState.COMPLETED


async def _try(server: Any, user: str, agent: str = "helper") -> Any:
    try:
        task = await server.send(caller=Caller(user=user), agent=agent)
    except RateLimited:
        return RateLimited
    return task.status.state


@pytest.mark.proves("limits.free")
async def test_where_nothing_is_limited_nothing_is_asked(dsn: str) -> None:
    async with process(dsn, settings(ANSWER)) as server:
        assert (server.limits.rates, server.limits.spending, server.limits.caps) == (None, None, None)
        assert (await server.send()).status.state is TaskState.COMPLETED
        assert await server.usage() == (0,) * 7


@pytest.mark.proves("limits.budget")
async def test_time_of_runs_is_paid_by_their_user_and_said_in_the_log_before_it_is_used_up(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = settings({"text": "late", "delay": 0.3}, budgets=[{"per": "user", "time": 0.5, "warn": 0.5}])
    async with process(dsn, config) as server:
        assert (await server.send()).status.state is TaskState.COMPLETED
        assert (await server.send()).status.state is TaskState.COMPLETED
        failed = await server.send()
        assert failed.status.state is TaskState.FAILED
        assert "of 0.5 s" in text_of(failed)
    said = [record for record in caplog.records if record.message == "a budget is almost used up"]
    assert [record.__dict__["budget"] for record in said] == ["the budget of user:default/ana for this day"]


@pytest.mark.proves("limits.budget", "limits.usage")
async def test_what_a_called_agent_uses_counts_for_the_run_and_for_that_agent(dsn: str) -> None:
    rules: list[dict[str, Any]] = [
        {"system": "Ask", "turn": 0, "tool_calls": [{"name": "scout", "args": {"request": "go"}}]},
        {"system": "Ask", "text": "done"},
        {"system": "Scout", "text": WORDS},
    ]
    agents = {"helper": {"instruction": "Ask.", "agent_tools": ["scout"]}, "scout": {"instruction": "Scout."}}
    free = settings(*rules, agents=agents, limits={"usage": True})
    async with process(dsn, free) as server:
        assert (await server.send()).status.state is TaskState.COMPLETED
        await server.limits.folding.fold()
        lines = (await server.store.usage.report(UsageQuery(by=("agent",)))).lines
        assert [(line.place.agent, line.amounts.calls) for line in lines] == [("helper", 2), ("scout", 1)]
    tight = settings(*rules, agents=agents, budgets=[{"per": "run", "tokens": 30}])
    async with process(dsn, tight) as server:
        task = await server.send()
        assert task.status.state is TaskState.FAILED
        assert "the budget of this run is used up" in text_of(task)


@pytest.mark.proves("models.fallback")
async def test_the_model_that_answered_is_paid(dsn: str) -> None:
    """The first model is a scripted one that fails, the second one costs a hundred times as much."""
    failing = {"provider": "scripted", "model": "cheap", "rules": [{"error": {"status": 503}}], "max_tokens": 50}
    llms = {"cheap": failing, "dear": {"provider": "scripted", "model": "dear", "rules": [ANSWER], "max_tokens": 50}}
    prices = [
        {"model": "scripted/cheap", "input": 1, "output": 1},
        {"model": "scripted/dear", "input": 1_000, "output": 10_000},
    ]
    agents = {"helper": {"instruction": "Help.", "llm": ["cheap", "dear"]}}
    config = settings(prices=prices, budgets=[{"per": "run", "money": 5}], llms=llms, agents=agents)
    async with process(dsn, config) as server:
        task = await server.send()
        assert task.status.state is TaskState.COMPLETED, text_of(task)
        lines = (await server.usage()).money
        assert lines == 48 * 10_000 + 2 * 1_000


@pytest.mark.proves("models.fallback")
def test_the_dearest_of_several_is_held() -> None:
    models = [Model("a", Rate(1, 1), 50), Model("b", Rate(1, 90), 50), Model("c", Rate(1, 2), 500)]
    request = ModelRequest("", ())
    assert dearest(models, request).label == "b"
    free = [Model("a", Rate(), 50), Model("c", Rate(), 500), Model("b", Rate(), 100)]
    assert dearest(free, request).label == "c"
