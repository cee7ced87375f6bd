"""People in the loop of agents that were called or handed the conversation: whoever asks gets the answer."""

from collections import Counter
from typing import Any

import pytest

from hector.core.content import JsonObject
from hector.core.errors import InvalidRequest
from hector.core.ports import ToolContext
from hector.core.task import TaskState
from hector.store.approvals import ApprovalState
from hector.tasks.decisions import continuation, decide
from tests.tasks.test_service import answer_of
from tests.together.conftest import Open, ask, calls, decision, function, hand, question, results, wanted

sent: Counter[str] = Counter()


async def send(to: str, context: ToolContext) -> str:
    """Send something."""
    sent[f"{context.agent}:{to}"] += 1
    return f"sent to {to}"


def setting(**facts: Any) -> dict[str, Any]:
    """What every company here has: `send` needs approval."""
    sent.clear()
    return {"tools": function("send", require_approval=True, **facts), "functions": (send,)}


def worker(to: str) -> list[JsonObject]:
    """A model that sends."""
    return [calls(("send", {"to": to}), turn=0), results()]


ONE = {"chief": [calls(ask("one", "go"), turn=0, text="Asking."), results(r"chief: \g<all>")], "one": worker("x")}
TWO = {
    "chief": [calls(ask("one", "go"), ask("two", "go"), turn=0), results()],
    "one": worker("x"),
    "two": worker("y"),
}
AGENTS: dict[str, Any] = {"chief": {"agent_tools": ["one"]}, "one": {"tools": ["send"]}}
BOTH: dict[str, Any] = {
    "chief": {"agent_tools": ["one", "two"]},
    "one": {"tools": ["send", "ask_user"]},
    "two": {"tools": ["send", "ask_user"]},
}


@pytest.mark.proves("approval.agents")
async def test_the_client_is_shown_which_agent_asks(company: Open) -> None:
    async with company(ONE, AGENTS, **setting()) as it:
        task = await it.say("go")
        (call,) = wanted(task)
        assert call["agent"] == "one"
        assert call["tool_call_id"] == "one@call_1.call_1"
        assert call["arguments"] == {"to": "x"}
        assert question(task).startswith("The agent one wants to call send")
        (row,) = await it.store.approvals.waiting(task.id)
        assert (row.agent, row.asker) == ("chief", "one")
        assert (row.call_id, row.tool, row.args_hash) == (call["tool_call_id"], "send", call["arguments_hash"])
        assert sent == {}


@pytest.mark.proves("approval.agents")
@pytest.mark.parametrize("word", ["approve", "deny"])
@pytest.mark.parametrize("way", ["text", "data", "administrator"])
async def test_the_decision_reaches_the_agent_that_asked(company: Open, word: str, way: str) -> None:
    async with company(ONE, AGENTS, **setting()) as it:
        task = await it.say("go")
        (call,) = wanted(task)
        if way == "administrator":
            found = await it.store.approvals.waiting(task.id)
            state = ApprovalState.APPROVED if word == "approve" else ApprovalState.DENIED
            await it.store.tasks.accept(continuation(found, decide(found, state, "somebody"), 2e9))
            task = await it.ended(task)
        else:
            task = await it.say(word if way == "text" else decision(call, word), task=task)
        assert task.status.state is TaskState.COMPLETED
        assert sent == ({"one:x": 1} if word == "approve" else {})
        assert ("chief: sent to x" if word == "approve" else "the user denied the call of send") in answer_of(task)
        turns = [event.author for event in await it.events(task) if event.message.role == "assistant"]
        assert turns == ["chief", "one", "one", "chief"]


@pytest.mark.proves("approval.agents")
async def test_two_wait_at_once_and_each_has_its_own_decision(company: Open) -> None:
    async with company(TWO, BOTH, **setting()) as it:
        task = await it.say("go")
        first, second = wanted(task)
        assert [first["agent"], second["agent"]] == ["one", "two"]
        with pytest.raises(InvalidRequest, match="must be a call that waits"):
            await it.say(decision({"tool_call_id": "call_1"}, "approve"), task=task)
        wrong = decision(first, "approve", arguments_hash=second["arguments_hash"])
        with pytest.raises(InvalidRequest, match="is not that of the arguments"):
            await it.say(wrong, task=task)
        task = await it.say(decision(second, "approve"), task=task)
        assert (wanted(task), sent) == ([first], {"two:y": 1})
        task = await it.say(decision(first, "deny"), "not this one", task=task)
        assert task.status.state is TaskState.COMPLETED
        assert sent == {"two:y": 1}
        assert "not this one" in answer_of(task)
        assert "sent to y" in answer_of(task)


