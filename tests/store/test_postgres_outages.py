"""A PostgreSQL that goes away, breaks connections, and comes back."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from hector.config.postgres import parse
from hector.core.errors import StoreUnavailable
from hector.core.job import Instance, JobState, NewJob
from hector.core.task import Status, TaskState
from hector.store import Store, open_store
from hector.store import postgres_link as link
from hector.store.database import Connection
from hector.store.postgres import PostgresDatabase
from hector.store.postgres_link import Door
from hector.store.postgres_listener import Listener
from tests.postgres import PASSWORD, Postgres
from tests.store.cutter import Cutter
from tests.store.turns import ME, NOW, add, answer, begin, done


@pytest.fixture(scope="module")
def server(postgres_programs: Path) -> Iterator[Postgres]:
    """A server that the tests of this file may stop. It is running when a test begins."""
    server = Postgres(postgres_programs)
    server.start()
    yield server
    server.remove()


@pytest.fixture
async def fragile(server: Postgres) -> AsyncIterator[Store]:
    """A store on it."""
    store = await open_store(server.dsn(server.create()))
    yield store
    await store.aclose()


async def kick(server: Postgres) -> None:
    """End every connection but our own, as an administrator may."""
    con = await asyncpg.connect(server.dsn())
    await con.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hector'")
    await con.close()


@pytest.mark.proves("database.postgres")
class TestIdle:
    async def test_connections_that_were_ended_are_made_again(self, server: Postgres, fragile: Store) -> None:
        for _ in range(3):
            accepted = await begin(fragile, context=None)
            assert (await fragile.tasks.get(ME, accepted.task.id)).id == accepted.task.id
            await kick(server)

    @pytest.mark.parametrize("mode", ["fast", "immediate", "kill"])
    async def test_a_restart_goes_unnoticed(self, server: Postgres, fragile: Store, mode: str) -> None:
        accepted = await begin(fragile)
        server.restart(mode)
        assert await fragile.tasks.record(done(accepted, answer("a")))
        assert len((await fragile.sessions.load(ME, "c")).events) == 2


class TestUnderWay:
    @pytest.mark.proves("database.postgres")
    async def test_what_is_handed_over_waits_for_a_server_that_is_away(self, server: Postgres, fragile: Store) -> None:
        await begin(fragile)
        server.stop("immediate")
        waiting = [asyncio.ensure_future(begin(fragile, context=f"c{number}")) for number in range(20)]
        await asyncio.sleep(0)
        await asyncio.to_thread(server.start)
        found = [(await one).task.id for one in waiting]
        assert len({(await fragile.tasks.get(ME, name)).id for name in found}) == 20

    async def test_units_cut_off_in_mid_transaction_run_again(self, server: Postgres, fragile: Store) -> None:
        runs = 0

        async def unit(con: Connection) -> int:
            nonlocal runs
            runs += 1
            await con.execute("INSERT INTO app_state (app, name, value) VALUES ('a', 'n', '1')")
            if runs == 1:
                await con.all("SELECT pg_terminate_backend(pg_backend_pid())")
            return runs

        assert await fragile.database.write(unit) == 2
        found = await fragile.database.read(lambda con: con.all("SELECT name FROM app_state"))
        assert found == [("n",)]

    async def test_a_unit_knows_that_its_commit_may_have_taken(self, server: Postgres, fragile: Store) -> None:
        """The connection breaks between COMMIT and its answer: a deferred trigger ends it while it commits."""
        seen: list[bool] = []
        await fragile.database.write(lambda con: con.execute(TRIGGER.split(";;")[0]))
        for statement in TRIGGER.split(";;")[1:]:
            await fragile.database.write(lambda con, statement=statement: con.execute(statement))  # type: ignore[misc]

        async def unit(con: Connection) -> None:
            seen.append(con.again)
            if not con.again:
                await con.execute("INSERT INTO app_state (app, name, value) VALUES ('a', 'n', '1')")

        await fragile.database.write(unit)
        assert seen == [False, True]

    async def test_a_crowd_survives_restarts(self, server: Postgres, fragile: Store) -> None:
        async def client(number: int) -> None:
            for turn in range(10):
                accepted = await begin(fragile, context=f"c{number}-{turn}")
                assert await fragile.tasks.record(done(accepted, answer("a")))

        async with asyncio.TaskGroup() as group:
            clients = [group.create_task(client(number)) for number in range(8)]
            while not all(one.done() for one in clients):
                await asyncio.to_thread(server.restart, "fast")
                await asyncio.wait(clients, timeout=0.5)
        counts = "SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM events)"
        assert await fragile.database.read(lambda con: con.one(counts)) == (80, 160)


@pytest.mark.proves("database.postgres")
async def test_a_commit_whose_answer_is_lost_counts_once(server: Postgres) -> None:
    cutter = Cutter(server.port)
    listening = await cutter.serve()
    dsn = server.dsn(server.create())
    store = await open_store(dsn.replace(f":{server.port}/", f":{listening.sockets[0].getsockname()[1]}/"))
    first = await begin(store, task="t0", owner="me")
    for number in range(1, 4):
        cutter.cuts = 1
        accepted = await begin(store, task=f"t{number}", context=f"c{number}", owner="me")
        assert accepted.claim.fence == 1
        cutter.cuts = 1
        asked = replace(done(accepted, answer("?")), claim=accepted.claim, step=1)
        asked = replace(asked, status=Status(TaskState.INPUT_REQUIRED, NOW), artifacts=())
        assert await store.tasks.record(asked)
        cutter.cuts = 1
        again = await begin(store, task=f"t{number}", context=f"c{number}", resume=True, owner="me")
        assert again.claim.fence == 1
        assert cutter.cuts == 0
        assert len((await store.sessions.load(ME, f"c{number}")).events) == 3
    counts = "SELECT (SELECT count(*) FROM tasks), (SELECT count(*) FROM events), (SELECT count(*) FROM jobs)"
    assert await store.database.read(lambda con: con.one(counts)) == (4, 10, 7)
    assert first.claim.fence == 1
    await store.aclose()
    await cutter.quiet()
    listening.close()


@pytest.mark.proves("database.postgres", "state.tasks-queue")
async def test_a_claim_whose_answer_is_lost_is_found_again(server: Postgres) -> None:
    cutter = Cutter(server.port)
    listening = await cutter.serve()
    dsn = server.dsn(server.create())
    store = await open_store(dsn.replace(f":{server.port}/", f":{listening.sockets[0].getsockname()[1]}/"))
    cutter.cuts = 1
    await store.instances.register(Instance("me", "host", 7, "1.0", NOW, NOW))
    key = await add(store, NewJob("push", ME, "x", {}, NOW))
    cutter.cuts = 1
    with pytest.raises(StoreUnavailable, match="which jobs were claimed"):
        await store.jobs.claim("me", 5, NOW)
    assert (await store.jobs.get(key)).state is JobState.RUNNING
    assert await store.jobs.orphans("me", ()) == 1
    (found,) = await store.jobs.claim("me", 5, NOW)
    assert (found.claim.key, found.attempts, cutter.cuts) == (key, 1, 0)
    await store.aclose()
    await cutter.quiet()
    listening.close()


TRIGGER = """
CREATE FUNCTION break_off() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;;
CREATE CONSTRAINT TRIGGER break_off AFTER INSERT ON app_state DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION break_off()"""


class TestAway:
    @pytest.mark.proves("database.postgres", "web.health")
    async def test_it_is_said_and_heals(
        self, server: Postgres, fragile: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(link, "PATIENCE", 0.3)
        await begin(fragile)
        server.stop()
        try:
            for _ in range(2):  # the second one is refused at once
                with pytest.raises(
                    StoreUnavailable, match=r"cannot be reached \(connection refused\): check"
                ) as caught:
                    await fragile.ping()
                assert PASSWORD not in str(caught.value)
            with pytest.raises(StoreUnavailable):
                await fragile.sessions.load(ME, "c")
        finally:
            server.start()
        await fragile.ping()
        assert (await fragile.sessions.load(ME, "c")).id == "c"

    async def test_closing_while_it_is_away_comes_to_an_end(
        self, server: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(link, "PATIENCE", 0.2)
        store = await open_store(server.dsn(server.create()))
        store.database.listen("hector_jobs", lambda _: None)
        await begin(store)
        server.stop()
        try:
            waiting = asyncio.ensure_future(begin(store))
            await asyncio.sleep(0)
            async with asyncio.timeout(60):
                await store.aclose()
            with pytest.raises(StoreUnavailable):
                await waiting
        finally:
            server.start()


@pytest.mark.proves("database.postgres")
class TestListening:
    async def test_all_processes_hear_what_is_committed(self, postgres: Postgres, postgres_ready: str) -> None:
        one, two = await open_store(postgres_ready), await open_store(postgres_ready)
        heard: asyncio.Queue[str] = asyncio.Queue()
        stop = one.database.listen("hector_test", heard.put_nowait)
        await listening(one)

        async def tell(con: Connection) -> None:
            await con.notify("hector_test", "hello")
            await con.notify("hector_other", "nobody")

        async def take_back(con: Connection) -> None:
            await con.execute("INSERT INTO app_state (app, name, value) VALUES ('a', 'n', '1')")
            await con.notify("hector_test", "undone")
            raise ValueError("a defect")

        with pytest.raises(ValueError, match="a defect"):
            await two.database.write(take_back)
        await two.database.write(tell)
        await one.database.write(tell)
        async with asyncio.timeout(60):
            assert [await heard.get(), await heard.get()] == ["hello", "hello"]
        stop()
        await one.aclose()
        await two.aclose()
        assert heard.empty()

    async def test_what_is_listened_to_while_it_asks_for_others_is_heard(self, postgres_ready: str) -> None:
        store = await open_store(postgres_ready)
        heard: asyncio.Queue[str] = asyncio.Queue()
        names = ["hector_first", "hector_second", "hector_third"]
        store.database.listen(names[0], heard.put_nowait)
        await listening(store)
        for name in names[1:]:
            store.database.listen(name, heard.put_nowait)
            for _ in range(3):
                await asyncio.sleep(0)  # it has asked for this one, and has no answer yet
        await listening(store)

        async def tell(con: Connection) -> None:
            for name in names:
                await con.notify(name, name)

        await store.database.write(tell)
        async with asyncio.timeout(60):
            assert [await heard.get() for _ in names] == names
        await store.aclose()

    async def test_it_goes_on_whatever_stood_in_its_way(self, postgres_ready: str, tmp_path: Path) -> None:
        good = parse(postgres_ready)
        door = Door(replace(good, ssl_mode="verify-ca", ssl_root_cert=str(tmp_path / "away.pem")))
        listener = Listener(door)
        listener.listen("hector_test", lambda _: None)
        await asyncio.sleep(0.1)  # the file is missing
        door.address = good
        async with asyncio.timeout(60):
            await listener.connected.wait()
        await listener.aclose()

    async def test_it_goes_on_after_a_restart(self, server: Postgres, fragile: Store) -> None:
        heard = asyncio.Event()
        fragile.database.listen("hector_test", lambda _: heard.set())
        await listening(fragile)
        await asyncio.to_thread(server.restart, "immediate")
        async with asyncio.timeout(60):
            while not heard.is_set():  # until the connection is there again, notices are lost
                await fragile.database.write(lambda con: con.notify("hector_test"))
                await asyncio.sleep(0.05)


async def listening(store: Store) -> None:
    """Return when notices arrive."""
    assert isinstance(store.database, PostgresDatabase)
    async with asyncio.timeout(60):
        await store.database.listening.wait()
