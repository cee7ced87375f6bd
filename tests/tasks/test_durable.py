"""Work outlives failures, stops and crowds, on both engines; with several processes on PostgreSQL."""

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

import pytest

from hector.core.clock import FakeClock
from hector.core.errors import LeaseLost, TaskNotCancelable
from hector.core.job import JobState
from hector.core.task import ClientMessage, StatusUpdate, Task, TaskState
from hector.store import Record, open_store
from hector.tasks.service import SendOptions, TaskService
from tests.postgres import Postgres
from tests.tasks.serving import PATIENCE, Serving, queue, serving, until
from tests.tasks.test_service import ANA, answer_of, ask, collect, say

NOW = SendOptions(return_immediately=True)
ECHO: list[dict[str, Any]] = [{"user": "(.*)", "text": r"You said: \1"}]


@pytest.fixture(params=["sqlite", "postgres"])
def dsn(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite://{tmp_path / 'hector.db'}"
    found: str = request.getfixturevalue("postgres_ready")
    return found


async def begin(service: TaskService, text: str = "go", **envelope: Any) -> Task:
    task = await service.send(ANA, "helper", say(text, **envelope), NOW)
    assert isinstance(task, Task)
    return task


async def dead_letter(made: Serving) -> int:
    """The key of the dead letter, once there is one."""
    async with asyncio.timeout(PATIENCE):
        while not (found := await made.store.queue.dead()):  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.01)
    return found[0].key


# Failures


