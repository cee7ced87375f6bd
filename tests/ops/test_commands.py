"""The commands that look after a database, as they are typed, on both engines."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hector.cli.byhand import user
from hector.cli.main import in_order, run
from hector.core.job import Instance, JobState, NewJob
from hector.core.task import Caller
from hector.store import Store, migrations, open_store
from hector.store.egress import Visited
from hector.store.migrations import NAMES
from hector.store.tables import ours, tables_of
from tests.store.turns import ME, NOW, add, answer, begin, done

SECRET = "sk-canary-0123456789"
CONFIG = f"""
llms: {{default: {{provider: openai, model: m, api_key: {SECRET}}}}}
agents: {{helper: {{}}}}
"""


class Said(NamedTuple):
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


Hector = Callable[..., Said]
NOBODY = "no server is running on this database: it goes on as soon as one is started\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands run: with a configuration, and nothing else."""
    place = tmp_path / "work"
    place.mkdir()
    (place / "config.yaml").write_text(CONFIG, encoding="utf-8")
    monkeypatch.chdir(place)
    monkeypatch.setenv("COLUMNS", "160")
    return place


@pytest.fixture
def hector(folder: Path, dsn: str, capsys: pytest.CaptureFixture[str]) -> Hector:
    """Run a command on the database."""

    def command(*argv: str, place: bool = True) -> Said:
        where = ("--config", "config.yaml", "--database", dsn) if place else ()
        code = run((*argv, *where))
        return Said(code, *capsys.readouterr())

    return command


def prepare(dsn: str, use: Callable[[Store], Awaitable[None]]) -> None:
    """Make a database and put something in."""

    async def work() -> None:
        store = await open_store(dsn)
        try:
            await use(store)
        finally:
            await store.aclose()

    asyncio.run(work())


async def execute(store: Store, sql: str) -> None:
    """Change something behind everybody's back."""
    await store.database.write(lambda con: con.execute(sql))


async def nothing(store: Store) -> None:
    """Only the schema."""


async def dead_letters(store: Store, number: int = 3) -> None:
    """Jobs that were given up, each after two attempts."""
    for at in range(number):
        key = await add(store, NewJob("push", ME, f"task-{at}", {"url": "u", "token": "tok-abcdef"}, NOW))
        for attempt in (1, 2):
            (job,) = await store.jobs.claim("process-1", 1, NOW + 1e9)
            assert job.claim.key == key
            cause = f"attempt {attempt}:\n\x1b[31m503 from {SECRET}"
            if attempt == 1:
                await store.jobs.retry(job.claim, NOW, cause)
            else:
                await store.jobs.finish(job.claim, JobState.DEAD, cause)


async def conversations(store: Store) -> None:
    """One that is over, one that runs for a process that serves."""
    now = (await store.jobs.next_due()) or NOW
    await store.instances.register(Instance("process-1", "a-host", 4711, "1.2.3", now, now))
    accepted = await begin(store, context="a")
    await store.tasks.record(done(accepted, answer("hi")))
    await begin(store, context="b")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("dlq --config a list", "dlq list --config a"),
        ("--config a dlq --json list --limit 3", "dlq list --config a --json --limit 3"),
        ("dlq --database=b -c a show 3", "dlq show --database=b -c a 3"),
        ("--database b status --json", "status --database b --json"),
        ("-c a approve T --deny", "approve -c a T --deny"),
        ("dlq list --config a", "dlq list --config a"),
        ("dlq --limit 3 list", "dlq --limit 3 list"),
        ("dlq --config", "dlq --config"),
        ("dlq --help", "dlq --help"),
        ("--version", "--version"),
        ("", ""),
    ],
)
def test_flags_may_stand_before_the_command(typed: str, meant: str) -> None:
    assert in_order(typed.split()) == meant.split()


