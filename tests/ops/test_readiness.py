"""A server whose database goes away: readiness says why, it heals by itself, and what was accepted is done."""

import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import Postgres
from tests.smoke.frontdoor import PATIENCE, Hector, Server, answer_text, request

pytestmark = [pytest.mark.proves("ops.readiness"), pytest.mark.timeout(180)]

CONFIG = """
llms:
  rules:
    provider: scripted
    rules:
      - {user: slow, text: done at last, delay: 3s}
      - {text: pong}
agents: {helper: {llm: rules}}
"""


@pytest.fixture
def hector(tmp_path: Path) -> Hector:
    (tmp_path / "agents.yaml").write_text(CONFIG, encoding="utf-8")
    return Hector((sys.executable, "-m", "hector"), tmp_path, {"PYTHONPATH": ":".join(sys.path)})


@pytest.fixture
def own_postgres(postgres_programs: Path) -> Iterator[Postgres]:
    """A server that the test may stop."""
    server = Postgres(postgres_programs)
    try:
        server.start()
        yield server
    finally:
        server.remove()


def post(server: Server, text: str) -> dict[str, Any]:
    """Send a message and come back at once."""
    body = {
        "message": {"messageId": text, "role": "ROLE_USER", "parts": [{"text": text}]},
        "configuration": {"returnImmediately": True},
    }
    answer = request(f"{server.url}/agents/helper/message:send", body, {"A2A-Version": "1.0"})
    assert answer.status == 200, answer.body
    task: dict[str, Any] = answer.json()["task"]
    return task


def wait_for(what: Callable[[], bool], patience: float = PATIENCE) -> float:
    """Seconds until it is so."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < patience, "it did not come about in time"
        time.sleep(0.05)  # nothing announces it to a client of HTTP
    return time.monotonic() - began


def readiness(server: Server) -> tuple[int, str]:
    """Status and reason."""
    answer = request(f"{server.url}/readyz")
    return answer.status, answer.json().get("reason", "")


def readiness_noted(server: Server, reasons: list[str]) -> int:
    """The status; the reason is added to the list."""
    status, reason = readiness(server)
    reasons.append(reason)
    return status


def finished(server: Server, task: dict[str, Any]) -> bool:
    """Whether a task has been completed."""
    answer = request(f"{server.url}/agents/helper/tasks/{task['id']}", headers={"A2A-Version": "1.0"})
    return answer.status == 200 and answer.json()["status"]["state"] == "TASK_STATE_COMPLETED"


def test_a_file_that_is_moved(hector: Hector) -> None:
    database, aside = hector.folder / "hector.db", hector.folder / "aside.db"
    with hector.serve("--config", "agents.yaml", "--database", "sqlite://hector.db") as server:
        task = post(server, "slow")
        database.rename(aside)
        assert readiness(server) == (
            503,
            "database hector.db: the file was moved or deleted while Hector ran: stop it and put it back",
        )
        assert request(f"{server.url}/livez").status == 200
        aside.rename(database)
        assert readiness(server) == (200, "")
        wait_for(lambda: finished(server, task))
        assert answer_text(server.say("helper", "ping")) == "pong"
        assert server.stop() == 0, server.text()


@pytest.mark.parametrize("mode", ["fast", "kill"])
def test_a_server_that_stops(hector: Hector, own_postgres: Postgres, mode: str) -> None:
    dsn = own_postgres.dsn(own_postgres.create())
    with hector.serve("--config", "agents.yaml", "--database", dsn) as server:
        task = post(server, "slow")
        own_postgres.stop(mode)
        reasons: list[str] = []
        wait_for(lambda: readiness_noted(server, reasons) == 503)
        assert re.search("PostgreSQL at test_0|has not answered for 5 seconds", reasons[-1]), reasons
        assert "127.0.0.1" not in reasons[-1]
        assert request(f"{server.url}/livez").status == 200
        time.sleep(2)  # it is away for longer than the model thinks
        own_postgres.start()
        wait_for(lambda: readiness(server)[0] == 200)
        wait_for(lambda: finished(server, task))
        assert answer_text(server.say("helper", "ping")) == "pong"
        assert server.stop() == 0, server.text()
    assert "Traceback" not in server.text()
    assert "ready again" in server.text()
