"""The writer: many units to a commit, each with its own outcome."""

import asyncio
import gc
import sqlite3
import threading
import weakref
from pathlib import Path

import pytest

from hector.core.errors import NotFound, StoreError, StoreUnavailable
from hector.store import Store, open_store
from hector.store.database import Connection
from tests.store.turns import begin, request


async def put(con: Connection, name: str) -> str:
    """A unit that writes one row."""
    await con.execute("INSERT INTO app_state (app, name, value) VALUES ('a', ?, '1')", (name,))
    return name


async def names(con: Connection) -> list[str]:
    """What has been written."""
    return [name for (name,) in await con.all("SELECT name FROM app_state ORDER BY name")]


async def commits(store: Store) -> int:
    """How many transactions have left rows of sessions and state, or on SQLite: have been committed at all."""
    if store.database.dialect == "postgres":
        count = "SELECT count(*) FROM (SELECT xmin::text FROM sessions UNION SELECT xmin::text FROM app_state) t"
        found = await store.database.read(lambda con: con.one(count))
        assert found is not None
        return int(found[0])
    return statements[store].commits


statements: weakref.WeakKeyDictionary[Store, "Statements"] = weakref.WeakKeyDictionary()


class Statements:
    """Counts the statements that end transactions."""

    def __init__(self) -> None:
        self.commits = 0

    def __call__(self, sql: str) -> None:
        self.commits += sql == "COMMIT"


async def trace(store: Store) -> None:
    """Count a store's commits from here on."""
    if store.database.dialect == "postgres":
        return
    counter = statements[store] = Statements()

    async def unit(con: Connection) -> None:
        con.raw.set_trace_callback(counter)  # type: ignore[attr-defined]

    await store.database.write(unit)


@pytest.mark.proves("state.group-commit")
async def test_units_of_one_turn_of_the_loop_share_a_commit(store: Store) -> None:
    await trace(store)
    async with asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(begin(store, context=f"c{number}"))
    assert 1 <= await commits(store) <= 2  # the last COMMIT may be that of the tracing unit
    page = await store.sessions.list(request().caller, page_size=100)
    assert len(page.sessions) == 50


@pytest.mark.proves("state.group-commit")
async def test_a_refused_unit_leaves_its_neighbours_alone(store: Store) -> None:
    async def refuse(con: Connection) -> None:
        raise NotFound("task", "x")

    await trace(store)
    one, none, two = (
        store.database.write(lambda con: put(con, "one")),
        store.database.write(refuse),
        store.database.write(lambda con: put(con, "two")),
    )
    assert (await one, await two) == ("one", "two")
    with pytest.raises(NotFound):
        await none
    assert await commits(store) <= 2
    assert await store.database.read(names) == ["one", "two"]


@pytest.mark.proves("state.group-commit")
async def test_a_unit_that_fails_half_way_takes_nobody_with_it(store: Store) -> None:
    async def half(con: Connection) -> None:
        await put(con, "half")
        raise ValueError("a defect")

    async def clash(con: Connection) -> None:
        await put(con, "clash")
        await put(con, "clash")

    units = [
        store.database.write(lambda con: put(con, "one")),
        store.database.write(half),
        store.database.write(clash),
        store.database.write(lambda con: put(con, "two")),
    ]
    found = await asyncio.gather(*units, return_exceptions=True)
    assert [type(value) for value in found] == [str, ValueError, StoreError, str]
    assert await store.database.read(names) == ["one", "two"]


async def test_a_lone_unit_that_fails_half_way_is_undone(store: Store) -> None:
    async def half(con: Connection) -> None:
        await put(con, "half")
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        await store.database.write(half)
    assert await store.database.read(names) == []
    await begin(store)


async def test_a_cancelled_caller_undoes_nothing(store: Store) -> None:
    waiting = asyncio.ensure_future(store.database.write(lambda con: put(con, "kept")))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await store.ping()
    assert await store.database.read(names) == ["kept"]


async def test_a_read_sees_what_has_been_acknowledged(store: Store) -> None:
    for number in range(20):
        await store.database.write(lambda con, name=f"{number:02}": put(con, name))  # type: ignore[misc]
        assert len(await store.database.read(names)) == number + 1


async def test_a_read_stays_on_one_snapshot_while_others_write(file: Path) -> None:
    store = await open_store(f"sqlite://{file}")
    began, go_on = threading.Event(), threading.Event()

    async def twice(con: Connection) -> tuple[list[str], list[str]]:
        before = await names(con)
        began.set()
        assert go_on.wait(60)
        return before, await names(con)

    reading = asyncio.ensure_future(store.database.read(twice))
    await asyncio.to_thread(began.wait, 10)
    await store.database.write(lambda con: put(con, "new"))
    go_on.set()
    assert await reading == ([], [])
    assert await store.database.read(names) == ["new"]
    await store.aclose()


async def test_closing_finishes_what_was_handed_over(file: Path) -> None:
    store = await open_store(f"sqlite://{file}")
    waiting = [store.database.write(lambda con, name=f"{number:02}": put(con, name)) for number in range(20)]  # type: ignore[misc]
    await store.aclose()
    assert [await found for found in waiting] == [f"{number:02}" for number in range(20)]
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.ping()
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.database.read(names)


async def fill(store: Store) -> None:
    """Write more than fits."""
    for number in range(50):
        await begin(store, "x" * 4000, context=f"c{number}")


async def test_a_full_disk_is_said_and_heals(file: Path) -> None:
    store = await open_store(f"sqlite://{file}")
    await begin(store)
    pages = await store.database.write(lambda con: con.one("PRAGMA page_count"))
    assert pages is not None
    await store.database.write(lambda con: con.all(f"PRAGMA max_page_count = {pages[0]}"))
    with pytest.raises(StoreUnavailable, match=r"hector\.db: the disk is full: free some space") as caught:
        await fill(store)
    assert caught.value.retryable
    listed = await store.sessions.list(request().caller)
    await store.database.write(lambda con: con.all("PRAGMA max_page_count = 1000000"))
    assert (await begin(store, context="after")).session is not None
    assert len((await store.sessions.list(request().caller)).sessions) == len(listed.sessions) + 1
    await store.aclose()


async def test_a_lock_of_another_program_is_said_and_heals(file: Path) -> None:
    store = await open_store(f"sqlite://{file}")
    await store.database.write(lambda con: con.all("PRAGMA busy_timeout = 50"))
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = [asyncio.ensure_future(begin(store, context=f"c{number}")) for number in range(3)]
    for found in waiting:
        with pytest.raises(StoreUnavailable, match="another program holds a lock"):
            await found
    with pytest.raises(StoreUnavailable):
        await store.ping()
    other.execute("COMMIT")
    other.close()
    assert (await begin(store, context="c0")).session is not None
    await store.aclose()


async def test_no_thread_is_left_behind(file: Path) -> None:
    before = threading.active_count()
    store = await open_store(f"sqlite://{file}")
    assert threading.active_count() == before + 3
    await store.aclose()
    assert threading.active_count() == before


async def refusal(store: Store) -> "weakref.ref[NotFound]":
    """An error, held by nothing of ours."""
    try:
        await store.sessions.load(request().caller, "nowhere")
    except NotFound as error:
        return weakref.ref(error)
    raise AssertionError


async def test_errors_hold_no_frames(store: Store) -> None:
    gc.disable()
    try:
        found = await refusal(store)
        await store.ping()
        assert found() is None
    finally:
        gc.enable()
