"""Interleavings that would harm: each is made to happen, and shows that it does not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

import asyncpg
import pytest

from hector.config.postgres import parse
from hector.core.errors import InvalidRequest, LeaseLost
from hector.core.event import DirectReply
from hector.core.job import Claim, Instance, JobState, NewJob
from hector.core.task import Status, TaskState
from hector.store import Accepted, Store, open_store, queries
from hector.store.postgres_connection import connect, statement
from tests.postgres import Postgres
from tests.store.cutter import Cutter
from tests.store.turns import ME, NOW, add, answer, begin, done, request, step

pytestmark = pytest.mark.proves("database.postgres", "state.tasks-queue")
PATIENCE = 40.0
LATER = NOW * 2
LOCKED = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
Raw: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture
async def one(postgres_ready: str) -> AsyncIterator[Store]:
    """A process."""
    store = await open_store(postgres_ready)
    yield store
    await store.aclose()


@pytest.fixture
async def two(postgres_ready: str) -> AsyncIterator[Store]:
    """Another one on the same database."""
    store = await open_store(postgres_ready)
    yield store
    await store.aclose()


@pytest.fixture
async def raw(postgres_ready: str) -> AsyncIterator[Raw]:
    """A connection whose transactions can be stopped in the middle."""
    con = await connect(parse(postgres_ready))
    yield con
    await con.close()


@pytest.fixture
async def eye(postgres_ready: str) -> AsyncIterator[Raw]:
    """Sees who waits."""
    con = await connect(parse(postgres_ready))
    yield con
    await con.close()


async def waits(eye: Raw, count: int = 1) -> None:
    """Return when so many wait for a lock."""
    async with asyncio.timeout(PATIENCE):
        while await eye.fetchval(LOCKED) < count:
            pass


def sql(file: str, name: str) -> str:
    """A statement as the store sends it."""
    return statement(queries.load(file, "postgres")[name]).sql


async def buried(store: Store, context: str = "c") -> Accepted:
    """A run that is a dead letter."""
    accepted = await begin(store, context=context)
    failed = Status(TaskState.FAILED, NOW)
    assert await store.tasks.record(step(accepted, status=failed, claim=accepted.claim, dead="poison"))
    return accepted


class TestAnotherChance:
    """A dead letter is requeued while a later job of its session is being claimed."""

    async def test_what_is_being_claimed_comes_first(self, one: Store, two: Store, raw: Raw, eye: Raw) -> None:
        old = await buried(one)
        later = await begin(one, owner=None)
        await raw.execute("BEGIN")
        rows = await raw.fetch(sql("jobs", "claimable"), round(LATER * 1000), 0, 9)
        requeued = asyncio.ensure_future(one.queue.requeue(old.claim.key))
        await waits(eye)
        assert await two.jobs.claim("two", 9, LATER) == []
        taken = await raw.fetch(sql("jobs", "take_first"), "zero", 1, [row[0] for row in rows])
        await raw.execute("COMMIT")
        await requeued
        assert [row[0] for row in taken] == [later.claim.key]
        assert await two.jobs.claim("two", 9, LATER) == [], "one of its lane runs"
        await two.jobs.finish(Claim(later.claim.key, 2))
        (found,) = await two.jobs.claim("two", 9, LATER)
        assert found.claim.key == old.claim.key

    async def test_what_was_seen_before_and_locked_after_is_not_taken(self, one: Store, raw: Raw) -> None:
        old = await buried(one)
        later = await begin(one, owner=None)
        await one.queue.requeue(old.claim.key)
        await raw.execute("BEGIN")
        assert await raw.fetch(sql("jobs", "take_first"), "zero", 1, [later.claim.key]) == []
        await raw.execute("COMMIT")
        (found,) = await one.jobs.claim("two", 9, LATER)
        assert found.claim.key == old.claim.key

    async def test_a_message_that_is_being_accepted_comes_first(
        self, one: Store, two: Store, raw: Raw, eye: Raw
    ) -> None:
        old = await buried(one)
        await raw.execute("BEGIN")
        await raw.fetch(sql("sessions", "position"), ME.app, ME.user, "c")
        accepted = asyncio.ensure_future(begin(one))
        await waits(eye)
        requeued = asyncio.ensure_future(two.queue.requeue(old.claim.key))
        await waits(eye, 2)
        await raw.execute("COMMIT")
        first = await accepted
        await requeued
        claimed = await two.jobs.claim("two", 9, LATER)
        assert [bool(first.claim.fence), bool(claimed)] in ([True, False], [False, True]), "one of both runs"


class TestOrderOfLocks:
    """Who locks in opposite orders waits for each other, and PostgreSQL ends one of them a second later."""

    async def test_a_session_goes_while_its_task_is_written(
        self,
        one: Store,
        two: Store,
        postgres: Postgres,
        raw: Raw,
        eye: Raw,
    ) -> None:
        accepted = await begin(one)
        before = postgres.log.count("deadlock detected")
        await raw.execute("BEGIN")
        await raw.execute("SELECT 1 FROM jobs WHERE key = $1 FOR UPDATE", accepted.claim.key)
        deleted = asyncio.ensure_future(one.sessions.delete(ME, "c"))  # has the session, and waits for the job
        await waits(eye)
        written = asyncio.ensure_future(two.tasks.record(replace(done(accepted, answer("x")), claim=accepted.claim)))
        await waits(eye, 2)
        await raw.execute("COMMIT")
        assert await deleted
        with pytest.raises(LeaseLost):
            await written
        assert postgres.log.count("deadlock detected") == before

    @pytest.mark.parametrize("what", ["record", "cancel", "resume"])
    async def test_the_session_is_locked_before_the_task(
        self,
        one: Store,
        what: str,
        raw: Raw,
        eye: Raw,
    ) -> None:
        accepted = await begin(one)
        if what == "resume":
            asks = step(accepted, answer("?"), status=Status(TaskState.INPUT_REQUIRED, NOW), claim=accepted.claim)
            assert await one.tasks.record(asks)
        acts: dict[str, Callable[[], Awaitable[object]]] = {
            "record": lambda: one.tasks.record(step(accepted, answer("x"), claim=accepted.claim)),
            "cancel": lambda: one.tasks.cancel(ME, accepted.task.id, NOW),
            "resume": lambda: one.tasks.accept(request(task=accepted.task.id, resume=True)),
        }
        await raw.execute("BEGIN")
        await raw.execute("SELECT 1 FROM sessions FOR UPDATE")
        acting = asyncio.ensure_future(acts[what]())
        await waits(eye)
        await raw.execute("SELECT 1 FROM tasks FOR UPDATE NOWAIT")  # nobody has it
        await raw.execute("COMMIT")
        assert await acting


class TestLostAnswers:
    """A commit takes, and nobody is told; when the unit runs again, others have been there."""

    @pytest.fixture
    async def cutter(self, postgres: Postgres) -> AsyncIterator[Cutter]:
        cutter = Cutter(postgres.port)
        listening = await cutter.serve()
        cutter.place = f":{listening.sockets[0].getsockname()[1]}/"
        yield cutter
        await cutter.quiet()
        listening.close()

    @pytest.fixture
    async def far(self, cutter: Cutter, postgres: Postgres, postgres_ready: str) -> AsyncIterator[Store]:
        """A process whose answers get lost when told."""
        store = await open_store(postgres_ready.replace(f":{postgres.port}/", cutter.place))
        yield store
        await store.aclose()

    async def test_what_came_up_in_the_queue_meanwhile_is_not_ours_to_run_at_once(
        self, far: Store, one: Store, cutter: Cutter
    ) -> None:
        """The lane becomes free, and this very process claims the job, before the message is accepted once more."""
        first = await begin(far, owner="me")
        claimed: list[Claim] = []

        async def meanwhile() -> None:
            assert await one.tasks.record(replace(done(first, answer("a")), claim=first.claim))
            claimed.extend(job.claim for job in await one.jobs.claim("me", 9, LATER))

        cutter.cut(meanwhile)
        second = await begin(far, task="second", owner="me")
        assert [claim.fence for claim in claimed] == [2]
        assert (second.claim.key, second.claim.fence) == (claimed[0].key, 0)
        assert len((await one.sessions.load(ME, "c")).events) == 3

    async def test_what_was_claimed_with_the_message_is(self, far: Store, cutter: Cutter) -> None:
        cutter.cut()
        assert (await begin(far, owner="me")).claim.fence == 1

    async def test_a_task_that_was_answered_with_a_message_is_not_begun_anew(
        self, far: Store, one: Store, cutter: Cutter
    ) -> None:
        async def meanwhile() -> None:
            (job,) = await one.jobs.claim("another", 9, LATER)
            task = await one.tasks.of_job(job)
            reply = answer("hi", control=DirectReply("hi"))
            direct = step(Accepted(task, job.claim), reply, discard=True, claim=job.claim)
            assert await one.tasks.record(direct)

        cutter.cut(meanwhile)
        accepted = await begin(far, task="direct", owner=None)
        assert accepted.claim.fence == 0
        assert len((await one.sessions.load(ME, "c")).events) == 2
        assert await one.jobs.claim("another", 9, LATER) == []

    @pytest.mark.parametrize("what", ["requeue", "drop"])
    async def test_a_dead_letter_is_seen_to_once(self, far: Store, one: Store, cutter: Cutter, what: str) -> None:
        old = await buried(one)
        asides: list[bool] = []

        async def aside(con: object) -> None:
            asides.append(True)

        cutter.cut()
        await getattr(far.queue, what)(old.claim.key, aside)
        found = await one.jobs.get(old.claim.key)
        assert found.state is (JobState.READY if what == "requeue" else JobState.CANCELED)
        assert asides == [True]
        with pytest.raises(InvalidRequest, match="no dead letter"):
            await getattr(far.queue, what)(old.claim.key)

    async def test_one_that_died_again_meanwhile_gets_no_second_round(
        self, far: Store, one: Store, cutter: Cutter
    ) -> None:
        old = await buried(one)

        async def meanwhile() -> None:
            (job,) = await one.jobs.claim("another", 9, LATER)
            await one.jobs.finish(job.claim, JobState.DEAD, "again")

        cutter.cut(meanwhile)
        await far.queue.requeue(old.claim.key)
        assert (await one.jobs.get(old.claim.key)).state is JobState.DEAD

    async def test_a_session_is_deleted_once_and_says_so(self, far: Store, cutter: Cutter) -> None:
        await begin(far)
        cutter.cut()
        assert await far.sessions.delete(ME, "c")
        assert not await far.sessions.delete(ME, "c")


async def test_a_poisonous_job_is_buried_with_the_attempts_that_it_had(one: Store) -> None:
    key = await add(one, NewJob("push", ME, "x", {}, NOW, max_attempts=2))
    for number in range(2):
        await one.instances.register(Instance(f"victim-{number}", "host", 7, "1.0", NOW, NOW))
        assert [job.attempts for job in await one.jobs.claim(f"victim-{number}", 1, LATER)] == [number + 1]
        assert await one.jobs.orphans(f"victim-{number}", (), blamed=True) == 1
    (last,) = await one.jobs.claim("me", 1, LATER)
    assert last.attempts == 3
    await one.jobs.finish(last.claim, JobState.DEAD, "two processes died of it")
    found = await one.jobs.get(key)
    assert (found.attempts, len(found.history), found.cause) == (2, 2, "two processes died of it")
