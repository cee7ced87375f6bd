"""Jobs: one worker at a time, one job of a lane at a time, nothing twice and nothing lost."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from hector.core.clock import FakeClock
from hector.core.errors import InvalidRequest, LeaseLost, NotFound
from hector.core.job import DAMAGED, READY, STOP, Claim, Instance, Job, JobState, NewJob
from hector.core.task import Status, TaskState
from hector.store import Store
from hector.store.database import Connection
from hector.store.instances import Instances, Takeover
from hector.store.jobs import LEFT
from hector.store.switches import Switch
from tests.store.turns import ME, NOW, add, answer, begin, done, step

HERE, THERE = "process-1", "process-2"


def job(subject: str = "x", **changes: Any) -> NewJob:
    """A job that may begin at once."""
    return replace(NewJob("push", ME, subject, {"n": 1}, NOW), **changes)


def instance(name: str) -> Instance:
    """A serving process."""
    return Instance(name, "host", 7, "1.0", NOW, NOW)


async def claim(store: Store, owner: str = HERE, limit: int = 10, at: float = NOW) -> list[Job]:
    """What a process gets when it asks."""
    return await store.jobs.claim(owner, limit, at)


async def only(store: Store, **options: Any) -> Job:
    """The one job that can be claimed."""
    (found,) = await claim(store, **options)
    return found


class TestClaims:
    @pytest.mark.proves("state.tasks-queue")
    async def test_a_job_is_claimed_once(self, store: Store) -> None:
        key = await add(store, job())
        found = await only(store)
        assert (found.claim, found.payload, found.attempts) == (Claim(key, 2), {"n": 1}, 1)
        assert await claim(store, THERE) == []

    async def test_the_urgent_come_first_then_the_old(self, store: Store) -> None:
        for subject, priority, run_at in (
            ("c", 0, NOW),
            ("a", 1, NOW),
            ("b", 0, NOW - 5),
            ("d", 0, NOW),
            ("e", 9, NOW + 5),
        ):
            await add(store, job(subject, priority=priority, run_at=run_at))
        assert [found.subject for found in await claim(store, limit=3)] == ["a", "c", "b"]
        assert [found.subject for found in await claim(store, at=NOW + 5)] == ["e", "d"]

    async def test_a_lane_is_walked_one_by_one(self, store: Store) -> None:
        for subject, lane in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("free", None)):
            await add(store, job(subject, lane=lane))
        first = await claim(store)
        assert [found.subject for found in first] == ["a1", "b1", "free"]
        assert await claim(store) == []
        await store.jobs.retry(first[0].claim, NOW + 9, "later")  # keeps its place
        assert await claim(store) == []
        again = await only(store, at=NOW + 9)
        assert (again.subject, again.attempts, again.cause) == ("a1", 2, "later")
        await store.jobs.finish(again.claim)
        assert (await only(store)).subject == "a2"

    async def test_the_next_one_that_is_due_is_known(self, store: Store) -> None:
        assert await store.jobs.next_due() is None
        await add(store, job("first", lane="a", run_at=NOW + 5))
        await add(store, job("behind it", lane="a", run_at=NOW))
        assert await store.jobs.next_due() == NOW + 5

    @pytest.mark.proves("state.tasks-queue")
    async def test_many_claim_at_once_and_nothing_twice(self, store: Store) -> None:
        for number in range(60):
            await add(store, job(str(number), lane=f"lane {number % 40}"))
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(claim(store, f"process-{number}", 5)) for number in range(16)]
        found = [one for task in asked for one in task.result()]
        assert len({one.claim.key for one in found}) == len(found)
        assert len({one.lane for one in found}) == len(found)

    async def test_what_may_be_claimed_is_announced(self, store: Store) -> None:
        heard = asyncio.Event()
        stop = store.database.listen(READY, lambda _: heard.set())
        async with asyncio.timeout(60):
            while not heard.is_set():  # what is said before it is listened is lost
                await add(store, job())
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await heard.wait()
        stop()


class TestFences:
    async def test_what_was_taken_over_can_write_nothing(self, store: Store) -> None:
        await store.instances.register(instance(THERE))
        await add(store, job())
        mine = await only(store, owner="nobody")
        assert len((await store.instances.reap(THERE, 15.0)).subjects) == 1
        again = await only(store, owner=THERE, at=NOW * 2)
        assert again.claim.key == mine.claim.key
        assert again.cause is not None
        for refused in (store.jobs.finish(mine.claim), store.jobs.retry(mine.claim, NOW, "x")):
            with pytest.raises(LeaseLost):
                await refused
        await store.jobs.release([mine.claim])
        await store.jobs.finish(again.claim)

    async def test_a_run_writes_under_its_claim_only(self, store: Store) -> None:
        accepted = await begin(store)
        stale = replace(accepted.claim, fence=accepted.claim.fence + 1)
        for claimed in (stale, Claim(999, 1)):
            with pytest.raises(LeaseLost):
                await store.tasks.record(step(accepted, answer("x"), claim=claimed))
        assert len((await store.sessions.load(ME, "c")).events) == 1

    async def test_a_write_whose_answer_got_lost_is_sent_again(self, store: Store) -> None:
        accepted = await begin(store)
        first = step(accepted, answer("once"), claim=accepted.claim)
        last = replace(done(accepted, answer("end")), claim=accepted.claim, step=2)
        for record in (first, first, last, last):
            assert await store.tasks.record(record)
        assert [event.message.text for event in (await store.sessions.load(ME, "c")).events] == ["hello", "once", "end"]
        with pytest.raises(LeaseLost):
            await store.tasks.record(replace(first, step=3))

    @pytest.mark.parametrize(
        ("state", "end"),
        [
            (TaskState.COMPLETED, JobState.DONE),
            (TaskState.INPUT_REQUIRED, JobState.DONE),
            (TaskState.REJECTED, JobState.DONE),
            (TaskState.FAILED, JobState.FAILED),
            (TaskState.CANCELED, JobState.CANCELED),
            (TaskState.WORKING, JobState.RUNNING),
        ],
    )
    async def test_the_end_of_a_run_ends_its_job(self, state: TaskState, end: JobState, store: Store) -> None:
        accepted = await begin(store)
        await store.tasks.record(step(accepted, status=Status(state, NOW), claim=accepted.claim))
        assert (await store.jobs.get(accepted.claim.key)).state is end

    async def test_a_cancelled_run_is_told_and_fenced(self, store: Store) -> None:
        heard: asyncio.Queue[str] = asyncio.Queue()
        stop = store.database.listen(STOP, heard.put_nowait)
        accepted = await begin(store)
        assert await store.tasks.cancel(ME, accepted.task.id, NOW)
        async with asyncio.timeout(60):
            assert await heard.get() == accepted.task.id
        with pytest.raises(LeaseLost):
            await store.tasks.record(step(accepted, answer("late"), claim=accepted.claim))
        assert not await store.tasks.cancel(ME, accepted.task.id, NOW)
        stop()


class TestSessions:
    async def test_a_session_takes_one_run_at_a_time(self, store: Store) -> None:
        first, second = await begin(store), await begin(store, "next")
        other = await begin(store, context="other")
        assert [found.task.status.state for found in (first, second, other)] == ["working", "submitted", "working"]
        assert await claim(store) == []
        await store.tasks.record(replace(done(first), claim=first.claim))
        assert (await only(store)).subject == second.task.id

    async def test_live_jobs_go_with_their_session(self, store: Store) -> None:
        accepted = await begin(store)
        await begin(store, "next")
        assert await store.sessions.delete(ME, "c")
        assert await claim(store) == []
        with pytest.raises(LeaseLost):
            await store.tasks.record(step(accepted, answer("late"), claim=accepted.claim))


class TestProcesses:
    async def test_only_silent_processes_are_declared_dead(self, store: Store) -> None:
        clock = FakeClock(NOW)
        instances = Instances(store.database, store.jobs, clock)
        if store.database.dialect != "sqlite":
            pytest.skip("leases are measured by the database's own clock")
        for name in (HERE, THERE):
            await instances.register(instance(name))
        await add(store, job())
        await only(store, owner=THERE)
        await clock.sleep(10)
        assert await instances.beat(HERE)
        assert await instances.reap(HERE, 15) == Takeover((), (), 5.0)
        await clock.sleep(10)
        taken = await instances.reap(HERE, 15)
        assert (len(taken.processes), len(taken.subjects), taken.due) == (1, 1, None)
        assert not await instances.beat(THERE)
        assert [found.id for found in await instances.all()] == [HERE]

    async def test_what_a_process_has_forgotten_goes_back(self, store: Store) -> None:
        await store.instances.register(instance(HERE))
        await add(store, job("kept"))
        await add(store, job("lost"))
        kept, lost = await claim(store)
        assert await store.jobs.orphans(HERE, {kept.claim.key}) == 1
        again = await only(store)
        assert (again.claim.key, again.attempts) == (lost.claim.key, 1)

    async def test_whoever_leaves_leaves_nothing_behind(self, store: Store) -> None:
        await store.instances.register(instance(HERE))
        await add(store, job())
        await only(store)
        await store.instances.leave(HERE)
        again = await only(store, owner=THERE)
        assert (again.attempts, again.cause) == (1, None)
        assert await store.instances.all() == ()

    async def test_what_it_began_and_left_counts_as_an_attempt(self, store: Store) -> None:
        await store.instances.register(instance(HERE))
        await add(store, job())
        left = await only(store)
        assert await store.jobs.orphans(HERE, (), blamed=True) == 1
        with pytest.raises(LeaseLost):
            await store.jobs.finish(left.claim)
        again = await only(store, at=NOW * 2)
        assert (again.claim.key, again.attempts, again.cause) == (left.claim.key, 2, LEFT)

    async def test_handing_back_costs_no_attempt(self, store: Store) -> None:
        await add(store, job())
        found = await only(store)
        await store.jobs.release([found.claim, Claim(999, 1)])
        assert (await only(store)).attempts == 1


class TestDeadLetters:
    async def bury(self, store: Store) -> int:
        """A dead letter after two attempts."""
        await add(store, job())
        first = await only(store)
        await store.jobs.retry(first.claim, NOW, "refused")
        await store.jobs.finish((await only(store)).claim, JobState.DEAD, "refused again")
        return first.claim.key

    @pytest.mark.proves("state.tasks-queue")
    async def test_they_keep_cause_and_history(self, store: Store) -> None:
        key = await self.bury(store)
        (found,) = await store.queue.dead()
        assert (found.key, found.cause, found.attempts, found.payload) == (key, "refused again", 2, {"n": 1})
        assert [(one.number, one.owner, one.cause) for one in found.history] == [
            (1, HERE, "refused"),
            (2, HERE, "refused again"),
        ]
        assert await store.queue.dead(before=key) == ()

    async def test_requeuing_grants_one_new_round(self, store: Store) -> None:
        key = await self.bury(store)
        await store.queue.requeue(key)
        for again in (store.queue.requeue(key), store.queue.drop(key)):
            with pytest.raises(InvalidRequest, match="no dead letter"):
                await again
        found = await only(store, at=NOW * 2)
        assert (found.claim.key, found.attempts) == (key, 1)

    async def test_a_requeued_one_waits_for_a_later_job_of_its_lane_that_runs(self, store: Store) -> None:
        await add(store, job("old", lane="a"))
        await store.jobs.finish((old := await only(store)).claim, JobState.DEAD, "refused")
        await add(store, job("later", lane="a"))
        later = await only(store)
        await store.queue.requeue(old.claim.key)
        assert await claim(store, at=NOW * 2) == []
        assert await store.jobs.next_due() is None
        await store.jobs.finish(later.claim)
        assert await store.jobs.next_due() == 0
        assert (await only(store, at=NOW * 2)).subject == "old"

    async def test_a_dropped_one_is_gone(self, store: Store) -> None:
        await store.queue.drop(await self.bury(store))
        assert await store.queue.dead() == ()
        with pytest.raises(NotFound):
            await store.queue.requeue(999)

    async def test_a_dead_run_fails_its_task_and_requeuing_opens_it(self, store: Store) -> None:
        accepted = await begin(store)
        failed = Status(TaskState.FAILED, NOW)
        await store.tasks.record(step(accepted, status=failed, claim=accepted.claim, dead="poison"))
        assert (await store.tasks.get(ME, accepted.task.id)).status.state is TaskState.FAILED
        (found,) = await store.queue.dead()
        assert [one.cause for one in found.history] == ["poison"]
        await store.queue.requeue(found.key)
        assert (await store.tasks.get(ME, accepted.task.id)).status.state is TaskState.WORKING
        assert (await only(store, at=NOW * 2)).subject == accepted.task.id


@pytest.mark.proves("limits.switch")
async def test_what_rests_for_a_switch_that_is_on_by_now_is_looked_at_soon(store: Store) -> None:
    await add(store, job())
    await store.switches.off(Switch("server", "why", "ops", NOW))
    await store.switches.pause([(await only(store)).claim], NOW + 60, "why", ("server", NOW + 1))
    assert await claim(store, at=NOW + 59) == []
    await store.switches.on("server")  # which wakes it
    found = await only(store, at=NOW)
    await store.switches.pause([found.claim], NOW + 60, "why", ("server", NOW + 1))  # by one who has not heard of that
    assert await claim(store, at=NOW) == []
    assert (await only(store, at=NOW + 1)).attempts == 1


async def test_a_damaged_row_neither_holds_up_the_queue_nor_hides(store: Store) -> None:
    await add(store, job("damaged"))
    await add(store, job("sound"))

    async def damage(con: Connection) -> None:
        await con.execute("UPDATE jobs SET payload = '[}', history = '[' WHERE subject = 'damaged'")

    await store.database.write(damage)
    damaged, sound = await claim(store)
    assert (damaged.payload, sound.payload) == ({DAMAGED: "[}"}, {"n": 1})
    await store.jobs.finish(damaged.claim, JobState.DEAD, "damaged")
    (found,) = await store.queue.dead()
    assert [one.cause for one in found.history] == ["damaged"]
    await store.queue.drop(found.key)


async def test_statistics_are_true(store: Store) -> None:
    for number in range(6):
        await add(store, job(str(number)))
    one, two, three, four = await claim(store, limit=4)
    await store.jobs.finish(one.claim)
    await store.jobs.finish(two.claim, JobState.FAILED, "x")
    await store.jobs.finish(three.claim, JobState.DEAD, "x")
    found = await store.queue.statistics()
    assert (found.pending, found.processing, found.completed, found.failed, found.dead) == (2, 1, 1, 1, 1)
    assert found.oldest_pending is not None
    assert found.mean_wait is not None
    assert found.mean_run is not None
    assert (await store.jobs.get(one.claim.key)).payload == {}
    assert (await store.jobs.get(four.claim.key)).state is JobState.RUNNING
