"""Tools that do what no tool should: whatever they raise is an answer to the model, and the run goes on."""

import asyncio
import sys
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest

from hector.core.content import Data, Text
from hector.core.ports import ToolOutput
from hector.core.task import StatusUpdate, Task, TaskState, ToolProgress, Update
from hector.tasks.service import SendOptions, TaskService
from tests.tasks.conftest import Start
from tests.tasks.test_service import ANA, answer_of, ask, collect, say

RULES: list[dict[str, Any]] = [{"turn": 0, "tool_calls": [{"name": "odd"}]}, {"text": "went on"}]


class Panic(BaseException):
    """What a native extension raises when it breaks."""


def declared(function: Callable[..., Any], **more: Any) -> dict[str, Any]:
    return {
        "functions": (function,),
        "declared": {"odd": {"type": "function", "handler": function.__name__, **more}},
    }


async def watch(service: TaskService) -> list[Update]:
    stream = await service.stream(ANA, "helper", say("go"), SendOptions())
    return await collect(stream)


def result_of(updates: list[Update]) -> str:
    results = [update.result for update in updates if isinstance(update, ToolProgress) and update.result]
    assert [result.is_error for result in results] == [True]
    return "".join(part.text for part in results[0].content if isinstance(part, Text))


def final(updates: list[Update]) -> TaskState:
    last = updates[-1]
    assert isinstance(last, StatusUpdate)
    return last.status.state


def leave() -> str:
    """Leave."""
    sys.exit(3)


async def leave_on_the_loop() -> str:
    """Leave."""
    sys.exit(3)


def exhaust() -> str:
    """Take from nothing."""
    return next(iter(list[str]()))


def break_down() -> str:
    """Break down."""
    raise Panic("native code broke")


async def break_down_on_the_loop() -> str:
    """Break down."""
    raise Panic("native code broke")


async def give_up() -> str:
    """Await something that was cancelled."""
    inner = asyncio.create_task(asyncio.sleep(60))
    inner.cancel()
    await inner
    return "never"


@pytest.mark.proves("agents.tool-errors")
@pytest.mark.parametrize(
    ("tool", "named"),
    [
        (leave, "SystemExit"),
        (leave_on_the_loop, "SystemExit"),
        (exhaust, "StopIteration"),
        (break_down, "native code broke"),
        (break_down_on_the_loop, "native code broke"),
        (give_up, "CancelledError"),
    ],
)
async def test_whatever_a_tool_raises_is_told_to_the_model(start: Start, tool: Callable[..., Any], named: str) -> None:
    async with start(RULES, **declared(tool)) as service, asyncio.timeout(60):
        updates = await watch(service)
        assert named in result_of(updates)
        assert final(updates) is TaskState.COMPLETED
        assert answer_of(await ask(service, "still there?", context_id="other")) == "went on"


async def test_a_decorated_coroutine_function_is_awaited(start: Start) -> None:
    async def inner() -> str:
        await asyncio.sleep(0)
        return "awaited"

    @wraps(inner)
    def odd() -> Any:
        return inner()

    told = {"tool_result": "odd", "tool_result_matches": "awaited", "text": "awaited"}
    rules = [{"turn": 0, "tool_calls": [{"name": "odd"}]}, told]
    async with start(rules, functions=(inner,), declared={"odd": {"type": "function", "handler": "inner"}}) as service:
        assert answer_of(await ask(service, "go")) == "awaited"
    odd.__name__ = "odd"
    async with start(rules, **declared(odd)) as service:
        assert answer_of(await ask(service, "go")) == "awaited"


@pytest.mark.parametrize("output", [ToolOutput(state={"key": object()}), ToolOutput((Data(object()),))])
async def test_what_cannot_be_stored_is_an_error_of_the_tool(start: Start, output: ToolOutput) -> None:
    def odd() -> ToolOutput:
        """Return what is no JSON."""
        return output

    async with start(RULES, **declared(odd)) as service, asyncio.timeout(60):
        updates = await watch(service)
        assert "not JSON" in result_of(updates)
        assert final(updates) is TaskState.COMPLETED


async def test_what_only_the_store_notices_still_ends_the_task_for_good(start: Start) -> None:
    def odd() -> ToolOutput:
        """Return what is no content."""
        return ToolOutput(("text",))  # type: ignore[arg-type]

    async with start(RULES, **declared(odd)) as service, asyncio.timeout(60):
        task = await ask(service, "go")
        assert task.status.state is TaskState.FAILED
        assert (await service.get(ANA, "helper", task.id)).status.state is TaskState.FAILED


async def test_a_tool_that_never_returns_is_given_up_and_blocks_neither_others_nor_the_end(start: Start) -> None:
    forever = threading.Event()

    def odd() -> str:
        """Wait for ever."""
        forever.wait()
        return "never"

    async with start(RULES, **declared(odd, timeout=0.2)) as service, asyncio.timeout(60):
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(ask(service, "go")) for _ in range(40)]  # more than any pool of threads holds
        assert {answer_of(task.result()) for task in asked} == {"went on"}
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("tool"))
    forever.set()


@pytest.mark.proves("agents.cancel")
@pytest.mark.parametrize("timeout", [0, 60])
async def test_a_tool_that_resists_being_cancelled_is_left_behind(start: Start, timeout: int) -> None:
    begun, released = asyncio.Event(), asyncio.Event()

    async def odd() -> str:
        """Go on whatever happens."""
        begun.set()
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue
        return "late"

    async with start(RULES, **declared(odd, timeout=timeout)) as service, asyncio.timeout(60):
        task = await service.send(ANA, "helper", say("go"), SendOptions(return_immediately=True))
        assert isinstance(task, Task)
        await begun.wait()
        async with asyncio.timeout(60):
            assert (await service.cancel(ANA, "helper", task.id)).status.state is TaskState.CANCELED
        released.set()


async def test_a_tool_that_resists_being_cancelled_is_given_up_in_time(start: Start) -> None:
    released = asyncio.Event()

    async def odd() -> str:
        """Go on whatever happens."""
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue
        return "late"

    async with start(RULES, **declared(odd, timeout=0.2)) as service, asyncio.timeout(60):
        assert "longer than 0.2 s" in result_of(await watch(service))
        released.set()


async def test_a_tools_own_timeout_is_not_taken_for_the_configured_one(start: Start) -> None:
    async def odd() -> str:
        """Time out by itself."""
        raise TimeoutError("upstream is slow")

    async with start(RULES, **declared(odd)) as service, asyncio.timeout(60):
        assert "upstream is slow" in result_of(await watch(service))


async def test_only_what_takes_effect_is_reported_as_done(start: Start) -> None:
    calls = [
        {"name": "ask_user", "args": {"question": "Which?"}},
        {"name": "ask_user", "args": {"question": "And when?"}},
        {"name": "reject_task", "args": {"reason": "no"}},
    ]
    rules = [{"turn": 0, "tool_calls": calls}, {"text": "went on"}]
    async with start(rules, tools=["ask_user", "reject_task"]) as service, asyncio.timeout(60):
        stream = await service.stream(ANA, "helper", say("go"), SendOptions())
        updates = await collect(stream)
        results = [update.result for update in updates if isinstance(update, ToolProgress) and update.result]
        assert [(result.name, result.is_error) for result in results] == [("ask_user", True), ("reject_task", True)]
        assert final(updates) is TaskState.INPUT_REQUIRED
        assert isinstance(stream.first, Task)
        assert answer_of(await ask(service, "this one", task_id=stream.first.id)) == "went on"
