"""Two apps with the same ids of everything never meet; their work waits, fails and is replaced for each alone."""

import asyncio
from pathlib import Path

import pytest

import hector.apps.keeper as keeper
import hector.tasks.tenancy as tenancy
from hector.core.errors import AppSuspended, AppUnavailable, NotFound, RequestError
from hector.core.job import JobState
from hector.core.task import Caller, StatusUpdate, TaskQuery, TaskState
from hector.store.apps import AppStatus, Draft
from hector.tasks.service import SendOptions
from tests.apps.serving import PATIENCE, answer_of, draft, process, say, waiting

A, B = Caller("a"), Caller("b")
BROKEN = Draft("yaml", "agents: {helper: {llm: nowhere}}", "tests")


@pytest.fixture(params=["sqlite", "postgres"])
def dsn(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each engine."""
    if request.param == "sqlite":
        return f"sqlite://{tmp_path}/hector.db"
    return str(request.getfixturevalue("postgres_ready"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was held is looked at again at once, nearly."""
    monkeypatch.setattr(tenancy, "HOLD_SECONDS", 0.2)


@pytest.mark.proves("security.tenant-isolation", "tenant.sessions")
async def test_apps_with_equal_ids_never_meet(dsn: str) -> None:
    """The same agent, conversation, user and artifact: all that a client can choose."""
    async with process(dsn) as one:
        for name in ("a", "b"):
            await one.store.apps.create(name, name, draft(name))
        tasks = {}
        for caller in (A, B):
            tasks[caller.app] = await one.ask(caller, "save", context_id="c")
            assert answer_of(tasks[caller.app]) == f"{caller.app} has saved it"
        for mine, other in ((A, B), (B, A)):
            session = await one.store.sessions.load(mine, "c")
            assert f"notes of {other.app}" not in repr(session.events)
            artifact = (await one.store.sessions.artifacts(mine, "c"))["notes.txt"]
            assert f"notes of {mine.app}" in repr(artifact)
            page = await one.service.list(mine, None, TaskQuery())
            assert [task.id for task in page.tasks] == [tasks[mine.app].id]
            foreign = tasks[other.app].id
            with pytest.raises(NotFound):
                await one.service.get(mine, None, foreign)
            with pytest.raises(NotFound):
                await one.service.cancel(mine, None, foreign)
            with pytest.raises(NotFound):
                await one.service.subscribe(mine, None, foreign)
            with pytest.raises(RequestError):
                await one.ask(mine, "go on", task_id=foreign)
        assert await one.store.sessions.delete(A, "c")
        assert (await one.store.sessions.load(B, "c")).events


@pytest.mark.proves("security.tenant-isolation")
async def test_a_running_task_of_another_app_is_as_good_as_none(dsn: str) -> None:
    async with process(dsn) as one:
        for name in ("a", "b"):
            await one.store.apps.create(name, name, draft(name))
        stream = await one.service.stream(A, "helper", say("slow"), SendOptions())
        task_id = stream.first.id
        for attempt in (one.service.get(B, None, task_id), one.service.subscribe(B, None, task_id)):
            with pytest.raises(NotFound):
                await attempt
        with pytest.raises(NotFound):
            await one.service.cancel(B, None, task_id)
        await stream.aclose()
        assert (await one.ended(A, task_id)).status.state is TaskState.COMPLETED


@pytest.mark.usefixtures("quick")
@pytest.mark.proves("tenant.jobs-wait")
@pytest.mark.parametrize("why", ["suspended", "broken"])
async def test_jobs_of_an_app_that_cannot_work_wait_and_hold_nobody_up(dsn: str, why: str) -> None:
    async with process(dsn) as one:
        await one.store.apps.create("a", "A", BROKEN if why == "broken" else draft("a"))
        await one.store.apps.create("b", "B", draft("b"))
        if why == "suspended":
            await one.store.apps.set_status("a", AppStatus.SUSPENDED)
        held = [await one.store.tasks.accept(waiting(A)) for _ in range(3)]
        other = await one.store.tasks.accept(waiting(B))
        assert answer_of(await one.ended(B, other.task.id)) == "I am b"
        await asyncio.sleep(0.5)
        for accepted in held:
            task = await one.store.tasks.get(A, accepted.task.id)
            assert task.status.state is TaskState.SUBMITTED
        with pytest.raises(AppSuspended if why == "suspended" else AppUnavailable):
            await one.ask(A, "hi")
        await one.store.apps.update("a", draft=draft("a"))
        await one.store.apps.set_status("a", AppStatus.ACTIVE)
        for accepted in held:
            assert answer_of(await one.ended(A, accepted.task.id)) == "I am a"
        assert not await one.store.queue.dead()


@pytest.mark.usefixtures("quick")
async def test_a_job_of_an_app_that_is_gone_is_given_up(dsn: str) -> None:
    async with process(dsn) as one:
        await one.store.tasks.accept(waiting(Caller("gone")))
        async with asyncio.timeout(PATIENCE):
            while not (dead := await one.store.queue.dead()):  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.02)
        assert (dead[0].state, dead[0].cause) == (
            JobState.DEAD,
            "the app 'gone', to which it belongs, is no longer there",
        )


