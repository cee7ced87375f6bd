"""The commands work beside a server that is running, on both engines."""

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hector.cli.main import run
from tests.smoke.frontdoor import PATIENCE, Hector, Server, answer_text, request

pytestmark = [pytest.mark.timeout(180)]

CONFIG = """
llms:
  rules:
    provider: scripted
    retry: {max_attempts: 1}
    rules:
      - {user: overload, error: {status: 529, message: overloaded with sk-canary-key}}
      - {user: slow, text: done at last, delay: 2s}
      - {text: pong}
agents: {helper: {llm: rules}}
server: {queue: {max_retries: 1, initial_delay: 100ms, max_delay: 200ms}}
"""


@pytest.fixture
def hector(tmp_path: Path) -> Hector:
    (tmp_path / "agents.yaml").write_text(CONFIG, encoding="utf-8")
    return Hector((sys.executable, "-m", "hector"), tmp_path, {"PYTHONPATH": ":".join(sys.path)})


Command = Callable[..., str]


@pytest.fixture
def command(dsn: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Run a command that must end with `code`; what it printed. In this process, which is quicker than in its own."""
    monkeypatch.chdir(tmp_path)

    def work(*words: str, database: str = dsn, code: int = 0) -> str:
        ended = run([*words, "--config", "agents.yaml", "--database", database])
        out, err = capsys.readouterr()
        assert ended == code, err
        return out if code == 0 else err

    return work


def status(command: Command) -> Any:
    """What `hector status` knows."""
    return json.loads(command("status", "--json"))


def post(server: Server, text: str) -> str:
    """Send a message, come back at once; the task's id."""
    body = {
        "message": {"messageId": text, "role": "ROLE_USER", "parts": [{"text": text}]},
        "configuration": {"returnImmediately": True},
    }
    answer = request(f"{server.url}/agents/helper/message:send", body, {"A2A-Version": "1.0"})
    assert answer.status == 200, answer.body
    return str(answer.json()["task"]["id"])


def state(server: Server, task: str) -> str:
    """Of a task."""
    answer = request(f"{server.url}/agents/helper/tasks/{task}", headers={"A2A-Version": "1.0"})
    return str(answer.json()["status"]["state"])


def until(server: Server, task: str, wanted: str) -> None:
    """Wait for a state."""
    deadline = time.monotonic() + PATIENCE
    while (now := state(server, task)) != wanted:
        assert time.monotonic() < deadline, f"still {now}: {server.text()}"
        time.sleep(0.05)


@pytest.mark.proves("ops.status", "ops.dlq")
def test_status_and_dead_letters(hector: Hector, dsn: str, command: Command) -> None:
    with hector.serve("--config", "agents.yaml", "--database", dsn) as server:
        assert answer_text(server.say("helper", "ping")) == "pong"
        slow, dead = post(server, "slow"), post(server, "overload")
        until(server, dead, "TASK_STATE_FAILED")
        found = status(command)
        assert [one["pid"] for one in found["processes"]] == [server.process.pid]
        assert found["processes"][0]["alive"] is True
        assert (found["queue"]["dead"], found["queue"]["completed"] >= 1) == (1, True)
        (letter,) = found["dead_letters"]
        assert (letter["subject"], letter["kind"], letter["attempts"]) == (dead, "run", 2)
        assert "overloaded" in letter["cause"]
        # A requeued one is taken up by the server, and dies again of the same cause after as many attempts.
        command("dlq", "requeue", str(letter["key"]))
        deadline = time.monotonic() + PATIENCE
        while len(letter["history"]) < 4 or letter["state"] != "dead":
            letter = json.loads(command("dlq", "show", str(letter["key"]), "--json"))
            assert time.monotonic() < deadline
        until(server, dead, "TASK_STATE_FAILED")
        command("dlq", "drop", "--all", "--yes")
        assert status(command)["queue"]["dead"] == 0
        until(server, slow, "TASK_STATE_COMPLETED")
        assert server.stop() == 0, server.text()
    assert status(command)["processes"] == []


@pytest.mark.proves("ops.backup", "ops.restore")
def test_a_backup_under_load_goes_on_elsewhere(hector: Hector, dsn: str, command: Command) -> None:
    """Of a running task, too: the server that gets the restored database finishes it."""
    stopped = threading.Event()
    with hector.serve("--config", "agents.yaml", "--database", dsn) as server:

        def talk() -> None:
            while not stopped.is_set():
                server.say("helper", "ping")

        talkers = [threading.Thread(target=talk) for _ in range(3)]
        for talker in talkers:
            talker.start()
        try:
            slow = post(server, "slow")
            command("backup", "a.hbk")
        finally:
            stopped.set()
            for talker in talkers:
                talker.join()
        assert "is in use by" in command("restore", "a.hbk", "--replace", code=2)
        assert server.stop() == 0, server.text()
    new = f"sqlite://{hector.folder}/new/hector.db"
    command("restore", "a.hbk", database=new)
    with hector.serve("--config", "agents.yaml", "--database", new) as server:
        until(server, slow, "TASK_STATE_COMPLETED")
        assert server.stop() == 0, server.text()
