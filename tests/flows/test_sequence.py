"""Steps one after the other, and again and again."""

from typing import Any

import pytest

from hector.core.content import Text
from hector.core.task import AnswerDelta, TaskState
from tests.flows.conftest import answer, aside, echo, plan, says
from tests.together.conftest import Open, ask, calls, decision, function, question, results, wanted


@pytest.mark.proves("agents.sequential")
async def test_each_step_sees_what_was_said_before_and_the_last_one_answers(company: Open) -> None:
    agents = {"chief": plan("sequential", "one", "two", output_key="app:report"), "one": {"output_key": "draft"}}
    agents["two"] = {"instruction": "Mend this: {draft}"}
    models = {"one": echo("first"), "two": [{"system": "Mend this: (.+)", "text": r"second(\1)"}]}
    async with company(models, agents) as it:
        task = await it.say("go")
        assert (task.status.state, answer(task)) == (TaskState.COMPLETED, "second(first(go))")
        state = await it.state(task)
        assert (state["draft"], state["app:report"]) == ("first(go)", "second(first(go))")
        said = [(one.author, one.message.text) for one in await it.events(task) if one.message.text]
        assert said == [("user", "go"), ("one", "first(go)"), ("two", "second(first(go))")]


@pytest.mark.proves("agents.sequential", "agents.streaming")
async def test_the_last_step_streams_as_the_answer_and_others_as_work(company: Open) -> None:
    agents = {"chief": plan("sequential", "one", "two")}
    async with company({"one": says("some notes here"), "two": says("the whole answer")}, agents) as it:
        updates = await it.watch("go")
        assert aside(updates) == {"one": "some notes here"}
        pieces = [one for one in updates if isinstance(one, AnswerDelta)]
        assert len(pieces) > 1
        assert "".join(delta.text for one in pieces for delta in one.deltas) == "the whole answer"


@pytest.mark.proves("agents.sequential")
async def test_an_error_stops_the_sequence(company: Open) -> None:
    agents = {"chief": plan("sequential", "one", "two", "three")}
    broken: list[dict[str, Any]] = [{"error": {"status": 400, "message": "no such thing"}}]
    async with company({"one": says("done"), "two": broken, "three": says("never")}, agents) as it:
        task = await it.say("go")
        assert task.status.state is TaskState.FAILED
        assert "no such thing" in str(task.status.message)
        assert "three" not in {one.author for one in await it.events(task)}


@pytest.mark.proves("agents.sequential")
async def test_a_step_that_declines_or_answers_directly_does_so_for_the_whole(company: Open) -> None:
    agents = {"chief": plan("sequential", "one", "two"), "one": {"tools": ["reject_task", "reply_directly"]}}
    models = {
        "one": [calls(("reject_task", {"reason": "too late"}), user="no"), calls(("reply_directly", {"text": "hi"}))],
        "two": says("never"),
    }
    async with company(models, agents) as it:
        assert (await it.say("no")).status.state is TaskState.REJECTED
        greeted = await it.say("hello")
        assert (greeted.status.state, answer(greeted)) == (TaskState.COMPLETED, "hi")


@pytest.mark.proves("agents.sequential", "approval.agents")
async def test_questions_and_approvals_pause_a_step_and_resume_it(company: Open) -> None:
    agents = {
        "chief": plan("sequential", "one", "two"),
        "one": {"tools": ["ask_user"]},
        "two": {"tools": ["pay"]},
    }
    models = {
        "one": [calls(("ask_user", {"question": "Which colour?"}), turn=0), results(tool="ask_user")],
        "two": [calls(("pay", {"amount": 3}), turn=0), results(tool="pay")],
    }

    def pay(amount: int) -> str:
        """Pay."""
        return f"paid {amount}"

    tools = function("pay", require_approval=True)
    async with company(models, agents, tools, functions=(pay,)) as it:
        task = await it.say("go")
        assert question(task) == "Which colour?"
        task = await it.say("blue", task=task)
        (call,) = wanted(task)
        assert (call["agent"], call["tool_name"]) == ("two", "pay")
        task = await it.say(decision(call, "approve"), task=task)
        assert (task.status.state, answer(task)) == (TaskState.COMPLETED, "paid 3")
        turns = [one.author for one in await it.events(task) if one.message.role == "assistant"]
        assert turns == ["one", "one", "two", "two"]


@pytest.mark.proves("agents.sequential")
async def test_the_next_message_begins_anew_and_sees_the_conversation(company: Open) -> None:
    agents = {"chief": plan("sequential", "one", "two")}
    async with company({"one": echo("a"), "two": echo("b")}, agents) as it:
        first = await it.say("go")
        again = await it.say("more", context_id=first.context_id)
        assert answer(again) == "b([one said]\na(more))"
        assert [one.author for one in await it.events(again) if one.message.role == "assistant"] == ["one", "two"] * 2


