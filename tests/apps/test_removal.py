"""An app is deleted with everything that belongs to it: rows, folders, and vectors on servers; nobody else's goes."""

import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from hector.apps.app import Shelves
from hector.apps.build import build
from hector.apps.deletion import finish_deletion
from hector.apps.knowledge import name_at
from hector.apps.registry import Apps
from hector.apps.service import AppService
from hector.apps.stored import StoredApps
from hector.config.environment import Environment
from hector.config.load import parse_config
from hector.config.vectorservers import QdrantStore
from hector.core.audit import Entry
from hector.core.clock import SystemClock
from hector.core.errors import NotFound
from hector.core.job import Instance
from hector.core.retrieval import Embedding, VectorRow
from hector.rag.stores import build as build_index
from hector.rag.stores import removal
from hector.store import Store, open_store
from hector.store.apps import AppStatus, Draft
from hector.store.audit import Filter
from hector.store.collection import Collection
from hector.store.database import Connection
from hector.store.lock import FileLock
from hector.store.scopes import GLOBAL, REGISTRY
from hector.tools.catalog import Catalog
from tests.rag.stores.servers import KEY, QdrantServer
from tests.rag.stores.test_servers import vector
from tests.store.test_deletion import furnish, rows

FILE = "llms: {m: {rules: [{text: default}]}}\ntenants: {hosts: [127.0.0.1]}\n"
KEPT, GONE = "kept", "gone"
AUDITED = {"audit", "audit_inbox"}
"""What tells of an app, and outlives it."""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def dsn(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database of each engine; indexes lie below the working directory."""
    monkeypatch.chdir(tmp_path)
    if request.param == "sqlite":
        return f"sqlite://{tmp_path}/hector.db"
    return str(request.getfixturevalue("postgres_ready"))


def block_of(url: str) -> dict[str, object]:
    retry = {"max_attempts": 2, "initial_delay": 0.01, "max_delay": 0.02}
    return {"type": "qdrant", "host": url, "api_key": KEY, "enable_tls": False, "retry": retry}


def draft(url: str) -> Draft:
    """An app with a document store that has its vectors there."""
    docs = {"source": {"type": "api", "api": {"url": "http://127.0.0.1:9/"}}, "embedder": "none"}
    llms = {"m": {"provider": "scripted", "rules": [{"text": "hi"}]}}
    whole = {"llms": llms, "agents": {"helper": {}}, "vector_stores": {"v": block_of(url)}}
    return Draft("json", json.dumps({**whole, "document_stores": {"docs": docs}}), "tests")


@dataclass
class Process:
    """What deletes apps, as a server has it."""

    store: Store
    apps: Apps
    service: AppService


@asynccontextmanager
async def process(dsn: str) -> AsyncIterator[Process]:
    loaded = parse_config(FILE, env=Environment({}))
    catalog = Catalog(())
    store = await open_store(dsn)
    source = StoredApps(store.apps, lambda: loaded, Environment({}), catalog)
    apps = Apps(build(loaded.config, catalog), source)
    shelves = Shelves(0, lambda: loaded.config, source)
    apps.attach(shelves.take, shelves.remove)
    try:
        yield Process(store, apps, AppService(store, apps, SystemClock()))
    finally:
        await apps.aclose()
        await shelves.aclose()
        await store.aclose()


async def index(app: str, url: str) -> Path:
    """Give the app an index with two vectors on the server; its folder."""
    folder = Path.cwd() / ".hector" / "vectors" / app / "docs@v"
    async with await Collection.open(folder, "docs") as collection:
        made = build_index(QdrantStore.model_validate(block_of(url)), name_at(app, "docs"), collection)
        await made.open(Embedding("test", "four", 4))
        await made.add([VectorRow(key, vector(1, key, 0, 0), "a", metadata={"lang": "en"}) for key in (1, 2)])
        await made.aclose()
    return folder.parent


async def named(store: Store, app: str) -> dict[str, int]:
    """How many rows name an app, of each table that has a column for that: as the database says, not we."""
    dialect = store.database.dialect

    async def unit(con: Connection) -> dict[str, int]:
        if dialect == "sqlite":
            tables = [row[0] for row in await con.all("SELECT name FROM sqlite_master WHERE type = 'table'")]
            columns = [
                (table, row[0])
                for table in tables
                for row in await con.all("SELECT name FROM pragma_table_info(?)", (table,))
            ]
        else:
            sql = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"
            columns = [(row[0], row[1]) for row in await con.all(sql)]
        found = [(table, column) for table, column in columns if column in ("app", "app_id")] + [("apps", "id")]
        return {
            table: (await con.one(f"SELECT count(*) FROM {table} WHERE {column} = ?", (app,)) or (0,))[0]
            for table, column in found
        }

    return await store.database.read(unit)


@pytest.mark.proves("admin.apps.delete", "tenant.purge", "tenant.vectors")
async def test_nothing_of_an_app_is_left_anywhere(dsn: str) -> None:
    async with QdrantServer().running() as server, process(dsn) as one:
        folders = {}
        counted: dict[str, int] = {}
        for app in (KEPT, GONE):
            counted = await rows(one.store)
            await one.store.apps.create(
                app, app, draft(server.url), one.store.audit.aside(Entry("app.create", app, app=app))
            )
            await furnish(one.store, app)
            await one.apps.get(app)
            folders[app] = await index(app, server.url)
        before = await named(one.store, KEPT)
        missing = {name for name, count in before.items() if not count and name not in GLOBAL}
        assert not missing, "each table that names apps has a row of this one"
        assert before.keys() >= REGISTRY

        await one.service.delete(GONE, one.store.audit.aside(Entry("app.delete", GONE, app=GONE)))

        left = {name for name, count in (await named(one.store, GONE)).items() if count}
        assert left <= AUDITED
        assert left
        assert await named(one.store, KEPT) == before
        after = await rows(one.store)
        assert {name: after[name] for name in after if name not in AUDITED} == {
            name: counted[name] for name in counted if name not in AUDITED
        }
        assert not folders[GONE].exists()
        assert sorted(path.name for path in folders[KEPT].iterdir()) == [".docs@v.indexes", "docs@v"]
        assert {name: len(held) for name, held in server.held.items()} == {
            name_at(KEPT, "docs"): 2,
            name_at(GONE, "docs"): 0,
        }


@pytest.mark.proves("tenant.vectors")
async def test_an_app_is_being_deleted_until_its_server_is_back(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "FIRST_PAUSE", 0.0)
    async with QdrantServer().running() as server:
        async with process(dsn) as one:
            await one.store.apps.create(GONE, GONE, draft(server.url))
            folder = await index(GONE, server.url)
            server.troubles += [(503, {}, "away")] * 2
            began = time.monotonic()
            await one.service.delete(GONE)
            assert time.monotonic() - began < 30
            with pytest.raises(NotFound):
                await one.apps.get(GONE)
            assert (await one.store.apps.standing((GONE,)))[GONE].status is AppStatus.DELETING
            assert folder.exists()
            assert len(server.held[name_at(GONE, "docs")]) == 2
        async with process(dsn) as next_one:  # as after a crash
            await finish_deletion(next_one.store, next_one.apps, GONE, swept=True)
            assert not await next_one.store.apps.standing((GONE,))
        assert not folder.exists()
        assert not server.held[name_at(GONE, "docs")]


@pytest.mark.proves("tenant.vectors")
async def test_what_cannot_be_removed_for_a_day_is_named_and_given_up(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with process(dsn) as one:
        async with QdrantServer().running() as server:
            await one.store.apps.create(GONE, GONE, draft(server.url))
            folder = await index(GONE, server.url)
        removal.note(folder, removal.Progress(time.time() - removal.PATIENCE, 99))
        with caplog.at_level(logging.WARNING):
            await one.service.delete(GONE)
        (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert "remove them there" in told.getMessage()
        (left,) = told.__dict__["left"]
        assert f"qdrant {server.url}" in left
        assert name_at(GONE, "docs") in left
        assert KEY not in left
        assert not folder.exists()
        assert not await one.store.apps.standing((GONE,))
        assert await one.store.audit.waiting() == 1
        assert not await one.store.audit.page(Filter(app=GONE)), "nobody has chained it yet"


@pytest.mark.proves("tenant.vectors")
async def test_one_process_does_it_and_none_before_all_have_heard(dsn: str) -> None:
    async with QdrantServer().running() as server, process(dsn) as one:
        await one.store.apps.create(GONE, GONE, draft(server.url))
        folder = await index(GONE, server.url)
        held = server.held[name_at(GONE, "docs")]
        assert await one.apps.forget(GONE, 0.0) == (False, [])
        assert (len(held), folder.exists()) == (2, True)
        lock = removal_lock(folder)
        try:
            assert await one.apps.forget(GONE, 5.0) == (False, [])
            assert len(held) == 2
        finally:
            lock.release()
        assert await one.apps.forget(GONE, 5.0) == (True, [])
        assert (held, folder.exists()) == ({}, False)
        assert await one.apps.forget(GONE, 5.0) == (True, [])


def removal_lock(folder: Path) -> FileLock:
    """As another process has it."""
    return FileLock(folder / ".removal")


def test_what_failed_is_tried_again_ever_later() -> None:
    progress = removal.Progress(0.0)
    waits = []
    for _ in range(9):
        progress = progress.failed(100.0)
        waits.append(progress.due - 100.0)
    assert waits == [15, 30, 60, 120, 240, 480, 900, 900, 900]
    assert (progress.is_over(86_399.0), progress.is_over(86_400.0)) == (False, True)


@pytest.mark.proves("tenant.vectors")
async def test_no_server_forgets_an_app_before_each_has_done_its_part(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The configurations of the app say how its vectors are reached: they stay while a machine has some left."""
    monkeypatch.setattr(removal, "FIRST_PAUSE", 0.0)
    async with QdrantServer().running() as server, process(dsn) as one:
        for name in ("here", "there"):
            await one.store.instances.register(Instance(name, name, 1, "1", 0.0, 0.0))
        await one.store.apps.create(GONE, GONE, draft(server.url))
        await index(GONE, server.url)
        held = server.held[name_at(GONE, "docs")]
        await one.service.delete(GONE)
        begun = (await one.store.apps.get(GONE)).updated
        assert len(held) == 2, "another server may still write there"
        server.troubles += [(503, {}, "away")] * 2
        await finish_deletion(one.store, one.apps, GONE, swept=True, everywhere=True)
        assert (await one.store.apps.get(GONE)).updated > begun, "others wait for longer"
        await finish_deletion(one.store, one.apps, GONE, swept=True)
        assert not held
        assert await one.store.apps.deleting(time.time() + 1) == (GONE,)
        await finish_deletion(one.store, one.apps, GONE, swept=True, everywhere=True)
        assert not await one.store.apps.standing((GONE,))
