"""Whatever is wrong with a database is said in words that name the remedy, without a traceback and without a password.

Each row breaks a good database, runs a command on it, and says which words must come. `status` stands for commands
beside a server, `migrate` for whoever opens it as `serve` does.
"""

import asyncio
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from hector.cli.main import run
from hector.store import Store, open_store
from tests.postgres import PASSWORD, QUOTED, Postgres
from tests.store.turns import begin

pytestmark = pytest.mark.proves("ops.bad-database")

BOTH: Final = ("status", "migrate")


def prepare(dsn: str, *statements: str) -> None:
    """A database with a conversation in it, and whatever is done to it."""

    async def work() -> None:
        store = await open_store(dsn)
        await begin(store)
        for sql in statements:
            await execute(store, sql)
        await store.aclose()

    asyncio.run(work())


async def execute(store: Store, sql: str) -> None:
    await store.database.write(lambda con: con.execute(sql))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


Refused = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """What a command says that cannot work."""

    def command(dsn: str, *words: str, code: int = 2) -> str:
        ended = run([*words, "--database", dsn])
        out, err = capsys.readouterr()
        assert (ended, out) == (code, ""), err
        assert err.startswith("hector: ")
        assert len(err.splitlines()) <= 2, err
        assert "Traceback" not in err
        assert PASSWORD not in err
        assert QUOTED not in err
        return err

    return command


NEWER: Final = "INSERT INTO migrations (number, name, checksum, hector, applied) VALUES (99, 'x', 'x', '9.0.0', 1)"
CHANGED: Final = "UPDATE migrations SET checksum = 'other' WHERE number = 1"
HALF: Final = "DELETE FROM migrations WHERE number >= 2"
CORRUPT: Final = "UPDATE jobs SET state = 'dead', ended = 1, payload = 'nonsense' WHERE key = 1"

SCHEMAS: Final = [
    (NEWER, BOTH, r"has schema 99, made by Hector 9\.0\.0; .*: use the newer Hector, or choose another database"),
    (CHANGED, BOTH, r"migration 0001_base, applied by Hector .*: reinstall Hector, or restore the database from a"),
    (
        HALF,
        ("status",),
        r"lacks the migrations 0002_durable, 0003_tenants.*\nRun `hector migrate`, or start `hector serve`",
    ),
    (HALF, ("migrate",), r"0002_durable does not fit .*jobs.*exists.*; nothing was changed\nRestore the database from"),
]


@pytest.mark.parametrize(("sql", "commands", "said"), SCHEMAS)
def test_a_schema_that_does_not_fit(dsn: str, refused: Refused, sql: str, commands: tuple[str, ...], said: str) -> None:
    prepare(dsn, sql)
    for command in commands:
        assert re.search(said, refused(dsn, command))


