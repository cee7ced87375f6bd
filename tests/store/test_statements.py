"""Every named statement is valid, and found wherever Hector is installed."""

import re
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import asyncpg
import pytest

import hector
from hector.config.postgres import parse
from hector.store import migrations, queries
from hector.store.postgres_connection import connect, statement

STATEMENTS = [(file, name, sql) for file in queries.FILES for name, sql in queries.load(file, "sqlite").items()]
SCANS = {("sessions", "page")}
# The first: through partial indexes that hold live jobs or dead letters only. Then small tables, a constant, and what
# an operator asks for.
SCANS |= {("jobs", name) for name in ("claimable", "next_due", "running_of")}
SCANS |= {("instances", name) for name in ("running_of_nobody", "silent", "others", "instances", "now")}
SCANS |= {("queue", name) for name in ("dead", "counts", "depths", "means")}
# The ends of the audit log, what waits to be chained (a few rows), the row of its last cut. Then what names no app.
SCANS |= {("audit", name) for name in ("alone", "waiting", "head", "take", "last_cut")}
SCANS |= {("inspection", "of_all")}
# What is asked for, as JSON; reservations that wait to be settled, which are few; reports over usage; all switches.
SCANS |= {("counters", name) for name in ("standing", "enter", "change", "abandon", "settled", "forget")}
SCANS |= {("usage", "report"), ("usage", "ended"), ("switches", "all")}
SCANS |= {("apps", "deleting")}  # a small table, now and then
SCANS |= {("audit", "last_cuts")}  # through an index that holds nothing else
# What looks after a database reads all of it, now and then, on a snapshot that holds nobody up.
SCANS |= {("retention", name) for name in ("dead_letters", "count_dead_letters", "delete_dead_letters")}
SCANS |= {("figures", name) for name, _ in queries.load("figures", "sqlite").items()}
SCANS |= {("backup", name) for name, _ in queries.load("backup", "sqlite").items()}
# Through an index of words, which SQLite calls a scan; a batch of what has expired.
SCANS |= {("memories", "search")}
# A list of keys that is given, not a table.
SCANS |= {("memory_vectors", "these")}
# What an operator asks for: a row for each host that was contacted, and who is notified.
SCANS |= {("egress", name) for name in ("all", "forget", "receivers", "refused")}
# Again: a row for each tool of an MCP server that was ever seen.
SCANS |= {("mcp_pins", "changed")}
# A table of few rows, looked through when an app or a secret goes.
SCANS |= {("credentials", name) for name in ("remove_kind", "remove_ended")}


@pytest.fixture(scope="module")
def empty() -> Iterator[sqlite3.Connection]:
    """A database with the schema and nothing else."""
    con = sqlite3.connect(":memory:")
    con.execute(migrations.TABLE)
    for migration in migrations.known():
        con.executescript(migration.sql)
    yield con
    con.close()


def plan(con: sqlite3.Connection, sql: str) -> list[str]:
    """What SQLite will do for a statement."""
    numbered = [int(number) for number in re.findall(r"\?(\d+)", sql)]
    highest = max(numbered) if numbered else sql.count("?")
    return [row[3] for row in con.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * highest)]


@pytest.mark.parametrize(("file", "name", "sql"), STATEMENTS, ids=[f"{file}.{name}" for file, name, _ in STATEMENTS])
def test_statement_can_be_prepared_and_scans_no_table(
    file: str, name: str, sql: str, empty: sqlite3.Connection
) -> None:
    steps = plan(empty, sql)
    if (file, name) not in SCANS:
        assert not [step for step in steps if step.startswith("SCAN")]


@pytest.mark.parametrize(
    ("file", "name", "index"),
    [
        ("jobs", "claimable", "jobs_ready"),
        ("jobs", "next_due", "jobs_due"),
        ("jobs", "busy", "jobs_live"),
        ("jobs", "cancel_of", "jobs_live"),
        ("jobs", "running_of", "jobs_running"),
        ("instances", "running_of_nobody", "jobs_running"),
        ("queue", "dead", "jobs_dead"),
    ],
)
def test_live_jobs_are_found_by_their_index(file: str, name: str, index: str, empty: sqlite3.Connection) -> None:
    assert index in plan(empty, queries.load(file, "sqlite")[name])[0]


def test_a_page_of_tasks_is_read_in_the_order_of_its_index(empty: sqlite3.Connection) -> None:
    steps = plan(empty, queries.load("tasks", "sqlite")["page"])
    assert "tasks_listing" in steps[0]
    assert not [step for step in steps if "TEMP B-TREE" in step]


def test_all_files_are_known() -> None:
    folder = resources.files("hector.store") / "sql"
    assert sorted(queries.FILES) == sorted(
        file.name.removesuffix(".sql") for file in folder.iterdir() if file.name.endswith(".sql")
    )
    found = {file.name for file in (folder / "migrations").iterdir()}
    assert found == {f"{name}{suffix}.sql" for name in migrations.NAMES for suffix in ("", ".postgres")}


@pytest.mark.proves("database.postgres")
async def test_postgresql_prepares_every_statement(postgres_ready: str) -> None:
    con = await asyncpg.connect(postgres_ready)
    for file in queries.FILES:
        for name, sql in queries.load(file, "postgres").items():
            text = statement(sql).sql
            try:
                await con.prepare(text)
            except asyncpg.PostgresError as error:
                pytest.fail(f"{file}.{name}: {error}")
    await con.close()


