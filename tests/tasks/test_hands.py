"""Work changes hands: taken up, taken over, given back. Nothing is left with nobody; none works on what is not his."""

import asyncio
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hector.core.job import STOP, Job, JobState, NewJob
from hector.core.task import Task, TaskState
from hector.store import Store
from hector.tasks import handlers
from hector.tasks.claims import Gate
from hector.tasks.lease import listed, pause
from hector.tasks.outcome import Done, Handler, Outcome
from hector.tasks.service import SendOptions
from tests.store.turns import add
from tests.tasks.serving import ANA, PATIENCE, Serving, queue, serving
from tests.tasks.test_service import say

SLOW: list[dict[str, Any]] = [{"text": "late", "delay": "60s"}]
QUICK: list[dict[str, Any]] = [{"text": "done"}]


@pytest.fixture
def dsn(tmp_path: Path) -> str:
    return f"sqlite://{tmp_path / 'hector.db'}"


async def begin(made: Serving, **envelope: Any) -> Task:
    task = await made.service.send(ANA, "helper", say("go", **envelope), SendOptions(return_immediately=True))
    assert isinstance(task, Task)
    return task


async def execute(store: Store, sql: str) -> None:
    """Change something behind everybody's back."""
    await store.database.write(lambda con: con.execute(sql))


async def until(condition: Any) -> None:
    while not condition():  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0.005)


async def test_a_gate_that_is_shut_again_lets_nobody_in() -> None:
    gate = Gate()
    async with gate.shut():
        waiting = asyncio.create_task(gate.enter())
        await asyncio.sleep(0)
    async with gate.shut():  # before whoever waits has come to run
        for _ in range(3):
            await asyncio.sleep(0)
        assert not waiting.done()
    await waiting


@pytest.mark.proves("queue.bounded")
async def test_lanes_that_are_over_are_forgotten_also_while_there_is_always_something_to_do(dsn: str) -> None:
    async with serving(dsn, QUICK) as made, asyncio.timeout(PATIENCE):
        claims = made.worker._claims
        claims._every = 0.05
        for number in range(1000):
            claims.told(f"gone {number}")
        while claims._waited_for - {"busy"}:
            claims.told("busy")
            await asyncio.sleep(0.002)


@pytest.mark.proves("queue.takeover")
async def test_who_hears_of_a_takeover_stops_although_the_next_one_works_already(dsn: str) -> None:
    async with serving(dsn, SLOW) as made, asyncio.timeout(PATIENCE):
        task = await begin(made)
        await until(lambda: made.worker.run_of(task.id) is not None)
        await execute(made.store, "UPDATE jobs SET fence = fence + 2, owner = 'somebody else'")
        await made.store.database.write(lambda con: con.notify(STOP, task.id))
        await until(lambda: not made.service.running)
        assert (await made.store.jobs.get(1)).state is JobState.RUNNING, "the other one goes on"
        assert (await made.store.tasks.get(ANA, task.id)).status.state is TaskState.WORKING


@pytest.mark.proves("queue.takeover")
async def test_who_hears_of_an_earlier_claim_goes_on(dsn: str) -> None:
    async with serving(dsn, [{"text": "done", "delay": "300ms"}]) as made, asyncio.timeout(PATIENCE):
        task = await begin(made)
        await until(lambda: made.worker.run_of(task.id) is not None)
        await made.store.database.write(lambda con: con.notify(STOP, task.id))
        assert (await made.ended(task.id)).status.state is TaskState.COMPLETED


@contextmanager
def handled(kind: str, handler: Handler) -> Iterator[None]:
    """Jobs of this kind are worked on by that handler."""
    known: Any = handlers.FACTORIES
    known[kind] = lambda _: handler
    try:
        yield
    finally:
        del known[kind]


@pytest.mark.proves("queue.takeover")
async def test_work_that_ends_late_does_not_hide_that_its_job_was_taken_up_again(dsn: str) -> None:
    begun, let_go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()
    count = 0

    async def stubborn(job: Job) -> Outcome:
        nonlocal count
        count += 1
        if count > 1:
            begun.set()
            await done.wait()
            return Done()
        try:
            begun.set()
            await asyncio.sleep(60)
        finally:
            await let_go.wait()
        return Done()

    with handled("stubborn", stubborn):
        async with serving(dsn, QUICK) as made, asyncio.timeout(PATIENCE):
            key = await add(made.store, NewJob("stubborn", ANA, "x", {}))
            await begun.wait()
            begun.clear()
            await execute(made.store, "UPDATE jobs SET state = 'ready', fence = fence + 1, owner = NULL")
            made.worker._lost()
            made.worker._claims.told("")
            await begun.wait()
            let_go.set()
            for _ in range(10):
                await asyncio.sleep(0)
            assert made.service.running == 1, "the second attempt is still known"
            done.set()
            await until(lambda: not made.service.running)
            assert (await made.store.jobs.get(key)).state is JobState.DONE


@pytest.mark.proves("durability.fault-recovery")
async def test_a_run_that_can_neither_end_well_nor_be_put_back_fails(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(dsn, [{"error": {"status": 503, "message": "busy"}}]) as made, asyncio.timeout(PATIENCE):
        await execute(
            made.store,
            "CREATE TRIGGER refuse BEFORE UPDATE OF state ON jobs WHEN NEW.state = 'ready' "
            "BEGIN SELECT RAISE(ABORT, 'refused'); END",
        )
        task = await begin(made)
        assert (await made.ended(task.id)).status.state is TaskState.FAILED
        await until(lambda: not made.service.running)
    assert "a run cannot be ended or put back" in caplog.text


@pytest.mark.parametrize(("due", "seconds"), [(None, 5.0), (10.0, 5.0), (5.5, 5.0), (2.0, 2.01), (0.0, 0.01)])
def test_the_next_beat_comes_early_where_a_lease_ends_before(due: float | None, seconds: float) -> None:
    assert pause(15.0, due) == pytest.approx(seconds)


def test_a_log_line_names_so_many_and_no_more() -> None:
    assert listed(()) == ""
    assert listed(("a", "b")) == "a; b"
    assert listed([str(number) for number in range(13)]) == "0; 1; 2; 3; 4; 5; 6; 7; 8; 9; and 3 more"


@pytest.mark.proves("queue.takeover")
async def test_a_silent_process_is_replaced_when_its_lease_ends_and_named(
    postgres_ready: str, caplog: pytest.LogCaptureFixture
) -> None:
    lease = 3.0
    settings = queue(stale_threshold=lease)
    caplog.set_level(logging.INFO)
    async with serving(postgres_ready, QUICK, settings=settings) as heir, asyncio.timeout(PATIENCE):
        await asyncio.sleep(
            0.1
        )  # its beats come a little before the lease of the other one ends: a third later by then
        async with serving(postgres_ready, SLOW, settings=settings) as zombie:
            last_sign = time.monotonic()
            task = await begin(zombie)
            zombie.fall_silent()
            await heir.ended(task.id)
            assert time.monotonic() - last_sign > lease - 0.2
    (line,) = [one for one in caplog.records if one.getMessage().startswith("took over the work")]
    assert line.levelno == logging.WARNING
    facts: Any = line
    assert (facts.count, facts.tasks) == (1, task.id)
    assert facts.processes.endswith(f", pid {os.getpid()}")