@pytest.mark.proves("approval.agents")
async def test_one_word_decides_about_all_that_wait(company: Open) -> None:
    async with company(TWO, BOTH, **setting()) as it:
        task = await it.say("approve", task=await it.say("go"))
        assert (task.status.state, sent) == (TaskState.COMPLETED, {"one:x": 1, "two:y": 1})


@pytest.mark.proves("approval.agents")
async def test_it_survives_restarts(company: Open) -> None:
    async with company(TWO, BOTH, **setting()) as it:
        task = await it.say("go")
        first, second = wanted(task)
    async with company(TWO, BOTH, **setting()) as it:
        task = await it.say(decision(first, "approve"), task=task)
        assert wanted(task) == [second]
    async with company(TWO, BOTH, **setting()) as it:
        task = await it.say("approve", task=task)
        assert (task.status.state, sent) == (TaskState.COMPLETED, {"two:y": 1})
        assert answer_of(task) == "sent to x\nsent to y"


@pytest.mark.proves("approval.agents")
async def test_what_nobody_approves_in_time_counts_as_denied(company: Open) -> None:
    async with company(ONE, AGENTS, **setting(approval_expires="50ms")) as it:
        task = await it.ended(await it.say("go"))
        assert task.status.state is TaskState.COMPLETED
        assert "nobody approved the call of send in time" in answer_of(task)
        assert sent == {}


@pytest.mark.proves("approval.agents")
async def test_agents_deep_below_ask_and_the_callers_own_call_with_them(company: Open) -> None:
    models = {
        "chief": [calls(ask("middle", "go"), ("send", {"to": "boss"}), turn=0), results()],
        "middle": [calls(ask("one", "go"), turn=0), results()],
        "one": worker("x"),
    }
    agents: dict[str, Any] = {
        "chief": {"agent_tools": ["middle"], "tools": ["send"]},
        "middle": {"agent_tools": ["one"]},
        "one": {"tools": ["send"]},
    }
    async with company(models, agents, **setting()) as it:
        task = await it.say("go")
        assert [call.get("agent") for call in wanted(task)] == [None, "one"]
        assert wanted(task)[1]["tool_call_id"] == "middle@call_1.one@call_1.call_1"
        task = await it.say(decision(wanted(task)[1], "approve"), task=task)
        assert sent == {"one:x": 1}
        task = await it.say("yes", task=task)
        assert sent == {"one:x": 1, "chief:boss": 1}
        assert answer_of(task) == "sent to x\nsent to boss"


def asking(what: str) -> list[JsonObject]:
    """A model that asks the user."""
    return [calls(("ask_user", {"question": what}), turn=0), results()]


@pytest.mark.proves("agents.together.questions")
async def test_the_next_message_is_the_answer_to_the_agent_that_asked(company: Open) -> None:
    models = {"chief": ONE["chief"], "one": asking("Which colour?")}
    async with company(models, {"chief": {"agent_tools": ["one"]}, "one": {"tools": ["ask_user"]}}) as it:
        task = await it.say("go")
        assert question(task) == "Which colour?"
        assert task.status.message is not None
        assert task.status.message.metadata == {"author": "one", "branch": "one@call_1"}
    async with company(models, {"chief": {"agent_tools": ["one"]}, "one": {"tools": ["ask_user"]}}) as it:
        task = await it.say("blue", task=task)
        assert answer_of(task).endswith("chief: blue")
        assert [message.message.text for message in task.history or ()] == ["go", "Which colour?", "blue"]


