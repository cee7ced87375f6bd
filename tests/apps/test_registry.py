"""Which apps are loaded: once for all who wait, swapped whole, unloaded when idle, refused alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hector.apps.app import App, Models
from hector.apps.keeper import Keeper
from hector.apps.registry import Apps, Found, Lease
from hector.apps.stored import StoredApps
from hector.config.environment import Environment
from hector.config.load import Loaded
from hector.config.root import HectorConfig
from hector.core.clock import SystemClock
from hector.core.errors import AppSuspended, AppUnavailable, NotFound
from hector.store import Store, open_store
from hector.store.apps import AppStatus, Draft
from hector.tools.catalog import Catalog

PATIENCE = 40.0
CONFIG = HectorConfig.model_validate({"llms": {"default": {"provider": "scripted", "rules": [{"text": "x"}]}}})
TEXT = "llms: {m: {rules: [{text: %s}]}}\n"


class Shelf(StoredApps):
    """Apps from a dictionary; counts how often each was loaded, and waits while `gate` is shut."""

    def __init__(self) -> None:
        self.versions: dict[str, int] = {}
        self.loads: list[str] = []
        self.closed: list[str] = []
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def load(self, app_id: str) -> Found:
        self.loads.append(app_id)
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        if app_id not in self.versions:
            raise NotFound("app", app_id)
        return Found(self.make(app_id, self.versions[app_id]), self.versions[app_id])

    def make(self, app_id: str, version: int = 0) -> App:
        shelf = self

        class Told(Models):
            async def aclose(self) -> None:
                shelf.closed.append(f"{app_id}.{version}")

        def none(name: str) -> Any:
            raise AssertionError(name)

        return App(app_id, CONFIG, {}, Told(none))


def shelf_of(**versions: int) -> tuple[Shelf, Apps]:
    shelf = Shelf()
    shelf.versions = versions
    return shelf, Apps(shelf.make("default"), shelf, most=2)


@pytest.mark.proves("tenant.lazy")
async def test_an_app_is_loaded_once_for_all_who_wait_for_it() -> None:
    shelf, apps = shelf_of(a=1)
    shelf.gate.clear()
    waiting = [asyncio.ensure_future(apps.acquire("a")) for _ in range(9)]
    await asyncio.sleep(0)
    shelf.gate.set()
    leases: list[Lease] = [await one for one in waiting]
    assert shelf.loads == ["a"]
    assert apps.leases == 9
    for lease in leases:
        lease.release()
        lease.release()
    assert apps.leases == 0
    assert "a" in apps
    await apps.aclose()
    assert sorted(shelf.closed) == ["a.1", "default.0"]


async def test_one_who_gives_up_while_it_loads_leaves_the_others_to_it() -> None:
    shelf, apps = shelf_of(a=1)
    shelf.gate.clear()
    first, second = (asyncio.ensure_future(apps.acquire("a")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    shelf.gate.set()
    assert (await second).app.id == "a"
    await apps.aclose()


@pytest.mark.proves("tenant.lazy")
async def test_what_was_not_used_for_the_longest_time_makes_room() -> None:
    shelf, apps = shelf_of(a=1, b=1, c=1)
    for name in ("a", "b"):
        (await apps.acquire(name)).release()
    (await apps.acquire("a")).release()
    held = await apps.acquire("c")
    assert sorted(app_id for app_id, _ in apps.loaded()) == ["a", "c", "default"]
    also = await apps.acquire("a")
    with pytest.raises(AppUnavailable, match="2 apps are at work"):
        await apps.acquire("b")
    also.release()
    (await apps.acquire("b")).release()
    assert "a" not in apps
    held.release()
    apps.unload(0.0)
    assert [app_id for app_id, _ in apps.loaded()] == ["default"]
    await apps.aclose()


async def test_an_app_at_work_is_never_unloaded() -> None:
    shelf, apps = shelf_of(a=1)
    lease = await apps.acquire("a")
    apps.unload(0.0)
    assert "a" in apps
    apps.drop("a")
    await asyncio.sleep(0)
    assert shelf.closed == []
    assert not await apps.drained("a", 0.01)
    lease.release()
    assert await apps.drained("a", PATIENCE)
    await apps.aclose()
    assert "a.1" in shelf.closed


@pytest.mark.proves("config.hot-reload", "tenant.swap")
async def test_a_change_is_swapped_whole_and_work_ends_on_what_it_began_with() -> None:
    shelf, apps = shelf_of(a=1)
    old = await apps.acquire("a")
    shelf.versions["a"] = 2
    await apps.refresh("a")
    new = await apps.acquire("a")
    assert new.app is not old.app
    assert "a.1" not in shelf.closed
    old.release()
    await asyncio.sleep(0)
    assert shelf.closed == ["a.1"]
    await apps.refresh("a")
    assert apps.lease("a").app is new.app
    await apps.aclose()


async def test_a_change_that_does_not_hold_leaves_the_app_as_it_is() -> None:
    shelf, apps = shelf_of(a=1)
    (await apps.acquire("a")).release()
    shelf.failure = AppUnavailable("broken")
    await apps.refresh("a")
    assert "a" in apps
    shelf.failure = AppSuspended("rests")
    await apps.refresh("a")
    assert "a" not in apps
    with pytest.raises(AppSuspended):
        await apps.acquire("a")
    await apps.aclose()


async def test_what_an_app_may_no_longer_use_ends_it() -> None:
    shelf, apps = shelf_of(a=1)
    lease = await apps.acquire("a")
    shelf.failure = AppUnavailable("may not")
    await apps.refresh_others()
    with pytest.raises(AppUnavailable):
        await apps.acquire("a")
    assert shelf.closed == []
    lease.release()
    await apps.aclose()
    assert sorted(shelf.closed) == ["a.1", "default.0"]


async def test_refusals_are_remembered_for_a_while_only() -> None:
    shelf, apps = shelf_of()
    for _ in range(3):
        with pytest.raises(NotFound):
            await apps.acquire("a")
    assert shelf.loads == ["a"]
    shelf.versions["a"] = 1
    apps.forget_refusal("a")
    assert (await apps.acquire("a")).app.id == "a"
    await apps.aclose()


# Over databases.


@asynccontextmanager
async def kept(dsn: str) -> AsyncIterator[tuple[Store, Apps]]:
    """The apps of one process, kept true."""
    store = await open_store(dsn)
    loaded = Loaded(CONFIG, None)
    shelf = Shelf()
    apps = Apps(shelf.make("default"), StoredApps(store.apps, lambda: loaded, Environment({}), Catalog(())))
    keeper = asyncio.ensure_future(Keeper(apps, store, SystemClock(), lambda: 900.0).keep())
    await asyncio.sleep(0)
    try:
        yield store, apps
    finally:
        keeper.cancel()
        await asyncio.wait((keeper,))
        await apps.aclose()
        await store.aclose()


async def reaches(apps: Apps, app_id: str, version: int | None) -> None:
    """Until an app is loaded at a version, or no longer. Nothing announces that."""
    async with asyncio.timeout(PATIENCE):
        while dict(apps.loaded()).get(app_id) != version:  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)


@pytest.mark.proves("tenant.swap")
async def test_a_change_made_by_another_process_is_taken_in(postgres_ready: str) -> None:
    async with kept(postgres_ready) as (store, apps), kept(postgres_ready) as (other, _):
        await other.apps.create("a", "A", Draft("yaml", TEXT % "one", "ana"))
        (await apps.acquire("a")).release()
        await other.apps.update("a", draft=Draft("yaml", TEXT % "two", "ana"))
        await reaches(apps, "a", 2)
        await other.apps.set_status("a", AppStatus.SUSPENDED)
        await reaches(apps, "a", None)
        with pytest.raises(AppSuspended):
            await apps.acquire("a")
        await other.apps.set_status("a", AppStatus.ACTIVE)
        async with asyncio.timeout(PATIENCE):
            while "a" not in apps:
                try:
                    (await apps.acquire("a")).release()
                except AppSuspended:
                    await asyncio.sleep(0.01)
        assert store is not other


@pytest.mark.proves("tenant.swap")
async def test_a_change_made_by_a_program_beside_the_server_is_noticed(tmp_path: Path) -> None:
    dsn = f"sqlite://{tmp_path}/hector.db"
    async with kept(dsn) as (store, apps):
        await store.apps.create("a", "A", Draft("yaml", TEXT % "one", "ana"))
        (await apps.acquire("a")).release()
        visitor = await open_store(dsn, visitor=True)
        await visitor.apps.update("a", draft=Draft("yaml", TEXT % "two", "ana"))
        await reaches(apps, "a", 2)
        await visitor.apps.remove("a")
        await reaches(apps, "a", None)
        await visitor.aclose()


@pytest.mark.proves("tenant.broken-alone")
async def test_a_stored_configuration_that_does_not_hold_breaks_its_own_app_only(tmp_path: Path) -> None:
    async with kept(f"sqlite://{tmp_path}/hector.db") as (store, apps):
        await store.apps.create("good", "G", Draft("yaml", TEXT % "one", "ana"))
        await store.apps.create("bad", "B", Draft("yaml", "agents: {a: {llm: none}}", "ana"))
        with pytest.raises(AppUnavailable, match="app 'bad' cannot be loaded: version 1"):
            await apps.acquire("bad")
        assert (await apps.acquire("good")).app.id == "good"
        await store.apps.update("bad", draft=Draft("yaml", TEXT % "two", "ana"))
        async with asyncio.timeout(PATIENCE):
            while "bad" not in apps:
                try:
                    await apps.acquire("bad")
                except AppUnavailable:
                    await asyncio.sleep(0.01)


async def test_the_blocks_of_the_operator_hold_for_every_app(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"storage": CONFIG.storage.with_changes(retention=None)})
    store = await open_store(f"sqlite://{tmp_path}/hector.db")
    await store.apps.create("a", "A", Draft("yaml", TEXT % "one", "ana"))
    source = StoredApps(store.apps, lambda: Loaded(config, None), Environment({}), Catalog(()))
    found = await source.load("a")
    assert found.app.config.storage is config.storage
    assert set(found.app.config.llms) == {"m"}
    await store.aclose()