@pytest.mark.proves("queue.retry")
async def test_a_model_that_recovers_is_asked_again_without_the_client_doing_anything(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    rules: list[dict[str, Any]] = [{"error": {"status": 503, "message": "busy", "times": 2}}, {"text": "done"}]
    caplog.set_level(logging.WARNING)
    async with serving(dsn, rules) as made, asyncio.timeout(PATIENCE):
        stream = await made.service.stream(ANA, "helper", say("go"), SendOptions())
        updates = await collect(stream)
        assert isinstance(stream.first, Task)
        assert [one.getMessage() for one in caplog.records] == ["attempt failed, to be made again"] * 2
        said = [u.status.message.message.text for u in updates if isinstance(u, StatusUpdate) and u.status.message]
        assert len(said) == 2
        assert all("busy; trying again in" in text for text in said)
        assert answer_of(await made.service.get(ANA, "helper", stream.first.id)) == "done"
        (job,) = [await made.store.jobs.get(1)]
        assert (job.state, job.attempts, len(job.history)) == (JobState.DONE, 3, 2)


@pytest.mark.proves("queue.dead-letters")
async def test_what_fails_for_good_is_a_dead_letter_and_one_requeue_is_one_new_round(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    rules: list[dict[str, Any]] = [{"error": {"status": 503, "message": "busy", "times": 5}}, {"text": "done"}]
    async with serving(dsn, rules, settings=queue(max_retries=1)) as made, asyncio.timeout(PATIENCE):
        task = await ask(made.service, "go")
        assert task.status.state is TaskState.FAILED
        assert task.status.message is not None
        logged = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
        assert logged == ["attempt failed, to be made again", "task failed, and is a dead letter now"]
        assert "given up after 2 attempts" in task.status.message.message.text
        for _ in range(2):
            key = await dead_letter(made)
            assert "busy" in (await made.store.jobs.get(key)).cause
            await made.store.queue.requeue(key)
            task = await made.ended(task.id)
        assert answer_of(task) == "done"
        assert await made.store.queue.dead() == ()


@pytest.mark.proves("queue.retry")
async def test_what_cannot_pass_is_not_tried_again(dsn: str) -> None:
    rules: list[dict[str, Any]] = [{"error": {"status": 400, "message": "no such model", "times": 1}}, {"text": "done"}]
    async with serving(dsn, rules) as made, asyncio.timeout(PATIENCE):
        assert (await ask(made.service, "go")).status.state is TaskState.FAILED
        assert (await made.store.jobs.get(1)).state is JobState.FAILED


@pytest.mark.proves("queue.retry")
async def test_a_tool_that_ran_before_the_failure_does_not_run_again(dsn: str) -> None:
    ran: list[str] = []

    def note() -> str:
        """Note."""
        ran.append("note")
        return "noted"

    rules: list[dict[str, Any]] = [
        {"turn": 0, "tool_calls": [{"name": "note"}], "text": "Noting."},
        {"error": {"status": 503, "times": 2}},
        {"text": "Done."},
    ]
    tools = {"note": {"type": "function", "handler": "note"}}
    async with serving(dsn, rules, functions=(note,), declared=tools) as made, asyncio.timeout(PATIENCE):
        stream = await made.service.stream(ANA, "helper", say("go"), SendOptions())
        assert isinstance(stream.first, Task)
        await collect(stream)
        task = await made.service.get(ANA, "helper", stream.first.id)
        assert answer_of(task) == "Noting.\n\nDone."
        assert ran == ["note"]


@pytest.mark.proves("queue.dead-letters", "durability.fault-recovery")
async def test_what_never_comes_to_an_end_is_buried_and_can_be_requeued(dsn: str) -> None:
    async with serving(dsn, [{"text": "late", "delay": "60s"}], settings=queue(max_retries=1)) as made:
        task = await begin(made.service)
    store = await open_store(dsn)
    for _ in range(2):  # processes that die of it
        (job,) = await store.jobs.claim("ghost", 1, time.time())
        assert job.subject == task.id
        assert len((await store.instances.reap("me", 1.0)).subjects) == 1
    await store.aclose()
    async with serving(dsn, [{"text": "done"}], settings=queue(max_retries=1)) as made:
        found = await made.ended(task.id)
        assert found.status.state is TaskState.FAILED
        assert found.status.message is not None
        assert "begun 2 times and never came to an end" in found.status.message.message.text
        await made.store.queue.requeue(await dead_letter(made))
        assert (
            answer_of(await until(lambda task: task.status.state is TaskState.COMPLETED, made.store, task.id)) == "done"
        )


# Crowds


@pytest.mark.proves("queue.order")
async def test_two_hundred_messages_to_one_session_are_answered_one_after_the_other(dsn: str) -> None:
    async with serving(dsn, ECHO, settings=queue(workers=8)) as made, asyncio.timeout(60):
        sent: list[str] = []

        async def one(number: int) -> None:
            task = await ask(made.service, str(number), context_id="c")
            assert answer_of(task) == f"You said: {number}"
            sent.append(task.id)

        async with asyncio.TaskGroup() as group:
            for number in range(200):
                group.create_task(one(number))
        events = (await made.store.sessions.load(ANA, "c")).events
        asked = [event.invocation_id for event in events if event.author == "user"]
        answered = [event.invocation_id for event in events if event.author != "user"]
        assert asked == answered
        assert len(set(asked)) == 200


@pytest.mark.proves("queue.places", "queue.order")
async def test_work_waits_when_all_places_are_taken_and_other_sessions_do_not_wait_for_one(dsn: str) -> None:
    rules = [{"user": "slow", "text": "slow done", "delay": "60s"}, {"text": "quick done"}]
    async with serving(dsn, rules, settings=queue(workers=2)) as made, asyncio.timeout(PATIENCE):
        slow = await begin(made.service, "slow", context_id="c")
        behind = await begin(made.service, "quick", context_id="c")
        others = [await begin(made.service, "quick") for _ in range(6)]
        assert {(await made.ended(other.id)).status.state for other in others} == {TaskState.COMPLETED}
        assert (await made.store.tasks.get(ANA, behind.id)).status.state is TaskState.SUBMITTED
        await made.service.cancel(ANA, "helper", slow.id)
        assert answer_of(await made.ended(behind.id)) == "quick done"


async def test_a_direct_message_is_one_also_when_it_had_to_wait_for_its_turn(dsn: str) -> None:
    rules = [{"user": "slow", "text": "slow done", "delay": "200ms"}, {"text": "quick done"}]
    async with serving(dsn, rules, reply="message") as made, asyncio.timeout(PATIENCE):
        slow = asyncio.create_task(made.service.send(ANA, "helper", say("slow", context_id="c"), SendOptions()))
        while not made.service.running:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)
        quick = await made.service.send(ANA, "helper", say("quick", context_id="c"), SendOptions())
        assert isinstance(quick, ClientMessage)
        assert quick.message.text == "quick done"
        assert isinstance(await slow, ClientMessage)
        kept = await made.service.send(ANA, "helper", say("slow", context_id="c"), NOW)
        stream = await made.service.stream(ANA, "helper", say("quick", context_id="c"), SendOptions())
        assert isinstance(stream.first, Task)  # who sees it wait has a task
        await collect(stream)
        assert isinstance(kept, Task)
        assert answer_of(await made.service.get(ANA, "helper", stream.first.id)) == "quick done"
        assert answer_of(await made.service.get(ANA, "helper", kept.id)) == "slow done"


async def test_work_goes_on_when_the_clock_is_set_back(tmp_path: Path) -> None:
    clock = FakeClock()
    async with serving(f"sqlite://{tmp_path / 'hector.db'}", ECHO, settings=queue(workers=1), clock=clock) as made:
        gate = asyncio.create_task(ask(made.service, "first", context_id="c"))
        waiting = [asyncio.create_task(ask(made.service, str(number), context_id="c")) for number in range(5)]
        await asyncio.sleep(0.01)
        clock._now -= 3600
        async with asyncio.timeout(PATIENCE):
            assert answer_of(await gate) == "You said: first"
            assert [answer_of(await one) for one in waiting] == [f"You said: {number}" for number in range(5)]


# Stops


@pytest.mark.proves("queue.stop")
async def test_a_stop_lets_a_step_end_and_the_next_start_goes_on_behind_it(dsn: str) -> None:
    ran: list[str] = []
    begun, gate = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        """Slow."""
        begun.set()
        await gate.wait()
        ran.append("slow")
        return "slow result"

    rules: list[dict[str, Any]] = [
        {"turn": 0, "text": "First.", "tool_calls": [{"name": "slow"}]},
        {"turn": 1, "text": "Second."},
    ]
    tools = {"slow": {"type": "function", "handler": "slow"}}
    agent: dict[str, Any] = {"functions": (slow,), "declared": tools}
    async with serving(dsn, rules, **agent) as made, asyncio.timeout(PATIENCE):
        task = await begin(made.service)
        await begun.wait()
        draining = asyncio.create_task(made.service.drain(grace=10))
        await asyncio.sleep(0.05)
        gate.set()
        await draining
        job = await made.store.jobs.get(1)
        assert (job.state, job.attempts) == (JobState.READY, 0)
    async with serving(dsn, rules, **agent) as made:
        assert answer_of(await made.ended(task.id)) == "First.\n\nSecond."
    assert ran == ["slow"]


# Several processes


@pytest.mark.proves("queue.elsewhere", "queue.order")
async def test_one_process_waits_for_a_run_of_another_and_takes_its_turn_behind_it(postgres_ready: str) -> None:
    rules = [{"user": "slow", "text": "slow done", "delay": "200ms"}, {"user": "(.*)", "text": "\\1 done"}]
    async with (
        serving(postgres_ready, rules) as first,
        serving(postgres_ready, rules) as second,
        asyncio.timeout(PATIENCE),
    ):
        slow = await begin(first.service, "slow", context_id="c")
        assert slow.status.state is TaskState.SUBMITTED
        behind = await ask(second.service, "quick", context_id="c")
        assert answer_of(behind) == "quick done"
        assert answer_of(await second.service.get(ANA, "helper", slow.id)) == "slow done"


@pytest.mark.proves("queue.elsewhere")
async def test_a_task_is_canceled_from_another_process(postgres_ready: str) -> None:
    rules = [{"text": "late", "delay": "60s"}]
    async with (
        serving(postgres_ready, rules) as first,
        serving(postgres_ready, rules) as second,
        asyncio.timeout(PATIENCE),
    ):
        stream = await first.service.stream(ANA, "helper", say("go"), SendOptions())
        assert isinstance(stream.first, Task)
        canceled = await second.service.cancel(ANA, "helper", stream.first.id)
        assert canceled.status.state is TaskState.CANCELED
        last = (await collect(stream))[-1]
        assert isinstance(last, StatusUpdate)
        assert last.status.state is TaskState.CANCELED
        with pytest.raises(TaskNotCancelable):
            await first.service.cancel(ANA, "helper", stream.first.id)
        assert first.service.running == second.service.running == 0


@pytest.mark.proves("queue.stop", "queue.elsewhere")
async def test_a_process_that_stops_hands_over_at_once_and_its_clients_find_the_answer(postgres_ready: str) -> None:
    slow, quick = [{"text": "late", "delay": "60s"}], [{"text": "done"}]
    async with serving(postgres_ready, quick, settings=queue(stale_threshold=60.0)) as heir, asyncio.timeout(PATIENCE):
        async with serving(postgres_ready, slow, settings=queue(stale_threshold=60.0)) as leaving:
            sending = asyncio.create_task(ask(leaving.service, "go"))
            while not leaving.service.running:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0)
            await leaving.service.drain(grace=0.1)
            task = await sending
        assert answer_of(await heir.ended(task.id)) == "done"
        assert (await heir.store.jobs.get(1)).attempts == 1


