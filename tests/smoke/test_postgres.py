"""`hector` on PostgreSQL, from source and as the executable."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import PASSWORD, QUOTED, Postgres
from tests.smoke.frontdoor import PATIENCE, Hector, answer_text, request
from tests.smoke.test_frontdoor import SCRIPTED, write

pytestmark = pytest.mark.proves("database.postgres")
BLOCK = """
databases:
  default:
    driver: postgres
    host: 127.0.0.1
    port: {port}
    database: {database}
    username: hector
    password: ${{DB_PASSWORD}}
"""


@pytest.fixture
def mortal(postgres_programs: Path) -> Iterator[Postgres]:
    """A server that the test may stop."""
    server = Postgres(postgres_programs)
    server.start()
    yield server
    server.remove()


def hides(*texts: str) -> bool:
    """Whether no password is in them."""
    return not any(secret in text for secret in (PASSWORD, QUOTED) for text in texts)


def test_a_conversation_goes_on_after_a_restart(hector: Hector, postgres_dsn: str) -> None:
    file = write(hector.folder, SCRIPTED)
    with hector.serve("--config", file, "--database", postgres_dsn) as server:
        task = server.say("parrot", "ping")
        assert answer_text(task) == "pong"
        assert server.stop() == 0
        assert hides(server.text())
        assert f"@127.0.0.1:{postgres_dsn.rpartition(':')[2]}" in server.text()
    with hector.serve("--config", file, "--database", postgres_dsn) as server:
        found = request(f"{server.url}/agents/parrot/tasks/{task['id']}", headers={"A2A-Version": "1.0"}).json()
        assert answer_text(found) == "pong"
        assert answer_text(server.say("parrot", "ping", task["contextId"])) == "pong"
        assert server.stop() == 0


def test_a_block_names_the_database_and_keeps_its_secret(hector: Hector, postgres: Postgres, postgres_dsn: str) -> None:
    text = SCRIPTED + BLOCK.format(port=postgres.port, database=postgres_dsn.rpartition("/")[2])
    file = write(hector.folder, text)
    known = Hector(hector.command, hector.folder, {"DB_PASSWORD": PASSWORD})
    shown = known.run("validate", file, "--print-config")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "driver: postgres" in shown.stdout
    assert hides(shown.stdout)
    with known.serve("--config", file) as server:
        assert answer_text(server.say("parrot", "ping")) == "pong"
        assert server.stop() == 0
        assert hides(server.text())
    wrong = Hector(hector.command, hector.folder, {"DB_PASSWORD": "geheim2"})
    refused = wrong.run("serve", "--config", file, "--port", "0")
    assert refused.returncode == 2
    assert "refuses this user and password" in refused.stderr
    assert "geheim2" not in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr


def test_two_servers_share_a_database(hector: Hector, postgres_dsn: str) -> None:
    file = write(hector.folder, SCRIPTED)
    with (
        hector.serve("--config", file, "--database", postgres_dsn) as one,
        hector.serve("--config", file, "--database", postgres_dsn) as two,
    ):
        task = one.say("parrot", "ping")
        found = request(f"{two.url}/agents/parrot/tasks/{task['id']}", headers={"A2A-Version": "1.0"}).json()
        assert answer_text(found) == "pong"
        assert answer_text(two.say("parrot", "ping", task["contextId"])) == "pong"
        assert (one.stop(), two.stop()) == (0, 0)


@pytest.mark.proves("web.health")
def test_a_database_that_is_away_is_said_and_comes_back(hector: Hector, mortal: Postgres) -> None:
    with hector.serve("--config", write(hector.folder, SCRIPTED), "--database", mortal.dsn(mortal.create())) as server:
        task = server.say("parrot", "ping")
        mortal.stop()
        away = ready(server.url, 503)
        assert "PostgreSQL" in away
        assert hides(away, server.text())
        mortal.start()
        ready(server.url, 200)
        assert answer_text(server.say("parrot", "ping", task["contextId"])) == "pong"
        assert server.stop() == 0


def ready(url: str, status: int) -> str:
    """Wait until the readiness probe answers so; its text."""
    deadline = time.monotonic() + PATIENCE
    while (answer := request(f"{url}/readyz")).status != status:
        assert time.monotonic() < deadline, answer.body
        time.sleep(0.1)
    return answer.body.decode()