@pytest.mark.proves("config.hot-reload", "tenant.swap")
async def test_a_change_by_another_process_drops_no_stream(postgres_ready: str) -> None:
    """Forty streams on two processes, the configuration replaced by the other one while they run."""
    async with process(postgres_ready) as one, process(postgres_ready) as two:
        await one.store.apps.create("a", "A", draft("a"))
        tasks = []
        for number in range(40):
            where = one if number % 2 else two
            stream = await where.service.stream(A, "helper", say("slow"), SendOptions())
            tasks.append(stream.first.id)
            await stream.aclose()
        for version in range(5):
            await (one, two)[version % 2].store.apps.update("a", draft=draft(f"a{version}"))
        for task_id in tasks:
            task = await one.ended(A, task_id)
            assert task.status.state is TaskState.COMPLETED
            assert answer_of(task).startswith("one two three four five six seven eight from a")
        for where in (one, two):
            async with asyncio.timeout(PATIENCE):
                while answer_of(await where.ask(A, "hi")) != "I am a4":  # noqa: ASYNC110 - nor this
                    await asyncio.sleep(0.02)
            assert where.apps.leases <= 1


@pytest.mark.proves("admin.apps.delete")
async def test_a_deletion_that_was_cut_short_is_finished(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "SWEEP_SECONDS", 0.1)
    async with process(dsn) as one:
        await one.store.apps.create("a", "A", draft("a"))
        await one.ask(A, "save", context_id="c")
        await one.store.apps.set_status("a", AppStatus.DELETING)
        async with asyncio.timeout(PATIENCE):
            while await one.store.apps.standing(("a",)):  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.02)
        with pytest.raises(NotFound):
            await one.store.sessions.load(A, "c")


@pytest.mark.proves("admin.apps.delete")
async def test_deletion_stops_what_runs_and_leaves_nothing(dsn: str) -> None:
    from hector.apps.deletion import finish_deletion

    async with process(dsn) as one:
        for name in ("a", "b"):
            await one.store.apps.create(name, name, draft(name))
            await one.ask(Caller(name), "save", context_id="c")
        stream = await one.service.stream(A, "helper", say("slow"), SendOptions())
        await one.store.apps.set_status("a", AppStatus.DELETING)
        one.apps.drop("a")
        with pytest.raises(NotFound):
            await one.ask(A, "hi")
        await finish_deletion(one.store, one.apps, "a")
        async with asyncio.timeout(PATIENCE):
            ends = [one async for batch in stream for one in batch if isinstance(one, StatusUpdate)]
        assert ends[-1].status.state is TaskState.CANCELED
        await stream.aclose()
        assert "a" not in await one.store.apps.standing(("a",))
        with pytest.raises(NotFound):
            await one.store.sessions.load(A, "c")
        assert (await one.service.list(A, None, TaskQuery())).tasks == ()
        assert answer_of(await one.ask(B, "hi")) == "I am b"
        assert (await one.store.sessions.load(B, "c")).events
