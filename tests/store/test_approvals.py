"""Calls that wait for a person, and what is decided of them."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from hector.core.content import Message
from hector.core.errors import InvalidRequest, NotFound, NotSupported
from hector.core.event import ApprovalRequired, Event, PendingCall
from hector.core.ids import new_id
from hector.core.task import Status, TaskState
from hector.store import Accepted, Record, Store, open_store
from hector.store.approvals import ApprovalState, Decision
from tests.store.turns import ME, NOW, begin, request

HASH = "a" * 64


def call(name: str, **facts: Any) -> PendingCall:
    """A call that needs approval."""
    return PendingCall(name, "send", {"to": "bob"}, HASH, "May I?", **facts)


async def pause(store: Store, accepted: Accepted, *calls: PendingCall) -> Event:
    """The run stops and asks."""
    event = Event(new_id(), "run", "helper", NOW, Message("tool", ()), control=ApprovalRequired(calls))
    task = accepted.task
    status = Status(TaskState.INPUT_REQUIRED, NOW)
    record = Record(ME, task.id, task.context_id, (event,), status=status, claim=accepted.claim)
    assert await store.tasks.record(record)
    return event


def decided(call_id: str, state: ApprovalState = ApprovalState.APPROVED, **changes: Any) -> Decision:
    """A decision of Ana's."""
    return replace(Decision(call_id, HASH, state, "ana"), **changes)


async def go_on(store: Store, accepted: Accepted, *decisions: Decision, at: float = NOW + 1) -> Accepted:
    """The decisions arrive."""
    offer = request("approve", task=accepted.task.id, context=None, resume=True, at=at)
    return await store.tasks.accept(replace(offer, decisions=decisions))


@pytest.mark.proves("approval.durable")
async def test_a_pause_and_a_decision_are_written_with_the_task(store: Store) -> None:
    first = await begin(store)
    event = await pause(store, first, call("c1"))
    (found,) = await store.approvals.waiting()
    assert (found.task_id, found.event_id, found.call_id, found.args) == (first.task.id, event.id, "c1", {"to": "bob"})
    assert (found.caller, found.agent, found.context_id, found.created) == (ME, "helper", "c", NOW - 0.0)
    assert await store.approvals.waiting("another") == ()
    await go_on(store, first, decided("c1", comment="fine"))
    assert await store.approvals.waiting() == ()
    after = await store.approvals.get(found.key)
    assert (after.state, after.decided_by, after.comment) == (ApprovalState.APPROVED, "ana", "fine")
    with pytest.raises(NotFound):
        await store.approvals.get(found.key + 1)


@pytest.mark.proves("approval.once")
async def test_a_decision_that_does_not_fit_changes_nothing(store: Store) -> None:
    first = await begin(store)
    await pause(store, first, call("c1"), call("c2", expires_at=NOW + 5))
    for wrong, text in (
        (decided("c3"), "waits for no approval"),
        (decided("c1", args_hash="b" * 64), "other arguments"),
        (replace(decided("c2")), "expired"),
    ):
        with pytest.raises(InvalidRequest, match=text):
            await go_on(store, first, decided("c1") if wrong.call_id == "c2" else wrong, wrong, at=NOW + 9)
    assert len(await store.approvals.waiting()) == 2
    second = await go_on(store, first, decided("c1"))
    assert second.task.status.state is TaskState.WORKING
    with pytest.raises(NotSupported, match="working"):
        await go_on(store, first, decided("c1"))


@pytest.mark.proves("approval.partial")
async def test_what_is_asked_again_keeps_its_place(store: Store) -> None:
    first = await begin(store)
    await pause(store, first, call("c1"), call("c2"))
    (_, before) = await store.approvals.waiting()
    second = await go_on(store, first, decided("c1"))
    assert await store.approvals.waiting() == (), "nobody can decide while the task works"
    event = await pause(store, second, call("c2"))
    assert await store.approvals.waiting() == (replace(before, event_id=event.id),)


@pytest.mark.proves("approval.expires")
async def test_the_end_of_an_approval_is_a_job_that_goes_with_it(store: Store) -> None:
    first = await begin(store)
    await pause(store, first, call("c1", expires_at=NOW + 5), call("c2", expires_at=NOW + 9))
    assert await store.jobs.next_due() == NOW + 5
    assert await store.jobs.claim("p", 9, NOW + 4) == []
    (job,) = await store.jobs.claim("p", 9, NOW + 6)
    assert (job.kind, job.subject) == ("expire", first.task.id)
    second = await go_on(store, first, decided("c1", ApprovalState.EXPIRED), at=NOW + 6)
    await store.jobs.finish(job.claim)
    await pause(store, second, call("c2", expires_at=NOW + 9))
    assert await store.tasks.cancel(ME, first.task.id, NOW + 7)
    assert await store.jobs.claim("p", 9, NOW + 99) == [], "nothing is left to expire"


@pytest.mark.proves("approval.once")
@pytest.mark.parametrize("partly", [False, True])
async def test_a_task_that_is_canceled_waits_for_nobody(store: Store, partly: bool) -> None:
    first = await begin(store)
    await pause(store, first, call("c1"), call("c2"))
    *_, last = await store.approvals.waiting()
    if partly:
        await go_on(store, first, decided("c1"))
    assert await store.tasks.cancel(ME, first.task.id, NOW + 7)
    found = await store.approvals.get(last.key)
    assert (found.call_id, found.state, found.decided) == ("c2", ApprovalState.CANCELED, NOW + 7)
    assert found.decided_by == "the cancellation of its task"


async def test_approvals_are_deleted_with_their_session(store: Store) -> None:
    first = await begin(store)
    await pause(store, first, call("c1"))
    (found,) = await store.approvals.waiting()
    assert await store.sessions.delete(ME, "c")
    with pytest.raises(NotFound):
        await store.approvals.get(found.key)


async def outcome(store: Store, accepted: Accepted, state: ApprovalState) -> str:
    """What somebody is told who decides."""
    try:
        await go_on(store, accepted, decided("c1", state))
    except NotSupported:
        return "too late"
    return "decided"


@pytest.mark.proves("approval.once")
async def test_two_processes_that_decide_at_once(postgres_ready: str) -> None:
    async with AsyncExitStack() as stack:
        one, two = [await open_store(postgres_ready) for _ in range(2)]
        stack.push_async_callback(one.aclose)
        stack.push_async_callback(two.aclose)
        for number in range(10):
            accepted = await begin(one, context=f"c{number}")
            await pause(one, accepted, call("c1"))
            async with asyncio.TaskGroup() as group:
                first = group.create_task(outcome(one, accepted, ApprovalState.APPROVED))
                second = group.create_task(outcome(two, accepted, ApprovalState.DENIED))
            assert sorted((first.result(), second.result())) == ["decided", "too late"]


@pytest.mark.proves("approval.once")
async def test_a_comment_that_one_database_could_not_keep_is_refused_by_all(store: Store) -> None:
    first = await begin(store)
    await pause(store, first, call("c1"))
    with pytest.raises(InvalidRequest, match="NUL character"):
        await go_on(store, first, decided("c1", comment="a\0b"))
    await go_on(store, first, decided("c1"))