def test_a_damaged_row(dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It hides nothing, and can be looked at and dropped."""
    prepare(dsn, CORRUPT)
    for command in (("dlq", "list"), ("dlq", "show", "1"), ("status",), ("dlq", "drop", "1", "--yes")):
        assert run([*command, "--database", dsn]) == 0
    out, _ = capsys.readouterr()
    assert "dropped" in out
    assert "Retention" in out


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nonsense", "this is no database address"),
        ("sqlite://", "names no file"),
        ("mysql://u:p%40ss%3Aw%2Frd-geheim@h/db", "mysql is not available in this version"),
        (f"postgres://u:{QUOTED}@h:port/db", "host and port of the PostgreSQL address must look like"),
        (f"postgres://u:{PASSWORD}@h/db", "must be percent-encoded"),
        (f"postgres://u:{QUOTED}@h/db?sslmode=maybe", "sslmode"),
    ],
)
def test_an_address_that_is_none(refused: Refused, address: str, said: str) -> None:
    for command in BOTH:
        assert said in refused(address, command)


class TestSqlite:
    """A file, and what may be in its place."""

    def test_nothing(self, refused: Refused, folder: Path) -> None:
        text = refused("sqlite://none/hector.db", "status")
        assert text.endswith("hector.db: there is no such file\n" + TRY)
        assert not (folder / "none").exists()

    def test_an_empty_file(self, refused: Refused, folder: Path) -> None:
        (folder / "hector.db").touch()
        assert "holds nothing of Hector" in refused("sqlite://hector.db", "status")

    def test_a_folder(self, refused: Refused) -> None:
        assert "this is no file" in refused("sqlite://.", "status")
        assert "Is a directory" in refused("sqlite://.", "migrate")

    def test_another_kind_of_file(self, refused: Refused, folder: Path) -> None:
        (folder / "hector.db").write_text("name: assistant\n" * 100, encoding="utf-8")
        for command in BOTH:
            assert "it is not an SQLite database: choose another file" in refused("sqlite://hector.db", command)
        assert (folder / "hector.db").read_text(encoding="utf-8").startswith("name")

    def test_a_database_of_another_program(self, refused: Refused, folder: Path) -> None:
        with closing(sqlite3.connect(folder / "hector.db")) as con:
            con.execute("CREATE TABLE theirs (x)")
            con.commit()
        before = (folder / "hector.db").read_bytes()
        assert "holds nothing of Hector" in refused("sqlite://hector.db", "status")
        assert "belongs to another program: choose another file" in refused("sqlite://hector.db", "migrate")
        assert (folder / "hector.db").read_bytes() == before

    def test_a_damaged_one(self, refused: Refused, folder: Path) -> None:
        prepare("sqlite://hector.db")
        whole = (folder / "hector.db").read_bytes()
        (folder / "hector.db").write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))
        for command in BOTH:
            assert re.search("damaged .*: restore it from a backup", refused("sqlite://hector.db", command))

    def test_one_that_is_cut_off(self, refused: Refused, folder: Path) -> None:
        prepare("sqlite://hector.db")
        whole = (folder / "hector.db").read_bytes()
        (folder / "hector.db").write_bytes(whole[: len(whole) // 2])
        for command in BOTH:
            assert re.search("damaged .*: restore it from a backup", refused("sqlite://hector.db", command))

    def test_one_that_a_server_has(self, refused: Refused) -> None:
        async def during() -> str:
            store = await open_store("sqlite://hector.db")
            try:
                command = [sys.executable, "-m", "hector", "migrate", "--database", "sqlite://hector.db"]
                done = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE, env=environment())
                _, err = await done.communicate()
                assert done.returncode == 2
                return err.decode()
            finally:
                await store.aclose()

        assert f"is in use by another Hector process (pid {os.getpid()}): stop that one" in asyncio.run(during())

    def test_one_that_another_program_writes(self, refused: Refused, folder: Path) -> None:
        prepare("sqlite://hector.db", CORRUPT.replace("nonsense", "{}"))
        with closing(sqlite3.connect(folder / "hector.db", isolation_level=None)) as con:
            con.execute("BEGIN IMMEDIATE")
            text = refused("sqlite://hector.db", "dlq", "requeue", "1")
        assert "another program holds a lock on it: close that program" in text

    @pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
    @pytest.mark.parametrize(
        ("file", "around", "command", "said"),
        [
            (0o600, 0o755, "status", "cannot be opened|access is denied"),
            (0o600, 0o755, "migrate", "Permission denied. Give this user write permission on the file and its folder"),
            (0o644, 0o755, "dlq", "read-only: give this user write permission on the file and its folder"),
            (0o644, 0o755, "migrate", "Permission denied. Give this user write permission on the file and its folder"),
            (0o600, 0o700, "status", "Permission denied"),
        ],
    )
    def test_without_permission(self, folder: Path, file: int, around: int, command: str, said: str) -> None:
        data = folder / "data"
        prepare("sqlite://data/hector.db", CORRUPT.replace("nonsense", "{}"))
        (data / "hector.db").chmod(file)
        data.chmod(around)
        for above in (folder, *folder.parents):
            if above.stat().st_uid == 0 and str(above).startswith("/tmp/"):
                above.chmod(0o755)
        words = ["dlq", "requeue", "1"] if command == "dlq" else [command]
        done = child(AS_NOBODY, *words, "--database", f"sqlite://{data}/hector.db")
        assert done.returncode == 2, done.stderr
        assert re.search(said, done.stderr), done.stderr
        assert "Traceback" not in done.stderr

    def test_a_full_disk(self, folder: Path) -> None:
        """The limit on the size of a file stands for the disk: the write fails in the same place."""
        copies = (
            "INSERT INTO jobs SELECT NULL, kind, app, user, lane, subject, payload, 'dead', 0, 1, NULL, 4, 4, 1, 1, "
        )
        copies += "NULL, 'x', NULL, 1, 1, 1 FROM jobs"
        prepare("sqlite://hector.db", CORRUPT.replace("nonsense", "{}"), *(copies for _ in range(6)))
        done = child(WITHOUT_ROOM, "dlq", "requeue", "--all", "--database", f"sqlite://{folder}/hector.db")
        assert done.returncode == 2, done.stderr
        assert re.search("full|disk reports an error .*: check the disk and its free space", done.stderr)
        with closing(sqlite3.connect(folder / "hector.db")) as con:
            states = dict(con.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall())
            assert states.keys() == {"dead", "ready"}
            assert sum(states.values()) == 64
            assert con.execute("PRAGMA integrity_check").fetchone() == ("ok",)


LOADED: Final = """
import html, http.client, http.cookies, logging.config, os, resource, shutil, sys
from hector.cli import dlq, layout, main, migrate, place, progress, status
from hector.store import figures, opening, retention
from hector.config import masking
"""
AS_NOBODY: Final = LOADED + "os.setgid(65534); os.setuid(65534); sys.exit(main.run(sys.argv[1:]))"
WITHOUT_ROOM: Final = (
    LOADED + "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); sys.exit(main.run(sys.argv[1:]))"
)


def child(code: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """A command in a process of its own, whose circumstances `code` changes."""
    return subprocess.run(
        [sys.executable, "-c", code, *words], cwd="/", env=environment(), capture_output=True, text=True, timeout=50,
        check=False,
    )  # fmt: skip


TRY: Final = "Start `hector serve` once, or name another with --database sqlite://<path>\n"


def environment() -> dict[str, str]:
    """For a child: nothing of ours but where the sources are."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "HOME": "/nonexistent"}


class TestPostgres:
    """A server, and what it may answer."""

    def test_nobody_listens(self, refused: Refused) -> None:
        for command in BOTH:
            text = refused(f"postgres://hector:{QUOTED}@127.0.0.1:1/db", command)
            assert "cannot be reached (connection refused): check that it runs, and host and port" in text

    def test_an_unknown_host(self, refused: Refused) -> None:
        text = refused(f"postgres://hector:{QUOTED}@nowhere.invalid/db", "status")
        assert "PostgreSQL at hector@nowhere.invalid:5432/db cannot be reached" in text

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"password": "wrong"}, "refuses this user and password: check both in the address"),
            ({"user": "nobody"}, "refuses this user and password: check both in the address"),
            ({"database": "missing"}, r"there is no database of that name: create it \(createdb\), or correct"),
        ],
    )
    def test_a_wrong_address(self, postgres: Postgres, refused: Refused, change: dict[str, str], said: str) -> None:
        for command in BOTH:
            assert re.search(said, refused(postgres.dsn(**change), command))

    def test_nothing_there(self, postgres_dsn: str, refused: Refused) -> None:
        for command in (("status",), ("dlq", "list"), ("backup", "a.hbk")):
            assert "holds nothing of Hector\nStart `hector serve` once" in refused(postgres_dsn, *command)

    def test_tables_of_another_program(self, postgres: Postgres, postgres_dsn: str, refused: Refused) -> None:
        postgres.psql("CREATE TABLE sessions (x int)", name_of(postgres_dsn))
        for command in BOTH:
            text = refused(postgres_dsn, command)
            assert "holds tables of another program with names that Hector uses: choose another database" in text

    @pytest.mark.parametrize(
        ("rights", "commands", "said"),
        [
            ("", ("status",), "this user lacks a right: grant it"),
            ("", ("migrate",), "this user lacks a right: grant it"),
            ("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}", ("dlq",), "this user lacks a right: grant it"),
        ],
    )
    def test_without_a_right(
        self, postgres: Postgres, postgres_dsn: str, refused: Refused, role: str, rights: str,
        commands: tuple[str, ...], said: str,
    ) -> None:  # fmt: skip
        prepare(postgres_dsn, CORRUPT.replace("nonsense", "{}"), HALF if commands == ("migrate",) else "SELECT 1")
        if rights:
            postgres.psql(rights.format(role=role), name_of(postgres_dsn))
        words = ("dlq", "requeue", "1") if commands == ("dlq",) else commands
        assert re.search(said, refused(postgres.dsn(name_of(postgres_dsn), user=role), *words))

    def test_a_new_database_without_the_right_to_create(
        self, postgres: Postgres, postgres_dsn: str, refused: Refused, role: str
    ) -> None:
        text = refused(postgres.dsn(name_of(postgres_dsn), user=role), "migrate")
        assert "may not create tables: GRANT CREATE, USAGE ON SCHEMA public to it" in text

    def test_a_read_only_one(self, postgres: Postgres, postgres_dsn: str, refused: Refused) -> None:
        prepare(postgres_dsn)
        postgres.psql(f"ALTER DATABASE {name_of(postgres_dsn)} SET default_transaction_read_only = on")
        for command in BOTH:
            assert "is read-only, perhaps a standby: name the primary" in refused(postgres_dsn, command)

    @pytest.mark.parametrize(
        ("state", "said"),
        [
            ("53100", "its disk is full: free some space there"),
            ("58030", "its disk reports an error: check the disk there"),
            ("25006", "is read-only, perhaps a standby: name the primary server"),
            ("XX001", r"it is damaged \(no\): restore it from a backup"),
        ],
    )
    def test_what_only_the_server_can_tell(
        self, postgres: Postgres, postgres_dsn: str, refused: Refused, state: str, said: str
    ) -> None:
        """A trigger stands for its disk: the error comes from the server, in the same place."""
        prepare(postgres_dsn, CORRUPT.replace("nonsense", "{}"))
        postgres.psql(
            f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$; "
            "CREATE TRIGGER fail BEFORE UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION fail()",
            name_of(postgres_dsn),
        )
        assert re.search(said, refused(postgres_dsn, "dlq", "requeue", "1"))

    def test_no_connection_left(self, postgres: Postgres, postgres_dsn: str, refused: Refused, role: str) -> None:
        postgres.psql(f"ALTER ROLE {role} CONNECTION LIMIT 0")
        for command in BOTH:
            text = refused(postgres.dsn(name_of(postgres_dsn), user=role), command)
            assert "it has no connection left: raise its max_connections, or lower max_conns of Hector" in text

    def test_a_lock_that_somebody_holds(self, postgres_dsn: str, refused: Refused) -> None:
        prepare(postgres_dsn, CORRUPT.replace("nonsense", "{}"))

        async def during() -> str:
            con = await asyncpg.connect(postgres_dsn)
            async with con.transaction():
                await con.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
                address = f"{postgres_dsn}?statement_timeout=500"
                command = [sys.executable, "-m", "hector", "dlq", "list", "--database", address]
                done = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE, env=environment())
                _, err = await done.communicate()
            await con.close()
            assert done.returncode == 2
            return err.decode()

        text = asyncio.run(during())
        assert "a statement took too long: look for locks and slow disks there" in text
        assert QUOTED not in text


def name_of(dsn: str) -> str:
    """Of the database."""
    return dsn.rpartition("/")[2]


@pytest.fixture
def role(postgres: Postgres) -> Iterator[str]:
    """A user of the server who may do nothing yet."""
    name = "weak"
    postgres.psql(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
    yield name
    databases = postgres.psql("SELECT datname FROM pg_database WHERE datallowconn AND datname <> 'template0'")
    for database in databases.splitlines():
        postgres.psql(f"DROP OWNED BY {name}", database)
    postgres.psql(f"DROP ROLE {name}")
