"""The server process: reload, stop, death, and what it says when it cannot start."""

import json
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.smoke.frontdoor import FORMS, PATIENCE, Hector, Server, answer_text, request


@pytest.fixture
def hector(tmp_path: Path) -> Hector:
    return Hector(FORMS["source"], tmp_path)


def write(hector: Hector, text: str = "one", **more: Any) -> None:
    """A configuration with one scripted agent that always says `text`."""
    rules = [{"user": "^slow", "text": "slow done", "delay": more.pop("delay", "60s")}, {"text": text}]
    config = {
        "llms": {"default": {"provider": "scripted", "rules": rules}},
        "agents": {"helper": {"instruction": "Help."}},
        **more,
    }
    (hector.folder / "c.yaml").write_text(json.dumps(config), encoding="utf-8")


def says(server: Server) -> str:
    return answer_text(server.say("helper", "hello"))


def eventually(check: Callable[[], bool]) -> None:
    """Wait for something that no event announces."""
    deadline = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def start_slow(server: Server) -> str:
    """The id of a task that is left running."""
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "slow"}]}
    body = {"message": message, "configuration": {"returnImmediately": True}}
    answer = request(f"{server.url}/agents/helper/message:send", body, {"A2A-Version": "1.0"})
    return str(answer.json()["task"]["id"])


def state(server: Server, task_id: str) -> dict[str, Any]:
    answer = request(f"{server.url}/agents/helper/tasks/{task_id}", headers={"A2A-Version": "1.0"})
    return dict(answer.json()["status"])


@pytest.mark.proves("config.hot-reload")
@pytest.mark.parametrize("how", ["watch", "signal"])
def test_a_changed_file_is_taken_up_and_a_wrong_one_is_not(hector: Hector, how: str) -> None:
    def reload() -> None:
        if how == "signal":
            server.process.send_signal(signal.SIGHUP)

    write(hector, "one")
    with hector.serve("-c", "c.yaml", *(["--watch"] if how == "watch" else [])) as server:
        assert says(server) == "one"
        write(hector, "two")
        reload()
        eventually(lambda: says(server) == "two")
        (hector.folder / "c.yaml").write_text("agents: [x\n", encoding="utf-8")
        reload()
        eventually(lambda: "the old one stays in force" in server.text())
        assert "c.yaml:2:1: error" in server.text()
        assert says(server) == "two"
        write(hector, "three", server={"port": 1})
        reload()
        eventually(lambda: says(server) == "three")
        assert "`server` takes effect at the next start" in server.text()


def test_a_reload_does_not_touch_a_running_task(hector: Hector) -> None:
    write(hector, delay="700ms")
    with hector.serve("-c", "c.yaml") as server:
        task = start_slow(server)
        write(hector, "two")
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: says(server) == "two")
        eventually(lambda: state(server, task)["state"] == "TASK_STATE_COMPLETED")


@pytest.mark.proves("serve.stop")
def test_sigterm_lets_running_tasks_end_and_exits_with_0(hector: Hector) -> None:
    write(hector, delay="700ms")
    with hector.serve("-c", "c.yaml", "--database", "sqlite://state.db") as server:
        task = start_slow(server)
        assert server.stop() == 0
    with hector.serve("-c", "c.yaml", "--database", "sqlite://state.db") as server:
        assert state(server, task)["state"] == "TASK_STATE_COMPLETED"


def goes_on(hector: Hector, task: str) -> Server:
    """A new start under which the slow answer is quick, and the task ends with it."""
    write(hector, delay="10ms")
    with hector.serve("-c", "c.yaml") as server:
        eventually(lambda: state(server, task)["state"] == "TASK_STATE_COMPLETED")
    return server


@pytest.mark.proves("serve.stop")
def test_what_outlasts_the_grace_goes_on_after_the_next_start(hector: Hector) -> None:
    write(hector, server={"shutdown_grace": "200ms"})
    with hector.serve("-c", "c.yaml") as server:
        task = start_slow(server)
        assert server.stop() == 0
    assert "gone" not in goes_on(hector, task).text().partition("stopping")[2]  # it was handed back


@pytest.mark.proves("serve.stop")
def test_a_second_signal_ends_it_at_once_and_without_noise(hector: Hector) -> None:
    write(hector)
    with hector.serve("-c", "c.yaml") as server:
        start_slow(server)
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: "waiting for running tasks" in server.text())
        assert server.stop() == 1
        assert "stopped at once" in server.text()
        assert "Traceback" not in server.text()


@pytest.mark.proves("serve.kill")
def test_after_a_kill_a_task_goes_on_at_the_next_start(hector: Hector) -> None:
    write(hector)
    with hector.serve("-c", "c.yaml") as server:
        task = start_slow(server)
        server.stop(signal.SIGKILL)
    assert "work of a process that is gone goes on" in goes_on(hector, task).text()


def test_a_stop_ends_open_streams(hector: Hector) -> None:
    write(hector, server={"shutdown_grace": "100ms"})
    ended = threading.Event()

    def follow() -> None:
        message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "slow"}]}
        request(f"{server.url}/agents/helper/message:stream", {"message": message}, {"A2A-Version": "1.0"})
        ended.set()

    with hector.serve("-c", "c.yaml") as server:
        reader = threading.Thread(target=follow)
        reader.start()
        eventually(lambda: request(f"{server.url}/health").json()["tasks"]["running"] == 1)
        assert server.stop() == 0
        assert ended.wait(PATIENCE)
        reader.join()


@pytest.mark.proves("serve.port-in-use", "state.newer-database")
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--database", "sqlite://notadb.db"], "it is not an SQLite database"),
        (["--database", "postgres://u:secret@127.0.0.1:1/d"], "cannot be reached"),
        (["--database", "nonsense"], "database"),
        (["--port", "99999"], "--port"),
        (["--log-level", "loud"], "--log-level"),
        (["--log-file", "/proc/nowhere/x.log"], "cannot write the log"),
        (["--nonsense"], "unrecognized"),
        (["--demo"], "--demo has a configuration of its own"),
    ],
)
def test_a_start_that_cannot_be_is_one_message_and_exit_2(hector: Hector, arguments: list[str], named: str) -> None:
    write(hector)
    (hector.folder / "notadb.db").write_text("this is not a database, it is a letter " * 50, encoding="utf-8")
    ended = hector.run("serve", "-c", "c.yaml", "--port", "0", *arguments)
    assert ended.returncode == 2
    assert named in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "secret" not in ended.stderr


@pytest.mark.proves("state.one-process")
def test_a_database_serves_one_process_at_a_time(hector: Hector) -> None:
    write(hector)
    with hector.serve("-c", "c.yaml"):
        ended = hector.run("serve", "-c", "c.yaml", "--port", "0")
    assert ended.returncode == 2
    assert "in use by another Hector" in ended.stderr


@pytest.mark.proves("logs.structured")
def test_the_log_is_json_where_asked_for(hector: Hector) -> None:
    write(hector)
    with hector.serve("-c", "c.yaml", "--log-format", "json") as server:
        says(server)
        server.stop()
        lines = [json.loads(line) for line in server.text().splitlines()]
    assert {"time", "level", "logger", "message"} <= lines[0].keys()
    assert [line["message"] for line in lines if line["message"] == "ready"]
