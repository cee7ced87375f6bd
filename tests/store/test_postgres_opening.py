"""Opening a database on a server: what can be wrong, and that no password is shown."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import TypeVar
from urllib.parse import quote

import asyncpg
import pytest

from hector.config.postgres import parse
from hector.core.errors import (
    HectorError,
    InvalidRequest,
    LeaseLost,
    SchemaTooNew,
    StartupError,
    StoreError,
    StoreUnavailable,
)
from hector.core.job import NewJob
from hector.store import Store, migrations, open_store
from hector.store.database import Connection
from hector.store.migrations import Migration
from tests.postgres import PASSWORD, QUOTED, Postgres
from tests.store.turns import ME, NOW, add, answer, begin, step

T = TypeVar("T")
KEYS: dict[str, Callable[[int], Hashable]] = {
    "same": lambda _: "k",
    "different": lambda n: n % 7,
    "none": lambda _: None,
}

pytestmark = pytest.mark.proves("database.postgres", "state.newer-database")


async def refused(dsn: str, kind: type[HectorError] = StartupError, *, visitor: bool = False) -> str:
    """What opening it says."""
    with pytest.raises(kind) as caught:
        await open_store(dsn, visitor=visitor)
    said = str(caught.value)
    for secret in (PASSWORD, QUOTED, "geheim"):
        assert secret not in said
    return said


async def execute(dsn: str, *statements: str) -> None:
    """Do something to a database behind Hector's back."""
    con = await asyncpg.connect(dsn)
    for statement in statements:
        await con.execute(statement)
    await con.close()


def named(dsn: str) -> str:
    """The name of a test's database."""
    return dsn.rpartition("/")[2]


class TestServer:
    async def test_what_it_says_of_itself(self, postgres: Postgres, postgres_ready: str) -> None:
        store = await open_store(postgres_ready)
        assert store.describe().startswith("PostgreSQL 1")
        assert store.describe().endswith(f"hector@127.0.0.1:{postgres.port}/{named(postgres_ready)}")
        assert store.dsn == f"postgres://hector@127.0.0.1:{postgres.port}/{named(postgres_ready)}"
        await store.aclose()
        with pytest.raises(StoreUnavailable, match="closed"):
            await store.ping()

    async def test_a_wrong_password(self, postgres: Postgres) -> None:
        assert "refuses this user and password" in await refused(postgres.dsn(password="geheim2"))

    async def test_an_unknown_user(self, postgres: Postgres) -> None:
        assert "refuses this user" in await refused(postgres.dsn(user="nobody"))

    async def test_no_such_database(self, postgres: Postgres) -> None:
        said = await refused(postgres.dsn("nowhere"))
        assert f"127.0.0.1:{postgres.port}/nowhere: there is no database of that name: create it (createdb)" in said

    async def test_nobody_there(self) -> None:
        said = await refused("postgres://u:geheim@127.0.0.1:1/d")
        assert "PostgreSQL at u@127.0.0.1:1/d cannot be reached (connection refused): check that it runs" in said
        assert "--database" in said

    async def test_no_such_host(self) -> None:
        assert "cannot be reached" in await refused("postgres://u:geheim@db.invalid/d")

    async def test_somebody_else_there(self) -> None:
        async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        assert f"127.0.0.1:{port}/d" in await refused(f"postgres://u:geheim@127.0.0.1:{port}/d")
        server.close()
        await server.wait_closed()

    async def test_nobody_answers(self) -> None:
        released = asyncio.Event()

        async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await released.wait()
            writer.close()

        server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        said = await refused(f"postgres://u:geheim@127.0.0.1:{port}/d?connect_timeout=0.2")
        assert "cannot be reached (no answer in time)" in said
        released.set()
        server.close()
        await server.wait_closed()

    async def test_no_encryption_where_it_is_asked_for(self, postgres: Postgres) -> None:
        for mode in ("require", "verify-ca", "verify-full"):
            assert "rejected SSL upgrade" in await refused(postgres.dsn(query=f"sslmode={mode}"))
        store = await open_store(postgres.dsn(postgres.create(), query="sslmode=prefer"))
        await store.aclose()

    async def test_a_missing_file_of_authorities(self, postgres: Postgres) -> None:
        said = await refused(postgres.dsn(query="sslmode=verify-full&sslrootcert=/nowhere/ca.pem"))
        assert "/nowhere/ca.pem of the PostgreSQL address cannot be used: No such file" in said

    async def test_an_address_with_a_mistake(self) -> None:
        assert "is not an option of a PostgreSQL address" in await refused("postgres://u:geheim@h/d?nope=1")

    async def test_over_its_socket(self, postgres: Postgres) -> None:
        query = f"host={postgres.folder}&port={postgres.port}&user=hector"
        store = await open_store(f"postgres:///{postgres.create()}?{query}")
        await begin(store)
        await store.aclose()

    async def test_the_host_that_takes_writes_is_found(self, postgres: Postgres) -> None:
        name = postgres.create()
        dsn = postgres.dsn(name).replace("@127.0.0.1", "@127.0.0.1:1,127.0.0.1")
        store = await open_store(dsn)
        await begin(store)
        await store.aclose()


