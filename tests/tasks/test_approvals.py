"""A tool that needs approval makes its task wait for a person; what that person says is done, once."""

import asyncio
import logging
from collections import Counter
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import pytest

from hector.core.clock import SystemClock
from hector.core.content import Data, JsonObject, Message, Text
from hector.core.errors import InvalidRequest, NotSupported
from hector.core.ids import new_id
from hector.core.task import Caller, ClientMessage, Task, TaskState
from hector.store import Store, open_store
from hector.store.approvals import ApprovalState
from hector.tasks.decisions import continuation, decide
from hector.tasks.expiry import Expiry
from hector.tasks.outcome import Done
from hector.tasks.service import SendOptions, TaskService
from tests.tasks.conftest import ONCE, Start
from tests.tasks.test_service import answer_of

ANA = Caller(user="ana")
sent: Counter[str] = Counter()
RULES: list[dict[str, Any]] = [
    {"user": "hello", "turn": 0, "text": "Hi."},
    {
        "user": "both",
        "turn": 0,
        "tool_calls": [{"name": "send", "args": {"to": "a"}}, {"name": "send", "args": {"to": "b"}}],
    },
    {"turn": 0, "text": "Sending.", "tool_calls": [{"name": "send", "args": {"to": "bob"}}, {"name": "look"}]},
    {"tool_result": "send", "tool_result_matches": "(?s)(.+)", "text": "\\1"},
]


async def send(to: str) -> str:
    """Send a message."""
    sent[to] += 1
    return f"sent to {to}"


async def look() -> str:
    """Look around."""
    return "nothing"


def setting(**facts: Any) -> dict[str, Any]:
    """The `start` fixture's arguments: `send` needs approval."""
    sent.clear()
    declared = {
        "send": {"type": "function", "handler": "send", "require_approval": True, **facts},
        "look": {"type": "function", "handler": "look"},
    }
    return {"functions": (send, look), "declared": declared}


async def say(service: TaskService, *parts: Any, task: Task | None = None, **envelope: Any) -> Task:
    """Send a message (to a task that waits) and wait for what comes of it."""
    message = Message("user", tuple(Text(part) if isinstance(part, str) else Data(part) for part in parts))
    if task is not None:
        envelope |= {"task_id": task.id, "context_id": task.context_id}
    answer = await service.send(ANA, "helper", ClientMessage(new_id(), message, **envelope), SendOptions())
    assert isinstance(answer, Task)
    return answer


def asked(task: Task) -> list[JsonObject]:
    """What a task asks about."""
    assert task.status.state is TaskState.INPUT_REQUIRED
    assert task.status.message is not None
    return [part.value for part in task.status.message.message.parts if isinstance(part, Data)]


def decision(call: JsonObject, word: str, **more: Any) -> JsonObject:
    """The data part that decides about a call."""
    return {"type": "tool_approval", "tool_call_id": call["tool_call_id"], "decision": word, **more}


@pytest.mark.proves("approval.asked", "command.require-approval", "command.approval-prompt")
async def test_the_client_is_shown_what_is_to_be_approved(start: Start) -> None:
    async with start(RULES, **setting(approval_prompt="May I write to people?")) as service:
        task = await say(service, "go")
        (call,) = asked(task)
        assert call == {
            "type": "tool_approval_request",
            "tool_call_id": call["tool_call_id"],
            "tool_name": "send",
            "arguments": {"to": "bob"},
            "arguments_hash": call["arguments_hash"],
        }
        said = task.status.message
        assert said is not None
        assert said.message.text == 'May I write to people?\nsend: {"to": "bob"}'
        assert said.metadata == {
            "input_required": True,
            "long_running_tool_ids": [call["tool_call_id"]],
            "input_prompt": said.message.text,
        }
        assert sent.total() == 0
        assert asked(await service.get(ANA, "helper", task.id)) == [call]


@pytest.mark.proves("approval.answered")
@pytest.mark.parametrize("word", ["approve", "Approved.", "yes", "deny", "reject", "no"])
async def test_a_word_decides_about_all_calls(start: Start, word: str) -> None:
    async with start(RULES, **setting()) as service:
        task = await say(service, "both")
        done = await say(service, word, task=task)
        assert (done.id, done.status.state) == (task.id, TaskState.COMPLETED)
        yes = word.lower()[0] in "ay"
        assert sent == ({"a": 1, "b": 1} if yes else {})
        assert ("sent to" in answer_of(done)) == yes
        assert ("denied" in answer_of(done)) != yes
        with pytest.raises(NotSupported, match="completed"):
            await say(service, word, task=task)


