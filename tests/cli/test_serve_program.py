"""A program that brings its own tools: what those do wrong stays theirs, in a real server process."""

import json
import re
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_serve import eventually, state
from tests.smoke.frontdoor import PATIENCE, Hector, Server, answer_text, request

PROGRAM = '''
import sys, threading
from hector.__main__ import main

def leave() -> str:
    """Leave."""
    sys.exit(3)

def forever() -> str:
    """Never return."""
    print("stuck", flush=True)
    threading.Event().wait()
    return "never"

def bare(text):
    """No hints."""

if __name__ == "__main__":
    sys.exit(main(tools=[leave, forever, bare]))
'''


@pytest.fixture
def hector(tmp_path: Path) -> Hector:
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    root = str(Path(__file__).parents[2])
    return Hector((sys.executable, "program.py"), tmp_path, {"PYTHONPATH": root})


def write(hector: Hector, handler: str, **more: Any) -> None:
    rules = [{"turn": 0, "tool_calls": [{"name": "odd"}]}, {"text": "went on"}]
    config = {
        "llms": {"default": {"provider": "scripted", "rules": rules}},
        "agents": {"helper": {"instruction": "Help."}},
        "tools": {"odd": {"type": "function", "handler": handler}},
        **more,
    }
    (hector.folder / "c.yaml").write_text(json.dumps(config), encoding="utf-8")


def begin(server: Server) -> str:
    """The id of a task that is left running."""
    body = {
        "message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "go"}]},
        "configuration": {"returnImmediately": True},
    }
    answer = request(f"{server.url}/agents/helper/message:send", body, {"A2A-Version": "1.0"})
    return str(answer.json()["task"]["id"])


@pytest.mark.proves("agents.tool-errors")
def test_a_tool_that_ends_the_process_does_not(hector: Hector) -> None:
    write(hector, "leave")
    with hector.serve("-c", "c.yaml") as server:
        assert answer_text(server.say("helper", "go")) == "went on"
        assert answer_text(server.say("helper", "again")) == "went on"
        assert server.stop() == 0


def test_a_tool_that_never_returns_keeps_the_process_from_nothing(hector: Hector) -> None:
    write(hector, "forever", server={"shutdown_grace": "200ms"})
    with hector.serve("-c", "c.yaml") as server:
        begin(server)
        eventually(lambda: "stuck" in server.text())
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 30


def test_a_second_signal_ends_the_process_at_once(hector: Hector) -> None:
    write(hector, "forever")
    with hector.serve("-c", "c.yaml") as server:
        task_id = begin(server)
        eventually(lambda: "stuck" in server.text())
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: "waiting for running tasks" in server.text())
        assert server.stop(signal.SIGINT) == 1
    with hector.serve("-c", "c.yaml") as server:  # nobody knows whether the tool took effect
        eventually(lambda: state(server, task_id)["state"] == "TASK_STATE_INPUT_REQUIRED")


def test_whoever_waits_is_given_the_task_as_it_stands_at_a_stop(hector: Hector) -> None:
    write(hector, "forever", server={"shutdown_grace": "200ms"})
    answers: list[dict[str, Any]] = []
    with hector.serve("-c", "c.yaml") as server:
        waiting = threading.Thread(target=lambda: answers.append(server.say("helper", "go")))
        waiting.start()
        eventually(lambda: "stuck" in server.text())
        assert server.stop() == 0
        waiting.join(PATIENCE)
    assert answers[0]["status"]["state"] == "TASK_STATE_WORKING"


@pytest.mark.parametrize("how", ["start", "watch", "signal"])
def test_a_handler_that_cannot_be_a_tool_is_told_at_the_start_and_changes_nothing_later(
    hector: Hector, how: str
) -> None:
    if how == "start":
        write(hector, "bare")
        ended = hector.run("serve", "-c", "c.yaml", "--port", "0")
        assert ended.returncode == 2
        assert "parameter 'text' needs a type hint" in ended.stderr
        assert "Traceback" not in ended.stderr
        return
    write(hector, "leave")
    with hector.serve("-c", "c.yaml", *(["--watch"] if how == "watch" else [])) as server:
        write(hector, "bare")
        if how == "signal":
            server.process.send_signal(signal.SIGHUP)
        eventually(lambda: "the old one stays in force" in server.text())
        assert "Traceback" not in server.text()
        assert answer_text(server.say("helper", "go")) == "went on"
        assert server.stop() == 0


def test_neither_the_log_nor_the_task_shows_what_the_configuration_hides(hector: Hector) -> None:
    secrets = ("sk-canary-key-1", "canary-header-2", "canary-bearer-3")
    llm = {
        "provider": "openai",
        "model": "m",
        "api": "chat",
        "api_key": secrets[0],
        "base_url": "http://127.0.0.1:1/v1",
        "headers": {"X-Api-Key": secrets[1], "Authorization": f"Bearer {secrets[2]}"},
        "retry": {"max_attempts": 1},
    }
    write(hector, "leave", llms={"default": llm})
    with hector.serve("-c", "c.yaml", "--log-level", "debug") as server:
        task_id = begin(server)
        eventually(lambda: state(server, task_id)["state"] == "TASK_STATE_FAILED")
        shown = json.dumps(state(server, task_id)) + server.text()
        server.process.send_signal(signal.SIGHUP)
        assert server.stop() == 0
        shown += server.text()
    assert not [secret for secret in secrets if secret in shown]


@pytest.mark.parametrize(("host", "exposed"), [("0.0.0.0", True), ("::", True), ("127.0.0.1", False)])
def test_a_server_that_others_can_reach_says_so(hector: Hector, host: str, exposed: bool) -> None:
    write(hector, "leave")
    with hector.serve("-c", "c.yaml", "--host", host, "--no-require-auth") as server:
        assert server.stop() == 0
        assert ("agents ask nobody who they are" in server.text()) is exposed


@pytest.mark.proves("auth.required")
def test_a_server_that_others_can_reach_asks_for_credentials(hector: Hector) -> None:
    write(hector, "leave")
    with hector.serve("-c", "c.yaml", "--host", "0.0.0.0") as server:
        assert request(f"{server.url}/agents").status == 401
        assert request(f"{server.url}/health").json()["auth"] == {"enabled": True, "admin": True}
        assert server.stop() == 0
        assert "ask nobody" not in server.text()


def test_a_shape_that_is_no_schema_is_found_before_the_first_answer(hector: Hector) -> None:
    agents = {"helper": {"instruction": "x", "structured_output": {"schema": {"type": "objekt"}}}}
    write(hector, "leave", agents=agents)
    for command in (("validate", "c.yaml"), ("serve", "-c", "c.yaml", "--port", "0")):
        ended = hector.run(*command)
        assert ended.returncode == 2
        assert "agents.helper.structured_output.schema" in ended.stderr
        assert "it is not a JSON Schema: type: 'objekt'" in ended.stderr
        assert re.search(r"c\.yaml:\d+:\d+: error", ended.stderr)
        assert "Traceback" not in ended.stderr
