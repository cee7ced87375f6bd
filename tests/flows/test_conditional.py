"""A judgement, and what follows from it."""

from typing import Any

import pytest

from hector.agents.verdict import Rules, Side, decide, first_object, judged
from hector.core.task import AgentDelta, TaskState, ToolProgress
from tests.flows.conftest import answer, echo, says
from tests.together.conftest import Open, calls, question, results

SALES, OTHER = Side("sales"), Side(text="no")


def judge(**rules: str) -> list[dict[str, Any]]:
    """A model that classifies by words."""
    return [{"user": word, "text": text} for word, text in rules.items()]


def router(**more: Any) -> dict[str, Any]:
    return {"type": "conditional", "condition_agent": "judge", **more}


@pytest.mark.proves("agents.conditional", "agents.condition-agent", "agents.on-true-agent", "agents.on-false-response")
async def test_the_example_of_the_product_description(company: Open) -> None:
    chief = router(condition_field="category", on_true_agent="sales", on_false_response="Redirecting to support...")
    models = {"judge": judge(buy='{"category": "sales"}', broken='{"category": "support"}'), "sales": echo("sold")}
    async with company(models, {"chief": chief}) as it:
        task = await it.say("I want to buy")
        assert answer(task) == "sold(I want to buy)"
        assert answer(await it.say("it is broken")) == "Redirecting to support..."


@pytest.mark.proves("agents.conditional")
async def test_a_value_and_an_operator_decide(company: Open) -> None:
    score = {"condition_field": "score", "condition_value": 0.8, "condition_operator": "at_least"}
    word = {"condition_value": ["refund", "money"], "condition_operator": "contains"}
    agents = {
        "chief": router(**score, on_true_agent="sales", on_false_agent="words"),
        "words": router(**word, on_true_response="Sorry!", on_false_response="Thanks."),
    }
    scores = judge(sure='{"score": "0.8"}', refund="Wants a Refund", dunno='{"score": 0.79}')
    async with company({"judge": scores, "sales": echo("sold")}, agents) as it:
        assert answer(await it.say("sure")) == "sold(sure)"
        assert answer(await it.say("refund")) == "Sorry!"
        assert answer(await it.say("dunno")) == "Thanks."


@pytest.mark.proves("agents.conditional")
async def test_the_words_of_the_judge_are_shown_to_nobody(company: Open) -> None:
    chief = router(on_true_agent="sales")
    models = {"judge": says('I think so: {"safe": true}'), "sales": echo("sold")}
    async with company(models, {"chief": chief}) as it:
        updates = await it.watch("go")
        assert not [one for one in updates if isinstance(one, AgentDelta | ToolProgress)]
        assert "I think so" not in str(updates)
        task = await it.say("go")
        assert answer(task) == "sold(go)"
        again = await it.say("more", context_id=task.context_id)
        assert "I think so" not in str(again)


@pytest.mark.proves("agents.conditional")
async def test_cases_lead_to_agents_and_texts(company: Open) -> None:
    cases = {"Sales": "sales", "help": {"agent": "line"}, "spam": {"response": "Go away."}}
    agents = {
        "chief": router(condition_field="kind.name", cases=cases, on_false_agent="other", output_key="said"),
        "line": {"type": "sequential", "sub_agents": ["other", "sales"]},
    }
    models = {
        "judge": judge(buy='{"kind": {"name": "SALES"}}', help='{"kind": {"name": "help"}}', win="spam"),
        "sales": echo("sold"),
        "other": echo("other"),
    }
    models["judge"].append({"text": '{"kind": 7}'})
    async with company(models, agents) as it:
        assert answer(await it.say("buy")) == "sold(buy)"
        assert answer(await it.say("help")) == "sold([other said]\nother(help))"
        task = await it.say("win!")
        assert (answer(task), (await it.state(task))["said"]) == ("Go away.", "Go away.")
        assert answer(await it.say("what?")) == "other(what?)"


@pytest.mark.proves("agents.conditional", "agents.together.questions")
async def test_a_judge_may_ask_and_the_one_that_follows_too(company: Open) -> None:
    asking: dict[str, Any] = {"tools": ["ask_user"]}
    agents = {"chief": router(on_true_agent="sales"), "judge": asking, "sales": asking}
    models = {
        "judge": [calls(("ask_user", {"question": "Sure?"}), turn=0), results(tool="ask_user")],
        "sales": [calls(("ask_user", {"question": "How many?"}), turn=0), results(tool="ask_user")],
    }
    async with company(models, agents) as it:
        task = await it.say("go")
        assert question(task) == "Sure?"
        task = await it.say("yes", task=task)
        assert question(task) == "How many?"
        task = await it.say("seven", task=task)
        assert (task.status.state, answer(task)) == (TaskState.COMPLETED, "seven")


@pytest.mark.proves("agents.conditional")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "sales"), (False, ""), (1, "sales"), (0, ""), (0.0, ""), (2.5, "sales"), (None, ""),
        ("true", "sales"), (" Yes ", "sales"), ("1", "sales"), ("no", ""), ("", ""), ("false", ""), ("none", ""),
        ("Sales", "sales"), ("support", ""), ([], ""), (["x"], "sales"), ({}, ""), ({"a": 1}, "sales"),
    ],
)  # fmt: skip
def test_what_counts_as_true(value: Any, expected: str) -> None:
    assert decide(Rules(SALES, OTHER, {}), value).agent == expected


@pytest.mark.proves("agents.conditional")
@pytest.mark.parametrize(
    ("operator", "values", "value", "expected"),
    [
        ("equals", ("Urgent",), "urgent", True), ("equals", ("a", "b"), "b", True), ("equals", (3,), "3", True),
        ("equals", (3,), 3.0, True), ("equals", (True,), True, True), ("equals", (True,), "true", True),
        ("equals", ("a",), ["x", "a"], True), ("equals", ("a",), None, False),
        ("not_equals", ("a",), "b", True), ("not_equals", ("a",), "A", False), ("not_equals", ("a",), None, False),
        ("contains", ("refund",), "A Refund, please", True), ("contains", ("x",), {"k": "xyz"}, True),
        ("contains", ("x",), None, False),
        ("above", (0.8,), 0.9, True), ("above", (0.8,), "0.81", True), ("above", (0.8,), 0.8, False),
        ("at_least", (0.8,), 0.8, True), ("below", (5,), 4, True), ("at_most", (5,), 5, True),
        ("above", (1,), "many", False), ("below", (1,), True, False),
    ],
)  # fmt: skip
def test_comparisons(operator: Any, values: Any, value: Any, expected: bool) -> None:
    assert (decide(Rules(SALES, OTHER, {}, operator, values), value) == SALES) is expected


@pytest.mark.proves("agents.conditional")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"safe": true}', True), ('Well:\n```json\n{"safe": "no"}\n```', "no"), ("{not json} {\"safe\": 3}", 3),
        ('{"unsafe": true}', None), ("sales", "sales"), (' "Sales". ', "Sales"), ("", None), ("[1]", "[1]"),
        ('{"a": {"safe": 1}}', None),
    ],
)  # fmt: skip
def test_the_value_is_found_in_what_the_judge_says(text: str, expected: Any) -> None:
    assert judged(text, "safe") == expected


def test_a_thousand_braces_take_no_time() -> None:
    assert first_object("{" * 100_000) is None
