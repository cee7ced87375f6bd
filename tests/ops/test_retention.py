"""Retention: what goes and what stays, in small transactions, on both engines."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from hector.cli.instance import Instance
from hector.config.environment import Environment
from hector.config.load import parse_config
from hector.core.clock import FakeClock
from hector.core.errors import NotFound
from hector.core.event import InputRequired
from hector.core.job import JobState, NewJob
from hector.core.task import Status, TaskState
from hector.store import Accepted, Store, open_store
from hector.store.database import Connection
from hector.store.deletion import Found, batches
from hector.store.figures import FigureSource
from hector.store.retention import Cutoffs, Policy, Removal, Retention, cutoffs
from hector.tools.catalog import Catalog
from tests.ops.watcher import Watcher
from tests.store.turns import ME, NOW, OWNER, add, answer, begin, done
from tests.store.turns import step as step_of

pytestmark = pytest.mark.proves("ops.retention")

HOUR = 3600.0
TABLES = ("sessions", "events", "tasks", "artifacts", "session_state", "push_configs", "approvals", "jobs")


@pytest.mark.parametrize(
    ("policy", "now", "expected"),
    [
        (Policy(10, 20, 30), 100.0, Cutoffs(90_000, 80_000, 70_000)),
        (Policy(0, 0, 0), 100.0, Cutoffs(None, None, None)),
        (Policy(0.5, 0, 1000), 100.0, Cutoffs(99_500, None, -900_000)),
    ],
)
def test_a_policy_means_moments(policy: Policy, now: float, expected: Cutoffs) -> None:
    assert cutoffs(policy, now) == expected


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((), []),
        ((5,), [[5]]),
        ((4, 6, 1), [[4, 6], [1]]),
        ((99,), [[99]]),
        ((3, 99, 3), [[3], [99], [3]]),
        ((10, 10, 10), [[10], [10], [10]]),
    ],
)
def test_a_transaction_removes_few_events_unless_one_session_has_more(
    sizes: Sequence[int], expected: list[list[int]]
) -> None:
    found = [Found(key, size) for key, size in enumerate(sizes)]
    assert [[size for _, size in batch] for batch in batches(found, 10)] == expected


def test_nothing_is_false() -> None:
    assert not Removal()
    assert Removal(jobs=1)


async def rows(store: Store) -> dict[str, int]:
    """How many rows each table has."""

    async def unit(con: Connection) -> dict[str, int]:
        return {name: (await con.all(f"SELECT count(*) FROM {name}"))[0][0] for name in TABLES}

    return await store.database.read(unit)


async def change(store: Store, sql: str, *args: object) -> None:
    """Do something to the database."""
    await store.database.write(lambda con: con.execute(sql, args))


async def end(store: Store, accepted: Accepted) -> None:
    """Answer, and end the task and its job."""
    await store.tasks.record(replace(done(accepted, answer("hi", state={"own": 1})), claim=accepted.claim))


async def conversation(store: Store, context: str, turns: int = 1) -> None:
    """One that has ended, with state and an artifact."""
    for _ in range(turns):
        await end(store, await begin(store, context=context))


def retention(store: Store, clock: FakeClock, sessions: float = HOUR, jobs: float = 0, dead: float = 0) -> Retention:
    """Keep conversations for an hour, and everything else for ever."""
    return Retention(store.database, clock, Policy(sessions, jobs, dead))


async def test_an_idle_session_goes_with_all_that_belongs_to_it(store: Store, clock: FakeClock) -> None:
    await conversation(store, "old", turns=3)
    (task,) = await store.database.read(lambda con: con.all("SELECT max(key) FROM tasks"))
    push = "INSERT INTO push_configs (task, id, url, version, created) VALUES (?, 'p', 'u', '1.0', 1)"
    await change(store, push, task[0])
    await change(
        store,
        "INSERT INTO approvals (task, event, call_id, tool, args, args_hash, prompt, state, created) "
        "VALUES (?, 'e', 'c', 't', '{}', 'h', 'p', 'approved', 1)",
        task[0],
    )
    key = await add(store, NewJob("push", ME, (await store.jobs.get(1)).subject, {}, NOW, "p16777216.p"))
    (job,) = await store.jobs.claim(OWNER, 1, NOW + 1e9)
    await store.jobs.finish(job.claim, JobState.DEAD, "nobody answers")
    assert job.claim.key == key
    due = await retention(store, clock).due()
    assert due == Removal(sessions=1, events=6)
    watcher = Watcher()
    assert await retention(store, clock).sweep(watcher.advance) == due
    assert watcher.done == 1
    assert {name: count for name, count in (await rows(store)).items() if count} == {"jobs": 3}
    with pytest.raises(NotFound):
        await store.sessions.load(ME, "old")
    assert await retention(store, clock).due() == Removal()


async def test_one_that_was_used_lately_stays(store: Store, clock: FakeClock) -> None:
    await conversation(store, "old")
    assert await retention(store, clock, sessions=86_400 + 1).sweep() == Removal()
    assert (await store.sessions.load(ME, "old")).id == "old"


async def test_zero_keeps_everything(store: Store) -> None:
    await conversation(store, "old")
    far = FakeClock(NOW + 1e9)
    assert await retention(store, far, sessions=0).due() == Removal()
    assert await retention(store, far, sessions=0).sweep() == Removal()


@pytest.mark.parametrize("state", [TaskState.WORKING, TaskState.SUBMITTED, TaskState.INPUT_REQUIRED])
async def test_what_runs_or_waits_is_never_removed(store: Store, clock: FakeClock, state: TaskState) -> None:
    """However old: a person may answer after a year."""
    await conversation(store, "c")
    if state is TaskState.SUBMITTED:
        await begin(store, context="c")
        await begin(store, context="c")
    else:
        accepted = await begin(store, context="c")
        if state is TaskState.INPUT_REQUIRED:
            asked = answer("?", control=InputRequired("call", "which?"))
            await store.tasks.record(step_of(accepted, asked, status=Status(state, NOW)))
    before = await rows(store)
    assert await retention(store, FakeClock(NOW + 1e9)).due() == Removal()
    assert await retention(store, FakeClock(NOW + 1e9)).sweep() == Removal()
    assert await rows(store) == before


async def test_what_is_still_to_be_told_keeps_its_session(store: Store, clock: FakeClock) -> None:
    await conversation(store, "a")
    await conversation(store, "b")
    await add(store, NewJob("push", ME, "t", {}, NOW, lane="p16777216.config"))
    await add(store, NewJob("push", ME, "t", {}, NOW, lane="p1677721.config"))
    await add(store, NewJob("push", ME, "t", {}, NOW, lane="p167772160.config"))
    assert await retention(store, clock).due() == Removal(sessions=1, events=2)
    assert (await retention(store, clock).sweep()).sessions == 1
    assert [session.id for session in (await store.sessions.list(ME)).sessions] == ["a"]
    (job, *_) = await store.jobs.claim(OWNER, 10, NOW + 1e9)
    await store.jobs.finish(job.claim)
    assert (await retention(store, clock).sweep()).sessions == 1


async def test_a_large_session_goes_in_pieces_that_nobody_meets(store: Store, clock: FakeClock) -> None:
    await conversation(store, "large")
    values = ", ".join(
        f"(16777216 + {number}, 16777216, 0, 'e', 'i', 'a', '', 1.5, '{{}}')" for number in range(2, 1300)
    )
    await change(
        store, f"INSERT INTO events (key, task, shown, id, invocation, author, branch, at, body) VALUES {values}"
    )
    await change(store, "UPDATE sessions SET next_seq = 1300")
    await conversation(store, "small")
    met: list[int] = []
    sweeping = retention(store, clock)

    async def look() -> None:
        met.append(len((await store.sessions.list(ME)).sessions))

    class Looking(FakeClock):
        async def sleep(self, seconds: float) -> None:
            await look()

    sweeping._gently._clock = Looking(clock.now())
    assert await sweeping.sweep() == Removal(sessions=2, events=1302)
    assert max(met) <= 1, "the large one is out of sight from its first transaction on"
    assert len(met) >= 4
    assert (await rows(store))["events"] == (await rows(store))["sessions"] == 0


async def test_a_sweep_that_was_cut_off_is_finished_by_the_next(store: Store, clock: FakeClock) -> None:
    await conversation(store, "c")
    await change(store, "UPDATE sessions SET app = '', \"user\" = '', id = 'removed-1', next_seq = 700")
    await change(store, "DELETE FROM tasks")
    assert await retention(store, clock).sweep() == Removal(sessions=1, events=700)
    assert {name: count for name, count in (await rows(store)).items() if count} == {
        "artifacts": 1,
        "session_state": 1,
        "jobs": 1,
    }


async def test_one_that_is_used_again_meanwhile_stays(store: Store, clock: FakeClock) -> None:
    """Between the look and the deletion its user comes back."""
    await conversation(store, "c")
    sweeping = retention(store, clock)
    found = await store.database.read(sweeping._idle(0, 1 << 62, round((NOW + 80_000) * 1000)))
    assert [key for key, *_ in found] == [1]
    await begin(store, context="c", at=NOW + 86_000)
    assert await store.database.write(sweeping._remove(found, round((NOW + 80_000) * 1000))) == []
    assert len((await store.sessions.load(ME, "c")).events) == 3


@pytest.mark.parametrize("first", ["user", "retention"])
async def test_a_session_that_is_used_and_removed_at_once(postgres_ready: str, clock: FakeClock, first: str) -> None:
    """On PostgreSQL both may be under way: whoever comes second sees what the first one did."""
    store = await open_store(postgres_ready)
    await conversation(store, "c")
    sweeping = retention(store, clock)
    other = await asyncpg.connect(postgres_ready)
    transaction = other.transaction()
    await transaction.start()
    if first == "user":
        await other.execute("UPDATE sessions SET updated = $1, next_seq = 9", round(clock.now() * 1000))
        task = asyncio.create_task(_removed(sweeping))
    else:
        await other.execute("DELETE FROM sessions")
        task = asyncio.create_task(_begun(store))
    async with asyncio.timeout(60):
        while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await other.execute("SELECT pg_sleep(0.01)")
        await transaction.commit()
        assert await task == ("stayed" if first == "user" else "working")
    await other.close()
    assert len((await store.sessions.list(ME)).sessions) == 1
    await store.aclose()


async def _removed(sweeping: Retention) -> str:
    return "gone" if (await sweeping.sweep()).sessions else "stayed"


async def _begun(store: Store) -> str:
    return str((await begin(store, context="c")).task.status.state)


async def test_ended_jobs_and_dead_letters_go_by_their_end(store: Store) -> None:
    jobs = store.jobs
    keys = [await add(store, NewJob("push", ME, "t", {}, NOW)) for _ in range(6)]
    claims = {job.claim.key: job.claim for job in await jobs.claim(OWNER, 4, NOW + 1e9)}
    assert sorted(claims) == keys[:4]
    await jobs.finish(claims[keys[0]])
    await jobs.finish(claims[keys[1]], JobState.FAILED, "no")
    await jobs.finish(claims[keys[2]], JobState.DEAD, "never")
    await change(store, "UPDATE jobs SET created = 1000, started = 2000")
    await change(store, "UPDATE jobs SET ended = 3000 WHERE ended IS NOT NULL")
    at = FakeClock(100.0)
    assert await retention(store, at, 0, jobs=98, dead=98).due() == Removal()
    assert await retention(store, at, 0, jobs=96, dead=0).due() == Removal(jobs=2)
    assert await retention(store, at, 0, jobs=96, dead=96).sweep() == Removal(jobs=2, dead_letters=1)
    assert [(await jobs.get(key)).state for key in keys[3:]] == [JobState.RUNNING, JobState.READY, JobState.READY]
    for key in keys[:3]:
        with pytest.raises(NotFound):
            await jobs.get(key)


async def test_many_go_in_several_transactions(store: Store) -> None:
    values = ", ".join("('push', 'a', 'u', 's', '{}', 'done', 0, 1, 1, 4, 1, 1, 1000, 2000)" for _ in range(1200))
    await change(
        store,
        'INSERT INTO jobs (kind, app, "user", subject, payload, state, priority, run_at, attempts, max_attempts, '
        f"fence, step, created, ended) VALUES {values}",
    )
    clock = FakeClock(1e9)
    assert await retention(store, clock, 0, jobs=1).sweep() == Removal(jobs=1200)
    assert len(clock.slept) == 3
    assert min(clock.slept) >= 0.01, "others get their turn in between"


async def test_two_processes_may_sweep_at_once(store: Store, clock: FakeClock) -> None:
    for number in range(30):
        await conversation(store, f"c{number}")
    async with asyncio.TaskGroup() as group:
        both = [group.create_task(retention(store, FakeClock(clock.now())).sweep()) for _ in range(2)]
    assert sum(task.result().sessions for task in both) == 30
    assert (await rows(store))["events"] == 0


async def test_rounds_are_logged_and_survive_a_database_that_is_away(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """The size of the day is noted, too."""

    class Rounds(FakeClock):
        """A clock that breaks the database for its second round, and stops whoever waits for a fourth one."""

        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            rounds = len([one for one in self.slept if one > 10])
            if seconds > 10 and rounds == 2:
                await change(store, "ALTER TABLE sizes RENAME TO sized")
            if seconds > 10 and rounds == 3:
                await change(store, "ALTER TABLE sized RENAME TO sizes")
            if rounds == 4:
                raise asyncio.CancelledError

    clock = Rounds(NOW + 86_400)
    await conversation(store, "old")
    with caplog.at_level(logging.INFO, "hector.store"), pytest.raises(asyncio.CancelledError):
        await retention(store, clock).run()
    mine = [record for record in caplog.records if "retention" in record.message]
    assert [record.levelname for record in mine] == ["INFO", "WARNING"]
    assert (mine[0].message, mine[0].__dict__["sessions"]) == ("removed by storage.retention", 1)
    assert "retention could not finish its round: " in mine[1].message
    long = [seconds for seconds in clock.slept if seconds > 10]
    assert 48 <= long[0] <= 72
    assert all(0.8 * HOUR <= seconds <= 1.2 * HOUR for seconds in long[1:])
    assert await store.database.read(lambda con: con.all("SELECT day FROM sizes")) != []


async def test_space_is_used_again(tmp_path: Path) -> None:
    """SQLite keeps the free pages in the file, and fills them before the file grows."""
    store = await open_store(f"sqlite://{tmp_path}/hector.db")
    sizes: list[int] = []
    for number in range(5):
        for turn in range(20):
            await end(store, await begin(store, "x" * 20_000, context=f"c{number}-{turn}"))
        sizes += [pages for (pages,) in await store.database.read(lambda con: con.all("PRAGMA page_count"))]
        await retention(store, FakeClock(NOW + 1e9)).sweep()
    assert max(sizes) < 1.1 * sizes[0]
    assert (await FigureSource(store.database).read(NOW, 15, 60)).free > 300_000
    await store.aclose()


class Noted(logging.LoggerAdapter[logging.Logger]):
    """A log that tells when something is written to it."""

    def __init__(self, noted: asyncio.Event) -> None:
        super().__init__(logging.getLogger("hector.store"))
        self._noted = noted

    def info(self, msg: object, *args: object, **kwargs: object) -> None:
        self._noted.set()


async def test_a_server_does_it_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hector.store.retention.FIRST", 0.01)
    store = await open_store(f"sqlite://{tmp_path}/hector.db")
    await conversation(store, "old")
    await store.aclose()
    loaded = parse_config("llms: {default: {provider: scripted, rules: [{text: pong}]}}")
    async with Instance.open(f"sqlite://{tmp_path}/hector.db", Environment(), Catalog(()), loaded) as instance:
        noted = asyncio.Event()
        monkeypatch.setattr("hector.store.retention.log", Noted(noted))
        tidying = asyncio.create_task(instance.tidy())
        async with asyncio.timeout(60):
            await noted.wait()
        assert (await rows(instance.store))["sessions"] == 0
        tidying.cancel()