class TestRights:
    async def test_a_user_who_may_not_create_tables(self, postgres: Postgres, postgres_dsn: str) -> None:
        role = f"guest_{named(postgres_dsn)}"
        await execute(
            postgres_dsn, f"CREATE ROLE {role} LOGIN PASSWORD 'geheim'", "REVOKE CREATE ON SCHEMA public FROM public"
        )
        said = await refused(postgres.dsn(named(postgres_dsn), user=role, password="geheim"))
        assert "this user may not create tables: GRANT CREATE, USAGE ON SCHEMA public" in said

    async def test_too_many_connections(self, postgres: Postgres, postgres_dsn: str) -> None:
        role = f"crowd_{named(postgres_dsn)}"
        await execute(postgres_dsn, f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 0 PASSWORD 'geheim'")
        said = await refused(postgres.dsn(named(postgres_dsn), user=role, password="geheim"))
        assert "it has no connection left: raise its max_connections, or lower max_conns" in said

    async def test_a_server_that_takes_no_writes(self, postgres_dsn: str) -> None:
        name = named(postgres_dsn)
        await execute(postgres_dsn, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        assert "is read-only, perhaps a standby: name the primary" in await refused(postgres_dsn)

    async def test_a_database_that_turns_read_only(self, postgres_ready: str) -> None:
        store = await open_store(postgres_ready)
        name = named(postgres_ready)
        await execute(postgres_ready, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        with pytest.raises(StoreUnavailable, match="it is read-only, perhaps a standby"):
            await begin(store)
        reset = f"ALTER DATABASE {name} RESET default_transaction_read_only"
        await execute(postgres_ready, "SET default_transaction_read_only = off", reset)
        await store.aclose()


class TestTables:
    async def test_tables_of_another_program(self, postgres_dsn: str) -> None:
        await execute(postgres_dsn, "CREATE TABLE sessions (sid varchar)")
        assert "holds tables of another program" in await refused(postgres_dsn)

    async def test_migrations_of_another_program(self, postgres_dsn: str) -> None:
        await execute(postgres_dsn, "CREATE TABLE migrations (id int)")
        said = await refused(postgres_dsn)
        assert "?search_path=hector, after CREATE SCHEMA hector" in said
        assert "no schema of its search_path exists" in await refused(f"{postgres_dsn}?search_path=hector")
        await execute(postgres_dsn, "CREATE SCHEMA hector")
        store = await open_store(f"{postgres_dsn}?search_path=hector")
        await begin(store)
        await store.aclose()

    async def test_other_tables_are_no_matter(self, postgres_dsn: str) -> None:
        await execute(postgres_dsn, "CREATE TABLE orders (id int)")
        store = await open_store(postgres_dsn)
        await begin(store)
        await store.aclose()

    async def test_a_visitor_makes_nothing(self, postgres_dsn: str) -> None:
        assert "holds nothing of Hector" in await refused(postgres_dsn, visitor=True)
        await (await open_store(postgres_dsn)).aclose()
        store = await open_store(postgres_dsn, visitor=True)
        await begin(store)
        await store.aclose()


class TestMigrations:
    def extend(self, monkeypatch: pytest.MonkeyPatch, *more: str) -> None:
        """Pretend that this version of Hector has more migrations."""
        known = migrations.known("postgres")
        made = tuple(
            Migration(number, f"{number:04}_more", sql) for number, sql in enumerate(more, known[-1].number + 1)
        )
        monkeypatch.setattr(migrations, "known", lambda _: known + made)

    @pytest.mark.proves("state.migrations")
    async def test_several_instances_start_at_once(self, postgres_dsn: str) -> None:
        stores: list[Store] = []
        async with asyncio.TaskGroup() as group:
            opening = [group.create_task(open_store(postgres_dsn)) for _ in range(6)]
        stores = [one.result() for one in opening]
        found = await stores[0].database.read(migrations.history)
        assert [row[:3] for row in found] == [
            (one.number, one.name, one.checksum) for one in migrations.known("postgres")
        ]
        for store in stores:
            await store.aclose()

    @pytest.mark.proves("state.migrations")
    async def test_one_that_fails_leaves_nothing(self, postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
        store = await open_store(postgres_dsn)
        await begin(store)
        await store.aclose()
        with monkeypatch.context() as patch:
            self.extend(
                patch, "CREATE TABLE good (x int);", "CREATE TABLE half (x int); INSERT INTO nowhere VALUES (1);"
            )
            assert "nowhere" in await refused(postgres_dsn)
        store = await open_store(postgres_dsn)
        tables = "SELECT table_name FROM information_schema.tables WHERE table_name IN ('good', 'half')"
        assert await store.database.read(lambda con: con.all(tables)) == []
        assert len((await store.sessions.list(ME)).sessions) == 1
        await store.aclose()

    @pytest.mark.proves("state.migrations")
    async def test_a_changed_one_is_refused(self, postgres_ready: str) -> None:
        await execute(postgres_ready, "UPDATE migrations SET checksum = 'x' WHERE number = 2")
        assert "0002_durable" in await refused(postgres_ready)

    async def test_a_newer_schema_is_refused_by_version(self, postgres_ready: str) -> None:
        await execute(postgres_ready, "INSERT INTO migrations VALUES (999, '0999_later', 'x', '9.8.7', 0)")
        said = await refused(postgres_ready, SchemaTooNew)
        assert "schema 999, made by Hector 9.8.7" in said


class TestValues:
    @pytest.fixture
    def long(self) -> str:
        """An id that no index takes."""
        return "".join(f"{number:x}" for number in range(20_000))

    async def test_what_postgresql_cannot_store_is_the_callers_fault(self, postgres_ready: str, long: str) -> None:
        store = await open_store(postgres_ready)
        for context, said in (("a\0b", "NUL character"), ("\ud83d", "surrogate"), (long, "identifier is too long")):
            with pytest.raises(InvalidRequest, match=said):
                await begin(store, context=context)
        with pytest.raises(InvalidRequest, match="number is larger"):
            await store.database.write(lambda con: con.all("SELECT CAST(? AS BIGINT)", (1 << 70,)))
        accepted = await begin(store, "a\0b \ud83d", context="c")  # a text is stored escaped
        assert accepted.session is not None
        assert (await store.sessions.load(ME, "c")).events[0].message.text == "a\0b \ud83d"
        await store.aclose()

    async def test_a_statement_that_takes_too_long(self, postgres_ready: str) -> None:
        store = await open_store(f"{postgres_ready}?statement_timeout=100")
        with pytest.raises(StoreUnavailable, match="a statement took too long"):
            await store.database.read(lambda con: con.all("SELECT pg_sleep(20)"))
        await begin(store)
        await store.aclose()


class TestSideBySide:
    @pytest.fixture(params=["same", "different", "none"])
    def key(self, request: pytest.FixtureRequest) -> str:
        """Which keys the units of a batch have."""
        return str(request.param)

    async def test_answers_find_their_units(self, postgres_ready: str, key: str) -> None:
        store = await open_store(postgres_ready)

        async def unit(con: Connection, number: int) -> tuple[object, ...]:
            name = f"n{number % 7}"
            made = await con.insert(
                "INSERT INTO artifacts (task, id, body) VALUES (?, ?, '') ON CONFLICT DO NOTHING", (1, name)
            )
            if number % 3 == 0:
                await con.many(
                    "INSERT INTO app_state (app, name, value) VALUES (?, ?, '')",
                    [(name, str(number)), (name, "x" * number)],
                )
            changed = await con.execute(
                "UPDATE artifacts SET body = body || ? WHERE id = ? OR task = ?", (".", name, number)
            )
            found = await con.all("SELECT name FROM app_state WHERE app = ? ORDER BY name", (name,))
            one = await con.one("SELECT id, ? || 'x' FROM artifacts WHERE id = ?", (name, name))
            return made > 0, changed >= 1, len(found) % 2, one

        async with asyncio.TaskGroup() as group:
            units = [
                group.create_task(wait(store.database.write(lambda con, n=n: unit(con, n), KEYS[key](n))))  # type: ignore[misc]
                for n in range(40)
            ]
        found = [one.result() for one in units]
        assert [made for made, *_ in found].count(True) == 7
        assert {(changed, odd) for _, changed, odd, _ in found} == {(True, 0)}
        assert [one for *_, one in found] == [(f"n{n % 7}", f"n{n % 7}x") for n in range(40)]
        await store.aclose()

    async def test_what_is_only_sent_is_there_when_somebody_looks(self, postgres_ready: str) -> None:
        store = await open_store(postgres_ready)
        put = "INSERT INTO app_state (app, name, value) VALUES (?, ?, ?)"
        change = "UPDATE app_state SET value = ? WHERE app = ? AND name = ?"

        async def unit(con: Connection, app: str) -> list[tuple[object, ...]]:
            await con.send(put, (app, "a", "1"))
            await con.many(put, [(app, "b", "1"), (app, "c", "1")])
            await con.send(change, ("2", app, "b"))
            await con.send("INSERT INTO user_state (app, \"user\", name, value) VALUES (?, 'u', 'n', '?')", (app,))
            seen = await con.all("SELECT name, value FROM app_state WHERE app = ? ORDER BY name", (app,))
            await con.send(change, ("3", app, "c"))
            await con.send(change, ("4", app, "c"))
            return seen

        units = [store.database.write(lambda con, n=n: unit(con, f"app{n}"), n) for n in range(12)]  # type: ignore[misc]
        assert {tuple(await one) for one in units} == {(("a", "1"), ("b", "2"), ("c", "1"))}
        for rows in ("app_state WHERE value = '4'", "user_state WHERE value = '?'"):
            counted = f"SELECT count(*) FROM {rows}"
            assert await store.database.read(lambda con, counted=counted: con.one(counted)) == (12,)  # type: ignore[misc]
        with pytest.raises(StoreError, match="duplicate key"):
            await store.database.write(lambda con: con.send(put, ("app1", "a", "1")))
        await store.aclose()

    async def test_units_of_a_key_keep_their_order(self, postgres_ready: str) -> None:
        store = await open_store(postgres_ready)
        order: list[int] = []

        async def unit(con: Connection, number: int) -> None:
            await con.all("SELECT pg_sleep(?)", (0.02 if number % 5 == 0 else 0.0,))
            order.append(number)

        async with asyncio.TaskGroup() as group:
            for n in range(60):
                group.create_task(wait(store.database.write(lambda con, n=n: unit(con, n), "k")))  # type: ignore[misc]
        assert order == list(range(60))
        await store.aclose()

    async def test_a_lock_that_is_held_stops_nobody_else(self, postgres_ready: str) -> None:
        store = await open_store(postgres_ready)
        await begin(store, context="held")
        con = await asyncpg.connect(postgres_ready)
        lock = con.transaction()
        await lock.start()
        await con.execute("SELECT * FROM sessions FOR UPDATE")
        waiting = asyncio.ensure_future(begin(store, context="held"))
        async with asyncio.timeout(60):
            for number in range(5):
                await begin(store, context=f"free{number}")
        assert not waiting.done()
        await lock.rollback()
        await con.close()
        await waiting
        await store.aclose()

    async def test_closing_waits_for_what_waits_for_its_turn(self, postgres_ready: str) -> None:
        store = await open_store(postgres_ready)

        async def unit(con: Connection) -> None:
            await con.all("SELECT pg_sleep(0.1)")

        async with asyncio.TaskGroup() as group:
            for key in ("a", "b"):  # so that there are two lanes
                group.create_task(wait(store.database.write(unit, key)))
                await asyncio.sleep(0.03)
        units = []
        for _ in range(3):  # the idle lane finds nothing that it may run
            units.append(store.database.write(unit, "k"))
            await asyncio.sleep(0.03)
        async with asyncio.timeout(60):
            await store.aclose()
        for one in units:
            await one

    async def test_a_job_that_is_just_being_taken_over_is_not_ended(self, postgres_ready: str) -> None:
        store = await open_store(postgres_ready)
        con = await asyncpg.connect(postgres_ready)
        for act in (store.jobs.finish, partial(store.jobs.retry, run_at=0.0, cause="later")):
            key = await add(store, NewJob("push", ME, "x", {}))
            (job,) = await store.jobs.claim("me", 1, NOW * 2)
            async with con.transaction():
                await con.execute("UPDATE jobs SET fence = fence + 1, owner = 'other' WHERE key = $1", key)
                ending = asyncio.ensure_future(act(job.claim))
                await locked(con)
            with pytest.raises(LeaseLost):
                await ending
        await con.close()
        await store.aclose()

    @pytest.mark.proves("a2a.tasks")
    async def test_a_cancel_and_a_step_of_one_run_do_not_wait_for_each_other(self, postgres_ready: str) -> None:
        store = await open_store(postgres_ready)
        accepted = await begin(store, owner="me")
        con = await asyncpg.connect(postgres_ready)
        async with con.transaction():
            await con.execute("SELECT * FROM tasks FOR UPDATE")
            canceled = asyncio.ensure_future(store.tasks.cancel(ME, accepted.task.id, NOW))
            await locked(con)
            written = asyncio.ensure_future(store.tasks.record(step(accepted, answer("x"), claim=accepted.claim)))
            await locked(con, 2)
        assert await canceled
        with pytest.raises(LeaseLost):
            await written
        assert await con.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0
        await con.close()
        await store.aclose()

    async def test_a_deadlock_is_run_again(self, postgres_ready: str) -> None:
        store = await open_store(postgres_ready)
        for name in ("a", "b"):
            await begin(store, context=name)
        met = 0

        async def unit(con: Connection, first: str, second: str) -> None:
            nonlocal met
            await con.execute("UPDATE sessions SET updated = updated + 1 WHERE id = ?", (first,))
            met += 1
            await con.all("SELECT pg_sleep(0.3)")
            await con.execute("UPDATE sessions SET updated = updated + 1 WHERE id = ?", (second,))

        async with asyncio.TaskGroup() as group:
            group.create_task(wait(store.database.write(lambda con: unit(con, "a", "b"), "ab")))
            await asyncio.sleep(0.05)  # a lane of its own takes the second one
            group.create_task(wait(store.database.write(lambda con: unit(con, "b", "a"), "ba")))
        assert met > 2
        await store.aclose()


async def locked(con: "asyncpg.Connection[asyncpg.Record]", count: int = 1) -> None:
    """Return when so many others wait for a lock."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(60):
        while await con.fetchval(waiting) < count:
            await con.execute("SELECT pg_stat_clear_snapshot()")
            await asyncio.sleep(0.01)


async def wait(future: Awaitable[T]) -> T:
    """A coroutine for what can be awaited."""
    return await future


@pytest.mark.proves("database.postgres")
async def test_a_connection_that_others_can_read_is_warned_of(
    postgres_ready: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An address that nobody can know to be this machine's; and the server has no TLS."""
    far = postgres_ready.replace("127.0.0.1", "0.0.0.0")
    for dsn, visitor, count in ((postgres_ready, False, 0), (far, True, 0), (far, False, 1)):
        caplog.clear()
        await (await open_store(dsn, visitor=visitor)).aclose()
        said = [found.getMessage() for found in caplog.records if "is not encrypted" in found.getMessage()]
        assert len(said) == count
        assert not [text for text in said if "sslmode=verify-full" not in text or PASSWORD in text]


@pytest.mark.parametrize(
    ("hosts", "local"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("[::1]", True),
        ("db.example.com", False),
        ("localhost,10.0.0.7", False),
        ("/var/run/postgresql", True),
    ],
)
def test_what_is_local(hosts: str, local: bool) -> None:
    dsn = f"postgres://{quote(hosts, safe='[]:,')}/db"
    assert parse(dsn).is_local is local
