"""Backups that are made while others write, and databases that are filled from them, on either engine."""

import asyncio
import os
import resource
import secrets
import sqlite3
import stat
import zipfile
from collections.abc import Awaitable, Callable
from itertools import compress
from pathlib import Path

import pytest

from hector.core.clock import FakeClock
from hector.core.content import Text
from hector.core.errors import SchemaTooNew, StartupError, StoreError
from hector.core.event import Artifact
from hector.core.job import Claim, Instance, JobState
from hector.core.task import Caller, TaskQuery
from hector.store import Store, migrations, open_store
from hector.store.archive import Archive, Digest, Manifest, Writer, lines
from hector.store.backup import Saved, save
from hector.store.database import Connection
from hector.store.restore import Restored, restore
from hector.store.tables import EPHEMERAL, Table, ours, pages, tables
from tests.ops.conftest import ENGINES, EmptyDatabase
from tests.ops.watcher import Watcher
from tests.postgres import Postgres
from tests.store.turns import ME, NOW, answer, begin, done
from tests.store.turns import step as step_of

pytestmark = pytest.mark.proves("ops.backup", "ops.restore")


async def fill(store: Store) -> None:
    """Something in every table that a client can reach, in words that need care."""
    for number in range(3):
        accepted = await begin(store, f"hello \u2028 {number}", context=f"c{number}", metadata={"n": number})
        state = {"app:a": 1.5, "user:u": "x\u0000y", "own": [None, True]}
        await store.tasks.record(done(accepted, answer("hi \U0001f600", state=state)))
    waiting = await begin(store, "later", context="zz Ä")
    await store.tasks.record(
        step_of(waiting, answer("a"), artifacts=(Artifact("big", (Text("x" * 3_000_000),), "big"),))
    )


FORGOTTEN = ("state", "owner", "fence", "attempts")
"""What a restored job does not remember of who worked on it."""