@pytest.mark.proves("queue.takeover", "durability.fault-recovery")
async def test_a_process_that_falls_silent_is_replaced_and_writes_nothing_any_more(postgres_ready: str) -> None:
    rules = [{"text": "first", "delay": "60s"}], [{"text": "second"}]
    async with (
        serving(postgres_ready, rules[0]) as zombie,
        serving(postgres_ready, rules[1]) as heir,
        asyncio.timeout(PATIENCE),
    ):
        task = await begin(zombie.service)
        run = zombie.worker.run_of(task.id)
        assert run is not None
        zombie.fall_silent()
        assert answer_of(await heir.ended(task.id)) == "second"
        with pytest.raises(LeaseLost):
            await run.store.tasks.record(
                Record(ANA, task.id, task.context_id, status=task.status, claim=run.claim, step=1)
            )
        assert not await zombie.store.instances.beat(zombie.worker._lease.id)


@pytest.mark.proves("queue.order")
async def test_a_hundred_messages_to_one_session_over_two_processes(postgres_ready: str) -> None:
    async with (
        serving(postgres_ready, ECHO, settings=queue(stale_threshold=5.0)) as first,
        serving(postgres_ready, ECHO, settings=queue(stale_threshold=5.0)) as second,
        asyncio.timeout(60),
    ):
        both = (first, second)

        async def one(number: int) -> None:
            task = await ask(both[number % 2].service, str(number), context_id="c")
            assert answer_of(task) == f"You said: {number}"

        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(one(number))
        events = (await first.store.sessions.load(ANA, "c")).events
        asked = [event.invocation_id for event in events if event.author == "user"]
        assert [event.invocation_id for event in events if event.author != "user"] == asked
        assert len(set(asked)) == 100


