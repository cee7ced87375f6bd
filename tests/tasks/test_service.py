import asyncio
from typing import Any

import pytest

from hector.core.content import Text, user
from hector.core.errors import InvalidRequest, NotFound, NotSupported, TaskNotCancelable
from hector.core.event import TextDelta
from hector.core.ids import new_id
from hector.core.ports import ToolContext
from hector.core.task import (
    AnswerDelta,
    Caller,
    ClientMessage,
    StatusUpdate,
    Task,
    TaskQuery,
    TaskState,
    ToolProgress,
    Update,
)
from hector.tasks.follow import TaskStream
from hector.tasks.service import SendOptions, TaskService
from tests.tasks.conftest import Start

ANA, BOB = Caller(user="ana"), Caller(user="bob")
ECHO: list[dict[str, Any]] = [{"user": "(.*)", "text": r"You said: \1"}]


def say(text: str, **envelope: Any) -> ClientMessage:
    return ClientMessage(new_id(), user(text), **envelope)


async def ask(service: TaskService, text: str, caller: Caller = ANA, **envelope: Any) -> Task:
    answer = await service.send(caller, "helper", say(text, **envelope), SendOptions())
    assert isinstance(answer, Task)
    return answer


def answer_of(task: Task) -> str:
    return "".join(
        part.text
        for artifact in task.artifacts
        if artifact.id.startswith("answer")
        for part in artifact.parts
        if isinstance(part, Text)
    )


async def ended(service: TaskService, task_id: str) -> Task:
    """The task once it has ended, wherever it runs."""
    try:
        async for _ in await service.subscribe(ANA, "helper", task_id):
            pass
    except NotSupported:
        pass
    return await service.get(ANA, "helper", task_id)


async def collect(stream: TaskStream) -> list[Update]:
    return [update async for batch in stream for update in batch]


@pytest.mark.proves("agents.llm", "durability.tasks")
async def test_a_message_becomes_a_completed_task_that_can_be_read_back(start: Start) -> None:
    async with start(ECHO) as service:
        task = await ask(service, "hello")
        assert task.status.state is TaskState.COMPLETED
        assert answer_of(task) == "You said: hello"
        assert task.history is not None
        assert [message.message.text for message in task.history] == ["hello"]
        assert answer_of(await service.get(ANA, "helper", task.id)) == "You said: hello"


@pytest.mark.proves("state.restart")
async def test_a_conversation_continues_after_a_restart(start: Start) -> None:
    rules = [
        {"user": "again", "turn": 0, "text": "second"},
        {"user": "name is (\\w+)", "text": "hello \\1"},
    ]
    async with start(rules) as service:
        first = await ask(service, "my name is Ada")
    async with start(rules) as service:
        second = await ask(service, "again", context_id=first.context_id)
        assert answer_of(second) == "second"
        assert second.context_id == first.context_id
        assert second.id != first.id
        assert answer_of(await service.get(ANA, "helper", first.id)) == "hello Ada"


@pytest.mark.proves("agents.streaming")
async def test_a_stream_begins_submitted_works_and_ends_with_the_state(start: Start) -> None:
    async with start([{"text": "one two three"}]) as service:
        stream = await service.stream(ANA, "helper", say("go"), SendOptions())
        assert isinstance(stream.first, Task)
        assert stream.first.status.state is TaskState.SUBMITTED
        updates = await collect(stream)
    states = [update.status.state for update in updates if isinstance(update, StatusUpdate)]
    assert states == [TaskState.WORKING, TaskState.COMPLETED]
    deltas = [update for update in updates if isinstance(update, AnswerDelta)]
    assert len(deltas) >= 2
    assert "".join(d.text for u in deltas for d in u.deltas if isinstance(d, TextDelta)) == "one two three"
    assert [update.first for update in deltas] == [True] + [False] * (len(deltas) - 1)


@pytest.mark.proves("agents.parallel-tools", "agents.function-tools")
async def test_tools_run_side_by_side_and_their_results_reach_the_model(start: Start) -> None:
    together = asyncio.Barrier(2)

    async def left() -> str:
        """Left."""
        await together.wait()
        return "L"

    async def right(context: ToolContext, depth: int = 1) -> dict[str, int]:
        """Right."""
        await together.wait()
        return {"depth": depth, "user": len(context.user)}

    rules = [
        {"turn": 0, "text": "Looking.", "tool_calls": [{"name": "left"}, {"name": "right", "args": {"depth": 4}}]},
        {"tool_result": "right", "tool_result_matches": '"depth": 4, "user": 3', "text": "Found."},
    ]
    tools = {name: {"type": "function", "handler": name} for name in ("left", "right")}
    async with start(rules, functions=(left, right), declared=tools) as service, asyncio.timeout(60):
        stream = await service.stream(ANA, "helper", say("go"), SendOptions())
        updates = await collect(stream)
        assert isinstance(stream.first, Task)
        task = await service.get(ANA, "helper", stream.first.id)
    assert answer_of(task) == "Looking.\n\nFound."
    progress = [update for update in updates if isinstance(update, ToolProgress)]
    assert [p.call.name for p in progress if p.call] == ["left", "right"]
    assert [p.result.name for p in progress if p.result] == ["left", "right"]


