"""What goes with a session and with an app: all of it, and never much at once."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from hector.core.content import Text
from hector.core.errors import NotFound
from hector.core.event import ApprovalRequired, Artifact, PendingCall
from hector.core.job import NewJob
from hector.core.push import PushConfig
from hector.core.task import Caller, Status, TaskState
from hector.store import Record, Store, migrations
from hector.store.database import Connection
from hector.store.deletion import BATCH, Deletion, Found
from hector.store.memories import NewMemory
from hector.store.scopes import GLOBAL, OF_APP, OF_SESSION, REGISTRY, everything
from hector.store.tables import ours
from tests.store.turns import ME, NOW, add, answer, begin, done

GONE, KEPT = "support", "support_0"
"""The other one would be met by a careless pattern."""
AUDITED = {"audit", "audit_inbox"}
OF_APPS = {"app", "app_id"}


def test_every_table_is_named() -> None:
    for dialect in ("sqlite", "postgres"):
        assert everything() - {"relay"} == ours(dialect) - {"relay"}
    assert everything() == ours("postgres")


def test_what_names_an_app_is_not_kept() -> None:
    """All but the log of what was done to it."""
    for migration in migrations.known():
        for table in migration.sql.split("CREATE TABLE ")[1:]:
            name, _, columns = table.partition(" (")
            words = {line.split()[0] for line in columns.split(");")[0].splitlines() if line.strip()}
            if words & OF_APPS:
                assert name not in GLOBAL - AUDITED, name


async def rows(store: Store) -> dict[str, int]:
    """How many rows each table has."""
    names = sorted(ours(store.database.dialect) - {"migrations"})

    async def unit(con: Connection) -> dict[str, int]:
        return {name: (await con.one(f"SELECT count(*) FROM {name}") or (0,))[0] for name in names}

    return await store.database.read(unit)


async def execute(store: Store, sql: str, args: Sequence[Any] = ()) -> None:
    """Run one statement."""
    await store.database.write(lambda con: con.execute(sql, args))


CREDENTIALS = (
    'INSERT INTO credentials (id, kind, name, hash, role, app, "user", author, created) '
    "VALUES (?, 'key', 'n', 'h', 'app', ?, '', 'a', 1)"
)
USAGE = (
    'INSERT INTO usage (app, agent, "user", model, day, calls, input, output, cached, reasoning, tools, money) '
    "VALUES (?, 'a', 'u', 'm', 1, 1, 1, 1, 0, 0, 0, 5)"
)


async def furnish(store: Store, app: str) -> None:
    """At least one row in every table that holds anything of apps."""
    caller = Caller(app, "u")
    accepted = await begin(store, caller=caller, task=f"task-{app}")
    await store.push.put(caller, "helper", accepted.task.id, PushConfig("p", "http://127.0.0.1/"))
    call = PendingCall("c1", "rm", {}, "hash", "sure?")
    kept = tuple(Artifact(name, (Text("y"),), name) for name in ("notes.md", "user:notes.md"))
    asks = answer("?", state={"app:a": 1, "user:b": 2, "c": 3}, control=ApprovalRequired((call,)))
    asks = replace(asks, artifacts=kept)
    asked = Record(caller, accepted.task.id, "c", (asks,), (Artifact("x", (Text("y"),)),))
    assert await store.tasks.record(asked)
    await add(store, NewJob("push", caller, "x", {}))
    await execute(store, CREDENTIALS, (f"id-{app}", app))
    await execute(store, USAGE, (app,))
    for scope in (f"app:{app}", f"agent:{app}/helper"):
        await execute(store, "INSERT INTO switches (scope, reason, author, created) VALUES (?, 'r', 'a', 1)", (scope,))
    for subject in (f"app:{app}", f"agent:{app}/helper", f"user:{app}/u", f"session:{app}/u/c"):
        text = "INSERT INTO counters (subject, what, period, used, held, ends) VALUES (?, 'tokens/day', 1, 1, 0, 1)"
        await execute(store, text, (subject,))
    await store.mcp_pins.compare(app, "files", {"read": "digest"})
    for kind in ("turn", "fact"):
        await store.memories.add(caller, [NewMemory(kind, "tea", kind, "c", "", "helper", 1.0)], 10)
    if store.database.dialect == "postgres":
        body = "INSERT INTO relay (task, job, fence, body) VALUES (?, 1, 1, '{}')"
        await execute(store, body, (accepted.task.id,))


@pytest.mark.proves("tenant.purge")
async def test_nothing_of_an_app_is_left(store: Store) -> None:
    await furnish(store, KEPT)
    before = await rows(store)
    of_apps = {one.table for one in (*OF_SESSION, *OF_APP) if one.only in ("", store.database.dialect)}
    assert not [name for name in of_apps | {"sessions", "events"} if not before[name]]
    await furnish(store, GONE)
    assert await store.purge.app(GONE) > 10
    assert await rows(store) == before
    assert await store.purge.app(GONE) == 0
    for name in REGISTRY:
        assert before[name] == 0


@pytest.mark.proves("tenant.purge")
async def test_never_much_goes_at_once(store: Store) -> None:
    large, caller = 2 * BATCH + 7, Caller(GONE, "u")
    accepted = await begin(store, caller=caller)
    record = done(accepted, *(answer(str(number)) for number in range(large)), caller=caller)
    assert await store.tasks.record(record)
    for number in range(3):
        await begin(store, caller=caller, context=f"small-{number}")
    steps: list[int] = []
    assert await store.purge.app(GONE, steps.append) > 4
    assert max(steps) <= BATCH
    assert sum(steps) >= large
    assert (await rows(store))["events"] == 0


@pytest.mark.proves("tenant.purge")
async def test_one_that_was_cut_off_is_gone_on_with(store: Store) -> None:
    caller = Caller(GONE, "u")
    accepted = await begin(store, caller=caller)
    record = done(accepted, *(answer(str(number)) for number in range(BATCH)), caller=caller)
    assert await store.tasks.record(record)
    await begin(store, caller=caller, context="another")
    deletion = Deletion(store.database)
    await store.database.write(lambda con: deletion.take(con, Found(1, BATCH + 1)))
    assert await store.purge.app(GONE) > 0
    left = await rows(store)
    assert (left["sessions"], left["events"], left["tasks"], left["jobs"]) == (0, 0, 0, 0)


async def test_a_run_under_way_hears_that_its_app_is_gone(store: Store) -> None:
    caller = Caller(GONE, "u")
    accepted = await begin(store, caller=caller)
    await store.purge.app(GONE)
    status = Status(TaskState.COMPLETED, NOW)
    late = Record(caller, accepted.task.id, "c", (answer("late"),), status=status)
    assert not await store.tasks.record(late)
    assert (await rows(store))["events"] == 0


@pytest.mark.proves("ops.retention")
async def test_a_long_conversation_is_gone_at_once_and_then_for_good(store: Store) -> None:
    accepted = await begin(store)
    assert await store.tasks.record(done(accepted, *(answer(str(number)) for number in range(2 * BATCH))))
    assert await store.sessions.delete(ME, "c")
    with pytest.raises(NotFound):
        await store.sessions.load(ME, "c")
    assert (await rows(store))["events"] == 0
    assert (await rows(store))["sessions"] == 0
