"""An agent that is called like a tool: it works by itself, and its answer is the tool's result."""

import asyncio
import re
from typing import Any

import pytest

from hector.config.server import Queue, Server
from hector.core.content import Text, user
from hector.core.errors import TaskNotCancelable
from hector.core.event import Artifact, TextDelta
from hector.core.ids import new_id
from hector.core.ports import ToolContext, ToolOutput
from hector.core.task import AgentDelta, AnswerDelta, ArtifactUpdate, ClientMessage, Task, TaskState, ToolProgress
from hector.tasks.service import SendOptions
from tests.tasks.test_service import answer_of
from tests.together.conftest import ANA, Open, ask, calls, function, results

CHIEF = [calls(ask("clerk", "count the chairs"), turn=0, text="One moment."), results(r"I was told: \g<all>")]


@pytest.mark.proves("agents.agent-tools")
async def test_a_called_agent_sees_its_request_and_nothing_else(company: Open) -> None:
    models = {"chief": CHIEF, "clerk": [{"user": "(?s)^(.*)$", "turn": 0, "text": r"I heard <\1>."}]}
    async with company(models, {"chief": {"agent_tools": ["clerk"]}, "clerk": {"visibility": "private"}}) as it:
        task = await it.say("how many chairs? it is secret")
        assert task.status.state is TaskState.COMPLETED
        assert answer_of(task) == "One moment.\n\nI was told: I heard <count the chairs>."
        log = await it.events(task)
        assert [(event.author, event.branch) for event in log] == [
            ("user", ""),
            ("chief", ""),
            ("clerk", "clerk@call_1"),
            ("chief", ""),
            ("chief", ""),
        ]
        assert all(event.usage and event.usage.total > 0 for event in log if event.message.role == "assistant")
        again = await it.say("and now?", context_id=task.context_id)
        assert "I heard <count the chairs>." in answer_of(again)


@pytest.mark.proves("agents.agent-tools")
async def test_its_words_are_shown_as_progress_of_the_call_and_not_as_the_answer(company: Open) -> None:
    async def look() -> str:
        """Look."""
        return "four"

    clerk = [calls(("look", {}), turn=0, text="Let me look."), results(r"There are \g<all>.")]
    agents = {"chief": {"agent_tools": ["clerk"]}, "clerk": {"tools": ["look"]}}
    async with company({"chief": CHIEF, "clerk": clerk}, agents, function("look"), functions=(look,)) as it:
        updates = await it.watch("go")
    pieces = [one for one in updates if isinstance(one, AgentDelta)]
    said = "".join(delta.text for one in pieces for delta in one.deltas if isinstance(delta, TextDelta))
    assert said == "Let me look.There are four."
    assert {(one.call_id, one.author, one.branch) for one in pieces} == {("call_1", "clerk", "clerk@call_1")}
    answer = "".join(d.text for one in updates if isinstance(one, AnswerDelta) for d in one.deltas)
    assert answer == "One moment.\n\nI was told: There are four."
    progress = [((one.call or one.result), one.author, one.branch) for one in updates if isinstance(one, ToolProgress)]
    assert [(getattr(part, "id", None) or getattr(part, "call_id", ""), author) for part, author, _ in progress] == [
        ("call_1", ""),
        ("clerk@call_1.call_1", "clerk"),
        ("clerk@call_1.call_1", "clerk"),
        ("call_1", ""),
    ]


@pytest.mark.proves("agents.agent-tools", "agents.together.parallel")
async def test_several_work_side_by_side_and_answer_in_the_order_of_the_calls(company: Open) -> None:
    meeting: list[str] = []
    both = asyncio.Event()

    async def meet(context: ToolContext) -> str:
        """Wait for the other one."""
        meeting.append(context.agent)
        if len(meeting) == 3:
            both.set()
        async with asyncio.timeout(60):
            await both.wait()
        return f"{context.agent} met the others"

    worker = [calls(("meet", {}), turn=0), results()]
    chief = [calls(ask("one", "go"), ask("two", "go"), ("meet", {}), turn=0), results()]
    agents: dict[str, Any] = {name: {"tools": ["meet"]} for name in ("chief", "one", "two")}
    agents["chief"]["agent_tools"] = ["one", "two"]
    models = {"chief": chief, "one": worker, "two": worker}
    async with company(models, agents, function("meet"), functions=(meet,)) as it:
        task = await it.say("all together")
    assert answer_of(task) == "one met the others\ntwo met the others\nchief met the others"