@pytest.mark.proves("agents.tool-errors")
@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ({"name": "nowhere"}, "there is no tool named 'nowhere'"),
        ({"name": "divide", "args": {"by": "x"}}, "by: "),
        ({"name": "divide", "args": {"by": 0}}, "ZeroDivisionError"),
        ({"name": "divide", "args": {"by": 1, "more": 2}}, "more: "),
    ],
)
async def test_a_call_that_fails_is_answered_and_the_run_goes_on(
    start: Start, call: dict[str, Any], expected: str
) -> None:
    def divide(by: int) -> float:
        """Divide."""
        return 1 / by

    rules = [{"turn": 0, "tool_calls": [call]}, {"tool_result": call["name"], "text": "\\g<result>"}, {"text": "no"}]
    tools = {"divide": {"type": "function", "handler": "divide"}}
    async with start(rules, functions=(divide,), declared=tools) as service:
        stream = await service.stream(ANA, "helper", say("go"), SendOptions())
        updates = await collect(stream)
    results = [update.result for update in updates if isinstance(update, ToolProgress) and update.result]
    assert results[0].is_error
    assert expected in "".join(part.text for part in results[0].content if isinstance(part, Text))
    last = updates[-1]
    assert isinstance(last, StatusUpdate)
    assert last.status.state is TaskState.COMPLETED


@pytest.mark.proves("a2a.ask-user")
async def test_a_question_pauses_the_task_and_the_answer_is_its_result(start: Start) -> None:
    rules = [
        {"turn": 0, "tool_calls": [{"name": "ask_user", "args": {"question": "Which colour?"}}]},
        {"tool_result": "ask_user", "tool_result_matches": "(?P<colour>\\w+)", "text": "Painted."},
    ]
    async with start(rules, tools=["ask_user"]) as service:
        paused = await ask(service, "paint it")
        assert paused.status.state is TaskState.INPUT_REQUIRED
        assert paused.status.message is not None
        assert paused.status.message.message.text == "Which colour?"
        follower = await service.subscribe(ANA, "helper", paused.id)
    async with start(rules, tools=["ask_user"]) as service:
        follower = await service.subscribe(ANA, "helper", paused.id)
        done = await ask(service, "red", task_id=paused.id)
        assert done.id == paused.id
        assert done.status.state is TaskState.COMPLETED
        assert answer_of(done) == "Painted."
        states = [u.status.state for u in await collect(follower) if isinstance(u, StatusUpdate)]
        assert states[-1] is TaskState.COMPLETED
        stored = await service.get(ANA, "helper", paused.id)
        assert stored.history is not None
        assert [message.message.text for message in stored.history] == ["paint it", "Which colour?", "red"]


@pytest.mark.proves("agents.cancel")
async def test_cancel_ends_a_running_task_at_once(start: Start) -> None:
    async with start([{"text": "late", "delay": "60s"}]) as service, asyncio.timeout(60):
        task = await service.send(ANA, "helper", say("go"), SendOptions(return_immediately=True))
        assert isinstance(task, Task)
        follower = await service.subscribe(ANA, "helper", task.id)
        canceled = await service.cancel(ANA, "helper", task.id)
        assert canceled.status.state is TaskState.CANCELED
        assert [u.status.state for u in await collect(follower) if isinstance(u, StatusUpdate)][
            -1
        ] is TaskState.CANCELED
        with pytest.raises(TaskNotCancelable):
            await service.cancel(ANA, "helper", task.id)
        with pytest.raises(NotSupported):
            await service.subscribe(ANA, "helper", task.id)
        with pytest.raises(NotSupported):
            await ask(service, "more", task_id=task.id)