async def content(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables that a backup holds."""
    dialect = store.database.dialect

    async def rows_of(con: Connection, table: Table) -> list[tuple[object, ...]]:
        kept = [table.name != "jobs" or name not in FORGOTTEN for name in table.columns]
        return [tuple(compress(row, kept)) async for page in pages(con, table, dialect) for row in page]

    async def unit(con: Connection) -> dict[str, list[tuple[object, ...]]]:
        return {table.name: await rows_of(con, table) for table in await tables(con, dialect)}

    return await store.database.read(unit)


async def back_up(dsn: str, path: Path, clock: FakeClock) -> Saved:
    """What `hector backup` does."""
    store = await open_store(dsn, visitor=True)
    try:
        return await save(store.database, path, clock, Watcher())
    finally:
        await store.aclose()


async def bring_back(dsn: str, path: Path, clock: FakeClock, *, replace: bool = False) -> Restored:
    """What `hector restore` does."""
    with Archive(path) as archive:
        return await restore(dsn, archive, clock, Watcher(), replace=replace)


async def with_store(dsn: str, use: Callable[[Store], Awaitable[None]]) -> None:
    """Open, use, close."""
    store = await open_store(dsn)
    try:
        await use(store)
    finally:
        await store.aclose()


@pytest.mark.parametrize("target", ENGINES)
@pytest.mark.parametrize("source", ENGINES)
async def test_everything_comes_back_on_either_engine(
    source: str, target: str, empty: EmptyDatabase, tmp_path: Path, clock: FakeClock
) -> None:
    path = tmp_path / "a.hbk"
    before: dict[str, list[tuple[object, ...]]] = {}

    async def prepare(store: Store) -> None:
        await fill(store)
        before.update(await content(store))
        await save(store.database, path, clock, Watcher())

    if source == target == "postgres":
        pytest.skip("one database a test: see the test of replacing one")
    await with_store(empty(source), prepare)
    dsn = empty(target) if source != target else f"sqlite://{tmp_path}/other/hector.db"
    done_ = await bring_back(dsn, path, clock)
    assert done_.former == ""

    async def look(store: Store) -> None:
        assert await content(store) == before
        assert [len(before[name]) for name in ("sessions", "tasks", "jobs", "artifacts")] == [4, 4, 4, 4]
        page = await store.tasks.list(ME, None, TaskQuery(include_artifacts=True))
        assert max(len(str(task.artifacts)) for task in page.tasks) > 3_000_000
        again = await begin(store, "after", context="new")
        assert again.task.status.state == "working", "keys go on behind those that were restored"

    await with_store(dsn, look)


async def test_what_ran_is_ready_again_and_nobody_is_to_blame(dsn: str, tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "a.hbk"

    async def prepare(store: Store) -> None:
        await store.instances.register(Instance("process-1", "host", 1, "1", NOW, NOW))
        await begin(store)
        await save(store.database, path, clock, Watcher())
        await store.instances.leave("process-1")

    await with_store(dsn, prepare)
    await bring_back(dsn, path, clock, replace=True)

    async def look(store: Store) -> None:
        assert await store.instances.all() == ()
        (job,) = await store.jobs.claim("process-2", 10, NOW + 1e9)
        assert (job.attempts, job.claim) == (1, Claim(1, 3))
        assert (await store.jobs.get(1)).history == ()

    await with_store(dsn, look)


class Writing:
    """Writes whole conversations until told to stop, and lets others wait for so many of them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._written = 0
        self._more = asyncio.Condition()
        self.stopped = False

    async def run(self) -> None:
        while not self.stopped:
            accepted = await begin(self._store, context=f"busy{self._written}")
            await self._store.tasks.record(done(accepted, answer("done")))
            async with self._more:
                self._written += 1
                self._more.notify_all()

    async def more(self, number: int) -> None:
        """Return when so many more have been written."""
        async with self._more:
            goal = self._written + number
            await self._more.wait_for(lambda: self._written >= goal)


async def test_a_backup_is_of_one_moment_while_others_write(
    dsn: str, store: Store, tmp_path: Path, clock: FakeClock
) -> None:
    writing = Writing(store)
    async with asyncio.TaskGroup() as group:
        group.create_task(writing.run())
        await writing.more(5)
        await back_up(dsn, tmp_path / "a.hbk", clock)
        await writing.more(5)
        writing.stopped = True
    with Archive(tmp_path / "a.hbk") as archive:
        members = {member.table: member for member in archive.manifest.members}
        states = [row[6] for rows in archive.rows(members["tasks"]) for row in rows]
    assert members["sessions"].rows == members["tasks"].rows == members["jobs"].rows >= 5
    # A task that has ended has both of its events, one that has not has one.
    assert members["events"].rows == sum(2 if state == "completed" else 1 for state in states)


async def test_every_table_is_in_it_or_left_out_on_purpose(store: Store, tmp_path: Path, clock: FakeClock) -> None:
    saved = await save(store.database, tmp_path / "a.hbk", clock, Watcher())
    assert {member.table for member in saved.manifest.members} == ours(store.database.dialect) - EPHEMERAL
    assert saved.size == (tmp_path / "a.hbk").stat().st_size


async def test_tables_of_others_are_left_alone(dsn: str, tmp_path: Path, clock: FakeClock) -> None:
    async def prepare(store: Store) -> None:
        await store.database.write(lambda con: con.execute("CREATE TABLE theirs (x BIGINT)"))
        saved = await save(store.database, tmp_path / "a.hbk", clock, Watcher())
        assert "theirs" not in {member.table for member in saved.manifest.members}

    async def look(store: Store) -> None:
        assert await store.database.read(lambda con: con.all("SELECT * FROM theirs")) == []

    await with_store(dsn, prepare)
    if dsn.startswith("postgres"):
        await bring_back(dsn, tmp_path / "a.hbk", clock)
        await with_store(dsn, look)


async def test_one_that_is_not_empty_is_only_replaced_when_told(dsn: str, tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "a.hbk"
    await with_store(dsn, fill)
    await back_up(dsn, path, clock)

    async def change(store: Store) -> None:
        await begin(store, context="since then")

    await with_store(dsn, change)
    with pytest.raises(StartupError, match="holds 10 sessions and jobs\nAdd --replace"):
        await bring_back(dsn, path, clock)
    done_ = await bring_back(dsn, path, clock, replace=True)

    async def look(store: Store) -> None:
        assert len((await store.sessions.list(ME)).sessions) == 4

    await with_store(dsn, look)
    if dsn.startswith("sqlite"):
        file = dsn.removeprefix("sqlite://")
        assert done_.former == f"{file}.before-20231115T221320Z"
        assert [stat.S_IMODE(os.stat(name).st_mode) for name in (file, done_.former)] == [0o600, 0o600]
        await with_store(f"sqlite://{done_.former}", lambda store: _sessions(store, 5))


async def _sessions(store: Store, number: int) -> None:
    assert len((await store.sessions.list(ME)).sessions) == number


async def test_one_that_is_in_use_is_refused(dsn: str, tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "a.hbk"
    server = await open_store(dsn)
    try:
        await server.instances.register(Instance("process-1", "a-host", 4711, "1", NOW, NOW))
        await save(server.database, path, clock, Watcher())
        with pytest.raises(StartupError, match="is in use by .*Hector process"):
            await bring_back(dsn, path, clock, replace=True)
        await begin(server)
    finally:
        await server.aclose()


@pytest.mark.parametrize("at", ["first", "last"])
async def test_a_damaged_backup_destroys_nothing(dsn: str, tmp_path: Path, clock: FakeClock, at: str) -> None:
    path = tmp_path / "a.hbk"
    await with_store(dsn, fill)
    await back_up(dsn, path, clock)
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    filled = [name for name, text in members.items() if text and name.startswith("data/")]
    victim = filled[0 if at == "first" else -1]
    with zipfile.ZipFile(path, "w") as new:
        for name, text in members.items():
            new.writestr(name, text.replace(b"a", b"b", 1) if name == victim else text)
    with pytest.raises(StoreError, match="it is damaged"):
        await bring_back(dsn, path, clock, replace=True)
    await with_store(dsn, lambda store: _sessions(store, 4))
    if dsn.startswith("sqlite"):
        folder = Path(dsn.removeprefix("sqlite://")).parent
        assert {found.name for found in folder.iterdir()} == {"hector.db", "hector.db.lock"}


async def test_a_damaged_database_can_be_replaced(tmp_path: Path, clock: FakeClock) -> None:
    file = tmp_path / "data" / "hector.db"
    dsn = f"sqlite://{file}"
    await with_store(dsn, fill)
    await back_up(dsn, tmp_path / "a.hbk", clock)
    file.write_bytes(b"not a database at all" * 1000)
    with pytest.raises(StartupError, match="is not empty\nAdd --replace"):
        await bring_back(dsn, tmp_path / "a.hbk", clock)
    done_ = await bring_back(dsn, tmp_path / "a.hbk", clock, replace=True)
    assert file.with_name(os.path.basename(done_.former)).read_bytes().startswith(b"not a database")
    await with_store(dsn, lambda store: _sessions(store, 4))


async def test_a_log_that_a_killed_server_left_is_not_mixed_into_the_new_file(tmp_path: Path, clock: FakeClock) -> None:
    file, wal = tmp_path / "data" / "hector.db", tmp_path / "data" / "hector.db-wal"
    dsn = f"sqlite://{file}"
    await with_store(dsn, fill)
    await back_up(dsn, tmp_path / "a.hbk", clock)
    store = await open_store(dsn)
    await begin(store, context="only in the log")
    log = wal.read_bytes()
    await store.aclose()
    wal.write_bytes(log)
    await bring_back(dsn, tmp_path / "a.hbk", clock, replace=True)
    assert not wal.exists()
    await with_store(dsn, lambda store: _sessions(store, 4))


async def test_an_older_backup_is_migrated(dsn: str, tmp_path: Path, clock: FakeClock) -> None:
    """Schema 1 had no jobs: those of unfinished tasks are made by the migration that follows."""
    path = tmp_path / "a.hbk"
    con = sqlite3.connect(":memory:")
    con.executescript(migrations.known()[0].sql)
    con.execute("INSERT INTO sessions VALUES (1, 'app', 'me', 'c', 'helper', 1, 1, 1)")
    con.execute("""INSERT INTO events VALUES (16777216, 16777216, 1, 'e', 'run', 'user', '', 1.5, '{"message":{}}')""")
    con.execute(
        "INSERT INTO tasks VALUES (16777216, 16777216, 'app', 'me', 't', 'helper', 'working', 1, NULL, NULL, 1)"
    )
    with Writer(path) as writer:
        members = []
        for table in ("artifacts", "events", "sessions", "tasks"):
            cursor = con.execute(f"SELECT * FROM {table} ORDER BY 1")
            rows, digest = cursor.fetchall(), Digest()
            with writer.table(table) as add:
                add(lines(rows))
            digest.add(lines(rows), len(rows))
            members.append(digest.member(table, [column[0] for column in cursor.description]))
        writer.finish(Manifest("0.1.0", "SQLite", 1, NOW, tuple(members)))
    con.close()
    done_ = await bring_back(dsn, path, clock)
    assert done_.migrated == len(migrations.known()) - 1

    async def look(store: Store) -> None:
        job = await store.jobs.get(1)
        assert (job.state, job.subject, job.caller) == (JobState.READY, "t", Caller("app", "me"))
        assert (await store.tasks.get(Caller("app", "me"), "t", history_length=0)).context_id == "c"

    await with_store(dsn, look)


async def test_a_newer_backup_is_refused(dsn: str, tmp_path: Path, clock: FakeClock) -> None:
    with Writer(tmp_path / "a.hbk") as writer:
        writer.finish(Manifest("9.0.0", "SQLite", 99, NOW, ()))
    with pytest.raises(
        SchemaTooNew, match=r"has schema 99, made by Hector 9\.0\.0.*\nRestore it with the newer Hector"
    ):
        await bring_back(dsn, tmp_path / "a.hbk", clock)


async def test_a_table_that_has_no_place_is_refused(dsn: str, tmp_path: Path, clock: FakeClock) -> None:
    with Writer(tmp_path / "a.hbk") as writer:
        with writer.table("unknown"):
            pass
        member = Digest().member("unknown", ("key",))
        writer.finish(Manifest("1", "SQLite", migrations.known()[-1].number, NOW, (member,)))
    with pytest.raises(StoreError, match="no place for its table unknown"):
        await bring_back(dsn, tmp_path / "a.hbk", clock)


async def test_the_watcher_hears_of_every_row(store: Store, tmp_path: Path, clock: FakeClock) -> None:
    await fill(store)
    watcher = Watcher()
    saved = await save(store.database, tmp_path / "a.hbk", clock, watcher)
    assert watcher.begun[-1] == ("backing up", saved.manifest.rows, "rows")
    assert watcher.done == saved.manifest.rows


async def test_a_full_disk_leaves_no_half_backup(store: Store, tmp_path: Path, clock: FakeClock) -> None:
    noise = Artifact("noise", (Text(os.urandom(400_000).hex()),), "noise")
    await store.tasks.record(step_of(await begin(store), answer("a"), artifacts=(noise,)))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(StoreError, match=r"a\.hbk: cannot be written: File too large\nName a file on another disk"):
            await save(store.database, tmp_path / "a.hbk", clock, Watcher())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not [found for found in os.listdir(tmp_path) if "hbk" in found]


class Cancelling(Watcher):
    """Cancels whoever waits as soon as there is some progress, as Ctrl-C does."""

    def __init__(self) -> None:
        super().__init__()
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()

    def advance(self, by: int = 1) -> None:
        super().advance(by)
        if self._task is not None and not self._task.cancelling():
            self._task.cancel()
            self._loop.call_soon_threadsafe(lambda: None)  # wakes a loop whose task was cancelled from another thread


async def test_a_backup_can_be_stopped(store: Store, tmp_path: Path, clock: FakeClock) -> None:
    await fill(store)

    async def stopped() -> None:
        await save(store.database, tmp_path / "a.hbk", clock, Cancelling())

    task = asyncio.create_task(stopped())
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.aclose()
    assert not [found for found in os.listdir(tmp_path) if "hbk" in found]


async def test_a_restoration_can_be_stopped(dsn: str, tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "a.hbk"
    await with_store(dsn, fill)
    await back_up(dsn, path, clock)

    async def stopped() -> None:
        with Archive(path) as archive:
            await restore(dsn, archive, clock, Cancelling(), replace=True)

    task = asyncio.create_task(stopped())
    with pytest.raises((asyncio.CancelledError, StoreError)):
        await task
    await with_store(dsn, lambda store: _sessions(store, 4))
    assert not [found for found in os.listdir(tmp_path / "data") if "restore" in found] if "sqlite" in dsn else True


async def test_what_a_killed_restoration_left_is_cleared_away(tmp_path: Path, clock: FakeClock) -> None:
    dsn = f"sqlite://{tmp_path}/data/hector.db"
    await with_store(dsn, fill)
    await back_up(dsn, tmp_path / "a.hbk", clock)
    left = tmp_path / "data" / ".hector.db.restore-4711"
    left.write_bytes(b"half")
    await bring_back(dsn, tmp_path / "a.hbk", clock, replace=True)
    assert not left.exists()


GRANTS = (
    "SELECT relname, array_to_string(ARRAY(SELECT x::text FROM unnest(relacl) x WHERE x::text NOT LIKE 'hector=%' "
    "ORDER BY 1), ' '), pg_get_userbyid(relowner) FROM pg_class "
    "WHERE relnamespace = 'public'::regnamespace AND relname IN ('events', 'tasks', 'jobs', 'jobs_key_seq') "
    "ORDER BY 1"
)


async def test_what_others_may_do_with_the_tables_stays(
    postgres: Postgres, postgres_ready: str, tmp_path: Path, clock: FakeClock
) -> None:
    name, role = postgres_ready.rpartition("/")[2], f"reader {secrets.token_hex(4)}"
    postgres.psql(f'CREATE ROLE "{role}"; CREATE ROLE "{role} 2"')
    for sql in (
        f'GRANT SELECT, UPDATE ON events TO "{role}"',
        f'GRANT SELECT ON tasks TO "{role}" WITH GRANT OPTION',
        "GRANT SELECT ON tasks TO PUBLIC",
        f'GRANT USAGE ON SEQUENCE jobs_key_seq TO "{role}"',
        f'GRANT CREATE, USAGE ON SCHEMA public TO "{role} 2"; ALTER TABLE jobs OWNER TO "{role} 2"',
    ):
        postgres.psql(sql, name)
    before = postgres.psql(GRANTS, name)
    assert len(before.splitlines()) == 4
    assert all(role in line for line in before.splitlines()), before
    await back_up(postgres_ready, tmp_path / "a.hbk", clock)
    await bring_back(postgres_ready, tmp_path / "a.hbk", clock, replace=True)
    assert postgres.psql(GRANTS, name) == before