BY_ID = re.compile(r"(?:FROM tasks t?\b|UPDATE tasks).*WHERE (?:t\.)?id = ", re.DOTALL)
BY_KEY = re.compile(r"(?:FROM|UPDATE) jobs [^;]*WHERE key = \$")


@pytest.mark.proves("database.postgres")
async def test_an_empty_database_tempts_postgresql_to_no_walk(postgres_fresh: str) -> None:
    """Plans are made once, perhaps while the tables are empty, when any index seems as good as another."""
    con = await connect(parse(postgres_fresh))
    seen = 0
    for file in queries.FILES:
        for name, sql in queries.load(file, "postgres").items():
            text = statement(sql).sql
            index = "tasks_id_key" if BY_ID.search(text) else "jobs_" if BY_KEY.search(text) else None
            if index is not None and " jobs j" not in text:
                seen += 1
                await con.execute(f"PREPARE it AS {text}")
                most = max(int(number) for number in re.findall(r"\$(\d+)", text))
                found = await con.fetch(f"EXPLAIN EXECUTE it ({', '.join(['NULL'] * most)})")
                await con.execute("DEALLOCATE it")
                assert index in str(found), f"{file}.{name}"
                assert "jobs_live" not in str(found), f"{file}.{name}"
    assert seen > 15
    await con.close()


@pytest.mark.proves("database.postgres", "state.tasks-queue")
@pytest.mark.parametrize("analyzed", [False, True])
async def test_a_long_queue_is_not_read_to_find_its_head(postgres_fresh: str, analyzed: bool) -> None:
    """Whether or not PostgreSQL knows yet how long it has become."""
    con = await connect(parse(postgres_fresh))
    await con.execute(FILL.format("ready", "NULL", 10_000))
    await con.execute(FILL.format("running", "'me'", 10))
    if analyzed:
        await con.execute("ANALYZE jobs")
    sql = {**queries.load("jobs", "postgres"), **queries.load("instances", "postgres")}
    questions = {"claimable": (1 << 60, 0, 64), "next_due": (0,), "running_of": ("me",), "running_of_nobody": ()}
    for name, args in questions.items():
        rows = await con.fetch(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {statement(sql[name]).sql}", *args)
        text = "\n".join(row[0] for row in rows)
        assert max(int(count) for count in re.findall(r"(?:rows=|by Filter: )(\d+)", text)) <= 64, text
    await con.close()


FILL = """
INSERT INTO jobs (kind, app, "user", lane, subject, payload, state, owner, started, priority, run_at, attempts,
                  max_attempts, fence, step, created)
SELECT 'run', 'a', 'u', '{0}' || n, 't' || n, '{{}}', '{0}', {1}, 1, 0, 0, 0, 4, 0, 0, 0
FROM generate_series(1, {2}) n"""


@pytest.mark.proves("database.postgres", "state.migrations")
async def test_both_engines_have_the_same_tables(postgres_ready: str, empty: sqlite3.Connection) -> None:
    con = await asyncpg.connect(postgres_ready)
    rows = await con.fetch(
        "SELECT table_name, column_name, is_nullable, column_default IS NOT NULL AND is_identity = 'NO', data_type "
        "FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT IN ('migrations', 'relay') "
        "AND is_generated = 'NEVER'"  # what serves an index alone, as memory_index does in the other engine
    )
    await con.close()
    found = {(table, name, nullable == "NO", default) for table, name, nullable, default, _ in rows}
    named = (
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'migrations' AND name NOT LIKE 'memory_index%'"
    )
    tables = [name for (name,) in empty.execute(named)]
    assert found == {
        (table, name, bool(required or key), default is not None)
        for table in tables
        for _, name, _, required, default, key in empty.execute(f"PRAGMA table_info({table})")
    }
    assert {kind for *_, kind in rows} == {"bigint", "text", "double precision", "bytea"}  # an integer is too small


def test_a_dialects_own_statement_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    source = "-- claim\n-- A remark of several words.\nSELECT 1;\n\n-- claim @other\nSELECT 2;\n\n-- both\nSELECT 3;\n"
    monkeypatch.setattr(queries, "text", lambda path: source)
    assert queries.load("x", "sqlite") == {"claim": "SELECT 1", "both": "SELECT 3"}
    assert queries.load("x", "other") == {"claim": "SELECT 2", "both": "SELECT 3"}


def test_a_missing_file_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        queries.load("absent", "sqlite")


def test_a_zip_archive_serves_them_too(tmp_path: Path) -> None:
    archive = tmp_path / "app.zip"
    root = Path(hector.__file__).parent
    with zipfile.ZipFile(archive, "w") as packed:
        for path in [
            root / "__init__.py",
            root / "version.py",
            *(path for name in ("core", "config", "observe", "store") for path in (root / name).rglob("*")),
        ]:
            if path.suffix in (".py", ".sql"):
                packed.write(path, path.relative_to(root.parent))
    code = (
        "import asyncio; from hector.store import open_store; print(asyncio.run(open_store('sqlite://:memory:')).dsn)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(archive)!r}); {code}"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("sqlite://:memory:", 0), done.stderr