async def test_what_is_not_yours_is_not_found(start: Start) -> None:
    async with start(ECHO) as service:
        task = await ask(service, "hello")
        for attempt in (
            service.get(BOB, "helper", task.id),
            service.cancel(BOB, "helper", task.id),
            service.subscribe(BOB, "helper", task.id),
            service.get(ANA, "other", task.id),
        ):
            with pytest.raises(NotFound):
                await attempt
        with pytest.raises(NotFound):
            await service.send(ANA, "nobody", say("x"), SendOptions())
        with pytest.raises(NotFound):
            await ask(service, "x", task_id="invented")
        assert (await service.list(BOB, "helper", TaskQuery())).total == 0


async def test_a_context_that_does_not_fit_the_task_is_refused(start: Start) -> None:
    async with start(
        [{"tool_calls": [{"name": "ask_user", "args": {"question": "?"}}]}], tools=["ask_user"]
    ) as service:
        paused = await ask(service, "go")
        with pytest.raises(InvalidRequest):
            await ask(service, "x", task_id=paused.id, context_id="another")


async def test_messages_of_one_session_run_one_after_the_other(start: Start) -> None:
    rules = [{"user": "slow", "text": "slow done", "delay": "100ms"}, {"user": "(.*)", "text": "\\1 done"}]
    async with start(rules) as service, asyncio.timeout(60):
        order: list[str] = []

        async def one(text: str) -> None:
            order.append(answer_of(await ask(service, text, context_id="c")))

        async with asyncio.TaskGroup() as group:
            group.create_task(one("slow"))
            await asyncio.sleep(0.02)
            for text in ("b", "c", "d"):
                group.create_task(one(text))
                await asyncio.sleep(0)
            waiting = await service.send(ANA, "helper", say("e", context_id="c"), SendOptions(return_immediately=True))
            assert isinstance(waiting, Task)
            assert waiting.status.state is TaskState.SUBMITTED
        assert order == ["slow done", "b done", "c done", "d done"]


@pytest.mark.parametrize("failure", [{"status": 500}, {"status": 401}, {"status": 400}])
async def test_a_failing_model_fails_the_task_with_its_reason(start: Start, failure: dict[str, Any]) -> None:
    async with start([{"error": {**failure, "message": "no more tokens"}}]) as service:
        task = await ask(service, "go")
        assert task.status.state is TaskState.FAILED
        assert task.status.message is not None
        assert "no more tokens" in task.status.message.message.text


@pytest.mark.proves("agents.max-iterations")
async def test_an_endless_tool_loop_is_cut_at_the_limit(start: Start) -> None:
    rules = [{"tool_calls": [{"name": "save_artifact", "args": {"name": "x", "text": "y"}}]}]
    async with start(rules, tools=["save_artifact"], reasoning={"max_iterations": 3}) as service:
        task = await ask(service, "go")
        assert task.status.state is TaskState.FAILED
        assert task.status.message is not None
        assert "max_iterations" in task.status.message.message.text
        assert len(task.artifacts) == 3


@pytest.mark.proves("durability.tasks")
async def test_a_task_that_was_cut_off_goes_on_at_the_next_start(start: Start) -> None:
    async with start([{"text": "late", "delay": "60s"}]) as service, asyncio.timeout(60):
        task = await service.send(ANA, "helper", say("go"), SendOptions(return_immediately=True))
        assert isinstance(task, Task)
    async with start(ECHO) as service, asyncio.timeout(60):
        await ended(service, task.id)
        assert answer_of(await service.get(ANA, "helper", task.id)) == "You said: go"


@pytest.mark.proves("instruction.artifact", "a2a.request-facts")
async def test_an_instruction_holds_request_facts_and_the_newest_artifact_of_a_name(start: Start) -> None:
    rules: list[dict[str, Any]] = [
        {
            "user": "write (.*)",
            "turn": 0,
            "tool_calls": [{"name": "save_artifact", "args": {"name": "notes.md", "text": "\\1"}}],
        },
        {"user": "write", "text": "written"},
        {"system": "id=m-7 notes=<new>", "text": "seen"},
    ]
    instruction = "id={temp:a2a_message_id} notes=<{artifact.notes.md?}>"
    async with start(rules, tools=["save_artifact"], instruction=instruction) as service:
        first = await ask(service, "write old")
        await ask(service, "write new", context_id=first.context_id)
        message = ClientMessage("m-7", user("read"), first.context_id)
        task = await service.send(ANA, "helper", message, SendOptions())
        assert isinstance(task, Task)
        assert answer_of(task) == "seen"


async def test_a_missing_artifact_fails_the_task_by_name(start: Start) -> None:
    async with start(ECHO, instruction="{artifact.plan.md}") as service:
        task = await ask(service, "hello")
        assert task.status.message is not None
        assert "{artifact.plan.md}" in task.status.message.message.text
