"""The figures of an operator are true, on both engines."""

from dataclasses import replace

import pytest

from hector.core.job import Instance, NewJob
from hector.store import Store, migrations
from hector.store.figures import FigureSource, Growth, Stuck
from tests.store.turns import ME, NOW, OWNER, add, answer, begin, done

pytestmark = pytest.mark.proves("ops.status")

DAY = 86_400.0


async def change(store: Store, sql: str, *args: object) -> None:
    """Do something to the database."""
    await store.database.write(lambda con: con.execute(sql, args))


async def test_of_an_empty_database(store: Store) -> None:
    found = await FigureSource(store.database).read(NOW, 15, 3600)
    assert (found.schema, found.migration) == (migrations.known()[-1].number, migrations.NAMES[-1])
    assert found.octets > 10_000
    assert found.version
    assert (found.sessions, found.events, found.tasks, found.ended) == (0, 0, {}, {})
    assert (found.stuck, found.waiting, found.approvals, found.growth) == ((), (), 0, ())


async def test_what_there_is_and_what_is_new(store: Store) -> None:
    for context in ("a", "b"):
        accepted = await begin(store, context=context)
        await store.tasks.record(replace(done(accepted, answer("hi"), answer("there")), claim=accepted.claim))
    await begin(store, context="c")
    await change(store, "UPDATE sessions SET created = 1000 WHERE id = 'a'")
    await change(store, "UPDATE tasks SET created = 1000 WHERE state = 'working'")
    source = FigureSource(store.database)
    now = (await source.read(NOW, 15, 3600)).now
    await change(store, "UPDATE sessions SET created = ? WHERE id <> 'a'", round((now - 100) * 1000))
    await change(store, "UPDATE tasks SET created = ? WHERE state <> 'working'", round((now - DAY + 100) * 1000))
    found = await source.read(now, 15, 3600)
    assert (found.sessions, found.events, found.tasks) == (3, 7, {"completed": 2, "working": 1})
    assert (found.new_sessions, found.new_tasks, found.ended) == (2, 2, {"done": 2})


async def test_growth_is_told_from_the_sizes_of_earlier_days(store: Store) -> None:
    source = FigureSource(store.database)
    now = (await source.read(NOW, 15, 3600)).now
    await source.note_size(now - 3 * DAY)
    await change(store, "UPDATE sizes SET octets = octets - 5000")
    await source.note_size(now)
    for _ in range(2):
        await source.note_size(now - DAY)  # the first of a day counts
    found = await source.read(now, 15, 3600)
    assert [one.days for one in found.growth] == [1, 3]
    assert found.growth[1].octets >= 5000
    await source.note_size(now + 500 * DAY)
    assert (await source.read(now, 15, 3600)).growth == (), "what is older than a year is forgotten"
    assert Growth(1, 2) == Growth(1, 2)


async def test_stuck_jobs_are_named_with_their_process(store: Store) -> None:
    jobs = store.jobs
    source = FigureSource(store.database)
    now = (await source.read(1e9 if store.database.dialect == "postgres" else NOW, 15, 3600)).now
    for name in (OWNER, "silent"):
        await store.instances.register(Instance(name, f"{name}-host", 4711, "1", now, now))
    for owner in (OWNER, OWNER, "silent", "gone"):
        await add(store, NewJob("push", ME, f"of {owner}", {}, 0.0))
        await jobs.claim(owner, 1, now + 1e9)
    await add(store, NewJob("push", ME, "waits", {}, 0.0))
    await change(store, "UPDATE jobs SET started = ? WHERE started IS NOT NULL", round((now - 100) * 1000))
    await change(store, "UPDATE jobs SET started = ? WHERE key = 1", round((now - 7200) * 1000))
    await change(store, "UPDATE instances SET seen = ?", round((now + 3600) * 1000))
    await change(store, "UPDATE instances SET seen = ? WHERE id = 'silent'", round((now - 60) * 1000))
    found = await source.read(now, 15, 3600)
    assert [(job.key, job.subject, job.process, job.abandoned) for job in found.stuck] == [
        (1, f"of {OWNER}", f"{OWNER}-host, pid 4711", False),
        (3, "of silent", "silent-host, pid 4711", True),
        (4, "of gone", "gone", True),
    ]
    assert isinstance(found.stuck[0], Stuck)
    assert found.stuck[0].since == pytest.approx(now - 7200, abs=0.01)
    assert len((await source.read(now, 15, 3600, limit=2)).stuck) == 2


async def test_approvals_that_wait(store: Store) -> None:
    accepted = await begin(store)
    (row,) = await store.database.read(lambda con: con.all("SELECT key FROM tasks"))
    for call, state, expires in (("a", "pending", None), ("b", "approved", None), ("c", "pending", 9000)):
        await change(
            store,
            "INSERT INTO approvals (task, event, call_id, tool, args, args_hash, prompt, state, created, expires) "
            "VALUES (?, 'e', ?, 'rm', '{}', 'h', 'p', ?, 5000, ?)",
            *(row[0], call, state, expires),
        )
    found = await FigureSource(store.database).read(NOW, 15, 3600)
    assert found.approvals == 2
    assert [(one.tool, one.task, one.agent, one.since, one.expires) for one in found.waiting] == [
        ("rm", accepted.task.id, "helper", 5.0, None),
        ("rm", accepted.task.id, "helper", 5.0, 9.0),
    ]
