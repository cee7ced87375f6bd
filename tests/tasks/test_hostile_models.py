"""Models that answer oddly: nothing, twice, half, too much. The task ends, and says what there is to say."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hector.agents.llm import Agent
from hector.apps.app import App, Models
from hector.apps.build import build
from hector.apps.registry import Apps
from hector.core.clock import SystemClock
from hector.core.content import Data, Media, Message, Text, Thinking, ToolCall, ToolResult
from hector.core.errors import ModelUnavailable
from hector.core.event import Delta, TextDelta, ThinkingDelta
from hector.core.ids import new_id
from hector.core.ports import ModelReply, ModelRequest
from hector.core.task import AnswerDelta, ClientMessage, Task, TaskState
from hector.core.usage import FinishReason, Usage
from hector.store import open_store
from hector.tasks.service import SendOptions, TaskService
from hector.tools.catalog import Catalog
from tests.tasks.conftest import ONCE, Start, configure
from tests.tasks.test_service import ANA, answer_of, ask, collect, say

Item = tuple[Delta, ...] | ModelReply | BaseException


class Recorded:
    """A model that plays one list of items per call and keeps what it was asked."""

    def __init__(self, *turns: list[Item]) -> None:
        self.turns = list(turns)
        self.asked: list[ModelRequest] = []

    async def stream(self, request: ModelRequest) -> AsyncGenerator[tuple[Delta, ...] | ModelReply, None]:
        self.asked.append(request)
        for item in self.turns.pop(0):
            await asyncio.sleep(0)
            if isinstance(item, BaseException):
                raise item
            yield item

    async def complete(self, request: ModelRequest) -> ModelReply:
        replies = [item async for item in self.stream(request) if isinstance(item, ModelReply)]
        return replies[-1]

    async def aclose(self) -> None:
        pass


def reply(*parts: Text | Thinking | ToolCall, finish: FinishReason = FinishReason.STOP) -> ModelReply:
    return ModelReply(Message("assistant", parts), finish, Usage())


def calls(*found: ToolCall, text: str = "") -> ModelReply:
    return reply(*((Text(text),) if text else ()), *found, finish=FinishReason.TOOL_CALLS)


@asynccontextmanager
async def over(path: Path, model: Recorded, **agent: Any) -> AsyncIterator[TaskService]:
    """A service whose agents all talk to this model."""
    made = build(configure([{"text": "unused"}], **agent), Catalog())
    models = Models(lambda _: model)
    agents = {
        name: Agent(one.id, lambda: model, one.prompt, one.tools, one.output, max_iterations=one.max_iterations)
        for name, one in made.agents.items()
        if isinstance(one, Agent)
    }
    agents["other"] = Agent("other", lambda: model, made.agents["helper"].prompt)
    config = made.config.model_copy(update={"agents": {**made.config.agents, "other": made.config.agents["helper"]}})
    store = await open_store(f"sqlite://{path / 'hector.db'}")
    try:
        apps = Apps(App("default", config, agents, models, structured=made.structured))
        async with asyncio.timeout(60), TaskService(apps, store, SystemClock(), ONCE) as service:
            yield service
    finally:
        await store.aclose()


async def stream(service: TaskService, text: str = "go") -> tuple[Task, str]:
    """The stored task in the end, and the text that a watcher saw."""
    found = await service.stream(ANA, "helper", say(text), SendOptions())
    updates = await collect(found)
    assert isinstance(found.first, Task)
    shown = [d.text for u in updates if isinstance(u, AnswerDelta) for d in u.deltas if isinstance(d, TextDelta)]
    return await service.get(ANA, "helper", found.first.id), "".join(shown)


def said(task: Task) -> str:
    return task.status.message.message.text if task.status.message else ""


@pytest.mark.parametrize(
    ("items", "state", "text", "status"),
    [
        ([], TaskState.FAILED, "", "without a reply"),
        ([RuntimeError("secret detail")], TaskState.FAILED, "", "internal error"),
        ([BaseException("native")], TaskState.FAILED, "", "internal error"),
        ([asyncio.CancelledError()], TaskState.FAILED, "", "internal error"),
        ([(TextDelta("half"),), ModelUnavailable("cut off")], TaskState.FAILED, "half", "cut off"),
        ([reply(Text("one")), reply(Text("two"))], TaskState.COMPLETED, "two", ""),
        ([(TextDelta("a"),), reply(Text("a")), ModelUnavailable("late")], TaskState.FAILED, "a", "late"),
        ([reply(Text(""))], TaskState.COMPLETED, "", ""),
        ([(TextDelta(""),), reply(Text(""))], TaskState.COMPLETED, "", ""),
        ([reply()], TaskState.COMPLETED, "", ""),
        ([(ThinkingDelta("hm"),), reply(Thinking("hm"))], TaskState.COMPLETED, "", ""),
        ([reply(Thinking("hm"), finish=FinishReason.LENGTH)], TaskState.FAILED, "", "max_tokens"),
        ([reply(Text("x" * 3_000_000))], TaskState.COMPLETED, "x" * 3_000_000, ""),
        ([reply(finish=FinishReason.TOOL_CALLS)], TaskState.COMPLETED, "", ""),
    ],
    ids=[str(number) for number in range(14)],
)
async def test_every_reply_ends_the_task(
    tmp_path: Path, items: list[Item], state: TaskState, text: str, status: str
) -> None:
    async with over(tmp_path, Recorded(items)) as service:
        task, shown = await stream(service)
        assert (task.status.state, answer_of(task), shown) == (state, text, text)
        assert status in said(task)
        assert "secret detail" not in said(task)
        assert all(part != Text("") for artifact in task.artifacts for part in artifact.parts)


async def test_one_allowed_call_is_one_call(tmp_path: Path) -> None:
    model = Recorded([calls(ToolCall("c", "nothing", {}))], [reply(Text("never"))])
    async with over(tmp_path, model, reasoning={"max_iterations": 1}) as service:
        task, _ = await stream(service)
    assert task.status.state is TaskState.FAILED
    assert "within 1 model calls" in said(task)
    assert len(model.asked) == 1


@pytest.mark.proves("agents.structured-output")
@pytest.mark.parametrize("streamed", [True, False])
async def test_a_structured_answer_is_not_mixed_with_what_is_said_between_calls(tmp_path: Path, streamed: bool) -> None:
    turns: list[list[Item]] = [
        [(TextDelta("Let me look."),), calls(ToolCall("c", "nothing", {}), text="Let me look.")],
        [(TextDelta("One more."),), reply(Text("One more."), finish=FinishReason.PAUSE)],
        [(TextDelta('{"a": 1}'),), reply(Text('{"a": 1}'))],
    ]
    output = {"schema": {"type": "object", "required": ["a"]}}
    async with over(tmp_path, Recorded(*turns), structured_output=output) as service:
        task = (await stream(service))[0] if streamed else await ask(service, "go")
    assert answer_of(task) == '{"a": 1}'
    assert [part.media_type for part in task.artifacts[0].parts if isinstance(part, Text)] == ["application/json"]


async def test_what_is_said_before_a_direct_reply_does_not_swallow_it(tmp_path: Path) -> None:
    direct = ToolCall("c", "reply_directly", {"text": "Hello."})
    model = Recorded([(TextDelta("Well."),), calls(direct, text="Well.")])
    async with over(tmp_path, model, reply="auto") as service:
        task, shown = await stream(service)
    assert answer_of(task) == shown == "Well.\n\nHello."


async def test_a_task_that_asked_stays_a_task_when_it_is_answered(start: Start) -> None:
    rules = [{"turn": 0, "tool_calls": [{"name": "ask_user", "args": {"question": "?"}}]}, {"text": "done"}]
    async with start(rules, tools=["ask_user"], reply="message") as service:
        paused = await ask(service, "go")
        done = await ask(service, "this", task_id=paused.id)
        assert done.id == paused.id
        assert answer_of(await service.get(ANA, "helper", paused.id)) == "done"


async def test_a_question_under_another_name_is_answered_under_that_name(tmp_path: Path) -> None:
    model = Recorded([calls(ToolCall("c", "clarify", {"question": "Which?"}))], [reply(Text("done"))])
    clarify = {"clarify": {"type": "function", "handler": "ask_user"}}
    async with over(tmp_path, model, declared=clarify) as service:
        paused = await ask(service, "go")
        parts = (Media("image/png", data="aGk="), Data({"size": 3}))
        answer = ClientMessage(new_id(), Message("user", parts), task_id=paused.id)
        await service.send(ANA, "helper", answer, SendOptions())
    assert model.asked[-1].messages[-1] == Message("tool", (ToolResult("c", "clarify", parts),))


async def test_what_a_user_tells_another_agent_is_not_taken_for_an_answer_to_the_first(tmp_path: Path) -> None:
    question = ToolCall("c", "ask_user", {"question": "Which?"})
    model = Recorded([calls(question)], [reply(Text("hi"))])
    async with over(tmp_path, model, tools=["ask_user"]) as service:
        paused = await ask(service, "go")
        message = say("hello you", context_id=paused.context_id)
        await service.send(ANA, "other", message, SendOptions())
    assert model.asked[-1].messages[-1] == Message("user", (Text("hello you"),))


async def test_a_saved_artifact_never_takes_the_place_of_the_answer(start: Start) -> None:
    saving = {"name": "save_artifact", "args": {"name": "n", "text": "saved", "artifact_id": "answer-1"}}
    rules = [{"turn": 0, "tool_calls": [saving]}, {"text": "the answer"}]
    async with start(rules, tools=["save_artifact"]) as service:
        task = await ask(service, "go")
        stored = await service.get(ANA, "helper", task.id)
    assert [a.parts for a in task.artifacts] == [a.parts for a in stored.artifacts]
    texts = [part.text for artifact in stored.artifacts for part in artifact.parts if isinstance(part, Text)]
    assert texts == ["the answer"]