@pytest.mark.proves("agents.together.state")
async def test_state_and_artifacts_are_those_of_the_task(company: Open) -> None:
    async def note(context: ToolContext) -> ToolOutput:
        """Note what is known."""
        seen = f"{context.state.get('place')}/{context.state.get('temp:mood')}"
        change = {"place": context.agent, "temp:mood": f"by {context.agent}"}
        artifact = Artifact("report", (Text("done"),), "report.md")
        return ToolOutput((Text(seen),), state=change, artifacts=(artifact,) if context.agent == "clerk" else ())

    clerk = [calls(("note", {}), turn=0), results(r"clerk saw \g<all>")]
    chief = [
        calls(("note", {}), turn=0),
        calls(ask("clerk", "go"), turn=1),
        calls(("note", {}), turn=2, text=""),
        results(r"chief saw \g<all>"),
    ]
    agents = {"chief": {"agent_tools": ["clerk"], "tools": ["note"]}, "clerk": {"tools": ["note"]}}
    async with company({"chief": chief, "clerk": clerk}, agents, function("note"), functions=(note,)) as it:
        message = ClientMessage(new_id(), user("go"))
        stream = await it.service.stream(ANA, "chief", message, SendOptions())
        updates = [update async for batch in stream for update in batch]
        task = await it.service.get(ANA, "chief", stream.first.id)
        assert answer_of(task) == "chief saw clerk/by clerk"
        assert (await it.state(task))["place"] == "chief"
        saved = [one.artifact for one in updates if isinstance(one, ArtifactUpdate) and one.artifact.id == "report"]
        assert [artifact.metadata for artifact in saved] == [{"author": "clerk", "branch": "clerk@call_2"}]
        assert [artifact.metadata for artifact in task.artifacts if artifact.id == "report"] == [saved[0].metadata]
        results_of = [event.message for event in await it.events(task) if event.author == "clerk"]
        assert "clerk saw chief/by chief" in str(results_of)


async def test_agents_call_agents_that_call_agents(company: Open) -> None:
    middle = [calls(ask("low", "dig"), turn=0), results(r"middle(\g<all>)")]
    models = {
        "chief": [calls(ask("middle", "find it"), turn=0), results(r"chief(\g<all>)")],
        "middle": middle,
        "low": [{"user": "dig", "text": "gold"}],
    }
    agents = {
        "chief": {"agent_tools": ["middle"], "global_instruction": "Be kind."},
        "middle": {"agent_tools": ["low"]},
    }
    async with company(models, agents) as it:
        task = await it.say("go")
        assert answer_of(task) == "chief(middle(gold))"
        assert "middle@call_1.low@call_1" in {event.branch for event in await it.events(task)}


@pytest.mark.proves("agents.agent-tools")
async def test_the_checked_json_of_a_called_agent_is_its_result(company: Open) -> None:
    schema = {"type": "object", "properties": {"chairs": {"type": "integer"}}, "required": ["chairs"]}
    clerk = [{"user": "does not fit", "text": '```json\n{"chairs": 4}\n```'}, {"text": "Four!"}]
    agents = {"chief": {"agent_tools": ["clerk"]}, "clerk": {"structured_output": {"schema": schema}}}
    async with company({"chief": CHIEF, "clerk": clerk}, agents) as it:
        assert answer_of(await it.say("go")).endswith('I was told: {"chairs": 4}')


async def test_a_long_answer_is_cut_for_the_model_of_the_caller(company: Open) -> None:
    models = {"chief": CHIEF, "clerk": [{"text": "x" * 500}]}
    async with company(models, {"chief": {"agent_tools": ["clerk"]}}) as it:
        assert "x" * 500 in answer_of(await it.say("go"))