@pytest.mark.proves("agents.together.questions")
async def test_two_questions_are_asked_one_after_the_other_and_approvals_after_them(company: Open) -> None:
    models = {
        "chief": [calls(ask("one", "go"), ask("two", "go"), ask("three", "go"), turn=0), results()],
        "one": asking("Which colour?"),
        "two": [calls(("ask_user", {"question": "What size?"}), ("send", {"to": "y"}), turn=0), results()],
        "three": worker("z"),
    }
    agents = BOTH | {"chief": {"agent_tools": ["one", "two", "three"]}, "three": {"tools": ["send"]}}
    async with company(models, agents, **setting()) as it:
        task = await it.say("go")
        assert question(task) == "Which colour?"
        task = await it.say("blue", task=task)
        assert question(task) == "What size?"
        task = await it.say("large", task=task)
        assert [call["agent"] for call in wanted(task)] == ["two", "three"]
        assert sent == {}
        task = await it.say("approve", task=task)
        assert sent == {"two:y": 1, "three:z": 1}
        assert answer_of(task) == "blue\nlarge\nsent to y\nsent to z"
        turns = Counter(event.author for event in await it.events(task) if event.message.role == "assistant")
        assert turns == {"chief": 2, "one": 2, "two": 2, "three": 2}


@pytest.mark.proves("approval.agents", "agents.together.questions")
async def test_it_is_the_same_after_a_change_of_hands(company: Open) -> None:
    models = {
        "chief": [calls(hand("one", "send it"), turn=0)],
        "one": [
            calls(("ask_user", {"question": "To whom?"}), turn=0),
            calls(("send", {"to": "x"}), tool_result="ask_user"),
            results(),
        ],
    }
    agents: dict[str, Any] = {"chief": {"sub_agents": ["one"]}, "one": {"tools": ["send", "ask_user"]}}
    async with company(models, agents, **setting()) as it:
        task = await it.say("go")
        assert question(task) == "To whom?"
    async with company(models, agents, **setting()) as it:
        task = await it.say("to x", task=task)
        (call,) = wanted(task)
        assert (call["agent"], call["tool_call_id"]) == ("one", "one.call_2")
        task = await it.say(decision(call, "approve"), task=task)
        assert (answer_of(task), sent) == ("sent to x", {"one:x": 1})


@pytest.mark.proves("approval.agents")
async def test_a_second_message_of_the_conversation_is_answered_meanwhile(company: Open) -> None:
    models = {"chief": [{"user": "hello", "text": "Hi."}, *ONE["chief"]], "one": ONE["one"]}
    async with company(models, AGENTS, **setting()) as it:
        task = await it.say("go")
        other = await it.say("hello", context_id=task.context_id)
        assert answer_of(other) == "Hi."
        task = await it.say("approve", task=task)
        assert answer_of(task).endswith("chief: sent to x")
        assert answer_of(await it.say("hello", context_id=task.context_id)) == "Hi."


@pytest.mark.proves("agents.together.questions")
async def test_the_callers_own_question_comes_before_those_of_the_agents_that_it_calls(company: Open) -> None:
    both = [calls(ask("one", "go"), ("ask_user", {"question": "Which day?"}), turn=0), results()]
    agents: dict[str, Any] = {"chief": {"agent_tools": ["one"], "tools": ["ask_user"]}, "one": {"tools": ["ask_user"]}}
    async with company({"chief": both, "one": asking("Which colour?")}, agents) as it:
        task = await it.say("go")
        assert question(task) == "Which day?"
        task = await it.say("monday", task=task)
        assert question(task) == "Which colour?"
        task = await it.say("blue", task=task)
        assert answer_of(task) == "blue\nmonday"


@pytest.mark.proves("agents.together.questions")
async def test_an_answer_to_a_called_agent_is_not_shown_to_its_caller(company: Open) -> None:
    shown = [calls(ask("one", "go"), turn=0), {"user": "(?s)^(.*)$", "text": r"<\1>"}]
    agents: dict[str, Any] = {"chief": {"agent_tools": ["one"]}, "one": {"tools": ["ask_user"]}}
    async with company({"chief": shown, "one": asking("Which colour?")}, agents) as it:
        task = await it.say("blue", task=await it.say("go"))
        assert answer_of(task) == "<go>"