@pytest.mark.proves("approval.answered", "approval.partial")
async def test_each_call_has_its_own_decision(start: Start) -> None:
    async with start(RULES, **setting()) as service:
        task = await say(service, "both")
        first, second = asked(task)
        task = await say(service, decision(first, "approve"), task=task)
        assert asked(task) == [second]
        assert sent == {"a": 1}
        task = await say(service, decision(second, "deny"), "b is on leave", task=task)
        assert task.status.state is TaskState.COMPLETED
        assert sent == {"a": 1}
        assert "b is on leave" in answer_of(task)


@pytest.mark.proves("approval.answered")
@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (("maybe",), "waits for the approval of send"),
        (("approve it, please",), "waits for the approval of send"),
        (({"type": "tool_approval", "tool_call_id": "x", "decision": "approve"},), "must be a call that waits"),
        (({"type": "tool_approval", "decision": "perhaps"},), 'must be "approve" or "deny"'),
        (({"type": "tool_approval", "decision": "approve", "arguments_hash": "0"},), "is not that of the arguments"),
        (({"type": "tool_approval", "decision": "approve"},) * 2, "decided twice"),
        (({"type": "tool_approval", "decision": "approve", "comment": 7},), "must be a text"),
        (({"type": "tool_approval", "decision": "approve", "task_id": "other"},), "another task than the one"),
        (({"type": "tool_approval", "decision": "approve"}, "Deny."), "not what the text of the message says"),
        (("approve", {"decision": "deny"}), "waits for the approval of send"),
    ],
)
async def test_anything_else_is_refused_and_the_task_keeps_waiting(start: Start, parts: Any, text: str) -> None:
    async with start(RULES, **setting()) as service:
        task = await say(service, "go")
        with pytest.raises(InvalidRequest, match=text) as refused:
            await say(service, *parts, task=task)
        assert refused.value.violations
        assert asked(await service.get(ANA, "helper", task.id)) == asked(task)
        assert sent.total() == 0


@pytest.mark.proves("approval.answered")
async def test_data_parts_find_the_task_that_asks(start: Start) -> None:
    async with start(RULES, **setting()) as service:
        first, second = await say(service, "go"), await say(service, "go", context_id="c")
        (one,), (two,) = asked(first), asked(second)
        done = await say(service, decision(two, "approve"), context_id="c")
        assert (done.id, done.status.state) == (second.id, TaskState.COMPLETED)
        with pytest.raises(InvalidRequest, match="no task of this conversation waits") as refused:
            await say(service, decision(two, "approve"), context_id="c")
        assert refused.value.violations
        done = await say(service, decision(one, "deny", task_id=first.id))
        assert (done.id, done.status.state) == (first.id, TaskState.COMPLETED)
        assert sent == {"bob": 1}


@pytest.mark.proves("approval.durable", "durability.human-in-loop")
async def test_an_approval_survives_restarts(start: Start) -> None:
    async with start(RULES, **setting()) as service:
        task = await say(service, "go")
    async with start(RULES, **setting()) as service:
        assert asked(await service.get(ANA, "helper", task.id)) == asked(task)
    async with start(RULES, **setting()) as service:
        done = await say(service, "approve", task=task)
        assert answer_of(done).endswith("sent to bob")
        assert sent == {"bob": 1}


async def test_other_messages_of_the_conversation_do_not_touch_the_task_that_waits(start: Start) -> None:
    async with start(RULES, **setting()) as service:
        task = await say(service, "go")
        other = await say(service, "hello", context_id=task.context_id)
        assert (other.id != task.id, answer_of(other)) == (True, "Hi.")
        assert asked(await service.get(ANA, "helper", task.id)) == asked(task)
        done = await say(service, "yes", task=task)
        assert answer_of(done).endswith("sent to bob")


async def ended(service: TaskService, task: Task) -> Task:
    """The task once it has ended."""
    with suppress(NotSupported):  # it has ended
        async with asyncio.timeout(60), aclosing(await service.subscribe(ANA, "helper", task.id)) as updates:
            async for _ in updates:
                pass
    return await service.get(ANA, "helper", task.id)


@pytest.mark.proves("approval.expires")
async def test_an_approval_that_nobody_gives_in_time_counts_as_denied(start: Start) -> None:
    async with start(RULES, **setting(approval_expires="0.3s")) as service:
        task = await say(service, "go")
        (call,) = asked(task)
        assert call["expires_at"].endswith("Z")
        done = await ended(service, task)
        assert "nobody approved the call of send in time" in answer_of(done)
        assert sent.total() == 0


