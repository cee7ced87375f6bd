"""Agents that work together where models, people and operators do what nobody expects."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from hector.agents.delegation import branch_of
from hector.core.content import JsonObject
from hector.core.errors import InvalidRequest, NotSupported
from hector.core.ports import ToolContext
from hector.core.task import TaskState
from hector.store.approvals import ApprovalState
from hector.tasks.decisions import continuation, decide
from tests.tasks.test_service import answer_of
from tests.together.conftest import ANA, Open, ask, calls, decision, function, hand, question, results, wanted

sent: Counter[str] = Counter()


async def send(to: str, context: ToolContext) -> str:
    """Send something."""
    sent[f"{context.agent}:{to}"] += 1
    return f"sent to {to}"


async def work(seconds: float) -> str:
    """Work for a while."""
    await asyncio.sleep(seconds)
    return "worked"


def setting(**facts: Any) -> dict[str, Any]:
    """What every company here has: `send` needs approval, `work` takes a while."""
    sent.clear()
    return {
        "tools": function("send", require_approval=True, **facts) | function("work"),
        "functions": (send, work),
    }


@pytest.mark.proves("agents.agent-tools")
def test_no_two_calls_share_a_branch_whatever_their_ids_are() -> None:
    ids = ["call_1", "a.1", "a_1", "a:1", "a@1", "", "_", ".", "\ud800"]
    branches = [branch_of("top@1", "one", call_id) for call_id in ids]
    assert len(set(branches)) == len(ids)
    assert {branch.count(".") for branch in branches} == {1}
    assert {branch.count("@") for branch in branches} == {2}
    assert branches[0] == "top@1.one@call_1"


def worker(to: str) -> list[JsonObject]:
    """A model that sends."""
    return [calls(("send", {"to": to}), turn=0), results()]


SENDS: list[JsonObject] = [
    {"user": "(?s)to (\\w+)$", "turn": 0, "tool_calls": [{"name": "send", "args": {"to": "\\1"}}]},
    results(),
]


@pytest.mark.proves("approval.agents")
async def test_the_same_agent_twice_in_one_turn_asks_for_each_by_itself(company: Open) -> None:
    models = {"chief": [calls(ask("one", "to x"), ask("one", "to y"), turn=0), results()], "one": SENDS}
    agents: dict[str, Any] = {"chief": {"agent_tools": ["one"]}, "one": {"tools": ["send"]}}
    async with company(models, agents, **setting()) as it:
        task = await it.say("go")
        first, second = wanted(task)
        assert first["tool_call_id"] != second["tool_call_id"]
        task = await it.say(decision(second, "approve"), task=task)
        assert (wanted(task), sent) == ([first], {"one:y": 1})
    async with company(models, agents, **setting()) as it:
        task = await it.say(decision(first, "deny"), task=task)
        assert sent == {}
        told = {
            one.call_id: str(one.content)
            for event in await it.events(task)
            for one in event.tool_results
            if event.author == "chief"
        }
        assert "the user denied" in told["call_1"]
        assert "sent to y" in told["call_2"]


@pytest.mark.proves("approval.agents")
async def test_the_same_call_in_the_next_turn_is_asked_for_again(company: Open) -> None:
    models = {
        "chief": [
            {"user": "^go", "turn": 0, "tool_calls": [{"name": "one", "args": {"request": "to x"}}]},
            results(),
        ],
        "one": [{"turn": 0, "tool_calls": [{"name": "send", "args": {"to": "x"}}]}, results()],
    }
    agents: dict[str, Any] = {"chief": {"agent_tools": ["one"]}, "one": {"tools": ["send"]}}
    async with company(models, agents, **setting()) as it:
        task = await it.say("approve", task=await it.say("go"))
        assert sent == {"one:x": 1}
        again = await it.say("go again", context_id=task.context_id)
        (call,) = wanted(again)
        assert sent == {"one:x": 1}
        with pytest.raises(InvalidRequest):
            await it.say(decision(call, "approve", task_id=task.id), task=again)
        again = await it.say(decision(call, "deny"), task=again)
        assert sent == {"one:x": 1}
        assert "denied" in answer_of(again)


@pytest.mark.proves("approval.agents")
async def test_every_level_asks_and_each_waits_for_its_own(company: Open) -> None:
    def sends_and_asks(to: str, other: str) -> list[JsonObject]:
        return [calls(("send", {"to": to}), ask(other, "go"), turn=0), results()]

    models = {"chief": sends_and_asks("a", "b"), "b": sends_and_asks("b", "c"), "c": worker("c")}
    agents: dict[str, Any] = {
        "chief": {"agent_tools": ["b"], "tools": ["send"]},
        "b": {"agent_tools": ["c"], "tools": ["send"]},
        "c": {"tools": ["send"]},
    }
    async with company(models, agents, **setting()) as it:
        task = await it.say("go")
        assert [call.get("agent") for call in wanted(task)] == [None, "b", "c"]
        top, middle, bottom = wanted(task)
        task = await it.say(decision(top, "approve"), decision(bottom, "approve"), task=task)
        assert sent == {"chief:a": 1, "c:c": 1}
        assert wanted(task) == [middle]
        with pytest.raises(InvalidRequest):
            await it.say(decision(top, "approve"), task=task)
        task = await it.say(decision(middle, "approve"), task=task)
        assert sent == {"chief:a": 1, "b:b": 1, "c:c": 1}
        turns = Counter(event.author for event in await it.events(task) if event.message.role == "assistant")
        assert turns == {"chief": 2, "b": 2, "c": 2}


@pytest.mark.proves("approval.agents")
async def test_a_called_agent_hands_over_after_its_open_approval(company: Open) -> None:
    models = {
        "chief": [calls(ask("one", "go"), turn=0), results(r"chief: \g<all>")],
        "one": [calls(("send", {"to": "x"}), hand("two", "finish it"), turn=0)],
        "two": [*worker("y")],
    }
    agents: dict[str, Any] = {
        "chief": {"agent_tools": ["one"]},
        "one": {"tools": ["send"], "sub_agents": ["two"]},
        "two": {"tools": ["send"]},
    }
    async with company(models, agents, **setting()) as it:
        task = await it.say("go")
        assert [call["agent"] for call in wanted(task)] == ["one"]
    async with company(models, agents, **setting()) as it:
        task = await it.say("yes", task=task)
        assert [call["agent"] for call in wanted(task)] == ["two"]
        assert sent == {"one:x": 1}
    async with company(models, agents, **setting()) as it:
        task = await it.say("yes", task=task)
        assert (answer_of(task), sent) == ("chief: sent to y", {"two:y": 1})


@pytest.mark.proves("approval.agents")
async def test_decided_twice_at_once_it_is_carried_out_once(company: Open) -> None:
    models = {"chief": [calls(ask("one", "go"), turn=0), results()], "one": worker("x")}
    agents: dict[str, Any] = {"chief": {"agent_tools": ["one"]}, "one": {"tools": ["send"]}}
    async with company(models, agents, **setting()) as it:
        task = await it.say("go")
        (call,) = wanted(task)
        found = await it.store.approvals.waiting(task.id)
        offers = [continuation(found, decide(found, ApprovalState.DENIED, "b"), 2e9)] * 2
        done = await asyncio.gather(
            it.say(decision(call, "approve"), task=task),
            *(it.store.tasks.accept(offer) for offer in offers),
            it.say(decision(call, "approve"), task=task),
            return_exceptions=True,
        )
        assert sum(not isinstance(one, BaseException) for one in done) == 1, done
        task = await it.ended(task)
        assert task.status.state is TaskState.COMPLETED
        assert sum(sent.values()) <= 1


@pytest.mark.proves("approval.agents")
async def test_the_time_for_an_approval_begins_when_people_are_asked(company: Open) -> None:
    models = {
        "chief": [calls(ask("one", "go"), ask("two", "go"), turn=0), results()],
        "one": worker("x"),
        "two": [calls(("work", {"seconds": 0.8}), turn=0), results()],
    }
    agents: dict[str, Any] = {
        "chief": {"agent_tools": ["one", "two"]},
        "one": {"tools": ["send"]},
        "two": {"tools": ["work"]},
    }
    async with company(models, agents, **setting(approval_expires="500ms")) as it:
        task = await it.say("go")
        task = await it.say("approve", task=task)
        assert answer_of(task) == "sent to x\nworked"


@pytest.mark.proves("approval.agents")
async def test_an_approval_expires_while_another_called_agent_works_on(company: Open) -> None:
    models = {
        "chief": [calls(ask("one", "go"), ask("two", "go"), turn=0), results()],
        "one": worker("x"),
        "two": [
            calls(("send", {"to": "y"}), turn=0),
            calls(("work", {"seconds": 0.8}), tool_result="send"),
            results(),
        ],
    }
    agents: dict[str, Any] = {
        "chief": {"agent_tools": ["one", "two"]},
        "one": {"tools": ["send"]},
        "two": {"tools": ["send", "work"]},
    }
    async with company(models, agents, **setting(approval_expires="600ms")) as it:
        task = await it.say("go")
        task = await it.say(decision(wanted(task)[1], "approve"), task=task)
        task = await it.ended(task)
        assert "nobody approved the call of send in time" in answer_of(task)
        assert answer_of(task).endswith("worked")
        assert sent == {"two:y": 1}
        assert {row.state.value for row in await it.store.approvals.decided(task.id)} == {"approved", "expired"}


@pytest.mark.proves("approval.agents")
async def test_a_decision_while_the_run_works_is_refused(company: Open) -> None:
    models = {
        "chief": [calls(ask("one", "go"), ask("two", "go"), turn=0), results()],
        "one": worker("x"),
        "two": [
            calls(("send", {"to": "y"}), turn=0),
            calls(("work", {"seconds": 0.5}), tool_result="send"),
            results(),
        ],
    }
    agents: dict[str, Any] = {
        "chief": {"agent_tools": ["one", "two"]},
        "one": {"tools": ["send"]},
        "two": {"tools": ["send", "work"]},
    }
    async with company(models, agents, **setting()) as it:
        task = await it.say("go")
        first, second = wanted(task)
        working = asyncio.ensure_future(it.say(decision(second, "approve"), task=task))
        async with asyncio.timeout(60):
            while not sent:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.01)
        with pytest.raises((InvalidRequest, NotSupported)):
            await it.say(decision(first, "approve"), task=task)
        task = await working
        assert wanted(task) == [first]
        task = await it.say(decision(first, "approve"), task=task)
        assert sent == {"one:x": 1, "two:y": 1}


@pytest.mark.proves("approval.agents")
async def test_canceled_while_a_called_agent_waits(company: Open) -> None:
    models = {"chief": [calls(ask("one", "go"), turn=0), results()], "one": worker("x")}
    agents: dict[str, Any] = {"chief": {"agent_tools": ["one"]}, "one": {"tools": ["send"]}}
    async with company(models, agents, **setting()) as it:
        task = await it.say("go")
        assert (await it.service.cancel(ANA, None, task.id)).status.state is TaskState.CANCELED
        assert await it.store.approvals.waiting(task.id) == ()
        (row,) = await it.store.approvals.decided(task.id)
        assert row.state is ApprovalState.CANCELED
        with pytest.raises(NotSupported):
            await it.say("approve", task=task)
        after = await it.say("go", context_id=task.context_id)
        assert len(wanted(after)) == 1


@pytest.mark.proves("approval.agents")
async def test_an_agent_that_is_taken_away_while_it_waits(company: Open) -> None:
    models = {"chief": [calls(ask("one", "go"), turn=0), results()], "one": worker("x")}
    agents: dict[str, Any] = {"chief": {"agent_tools": ["one"]}, "one": {"tools": ["send"]}}
    async with company(models, agents, **setting()) as it:
        task = await it.say("go")
    async with company({"chief": models["chief"]}, {}, **setting()) as it:
        task = await it.say("approve", task=task)
        assert "there is no tool named 'one'" in answer_of(task)
        assert sent == {}


@pytest.mark.proves("agents.together.questions")
@pytest.mark.parametrize("parts", [("blue",), ({"colour": "blue"},), ("dark", {"colour": "blue"}, "please")])
async def test_any_parts_answer_the_question_of_a_called_agent(company: Open, parts: Any) -> None:
    asking = [calls(("ask_user", {"question": "Which?"}), turn=0), results()]
    models = {"chief": [calls(ask("one", "go"), turn=0), results(r"chief: \g<all>")], "one": asking}
    agents: dict[str, Any] = {"chief": {"agent_tools": ["one"]}, "one": {"tools": ["ask_user"]}}
    async with company(models, agents) as it:
        task = await it.say("go")
        assert question(task) == "Which?"
        task = await it.say(*parts, task=task)
        assert task.status.state is TaskState.COMPLETED
        assert "blue" in answer_of(task)


@pytest.mark.proves("agents.together.questions")
async def test_the_next_turn_of_a_conversation_after_a_called_agent_has_asked(company: Open) -> None:
    models = {
        "chief": [
            {"user": "^again$", "turn": 0, "text": "Again what?"},
            calls(ask("one", "go"), turn=0),
            results(r"chief: \g<all>"),
        ],
        "one": [calls(("ask_user", {"question": "Which?"}), turn=0), results()],
    }
    agents: dict[str, Any] = {"chief": {"agent_tools": ["one"]}, "one": {"tools": ["ask_user"]}}
    async with company(models, agents) as it:
        task = await it.say("blue", task=await it.say("go"))
        assert answer_of(await it.say("again", context_id=task.context_id)) == "Again what?"
        third = await it.say("more", context_id=task.context_id)
        assert question(third) == "Which?"
        third = await it.say("red", task=third)
        assert answer_of(third) == "chief: red"


@pytest.mark.proves("agents.together.errors")
async def test_a_called_agent_mends_its_structured_answer_and_fails_alone(company: Open) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    models = {
        "chief": [calls(ask("one", "go"), ask("two", "go"), turn=0), results()],
        "one": [{"user": "does not fit", "text": '{"n": 1}'}, {"text": '{"n": "x"}'}],
        "two": [{"text": "never"}],
    }
    agents: dict[str, Any] = {
        "chief": {"agent_tools": ["one", "two"]},
        "one": {"structured_output": {"schema": schema}},
        "two": {"structured_output": {"schema": schema}},
    }
    async with company(models, agents) as it:
        task = await it.say("go")
        assert task.status.state is TaskState.COMPLETED, task.status
        assert '{"n": 1}' in answer_of(task)
        assert "two failed: the answer does not fit" in answer_of(task)
