"""Agents side by side, joined."""

import asyncio
import time
from typing import Any

import pytest

from hector.core.content import Message, Text
from hector.core.ids import new_id
from hector.core.task import ClientMessage, TaskState
from hector.tasks.service import SendOptions
from tests.flows.conftest import answer, aside, echo, plan, says
from tests.together.conftest import ANA, Open, calls, decision, function, question, results, wanted


@pytest.mark.proves("agents.parallel")
async def test_answers_are_joined_in_order_and_the_next_step_sees_them(company: Open) -> None:
    agents = {"chief": plan("sequential", "fan", "last"), "fan": plan("parallel", "one", "two", output_key="both")}
    models = {"one": [{"text": "slow", "delay": 0.1}], "two": says("quick"), "last": echo("end")}
    async with company(models, agents) as it:
        task = await it.say("go")
        joined = "### one\n\nslow\n\n### two\n\nquick"
        assert answer(task) == f"end([fan said]\n{joined})"
        assert (await it.state(task))["both"] == joined
        events = await it.events(task)
        assert {one.branch.partition("@")[0] for one in events if one.branch} == {"one", "two"}


@pytest.mark.proves("agents.parallel")
async def test_they_work_at_the_same_time_and_stream(company: Open) -> None:
    agents = {"chief": plan("parallel", "one", "two", "three")}
    models = {name: [{"text": f"from {name}", "delay": 2.0}] for name in ("one", "two", "three")}
    async with company(models, agents) as it:
        before = time.monotonic()
        updates = await it.watch("go")
        assert time.monotonic() - before < 5.5  # one after the other takes six seconds
        assert aside(updates) == {name: f"from {name}" for name in models}


@pytest.mark.proves("agents.parallel")
async def test_each_sees_the_conversation_and_nothing_of_the_others(company: Open) -> None:
    agents = {"chief": plan("sequential", "zero", "fan"), "fan": plan("parallel", "one", "two")}
    models = {"zero": says("the facts"), "one": echo("a"), "two": [{"delay": 0.1, **echo("b")[0]}]}
    async with company(models, agents) as it:
        task = await it.say("go")
        seen = "[zero said]\nthe facts"
        assert answer(task) == f"### one\n\na({seen})\n\n### two\n\nb({seen})"


@pytest.mark.proves("agents.parallel")
async def test_the_failure_of_one_fails_all_once_the_others_have_ended(company: Open) -> None:
    agents: dict[str, Any] = {"chief": plan("parallel", "one", "two")}
    models: dict[str, Any] = {
        "one": [{"error": {"status": 400, "message": "broken"}}],
        "two": [{"text": "x", "delay": 0.1}],
    }
    async with company(models, agents) as it:
        task = await it.say("go")
        assert task.status.state is TaskState.FAILED
        assert [one.author for one in await it.events(task) if one.message.role == "assistant"] == ["two"]
    agents["chief"]["on_error"] = "continue"
    async with company(models, agents) as it:
        said = answer(await it.say("go"))
        assert said.startswith("### one\n\n(failed: ")
        assert said.endswith("### two\n\nx")


@pytest.mark.proves("agents.parallel", "approval.agents", "agents.together.questions")
async def test_questions_and_approvals_of_all_branches_reach_the_user(company: Open) -> None:
    agents = {
        "chief": plan("sequential", "fan", "last"),
        "fan": plan("parallel", "one", "two", "three"),
        "one": {"tools": ["ask_user"]},
        "two": {"tools": ["pay"]},
    }
    models = {
        "one": [calls(("ask_user", {"question": "Which?"}), turn=0), results(tool="ask_user")],
        "two": [calls(("pay", {"amount": 3}), turn=0), results(tool="pay")],
        "three": says("free"),
        "last": echo("end"),
    }
    paid: list[int] = []

    def pay(amount: int) -> str:
        """Pay."""
        paid.append(amount)
        return f"paid {amount}"

    async with company(models, agents, function("pay", require_approval=True), functions=(pay,)) as it:
        task = await it.say("go")
        assert question(task) == "Which?"
        task = await it.say("this", task=task)
        (call,) = wanted(task)
        assert call["agent"] == "two"
        task = await it.say(decision(call, "approve"), task=task)
        assert answer(task) == "end([fan said]\n### one\n\nthis\n\n### two\n\npaid 3\n\n### three\n\nfree)"
        assert paid == [3]
        turns = [one.author for one in await it.events(task) if one.message.role == "assistant"]
        assert sorted(turns) == ["fan", "last", "one", "one", "three", "two", "two"]


@pytest.mark.proves("agents.parallel", "agents.cancel")
async def test_a_cancel_ends_all_of_them(company: Open) -> None:
    agents = {"chief": plan("loop", "fan"), "fan": plan("parallel", "one", "two")}
    models = {name: [{"text": "late", "delay": 30}] for name in ("one", "two")}
    async with company(models, agents) as it:
        message = ClientMessage(new_id(), Message("user", (Text("go"),)))
        task = await it.service.send(ANA, "chief", message, SendOptions(return_immediately=True))
        assert not isinstance(task, ClientMessage)
        async with asyncio.timeout(1.5):
            done = await it.service.cancel(ANA, "chief", task.id)
        assert done.status.state is TaskState.CANCELED


@pytest.mark.proves("agents.parallel")
async def test_plans_nest_to_any_depth(company: Open) -> None:
    agents: dict[str, Any] = {"p0": plan("sequential", "leaf")}
    for at in range(1, 12):
        agents[f"p{at}"] = plan(("parallel", "sequential", "loop")[at % 3], f"p{at - 1}")
    agents = {name: {**one, **({"max_iterations": 1} if one["type"] == "loop" else {})} for name, one in agents.items()}
    async with company({"leaf": says("deep")}, agents) as it:
        task = await it.say("go", to="p11")
        assert task.status.state is TaskState.COMPLETED
        assert answer(task).endswith("deep")


@pytest.mark.proves("agents.parallel", "agents.loop")
async def test_a_branch_that_exits_ends_the_loop_around_the_join(company: Open) -> None:
    agents = {"chief": plan("loop", "fan"), "fan": plan("parallel", "one", "two"), "two": {"tools": ["exit_loop"]}}
    models = {"one": says("a"), "two": [calls(("exit_loop", {}), text="enough")]}
    async with company(models, agents) as it:
        task = await it.say("go")
        assert sum(event.author == "one" for event in await it.events(task)) == 1
        assert answer(task).startswith("### one\n\na")