@pytest.mark.proves("agents.loop")
async def test_a_loop_runs_its_rounds_and_answers_with_the_last_word(company: Open) -> None:
    agents = {"chief": plan("loop", "one", "two", max_iterations=3, output_key="text")}
    async with company({"one": says("draft"), "two": says("critique")}, agents) as it:
        task = await it.say("go")
        assert (task.status.state, answer(task)) == (TaskState.COMPLETED, "critique")
        spoken = [one.author for one in await it.events(task) if one.message.role == "assistant"]
        assert spoken == ["one", "two"] * 3 + ["chief"]
        assert (await it.state(task))["text"] == "critique"


@pytest.mark.proves("agents.loop")
@pytest.mark.parametrize(
    ("flag", "call", "expected"),
    [
        ("enable_exit_tool", ("exit_loop", {}), "draft"),
        ("enable_escalate_tool", ("escalate", {"reason": "too hard"}), "draft"),
    ],
)
async def test_a_tool_ends_the_loop_and_what_comes_after_it_goes_on(
    company: Open, flag: str, call: tuple[str, dict[str, Any]], expected: str
) -> None:
    agents = {
        "chief": plan("sequential", "again", "last"),
        "again": plan("loop", "inner", "never"),
        "inner": plan("sequential", "one", "two"),
        "two": {"reasoning": {flag: True}},
    }
    models = {"one": says("draft"), "two": [calls(call)], "never": says("never"), "last": echo("end")}
    async with company(models, agents) as it:
        task = await it.say("go")
        assert task.status.state is TaskState.COMPLETED
        assert "never" not in {one.author for one in await it.events(task)}
        assert answer(task).startswith("end(")
        ends = [one for one in await it.events(task) if one.author == "again"]
        assert ends[-1].message.text == expected


@pytest.mark.proves("agents.loop")
async def test_a_reason_is_the_answer_where_there_is_no_other(company: Open) -> None:
    agents = {"chief": plan("loop", "one"), "one": {"tools": ["escalate"]}}
    async with company({"one": [calls(("escalate", {"reason": "nobody knows"}))]}, agents) as it:
        assert answer(await it.say("go")) == "nobody knows"
        assert answer(await it.say("go", to="one")) == "nobody knows"


@pytest.mark.proves("agents.loop")
async def test_an_agent_that_is_alone_in_a_loop_is_told_to_go_on(company: Open) -> None:
    agents = {"chief": plan("loop", "one", max_iterations=2)}
    async with company({"one": [{"user": "next round", "text": "second"}, {"text": "first"}]}, agents) as it:
        assert answer(await it.say("go")) == "second"


@pytest.mark.proves("agents.sequential")
async def test_global_instructions_reach_every_step(company: Open) -> None:
    agents = {"chief": plan("sequential", "one", global_instruction="Be brief."), "one": {"instruction": "Write."}}
    async with company({"one": [{"system": "(?s)^Be brief.\n\nWrite.", "text": "ok"}]}, agents) as it:
        assert answer(await it.say("go")) == "ok"


@pytest.mark.proves("agents.sequential", "agents.agent-tools")
async def test_a_plan_is_called_like_a_tool(company: Open) -> None:
    agents = {"chief": {"agent_tools": ["line"]}, "line": plan("sequential", "one", "two")}
    models = {
        "chief": [calls(ask("line", "cut it"), turn=0), results()],
        "one": echo("a"),
        "two": echo("b"),
    }
    async with company(models, agents) as it:
        task = await it.say("go")
        assert answer(task) == "b([one said]\na(cut it))"
        assert {one.branch.partition("@")[0] for one in await it.events(task) if one.branch} == {"line"}


@pytest.mark.proves("agents.sequential", "agents.sub-agents")
async def test_a_plan_is_handed_the_conversation_and_gives_it_back_when_it_has_ended(company: Open) -> None:
    agents = {
        "chief": {"sub_agents": ["line"]},
        "line": plan("sequential", "desk", "two"),
        "desk": {"sub_agents": ["expert"]},
    }
    models = {
        "chief": [calls(("transfer_to_line", {"request": "work"}), user="^go"), {"text": "chief again"}],
        "desk": [calls(("transfer_to_expert", {"request": "you do it"}))],
        "expert": [calls(("ask_user", {"question": "How?"}), turn=0), results(tool="ask_user")],
        "two": echo("end"),
    }
    agents["expert"] = {"tools": ["ask_user"]}
    async with company(models, agents) as it:
        task = await it.say("go")
        assert question(task) == "How?"
        task = await it.say("like this", task=task)
        assert answer(task) == "end([expert said]\nlike this)"
        assert answer(await it.say("and now?", context_id=task.context_id)) == "chief again"


@pytest.mark.proves("agents.sequential")
async def test_artifacts_of_steps_are_the_tasks(company: Open) -> None:
    agents = {"chief": plan("sequential", "one", "two"), "one": {"tools": ["save_artifact"]}}
    models = {
        "one": [calls(("save_artifact", {"name": "notes.md", "text": "x"}), turn=0), {"text": "saved"}],
        "two": says("done"),
    }
    async with company(models, agents) as it:
        task = await it.say("go")
        saved = next(one for one in task.artifacts if one.name == "notes.md")
        assert saved.parts == (Text("x", media_type=None, name="notes.md"),)
        assert (saved.metadata or {})["author"] == "one"