@pytest.mark.proves("agents.together.errors")
@pytest.mark.parametrize(
    ("clerk", "facts", "expected"),
    [
        ([{"error": {"status": 400, "message": "no such model"}}], {}, "clerk failed: .*no such model"),
        ([{"text": "unused"}], {"instruction": "Serve {nobody}."}, "clerk failed: .*{nobody}"),
        ([calls(("reject_task", {"reason": "too busy"}))], {"tools": ["reject_task"]}, "clerk declined: too busy"),
        ([calls(("reply_directly", {"text": "four"}))], {"tools": ["reply_directly"]}, "I was told: four"),
        ([calls(("lose", {}))], {"reasoning": {"max_iterations": 2}}, "clerk failed: .*within 2 model calls"),
    ],
)
async def test_what_goes_wrong_in_a_called_agent_is_told_to_its_caller(
    company: Open, clerk: Any, facts: Any, expected: str
) -> None:
    async with company({"chief": CHIEF, "clerk": clerk}, {"chief": {"agent_tools": ["clerk"]}, "clerk": facts}) as it:
        task = await it.say("go")
    assert task.status.state is TaskState.COMPLETED
    assert re.search(expected, answer_of(task)), answer_of(task)


@pytest.mark.proves("agents.together.errors")
async def test_a_model_that_is_away_is_asked_again_later_and_nothing_else_is(company: Open) -> None:
    done: list[str] = []

    async def work(context: ToolContext) -> str:
        """Have an effect."""
        done.append(context.agent)
        return f"{context.agent} worked"

    worker = [calls(("work", {}), turn=0), results()]
    flaky = [
        calls(("work", {}), turn=0),
        {**results(), "error": {"status": 503, "message": "overloaded", "times": 2}},
    ]
    chief = [calls(ask("one", "go"), ask("two", "go"), turn=0, text="Asking."), results()]
    agents = {"chief": {"agent_tools": ["one", "two"]}, "one": {"tools": ["work"]}, "two": {"tools": ["work"]}}
    models = {"chief": chief, "one": worker, "two": flaky}
    async with company(models, agents, function("work"), functions=(work,)) as it:
        task = await it.say("go")
        assert (task.status.state, answer_of(task)) == (
            TaskState.COMPLETED,
            "Asking.\n\none worked\ntwo worked",
        )
        assert sorted(done) == ["one", "two"]
        turns = [event.author for event in await it.events(task) if event.message.role == "assistant"]
        assert sorted(turns) == ["chief", "chief", "one", "one", "two", "two"]


@pytest.mark.proves("agents.together.errors")
@pytest.mark.parametrize("retries", [0, 2])
async def test_a_model_that_stays_away_is_told_to_the_caller_in_the_last_attempt(company: Open, retries: int) -> None:
    away = [{"error": {"status": 503, "message": "overloaded"}}]
    models = {
        "chief": [calls(ask("one", "go"), ask("two", "go"), turn=0), results()],
        "one": away,
        "two": [{"text": "two is here"}],
    }
    settings = Server(queue=Queue(initial_delay=0.01, max_delay=0.02, max_retries=retries))
    async with company(models, {"chief": {"agent_tools": ["one", "two"]}}, settings=settings) as it:
        task = await it.say("go")
        assert task.status.state is TaskState.COMPLETED
        assert re.search("(?s)^one failed: .*overloaded.*two is here$", answer_of(task)), answer_of(task)
        turns = [event.author for event in await it.events(task) if event.message.role == "assistant"]
        assert sorted(turns) == ["chief", "chief", "two"]