@pytest.mark.proves("approval.elsewhere")
async def test_a_visitor_of_the_database_decides(start: Start, tmp_path: Any) -> None:
    async with start(RULES, **setting()) as service:
        task = await say(service, "both")
        store: Store = await open_store(f"sqlite://{tmp_path / 'hector.db'}", visitor=True)
        try:
            waiting = await store.approvals.waiting(task.id)
            assert [found.args["to"] for found in waiting] == ["a", "b"]
            decisions = decide(waiting, ApprovalState.APPROVED, "somebody else")
            await store.tasks.accept(continuation(waiting, decisions, SystemClock().now()))
        finally:
            await store.aclose()
        done = await ended(service, task)
        assert answer_of(done) == "sent to b"
        assert sent == {"a": 1, "b": 1}


@pytest.mark.proves("approval.expires")
async def test_a_task_whose_approval_has_expired_is_retried_as_often_as_any(start: Start) -> None:
    rules = [RULES[2], {"tool_result": "send", "error": {"status": 503}}]
    async with start(rules, settings=ONCE, **setting(approval_expires="0.2s")) as service:
        failed = await ended(service, await say(service, "go"))
    said = failed.status.message
    assert failed.status.state is TaskState.FAILED
    assert said is not None
    assert "given up after" not in said.message.text


async def test_a_task_that_waits_can_be_canceled(start: Start) -> None:
    async with start(RULES, **setting(approval_expires="0.2s")) as service:
        task = await say(service, "go")
        assert (await service.cancel(ANA, "helper", task.id)).status.state is TaskState.CANCELED
        await asyncio.sleep(0.4)
        assert (await service.get(ANA, "helper", task.id)).status.state is TaskState.CANCELED
        assert sent.total() == 0


ASK: list[dict[str, Any]] = [
    {"turn": 0, "tool_calls": [{"name": "request_approval", "args": {"action": "publish", "details": {"pages": 3}}}]},
    {"tool_result": "request_approval", "tool_result_matches": "(?s)(.+)", "text": "\\1"},
]


@pytest.mark.proves("tools.approvaltool")
@pytest.mark.parametrize(("word", "result"), [("approve", "approved: publish"), ("deny", "NOT APPROVED")])
async def test_the_model_asks_for_approval_in_its_own_words(start: Start, word: str, result: str) -> None:
    async with start(ASK, tools=["request_approval"]) as service:
        task = await say(service, "go")
        (call,) = asked(task)
        assert (call["tool_name"], call["arguments"]) == (
            "request_approval",
            {"action": "publish", "details": {"pages": 3}},
        )
        assert answer_of(await say(service, word, task=task)).startswith(result)


@pytest.mark.proves("approval.logged")
async def test_the_log_says_what_was_decided_by_whom_and_why(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with start(RULES, **setting()) as service:
        task = await say(service, "go")
        (call,) = asked(task)
        await say(service, decision(call, "deny", comment="not to bob"), task=task)
        other = await say(service, "go")
        (second,) = asked(other)
        store = await open_store(f"sqlite://{tmp_path / 'hector.db'}", visitor=True)
        waiting = await store.approvals.waiting(other.id)
        decisions = decide(waiting, ApprovalState.APPROVED, "hector approve, olga")
        await store.tasks.accept(continuation(waiting, decisions, SystemClock().now()))
        await store.aclose()
        async with asyncio.timeout(60):
            while (await service.get(ANA, "helper", other.id)).status.state is not TaskState.COMPLETED:  # noqa: ASYNC110 - polled as a client does
                await asyncio.sleep(0.01)
    lines: list[Any] = [one for one in caplog.records if one.getMessage() == "a call was decided about"]
    first, last = lines
    assert (first.task, first.call, first.decision) == (task.id, call["tool_call_id"], "deny")
    assert (first.by, first.comment) == ("user ana", "not to bob")
    assert (last.task, last.call, last.decision) == (other.id, second["tool_call_id"], "approve")
    assert (last.by, hasattr(last, "comment")) == ("hector approve, olga", False)


async def test_an_approval_expires_also_when_the_clock_was_set_back(start: Start, tmp_path: Path) -> None:
    async with start(RULES, **setting(approval_expires="1h")) as service:
        task = await say(service, "go")
    store = await open_store(f"sqlite://{tmp_path / 'hector.db'}")
    later = SystemClock().now() + 7200
    (job,) = await store.jobs.claim("somebody", 10, later)
    assert await Expiry(store, SystemClock(), 4)(job) == Done()  # whose clock says that there is an hour left
    await store.aclose()
    async with start(RULES, **setting()) as service, asyncio.timeout(60):
        while (await service.get(ANA, "helper", task.id)).status.state is not TaskState.COMPLETED:  # noqa: ASYNC110 - polled as a client does
            await asyncio.sleep(0.01)
    assert sent.total() == 0