class TestUsage:
    """What was typed wrongly is named, in the name of its command, with the way to help."""

    @pytest.mark.parametrize(
        ("typed", "said"),
        [
            ("", "hector: error: the following arguments are required: command\n`hector --help` shows what there is\n"),
            ("status more", "hector status: error: unrecognized arguments: more\n`hector status --help` shows"),
            ("dlq list --limt 3", "hector dlq list: error: unrecognized arguments: --limt 3\n`hector dlq list --help`"),
            ("dlq list --lim 3", "hector dlq list: error: unrecognized arguments: --lim 3\n`hector dlq list --help`"),
            ("restore --verif x", "hector restore: error: unrecognized arguments: --verif"),
            ("dlq show one", "argument KEY: this is no key: 'one'; `hector dlq list` shows them\n"),
        ],
    )
    def test_errors(self, typed: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            run(typed.split())
        assert ended.value.code == 2
        assert said in capsys.readouterr().err

    def test_the_database_may_be_named_first(self, hector: Hector, dsn: str) -> None:
        prepare(dsn, nothing)
        assert hector("--database", dsn, "dlq", "--json", "list", place=False).json()["dead_letters"] == []


@pytest.mark.proves("ops.status")
class TestStatus:
    def test_for_people(self, hector: Hector, dsn: str) -> None:
        prepare(dsn, conversations)
        prepare(dsn, dead_letters)
        found = hector("status")
        assert (found.code, found.err) == (0, "")
        assert "\x1b" not in found.out
        assert SECRET not in found.out
        lines = [" ".join(line.split()) for line in found.out.splitlines()]
        assert any(line.startswith(("alive a-host 4711 1.2.3", "silent a-host 4711 1.2.3")) for line in lines)
        assert "processing 2" in lines
        assert "dead 3 hector dlq list" in lines
        assert "sessions 2 +0 in the last day" in lines
        assert any(line.startswith("sessions kept for 90 d") for line in lines)
        assert "Dead letters" in lines

    def test_for_programs(self, hector: Hector, dsn: str) -> None:
        prepare(dsn, conversations)
        prepare(dsn, dead_letters)
        found = hector("status", "--json").json()
        assert (found["queue"]["processing"], found["queue"]["dead"], found["queue"]["pending"]) == (2, 3, 0)
        assert [one["host"] for one in found["processes"]] == ["a-host"]
        assert found["stored"]["tasks"] == {"completed": 1, "working": 1}
        assert found["database"]["schema"] == migrations.known()[-1].number
        assert found["database"]["engine"].startswith(("SQLite 3", "PostgreSQL 1"))
        assert found["retention"]["sessions_seconds"] == 90 * 86_400
        assert found["dead_letters"][0]["payload"] == {"url": "u", "token": "***"}

    def test_approvals_that_end_by_themselves_are_no_work_that_waits(self, hector: Hector, dsn: str) -> None:
        async def work(store: Store) -> None:
            now = time.time()
            await add(store, NewJob("expire", ME, "a task", {}, now + 3600))
            await add(store, NewJob("expire", ME, "overdue", {}, now - 60))
            await add(store, NewJob("push", ME, "to be tried again", {}, now + 3600))

        prepare(dsn, work)
        found = hector("status", "--json").json()["queue"]
        assert (found["timers"], found["pending"]) == (1, 2)
        lines = [" ".join(line.split()) for line in hector("status").out.splitlines()]
        assert "timers 1 approvals that end by themselves" in lines

    def test_refused_connections_are_one_line(self, hector: Hector, dsn: str) -> None:
        async def work(store: Store) -> None:
            row = Visited("tool", "evil.example", 443, 3, 0, 2, 0, 0, 0, 1.0, 2.0, "not in the list")
            await store.egress.add([row, row._replace(host="fine.example", refused=0, last_at=3.0, refusal="")])

        prepare(dsn, nothing)
        assert "Refused" not in hector("status").out
        prepare(dsn, work)
        lines = [" ".join(line.split()) for line in hector("status").out.splitlines()]
        assert "2 connections to 1 destination, such as evil.example:443 (tool) GET /admin/egress lists them" in lines
        (found,) = hector("status", "--json").json()["egress_refused"]
        assert (found["host"], found["times"], found["why"]) == ("evil.example", 2, "not in the list")

    def test_of_an_empty_database(self, hector: Hector, dsn: str) -> None:
        prepare(dsn, nothing)
        found = hector("status")
        assert "none: nobody serves from this database" in found.out
        assert "Stuck" not in found.out

    def test_a_wrong_time_span_is_named(self, hector: Hector, dsn: str) -> None:
        prepare(dsn, nothing)
        assert hector("status", "--stuck-after", "soon").err == (
            "hector: --stuck-after: 'soon' is no time span\n"
            'Give seconds, or a text such as "200ms", "30s", "1h30m", "90d"\n'
        )


@pytest.mark.proves("mcp.pins")
def test_who_accepts_a_changed_tool_is_noted(hector: Hector, dsn: str) -> None:
    async def work(store: Store) -> None:
        for text in ("before", "after"):
            await store.mcp_pins.compare("default", "files", {"read": text})

    prepare(dsn, work)
    (row,) = hector("mcp", "changed", "--json").json()["changed"]
    assert (row["server"], row["tool"]) == ("files", "read")
    done = hector("mcp", "accept", "files", "--digest", row["digest"])
    assert (done.code, done.out) == (0, "1 tool of files accepted\n")
    assert hector("mcp", "--json", "changed").json()["changed"] == []
    found = hector("audit", "list", "--json").json()["entries"]
    (noted,) = [one for one in found if one["action"] == "mcp.accept"]
    assert (noted["actor"], noted["via"], noted["object"]) == (f"cli {user()}", "cli", "mcp:files/*")


@pytest.mark.proves("ops.dlq")
class TestDeadLetters:
    def test_list(self, hector: Hector, dsn: str) -> None:
        prepare(dsn, dead_letters)
        found = hector("dlq", "list")
        assert found.code == 0
        rows = [line.split(None, 5) for line in found.out.splitlines()]
        assert rows[0] == ["KEY", "KIND", "AGE", "ATTEMPTS", "SUBJECT", "CAUSE"]
        assert [(row[0], row[1]) for row in rows[1:]] == [("3", "push"), ("2", "push"), ("1", "push")]
        assert found.out.count("attempt 2: [31m503 from ***") == 3
        assert "\x1b" not in found.out

    def test_pages(self, hector: Hector, dsn: str) -> None:
        prepare(dsn, dead_letters)
        assert "more: hector dlq list --before 2" in hector("dlq", "list", "--limit", "2").out
        first = hector("dlq", "list", "--limit", "2", "--json").json()
        assert ([one["key"] for one in first["dead_letters"]], first["next"]) == ([3, 2], 2)
        second = hector("dlq", "list", "--limit", "2", "--before", "2", "--json").json()
        assert ([one["key"] for one in second["dead_letters"]], second["next"]) == ([1], None)
        assert hector("dlq", "list", "--limit", "0").code == 2

    def test_none(self, hector: Hector, dsn: str) -> None:
        prepare(dsn, nothing)
        assert hector("dlq", "list") == Said(0, "there are no dead letters\n", "")
        assert hector("dlq", "requeue", "--all") == Said(0, "requeued 0 dead letters\n", "")

    def test_show_has_every_attempt_and_no_secret(self, hector: Hector, dsn: str) -> None:
        prepare(dsn, dead_letters)
        text = hector("dlq", "show", "2").out
        assert "attempts   2 of 4" in text
        assert [line.split()[0] for line in text.splitlines()[-3:]] == ["ATTEMPT", "1", "2"]
        assert "attempt 1: [31m503 from ***" in text
        found = hector("dlq", "show", "2", "--json")
        assert [one["number"] for one in found.json()["history"]] == [1, 2]
        assert SECRET not in found.out + text
        assert "tok-abcdef" not in found.out + text

    def test_requeue_gives_a_new_round(self, hector: Hector, dsn: str) -> None:
        prepare(dsn, dead_letters)
        found = hector("dlq", "requeue", "2", "2", "3")
        assert found == Said(0, f"requeued 2 dead letters\n{NOBODY}", "")

        async def look(store: Store) -> None:
            assert [(await store.jobs.get(key)).state for key in (1, 2, 3)] == ["dead", "ready", "ready"]
            assert (await store.jobs.get(2)).attempts == 0

        prepare(dsn, look)

    def test_who_goes_on_is_looked_up(self, hector: Hector, dsn: str) -> None:
        async def serve(store: Store, number: int) -> None:
            now = time.time()
            await store.instances.register(Instance(f"p-{number}", f"host-{number}", 4710 + number, "1.2.3", now, now))

        prepare(dsn, lambda store: dead_letters(store, 4))
        assert hector("dlq", "requeue", "1").out.endswith(NOBODY)
        prepare(dsn, lambda store: serve(store, 1))
        assert "\nthe server on host-1, pid 4711, goes on with it within" in hector("dlq", "requeue", "2").out
        prepare(dsn, lambda store: serve(store, 2))
        assert "\none of 2 servers (host-1, pid 4711; host-2, pid 4712) goes on" in hector("dlq", "requeue", "3").out
        prepare(dsn, lambda store: execute(store, "UPDATE instances SET seen = seen - 16000"))
        assert hector("dlq", "requeue", "4").out.endswith(NOBODY)

    def test_what_is_no_dead_letter_is_reported_and_stops_nothing(self, hector: Hector, dsn: str) -> None:
        prepare(dsn, dead_letters)
        found = hector("dlq", "requeue", "99", "1")
        assert (found.code, found.err) == (1, "hector: 99: job '99' was not found\n")
        assert found.out.startswith("requeued 1 dead letter\n")
        found = hector("dlq", "requeue", "1", "--json")
        assert found.code == 1
        assert found.json() == {
            "requeued": [],
            "errors": {"1": "job 1 is no dead letter: it is ready"},
            "servers": [],
        }

    def test_all(self, hector: Hector, dsn: str) -> None:
        prepare(dsn, lambda store: dead_letters(store, 5))
        assert hector("dlq", "requeue", "--all", "--json").json() == {
            "requeued": [5, 4, 3, 2, 1],
            "errors": {},
            "servers": [],
        }

    def test_drop_asks(self, hector: Hector, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
        prepare(dsn, dead_letters)
        found = hector("dlq", "drop", "1")
        assert (found.code, found.err.splitlines()[-1]) == (2, "Add --yes")
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
        answers = iter(["n", "y"])
        monkeypatch.setattr("builtins.input", lambda prompt: next(answers))
        assert hector("dlq", "drop", "1") == Said(1, "", "nothing was dropped\n")
        assert hector("dlq", "drop", "1") == Said(0, "dropped 1 dead letter\n", "")
        assert hector("dlq", "drop", "--all", "--yes", "--json").json() == {"dropped": [3, 2], "errors": {}}

    @pytest.mark.parametrize("action", ["requeue", "drop"])
    @pytest.mark.parametrize("words", [(), ("1", "--all")])
    def test_keys_or_all(self, hector: Hector, dsn: str, action: str, words: tuple[str, ...]) -> None:
        prepare(dsn, nothing)
        found = hector("dlq", action, *words)
        assert (found.code, found.out) == (2, "")
        assert "name KEYs, or give --all, and not both\n`hector dlq list` shows the keys" in found.err


@pytest.mark.proves("ops.backup", "ops.restore")
class TestBackup:
    def test_there_and_back(self, hector: Hector, dsn: str, folder: Path) -> None:
        prepare(dsn, dead_letters)
        saved = hector("backup", "a.hbk")
        assert saved.code == 0
        assert "a.hbk: " in saved.out
        assert "3 rows in" in saved.out
        verified = hector("restore", "a.hbk", "--verify", place=False)
        assert (verified.code, verified.err) == (0, "")
        assert verified.out.startswith("a.hbk is whole: every digest and every count is right\n")
        assert hector("restore", "a.hbk").code == 2
        restored = hector("restore", "a.hbk", "--replace")
        assert restored.code == 0
        assert "3 rows in" in restored.out
        assert "each read back and compared" in restored.out
        assert len(hector("dlq", "list", "--json").json()["dead_letters"]) == 3
        other = run(("restore", "a.hbk", "--database", f"sqlite://{folder}/other.db", "--json"))
        assert other == 0

    def test_json(self, hector: Hector, dsn: str, folder: Path) -> None:
        prepare(dsn, dead_letters)
        saved = hector("backup", "a.hbk", "--json").json()
        assert (saved["tables"]["jobs"], saved["bytes"]) == (3, (folder / "a.hbk").stat().st_size)
        assert hector("restore", "a.hbk", "--verify", "--json", place=False).json()["whole"] is True
        restored = hector("restore", "a.hbk", "--replace", "--json").json()
        assert (restored["rows"], restored["migrations_applied"]) == (3, 0)
        assert "p%40ss" not in json.dumps(restored)

    def test_a_file_that_is_there_stays(self, hector: Hector, dsn: str, folder: Path) -> None:
        prepare(dsn, nothing)
        (folder / "a.hbk").write_text("precious", encoding="utf-8")
        assert hector("backup", "a.hbk").err == (
            "hector: backup a.hbk: it is there already\nName another, or add --replace\n"
        )
        assert hector("backup", str(folder)).code == 2
        assert (folder / "a.hbk").read_text(encoding="utf-8") == "precious"
        assert hector("backup", "a.hbk", "--replace").code == 0

    def test_what_is_none(self, hector: Hector, folder: Path) -> None:
        (folder / "a.hbk").write_text("nonsense", encoding="utf-8")
        for command in (("restore", "a.hbk"), ("restore", "a.hbk", "--verify")):
            found = hector(*command)
            assert found.code == 2
            assert found.err.startswith("hector: backup a.hbk: this is no backup of Hector, or it is cut off")
            assert len(found.err.splitlines()) == 2


@pytest.mark.proves("ops.migrate")
class TestMigrate:
    def test_an_empty_database_lacks_all(self, hector: Hector, dsn: str) -> None:
        """A file that is not there is more likely one that was named wrongly."""
        found = hector("migrate", "--check")
        if dsn.startswith("sqlite"):
            assert found.code == 2
            return
        assert found.code == 1
        assert found.out.endswith(
            f"{len(migrations.known())} migrations missing: run `hector migrate`, or start `hector serve`\n"
        )
        assert hector("migrate", "--status").code == 0
        assert hector("status").code == 2

    def test_an_empty_database_gets_all(self, hector: Hector) -> None:
        found = hector("migrate")
        assert found.code == 0
        assert found.out.splitlines()[0].split() == ["NUMBER", "NAME", "APPLIED", "BY"]
        assert found.out.endswith(f"applied {len(migrations.known())} migrations\n")
        assert hector("migrate").out.endswith("applied 0 migrations\n")
        assert hector("migrate", "--check").code == 0
        assert hector("migrate", "--status").out.endswith("nothing is missing\n")

    def test_what_is_missing_is_named_and_refused_elsewhere(self, hector: Hector, dsn: str) -> None:
        async def forget(store: Store) -> None:
            """As an older version left it."""
            first = migrations.known(store.database.dialect)[0]
            for table in ours(store.database.dialect) - tables_of(first) - {"migrations"}:
                await execute(store, f"DROP TABLE {table}")
            await execute(store, "ALTER TABLE tasks DROP COLUMN push")
            await execute(store, "CREATE INDEX tasks_unfinished ON tasks (key)")
            await execute(store, "DELETE FROM migrations WHERE number >= 2")

        prepare(dsn, forget)
        assert hector("migrate", "--check").code == 1
        status = hector("migrate", "--status", "--json")
        assert status.code == 0
        assert [one["applied"] is None for one in status.json()["migrations"]] == [name != NAMES[0] for name in NAMES]
        refused = hector("status")
        assert refused.code == 2
        assert f"lacks the migrations {', '.join(NAMES[1:])}\nRun `hector migrate`" in refused.err
        done_ = hector("migrate", "--json").json()
        assert done_["applied"] == list(NAMES[1:])
        assert hector("status").code == 0

    def test_a_newer_schema_is_refused(self, hector: Hector, dsn: str) -> None:
        async def newer(store: Store) -> None:
            sql = "INSERT INTO migrations (number, name, checksum, hector, applied) VALUES (99, 'x', 'x', '9.0.0', 1)"
            await store.database.write(lambda con: con.execute(sql))

        prepare(dsn, newer)
        for command in (("status",), ("migrate",), ("migrate", "--check"), ("backup", "a.hbk"), ("dlq", "list")):
            found = hector(*command)
            assert found.code == 2
            assert "has schema 99, made by Hector 9.0.0" in found.err


@pytest.mark.proves("ops.retention")
class TestRetention:
    def test_dry_run_and_run(self, hector: Hector, dsn: str, folder: Path) -> None:
        text = CONFIG + "storage: {retention: {sessions: 0, jobs: 1d, dead_letters: 2d}}\n"
        (folder / "config.yaml").write_text(text, encoding="utf-8")

        async def old(store: Store) -> None:
            await dead_letters(store)
            await begin(store, caller=Caller("app", "me"))
            await store.database.write(lambda con: con.execute("UPDATE jobs SET created = 1, ended = 2"))

        prepare(dsn, old)
        dry = hector("retention", "--dry-run")
        rows = [" ".join(line.split()) for line in dry.out.splitlines()]
        assert rows == [
            "sessions kept for ever 0 would go, with 0 events",
            "jobs ended more than 1 d ago 0 would go",
            "dead letters given up more than 2 d ago 3 would go",
        ]
        found = hector("retention", "--json").json()
        assert found["removed"] == {"sessions": 0, "events": 0, "jobs": 0, "dead_letters": 3}
        assert found["settings"]["jobs"] == 86_400
        assert hector("dlq", "list").out == "there are no dead letters\n"
        status = hector("status").out
        assert "kept for 2 d" in status

    def test_without_a_configuration_nothing_is_removed_by_defaults_unless_that_is_meant(
        self, hector: Hector, dsn: str
    ) -> None:
        async def old(store: Store) -> None:
            await dead_letters(store)
            await execute(store, "UPDATE jobs SET created = 1, ended = 2")

        prepare(dsn, old)
        refused = hector("retention", "--database", dsn, place=False)
        assert (refused.code, refused.out) == (2, "")
        assert refused.err.startswith(
            "hector: retention: there is no configuration, so that the defaults would count: "
            "sessions 90 d, jobs 7 d, dead letters 30 d\nGive --config"
        )
        dry = hector("retention", "--database", dsn, "--dry-run", "--json", place=False).json()
        assert dry["removed"]["dead_letters"] == 3
        done = hector("retention", "--database", dsn, "--yes", "--json", place=False).json()
        assert done["removed"]["dead_letters"] == 3


class TestPlace:
    """Which database is meant."""

    def test_there_is_none(self, hector: Hector, folder: Path) -> None:
        for command in (("status",), ("dlq", "list"), ("backup", "a.hbk"), ("retention",), ("migrate", "--check")):
            code = run(command)
            assert code == 2
        assert not (folder / ".hector").exists(), "looking makes nothing"

    def test_the_file_names_it(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (folder / ".hector").mkdir()
        text = CONFIG + "databases: {default: {driver: sqlite, database: data/named.db}}\n"
        (folder / ".hector" / "config.yaml").write_text(text, encoding="utf-8")
        prepare("sqlite://data/named.db", nothing)
        assert run(["status"]) == 0
        assert "data/named.db" in capsys.readouterr().out

    def test_a_variable_names_it(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        prepare("sqlite://by-variable.db", nothing)
        monkeypatch.setenv("HECTOR_DATABASE", "sqlite://by-variable.db")
        assert run(["status"]) == 0
        assert "by-variable.db" in capsys.readouterr().out

    @pytest.mark.parametrize("argv", [("--database", "sqlite://:memory:"), ("--storage", "inmemory")])
    def test_memory_cannot_be_visited(
        self, folder: Path, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...]
    ) -> None:
        assert run(["status", *argv]) == 2
        assert "in the memory of the process that serves" in capsys.readouterr().err

    def test_a_wrong_configuration_is_a_list_of_findings(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (folder / "config.yaml").write_text("nonsense: 1\n", encoding="utf-8")
        assert run(["status", "--config", "config.yaml"]) == 2
        assert "nonsense" in capsys.readouterr().err


def test_a_program_of_ones_own_is_looked_after_without_it(folder: Path, hector: Hector) -> None:
    """Its functions are not registered here, and nothing here calls them."""
    assert hector("migrate").code == 0
    (folder / "config.yaml").write_text(CONFIG + "tools: {pay: {handler: pay}}\n", encoding="utf-8")
    assert hector("status").code == 0
    assert hector("approve", "--list").code == 0
