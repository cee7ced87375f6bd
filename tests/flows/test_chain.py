"""Tools one after the other, without a model."""

from typing import Any

import pytest

from hector.agents.chain import fitted
from hector.core.ports import ToolSpec
from hector.core.task import TaskState
from tests.flows.conftest import answer, echo, plan
from tests.together.conftest import Open, decision, function, question, wanted


def split(text: str) -> dict[str, Any]:
    """Count words."""
    return {"words": len(text.split()), "more": True}


def double(words: int) -> dict[str, int]:
    """Twice as many."""
    return {"words": 2 * words}


def fail(words: int) -> str:
    """Never works."""
    raise ValueError(f"{words} is too many")


TOOLS = function("split") | function("double") | function("fail")
FUNCTIONS = (split, double, fail)


def chain(*tools: str) -> dict[str, Any]:
    return {"type": "runner", "tools": list(tools), "output_key": "count"}


@pytest.mark.proves("agents.runner")
async def test_each_tool_is_given_what_the_one_before_returned(company: Open) -> None:
    agents = {"chief": chain("split", "double", "double"), "line": plan("sequential", "one", "chief")}
    async with company({"one": echo("a b")}, agents, TOOLS, functions=FUNCTIONS) as it:
        task = await it.say("one two three")
        assert (task.status.state, answer(task)) == (TaskState.COMPLETED, '{"words": 12}')
        assert (await it.state(task))["count"] == '{"words": 12}'
        assert answer(await it.say('{"text": "x y"}')) == '{"words": 8}'
        assert answer(await it.say("c", to="line")) == '{"words": 8}'


@pytest.mark.proves("agents.runner")
async def test_the_first_failure_stops_the_chain(company: Open) -> None:
    async with company({}, {"chief": chain("split", "fail", "double")}, TOOLS, functions=FUNCTIONS) as it:
        task = await it.say("one two")
        assert task.status.state is TaskState.FAILED
        assert "stopped at fail" in str(task.status.message)
        called = [call.name for one in await it.events(task) for call in one.message.tool_calls]
        assert called == ["split", "fail"]


@pytest.mark.proves("agents.runner", "approval.agents")
async def test_approvals_and_questions_count_as_everywhere(company: Open) -> None:
    tools = TOOLS | function("double", require_approval=True)
    agents = {"chief": chain("split", "double", "ask_user")}
    async with company({}, agents, tools, functions=FUNCTIONS) as it:
        task = await it.say("one two")
        (call,) = wanted(task)
        assert call["arguments"] == {"words": 2}
        task = await it.say(decision(call, "approve"), task=task)
        assert question(task) == '{"words": 4}'
        assert answer(await it.say("fine", task=task)) == "fine"


@pytest.mark.proves("agents.runner")
@pytest.mark.parametrize(
    ("value", "schema", "expected"),
    [
        ({"a": 1}, {}, {"a": 1}),
        ("x", {}, {"input": "x"}),
        ("x", {"properties": {"q": {"type": "string"}}, "required": ["q"]}, {"q": "x"}),
        ([1], {"properties": {"q": {"type": "string"}}, "required": ["q"]}, {"q": "[1]"}),
        ([1], {"properties": {"q": {"type": "array"}}, "required": ["q"]}, {"q": [1]}),
        ("x", {"properties": {"input": {}, "q": {}}, "required": ["q"]}, {"input": "x"}),
        ({"a": 1, "b": 2}, {"properties": {"a": {}}, "additionalProperties": False}, {"a": 1}),
    ],
)
def test_values_become_arguments(value: Any, schema: dict[str, Any], expected: dict[str, Any]) -> None:
    assert fitted(value, ToolSpec("t", "", schema)) == expected