@pytest.mark.proves("agents.together.cancel")
async def test_cancelling_reaches_called_agents_at_once(company: Open) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def hang() -> str:
        """Never end."""
        began.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()
        return "no"

    models = {
        "chief": [calls(ask("middle", "go"), ask("slow", "go"), turn=0), results()],
        "middle": [calls(ask("low", "go"), turn=0), results()],
        "low": [calls(("hang", {}), turn=0), results()],
        "slow": [{"text": "late", "delay": 3600}],
    }
    agents = {
        "chief": {"agent_tools": ["middle", "slow"]},
        "middle": {"agent_tools": ["low"]},
        "low": {"tools": ["hang"]},
    }
    async with company(models, agents, function("hang", timeout=0), functions=(hang,)) as it:
        message = ClientMessage(new_id(), user("go"))
        task = await it.service.send(ANA, "chief", message, SendOptions(return_immediately=True))
        async with asyncio.timeout(60):
            await began.wait()
        async with asyncio.timeout(60):
            await it.service.cancel(ANA, "chief", task.id)
            await ended.wait()
        with pytest.raises(TaskNotCancelable):
            await it.service.cancel(ANA, "chief", task.id)


@pytest.mark.proves("agents.together.limits")
async def test_calls_are_no_deeper_and_no_more_than_allowed(company: Open) -> None:
    names = ["chief", "a", "b", "c"]
    models = {
        name: [calls(ask(below, "go"), turn=0), results(rf"{name}(\g<all>)")]
        for name, below in zip(names[:-1], names[1:], strict=True)
    } | {"c": [{"text": "bottom"}]}
    agents: dict[str, Any] = {n: {"agent_tools": [b]} for n, b in zip(names[:-1], names[1:], strict=True)}
    agents["chief"]["delegation"] = {"max_depth": 2}
    async with company(models, agents) as it:
        task = await it.say("go")
        assert task.status.state is TaskState.COMPLETED
        assert "chief(a(b(" in answer_of(task)
        assert "no deeper than 2 (delegation.max_depth)" in answer_of(task)
    many = [calls(*(ask("c", f"number {at}") for at in range(5)), turn=0), results()]
    agents = {"chief": {"agent_tools": ["c"], "delegation": {"max_calls": 3}}}
    async with company({"chief": many, "c": [{"text": "ok"}]}, agents) as it:
        log = await it.events(await it.say("go"))
        results_of = [result for event in log for result in event.tool_results if result.name == "c"]
        assert sorted(result.call_id for result in results_of if result.is_error) == ["call_4", "call_5"]
        assert "at most 3 agents (delegation.max_calls)" in str(results_of)


@pytest.mark.parametrize("args", [{}, {"request": ""}, {"request": 7}, {"request": "x", "more": 1}])
async def test_a_call_without_a_request_is_told_so(company: Open, args: Any) -> None:
    models = {"chief": [calls(("clerk", args), turn=0), results()], "clerk": [{"text": "unused"}]}
    async with company(models, {"chief": {"agent_tools": ["clerk"]}}) as it:
        assert "it takes one text, request" in answer_of(await it.say("go"))


@pytest.mark.proves("agents.together.kills")
async def test_a_stop_leaves_called_agents_at_a_stored_step(company: Open) -> None:
    began, may_end, done = asyncio.Event(), asyncio.Event(), list[str]()

    async def work(context: ToolContext) -> str:
        """Have an effect."""
        began.set()
        await may_end.wait()
        done.append(context.agent)
        return f"{context.agent} worked"

    worker = [calls(("work", {}), turn=0), results()]
    models = {"chief": [calls(ask("one", "go"), ask("two", "go"), turn=0), results()], "one": worker, "two": worker}
    agents: dict[str, Any] = {"chief": {"agent_tools": ["one", "two"]}, "one": {"tools": ["work"]}}
    agents["two"] = agents["one"]
    async with company(models, agents, function("work"), functions=(work,)) as it:
        message = ClientMessage(new_id(), user("go"))
        task = await it.service.send(ANA, "chief", message, SendOptions(return_immediately=True))
        assert isinstance(task, Task)
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            await began.wait()
            group.create_task(it.service.drain(10))
            may_end.set()
        task = await it.store.tasks.get(ANA, task.id)
        assert not task.status.state.terminal
    async with company(models, agents, function("work"), functions=(work,)) as it:
        found = await it.ended(task)
        assert answer_of(found) == "one worked\ntwo worked"
        assert sorted(done) == ["one", "two"]