@pytest.mark.proves("queue.outage")
async def test_runs_outlive_a_database_that_goes_away_and_comes_back(postgres_programs: Path) -> None:
    rules: list[dict[str, Any]] = [
        {"turn": 0, "text": "Noting.", "tool_calls": [{"name": "note"}]},
        {"turn": 1, "text": "Done.", "delay": "300ms"},
    ]
    noted: list[str] = []

    def note() -> str:
        """Note."""
        noted.append("note")
        return "noted"

    agent: dict[str, Any] = {"functions": (note,), "declared": {"note": {"type": "function", "handler": "note"}}}
    server = Postgres(postgres_programs)
    try:
        server.start()
        async with (
            serving(server.dsn(server.create()), rules, settings=queue(stale_threshold=30.0), **agent) as made,
            asyncio.timeout(60),
        ):
            tasks = [await begin(made.service) for _ in range(20)]
            for _ in range(2):
                await asyncio.to_thread(server.stop, "immediate")
                await asyncio.sleep(0.3)
                await asyncio.to_thread(server.start)
            found = [await made.ended(task.id) for task in tasks]
            assert [answer_of(task) for task in found] == ["Noting.\n\nDone."] * len(tasks)
            assert len(noted) == len(tasks)
            for task in tasks:
                events = (await made.store.sessions.load(ANA, task.context_id)).events
                assert [event.message.role for event in events] == ["user", "assistant", "tool", "assistant"]
            statistics = await made.store.queue.statistics()
            assert (statistics.completed, statistics.pending, statistics.processing) == (len(tasks), 0, 0)
    finally:
        server.remove()
