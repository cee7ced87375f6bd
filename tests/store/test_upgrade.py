"""A database of the release before: everything in it is there afterwards, and what was cut off goes on."""

from pathlib import Path

import pytest

from hector.core.task import TaskState
from hector.store import migrations, open_store
from hector.store.opening import connect
from tests.store.turns import ME, NOW, answer, begin, done

SAID = '{"message":{"role":"user","parts":[{"type":"text","text":"hello"}]},"metadata":{"a2a":{"message_id":"m1"}}}'
ANSWERED = '{"message":{"role":"assistant","parts":[{"type":"text","text":"hi"}]}}'
ARTIFACT = '{"id":"a","parts":[{"type":"text","text":"hi"}],"name":"n"}'
ROWS = (
    'INSERT INTO sessions (app, "user", id, agent, created, updated, next_seq) '
    "VALUES ('app', 'me', 'c', 'helper', 5, 6, 3)",
    f"INSERT INTO events VALUES (16777216, 16777216, 1, 'e0', 'i1', 'user', '', 5.5, '{SAID}')",
    f"INSERT INTO events VALUES (16777217, 16777216, 0, 'e1', 'i1', 'helper', '', 6.5, '{ANSWERED}')",
    f"INSERT INTO events VALUES (16777218, 16777218, 1, 'e2', 'i2', 'user', '', 7.5, '{SAID}')",
    "INSERT INTO tasks VALUES (16777216, 16777217, 'app', 'me', 't1', 'helper', 'completed', 6, NULL, NULL, 5)",
    "INSERT INTO tasks VALUES (16777218, 16777218, 'app', 'me', 't2', 'helper', 'working', 7, NULL, '{\"x\":1}', 7)",
    f"INSERT INTO artifacts (task, id, body) VALUES (16777216, 'a', '{ARTIFACT}')",
    "INSERT INTO app_state VALUES ('app', 'k', '1')",
    "INSERT INTO user_state VALUES ('app', 'me', 'k', '2')",
    "INSERT INTO session_state VALUES (1, 'k', '3')",
)
"""As the first release wrote them."""


@pytest.fixture(params=["sqlite", "postgres"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database that will be the first release's."""
    return f"sqlite://{tmp_path}/old.db" if request.param == "sqlite" else str(request.getfixturevalue("postgres_dsn"))


async def make(dsn: str) -> None:
    """Create the first release's tables, and what it wrote."""
    first = migrations.known
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "known", lambda dialect="sqlite": first(dialect)[:1])
        database = await connect(dsn)
    for sql in ROWS:
        await database.write(lambda con, sql=sql: con.execute(sql))  # type: ignore[misc]
    await database.aclose()


@pytest.mark.proves("state.migrations", "database.postgres")
async def test_everything_is_there_and_what_was_cut_off_goes_on(old: str) -> None:
    await make(old)
    store = await open_store(old)
    session = await store.sessions.load(ME, "c")
    assert [(event.id, event.message.text) for event in session.events] == [
        ("e0", "hello"),
        ("e1", "hi"),
        ("e2", "hello"),
    ]
    assert session.state == {"app:k": 1, "user:k": 2, "k": 3}
    ended, working = await store.tasks.get(ME, "t1"), await store.tasks.get(ME, "t2")
    assert (ended.status.state, ended.artifacts[0].name) == (TaskState.COMPLETED, "n")
    assert (working.status.state, working.metadata) == (TaskState.WORKING, {"x": 1})
    (job,) = await store.jobs.claim("me", 10, NOW)
    assert (job.kind, job.subject, job.lane, job.payload) == ("run", "t2", "s1", {"invocation": "i2"})
    accepted = await begin(store, "more", context="c", owner=None)
    assert await store.tasks.record(done(accepted, answer("a")))
    assert len((await store.sessions.load(ME, "c")).events) == 5
    assert (await begin(store, context="another")).session is not None
    await store.aclose()


@pytest.mark.proves("state.migrations", "database.postgres")
async def test_one_that_fails_half_way_leaves_the_old_schema(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await make(old)
    known = migrations.known

    def broken(dialect: str = "sqlite") -> tuple[migrations.Migration, ...]:
        first, second = known(dialect)[:2]
        return first, second._replace(sql=f"{second.sql}\nINSERT INTO nowhere VALUES (1);\n")

    monkeypatch.setattr(migrations, "known", broken)
    with pytest.raises(Exception, match="nowhere"):
        await open_store(old)
    monkeypatch.setattr(migrations, "known", lambda dialect="sqlite": known(dialect)[:1])
    database = await connect(old)
    assert await database.read(lambda con: con.all("SELECT id FROM tasks ORDER BY key")) == [("t1",), ("t2",)]
    assert [row[1] for row in await database.read(migrations.history)] == ["0001_base"]
    await database.aclose()
    monkeypatch.undo()
    store = await open_store(old)
    assert len((await store.sessions.load(ME, "c")).events) == 3
    await store.aclose()
