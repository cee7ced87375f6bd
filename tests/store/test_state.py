"""Scoped state: one row per key, written with its event."""

import asyncio

import pytest

from hector.core.errors import StoreError
from hector.core.task import Caller
from hector.store import Store
from tests.store.turns import ME, answer, begin, done, step

YOU = Caller("app", "you")


@pytest.mark.proves("state.scopes")
async def test_each_scope_reaches_whom_it_should(store: Store) -> None:
    accepted = await begin(store)
    state = {"app:motto": "a", "user:name": {"first": "b"}, "topic": ["c"], "temp:draft": "d", "odd:prefix": 1}
    assert await store.tasks.record(done(accepted, answer("x", state=state)))
    assert (await store.sessions.load(ME, "c")).state == {
        "app:motto": "a",
        "user:name": {"first": "b"},
        "topic": ["c"],
        "odd:prefix": 1,
    }
    mine, yours = await begin(store, context="other"), await begin(store, caller=YOU)
    foreign = await begin(store, caller=Caller("elsewhere", "me"))
    assert mine.session is not None
    assert mine.session.state == {"app:motto": "a", "user:name": {"first": "b"}}
    assert yours.session is not None
    assert yours.session.state == {"app:motto": "a"}
    assert foreign.session is not None
    assert foreign.session.state == {}


async def test_temporary_keys_never_reach_the_disk(store: Store) -> None:
    accepted = await begin(store)
    assert await store.tasks.record(step(accepted, answer("x", state={"temp:secret": "canary", "kept": 1})))
    rows = await store.database.read(lambda con: con.all("SELECT body FROM events"))
    assert "canary" not in repr(rows)
    assert (await store.sessions.load(ME, "c")).events[1].state == {"kept": 1}


async def test_the_last_value_wins_and_none_deletes(store: Store) -> None:
    accepted = await begin(store)
    first = answer("x", state={"a": 1, "b": 1, "app:a": 1, "user:a": 1})
    assert await store.tasks.record(step(accepted, first, answer("y", state={"a": 2, "b": None})))
    assert (await store.sessions.load(ME, "c")).state == {"a": 2, "app:a": 1, "user:a": 1}
    assert await store.tasks.record(step(accepted, answer("z", state={"a": None, "app:a": None, "user:a": None})))
    assert (await store.sessions.load(ME, "c")).state == {}


async def test_parallel_writers_of_different_keys_lose_nothing(store: Store) -> None:
    async def write(number: int) -> None:
        accepted = await begin(store, context=f"c{number % 3}")
        state = {f"app:k{number}": number, f"user:k{number}": number, f"k{number}": number}
        assert await store.tasks.record(done(accepted, answer("x", state=state)))

    async with asyncio.TaskGroup() as group:
        for number in range(60):
            group.create_task(write(number))
    state = (await store.sessions.load(ME, "c0")).state
    assert len([key for key in state if key.startswith("app:")]) == 60
    assert len([key for key in state if key.startswith("user:")]) == 60
    assert state.keys() >= {f"k{number}" for number in range(0, 60, 3)}


async def test_a_damaged_value_is_named(store: Store) -> None:
    accepted = await begin(store)
    assert await store.tasks.record(step(accepted, answer("x", state={"user:k": 1})))
    await store.database.write(lambda con: con.execute("UPDATE user_state SET value = '{'"))
    with pytest.raises(StoreError, match="row user:k of table state is damaged"):
        await store.sessions.load(ME, "c")
