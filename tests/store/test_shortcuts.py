"""The one-statement form of a plain turn: it leaves behind what the steps would, or nothing at all."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Hashable
from dataclasses import replace
from typing import Any, Final, TypeVar

import pytest

from hector.core.errors import LeaseLost
from hector.core.job import Claim
from hector.core.push import PushConfig
from hector.core.task import Caller, Status, TaskState
from hector.store import Accepted, Store, open_store
from hector.store.database import Connection, Shortcut, Work
from hector.store.postgres import PostgresDatabase
from tests.store.turns import ME, NOW, answer, begin, done, request

T = TypeVar("T")
TABLES: Final = {
    "sessions": "key = {0}",
    "tasks": "key >> 24 = {0}",
    "events": "key >> 24 = {0}",
    "artifacts": "task >> 24 = {0}",
    "jobs": "lane = 's{0}'",
}
RELATIVE: Final = {
    "tasks": ("key", "last"),
    "events": ("key", "task"),
    "artifacts": ("task",),
    "sessions": (),
    "jobs": (),
}
OWN: Final = {
    "sessions": {"key", "id"},
    "tasks": {"id"},
    "events": {"id", "body"},
    "artifacts": {"key"},
    "jobs": {"key", "lane", "subject", "created", "started", "ended"},
}
"""What differs from session to session: keys and ids, the envelope of the message, the clock of jobs."""

pytestmark = pytest.mark.proves("database.postgres")


class Watched(PostgresDatabase):
    """Counts the units that were run although they had a shortcut; `long`: takes none."""

    long = False
    run = 0

    def write(self, work: Work[T], key: Hashable = None, shortcut: Shortcut[T] | None = None) -> Awaitable[T]:
        async def counted(con: Connection) -> T:
            self.run += shortcut is not None
            return await work(con)

        return super().write(counted, key, None if self.long else shortcut)


@pytest.fixture
async def database(postgres_ready: str) -> Watched:
    """A database that is closed with its store."""
    return await Watched.open(postgres_ready)


@pytest.fixture
async def store(database: Watched) -> AsyncIterator[Store]:
    """A store on it."""
    store = Store(database)
    yield store
    await store.aclose()


def last(accepted: Accepted, text: str = "an answer", **changes: Any) -> Any:
    """The record that ends a claimed run."""
    return replace(done(accepted, answer(text)), claim=accepted.claim, **changes)


async def rows(store: Store, context: str) -> dict[str, list[dict[str, Any]]]:
    """All that is stored of a session, without what no two runs share; keys of tasks and events begin at 0."""

    async def unit(con: Connection) -> dict[str, list[dict[str, Any]]]:
        (key,) = await con.one("SELECT key FROM sessions WHERE id = ?", (context,)) or (0,)
        found = {}
        for table, where in TABLES.items():
            sql = f"SELECT to_jsonb(x)::text FROM {table} x WHERE {where.format(key)} ORDER BY key"
            found[table] = [scrubbed(table, json.loads(text), key << 24) for (text,) in await con.all(sql)]
        return found

    return await store.database.read(unit)


def scrubbed(table: str, row: dict[str, Any], first: int) -> dict[str, Any]:
    """A row without what differs from session to session."""
    for name in RELATIVE[table]:
        row[name] -= first
    return {name: value for name, value in row.items() if name not in OWN[table]}


async def turn(store: Store, **begun: Any) -> Accepted:
    """A plain turn in a session of its own."""
    accepted = await begin(store, context=None, **begun)
    assert await store.tasks.record(last(accepted))
    return accepted


async def test_a_plain_turn_takes_both_and_leaves_the_same_rows(store: Store, database: Watched) -> None:
    short = await turn(store, metadata={"a": [1]})
    assert database.run == 0
    database.long = True
    long = await turn(store, metadata={"a": [1]})
    assert database.run == 2
    assert await rows(store, short.task.context_id) == await rows(store, long.task.context_id)
    assert [(one.task.status, one.session and one.session.state) for one in (short, long)] == [
        (Status(TaskState.WORKING, NOW), {})
    ] * 2
    read = [await store.tasks.get(ME, one.task.id) for one in (short, long)]
    assert [(task.status, task.artifacts) for task in read[:1]] == [(task.status, task.artifacts) for task in read[1:]]


async def test_a_new_session_sees_the_state_of_app_and_user(store: Store, database: Watched) -> None:
    first = await begin(store, context=None)
    record = replace(done(first, answer("a", state={"app:x": 1, "user:y": "ü", "z": True})), claim=first.claim)
    assert await store.tasks.record(record)
    second = await begin(store, context=None)
    assert second.session is not None
    assert second.session.state == {"app:x": 1, "user:y": "ü"}
    stranger = await begin(store, context=None, caller=Caller("app", "you"))
    assert stranger.session is not None
    assert stranger.session.state == {"app:x": 1}
    assert database.run == 0


async def test_many_at_once_are_each_begun_and_ended(store: Store, database: Watched) -> None:
    async with asyncio.TaskGroup() as group:
        turns = [group.create_task(turn(store)) for _ in range(100)]
    assert database.run == 0
    assert len({one.result().claim.key for one in turns}) == 100
    for one in turns[::10]:
        assert (await store.tasks.get(ME, one.result().task.id)).status.state is TaskState.COMPLETED


async def test_a_session_that_exists_after_all_is_continued(store: Store, database: Watched) -> None:
    first = await begin(store, context="c")
    second = await store.tasks.accept(replace(request(context="c"), fresh=True))
    assert database.run == 1
    assert (second.claim.fence, second.session, second.lane) == (0, None, first.lane)
    assert len((await store.sessions.load(ME, "c")).events) == 2


@pytest.mark.parametrize("claim", [Claim(0, 1), Claim(1, 0)])
async def test_a_void_claim_changes_nothing(store: Store, claim: Claim) -> None:
    accepted = await begin(store, context=None)
    void = Claim(claim.key or accepted.claim.key + 1, claim.fence)
    before = await rows(store, accepted.task.context_id)
    with pytest.raises(LeaseLost):
        await store.tasks.record(replace(last(accepted), claim=void))
    assert await rows(store, accepted.task.context_id) == before


async def test_the_same_write_twice_counts_once(store: Store) -> None:
    accepted = await begin(store, context=None)
    record = last(accepted)
    assert await store.tasks.record(record)
    before = await rows(store, accepted.task.context_id)
    assert await store.tasks.record(record)
    assert await rows(store, accepted.task.context_id) == before
    assert len(before["events"]) == 2


async def test_a_task_that_was_canceled_takes_no_answer(store: Store) -> None:
    accepted = await begin(store, context=None)
    assert await store.tasks.cancel(ME, accepted.task.id, NOW + 1)
    with pytest.raises(LeaseLost):
        await store.tasks.record(last(accepted))
    assert (await store.tasks.get(ME, accepted.task.id)).status.state is TaskState.CANCELED


async def test_receivers_are_told(store: Store, database: Watched) -> None:
    accept = replace(request(context=None), push=PushConfig("p", "https://example.com/"))
    accepted = await store.tasks.accept(accept)
    assert await store.tasks.record(last(accepted))
    assert database.run == 1, "it is known to the database alone who watches"
    statistics = await store.queue.statistics()
    assert (statistics.pending, statistics.completed) == (3, 1)  # working, the artifact, completed; the run


async def test_one_that_cannot_be_stored_spoils_no_other(store: Store) -> None:
    async def one(accept: Any) -> bool:
        try:
            await store.tasks.accept(accept)
        except Exception:  # noqa: BLE001 - what it is, other tests say
            return False
        return True

    accepts = [request(context=None) for _ in range(5)]
    accepts[2] = replace(accepts[2], task_id="nul\0")
    async with asyncio.TaskGroup() as group:
        found = [group.create_task(one(accept)) for accept in accepts]
    assert [task.result() for task in found] == [True, True, False, True, True]


async def test_processes_that_write_to_one_session_keep_its_events_apart(store: Store, postgres_ready: str) -> None:
    """One ends its run at the moment in which the other accepts the next message of the session."""
    other = await open_store(postgres_ready)
    try:
        for _ in range(20):
            first = await begin(store, context=None)
            context = first.task.context_id
            ended = store.tasks.record(last(first))
            queued = other.tasks.accept(request(context=context, owner=None))
            assert await ended
            await queued
            assert len((await store.sessions.load(ME, context)).events) == 3
    finally:
        await other.aclose()


async def test_units_of_a_key_keep_their_order_whatever_way_they_take(store: Store) -> None:
    seen: list[str] = []

    def unit(name: str) -> Work[None]:
        async def work(con: Connection) -> None:
            await con.one("SELECT 1")
            seen.append(name)

        return work

    def taken(name: str) -> Shortcut[None]:
        return Shortcut(f"SELECT {len(name)}", (), lambda _: seen.append(name))

    refused: Shortcut[None] = Shortcut("SELECT NULL::int", (), lambda _: None)
    write = store.database.write
    async with asyncio.TaskGroup() as group:
        for work in (
            write(unit("-"), "k", taken("a")),
            write(unit("b"), "k"),
            write(unit("c"), "k", refused),
            write(unit("-"), "k", taken("d")),
            write(unit("e"), "k", refused),
            write(unit("f"), "k"),
        ):
            group.create_task(asyncio.wait_for(work, 5))
    assert seen == list("abcdef")
