"""Those who watch a task: late ones, many, ones that go away."""

import asyncio
from typing import Any

import pytest

from hector.core.content import Text
from hector.core.event import TextDelta
from hector.core.task import AnswerDelta, Status, StatusUpdate, Task, TaskState, Update
from hector.tasks.follow import TaskStream
from hector.tasks.service import SendOptions, TaskService
from tests.tasks.conftest import Start
from tests.tasks.test_service import ANA, answer_of, collect, say

WORDS = " ".join(f"w{number}" for number in range(40))
PACED: list[dict[str, Any]] = [{"text": WORDS, "pace": "5ms"}]


def text_of(stream: TaskStream, updates: list[Update]) -> str:
    """What a client that joins snapshot and updates has in the end."""
    assert isinstance(stream.first, Task)
    known = "".join(p.text for a in stream.first.artifacts for p in a.parts if isinstance(p, Text))
    return known + "".join(
        d.text for u in updates if isinstance(u, AnswerDelta) for d in u.deltas if isinstance(d, TextDelta)
    )


async def begin(service: TaskService) -> Task:
    task = await service.send(ANA, "helper", say("go"), SendOptions(return_immediately=True))
    assert isinstance(task, Task)
    return task


@pytest.mark.a2a("STREAM-SUB-002")
async def test_whoever_joins_at_any_moment_has_the_whole_text_once(start: Start) -> None:
    async with start(PACED) as service, asyncio.timeout(60):
        task = await begin(service)
        results: list[str] = []

        async def join(delay: float) -> None:
            await asyncio.sleep(delay)
            stream = await service.subscribe(ANA, "helper", task.id)
            results.append(text_of(stream, await collect(stream)))

        async with asyncio.TaskGroup() as group:
            for step in range(8):
                group.create_task(join(step * 0.02))
        assert results == [WORDS] * 8


async def test_a_watcher_that_goes_away_cancels_nothing(start: Start) -> None:
    async with start(PACED) as service, asyncio.timeout(60):
        stream = await service.stream(ANA, "helper", say("go"), SendOptions())
        assert isinstance(stream.first, Task)
        await anext(stream)
        await stream.aclose()
        follower = await service.subscribe(ANA, "helper", stream.first.id)
        updates = await collect(follower)
        assert isinstance(updates[-1], StatusUpdate)
        assert updates[-1].status.state is TaskState.COMPLETED
        assert answer_of(await service.get(ANA, "helper", stream.first.id)) == WORDS


async def test_two_who_come_at_once_are_told_once_what_is_not_done_here(start: Start) -> None:
    rules = [{"turn": 0, "tool_calls": [{"name": "ask_user", "args": {"question": "Which?"}}]}]
    async with start(rules, tools=["ask_user"]) as service, asyncio.timeout(60):
        for _ in range(20):
            task = await service.send(ANA, "helper", say("go"), SendOptions())
            assert isinstance(task, Task)
            async with asyncio.TaskGroup() as group:
                opened = [group.create_task(service.subscribe(ANA, "helper", task.id)) for _ in range(12)]
            reading = [asyncio.create_task(collect(one.result())) for one in opened]
            await asyncio.sleep(0)
            await service.cancel(ANA, "helper", task.id)
            assert [len(await one) for one in reading] == [1] * 12


async def test_a_task_that_cannot_be_read_any_more_ends_its_own_stream_and_no_other(start: Start) -> None:
    rules = [{"turn": 0, "tool_calls": [{"name": "ask_user", "args": {"question": "Which?"}}]}, {"text": "fine"}]
    async with start(rules, tools=["ask_user"]) as service, asyncio.timeout(60):
        broken, sound = [await service.send(ANA, "helper", say("go"), SendOptions()) for _ in range(2)]
        assert isinstance(broken, Task)
        assert isinstance(sound, Task)
        streams = [await service.subscribe(ANA, "helper", task.id) for task in (broken, sound)]
        reading = [asyncio.create_task(collect(stream)) for stream in streams]
        damage = "UPDATE tasks SET message = '{' WHERE id = ?"
        await service._store.database.write(lambda con: con.execute(damage, (broken.id,)))
        service._worker.follower.nudge(broken.id)
        assert await reading[0] == []
        await service.cancel(ANA, "helper", sound.id)
        (update,) = await reading[1]
        assert isinstance(update, StatusUpdate)
        assert update.status.state is TaskState.CANCELED


async def test_states_never_go_back(start: Start) -> None:
    async with start(PACED) as service, asyncio.timeout(60):
        stream = await service.stream(ANA, "helper", say("go"), SendOptions())
        assert isinstance(stream.first, Task)
        seen: list[Status] = [stream.first.status]
        seen += [update.status for update in await collect(stream) if isinstance(update, StatusUpdate)]
    assert [status.state for status in seen] == [TaskState.SUBMITTED, TaskState.WORKING, TaskState.COMPLETED]
    assert sorted(status.at for status in seen) == [status.at for status in seen]


async def test_stopping_the_service_ends_streams_and_the_task_goes_on_after_the_restart(start: Start) -> None:
    async with asyncio.timeout(60):
        async with start([{"text": "late", "delay": "60s"}]) as service:
            task = await begin(service)
            follower = await service.subscribe(ANA, "helper", task.id)
            reading = asyncio.create_task(collect(follower))
            await asyncio.sleep(0)
            await service.drain(grace=0.05)
        await reading
        async with start(PACED) as service:
            follower = await service.subscribe(ANA, "helper", task.id)
            assert text_of(follower, await collect(follower)) == WORDS
            assert (await service.get(ANA, "helper", task.id)).status.state is TaskState.COMPLETED
