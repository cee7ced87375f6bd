"""An agent that may answer with a direct message instead of a task."""

from typing import Any

import pytest

from hector.core.errors import NotFound
from hector.core.task import ClientMessage, Task, TaskQuery, TaskState
from hector.tasks.service import SendOptions, TaskService
from tests.tasks.conftest import Start
from tests.tasks.test_service import ANA, answer_of, ask, collect, say

RULES: list[dict[str, Any]] = [
    {"user": "hello", "turn": 0, "tool_calls": [{"name": "reply_directly", "args": {"text": "hi"}}]},
    {"user": "keep", "turn": 0, "tool_calls": [{"name": "save_artifact", "args": {"name": "n", "text": "t"}}]},
    {"text": "worked"},
]
AUTO: dict[str, Any] = {"reply": "auto", "tools": ["save_artifact"]}


async def direct(service: TaskService, text: str, **envelope: Any) -> ClientMessage:
    answer = await service.send(ANA, "helper", say(text, **envelope), SendOptions())
    assert isinstance(answer, ClientMessage)
    return answer


@pytest.mark.a2a("CORE-SEND-001")
async def test_the_model_chooses_a_direct_message_and_no_task_remains(start: Start) -> None:
    async with start(RULES, **AUTO) as service:
        message = await direct(service, "hello")
        assert message.message.text == "hi"
        assert message.context_id
        assert message.task_id is None
        assert (await service.list(ANA, "helper", TaskQuery())).total == 0
        stream = await service.stream(ANA, "helper", say("hello"), SendOptions())
        assert isinstance(stream.first, ClientMessage)
        assert await collect(stream) == []


async def test_the_conversation_remembers_a_direct_message(start: Start) -> None:
    async with start([{"user": "again", "text": "yes"}, {"text": "first"}], reply="message") as service:
        first = await direct(service, "hello")
        second = await direct(service, "again", context_id=first.context_id)
        assert second.context_id == first.context_id


async def test_work_becomes_a_task_all_the_same(start: Start) -> None:
    async with start(RULES, **AUTO) as service:
        task = await ask(service, "keep this")
        assert task.status.state is TaskState.COMPLETED
        assert answer_of(task) == "worked"
        stream = await service.stream(ANA, "helper", say("anything"), SendOptions())
        assert isinstance(stream.first, Task)
        assert await collect(stream)


async def test_a_client_that_was_shown_a_task_keeps_it(start: Start) -> None:
    async with start([{"text": "hi", "delay": "50ms"}], reply="message") as service:
        task = await service.send(ANA, "helper", say("hello"), SendOptions(return_immediately=True))
        assert isinstance(task, Task)
        follower = await service.subscribe(ANA, "helper", task.id)
        await collect(follower)
        assert answer_of(await service.get(ANA, "helper", task.id)) == "hi"


async def test_a_failure_is_a_task_not_a_message(start: Start) -> None:
    async with start([{"error": {"status": 500, "message": "broken"}}], reply="message") as service:
        assert (await ask(service, "hello")).status.state is TaskState.FAILED


async def test_a_declined_task_is_rejected_with_its_reason(start: Start) -> None:
    rules = [{"tool_calls": [{"name": "reject_task", "args": {"reason": "not my job"}}]}]
    async with start(rules, tools=["reject_task"]) as service:
        task = await ask(service, "do it")
        assert task.status.state is TaskState.REJECTED
        assert task.status.message is not None
        assert task.status.message.message.text == "not my job"
        with pytest.raises(NotFound):
            await service.get(ANA, "other", task.id)
