"""What was answered with 202 is not lost, whatever happens to the process; several processes take a delivery once."""

import json
import signal
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.push.receiver import receiving
from tests.smoke.frontdoor import FORMS, PATIENCE, ROOT, Hector, Server
from tests.triggers.signing import SECRET, github

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180), pytest.mark.proves("trigger.response-callback")]


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite://{tmp_path}/hector.db"
    return str(request.getfixturevalue("postgres_dsn"))


def hector(folder: Path) -> Hector:
    trigger = {
        "type": "webhook",
        "secret": SECRET,
        "webhook_input": {"template": "n{{.n}}"},
        "response": {"mode": "callback"},
    }
    config = {
        "llms": {"default": {"provider": "scripted", "rules": [{"text": "done", "delay": "300ms"}]}},
        "agents": {"worker": {"trigger": trigger}},
        "server": {
            "queue": {"stale_threshold": "1s"},
            "push_notifications": {"allow": ["127.0.0.1"], "initial_delay": "50ms", "max_delay": "100ms"},
        },
    }
    (folder / "webhook.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return Hector(FORMS["source"], folder, {"PYTHONPATH": str(ROOT)})


def deliver(server: Server, payload: Mapping[str, Any], name: str) -> dict[str, Any]:
    body = json.dumps(payload).encode()
    signature = github(body)["X-Hub-Signature-256"]
    headers = {"Content-Type": "application/json", "X-Webhook-Signature": signature, "X-GitHub-Delivery": name}
    asked = urllib.request.Request(f"{server.url}/webhooks/worker", body, headers)
    with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
        assert answer.status == 202
        told: dict[str, Any] = json.load(answer)
        return told


def test_killed_right_after_the_answer(tmp_path: Path, database: str) -> None:
    options = ("--config", "webhook.yaml", "--database", database)
    with receiving() as receiver:
        one = hector(tmp_path)
        with one.serve(*options) as server:
            told = [deliver(server, {"n": n, "callback_url": receiver.url}, f"d-{n}") for n in range(5)]
            server.stop(signal.SIGKILL)
        tasks = {answer["task_id"] for answer in told}
        with one.serve(*options) as again:
            repeated = deliver(again, {"n": 0, "callback_url": receiver.url}, "d-0")
            assert (repeated["task_id"], repeated["repeated"]) == (told[0]["task_id"], True)
            taken = receiver.wait(lambda got: {got_one.body["task_id"] for got_one in got} >= tasks)
            assert again.stop() == 0
    assert {found.body["task_id"] for found in taken} == tasks
    assert {(found.body["status"], found.body["result"]) for found in taken} == {("completed", "done")}
    assert SECRET not in again.text() + server.text()


def test_two_processes_take_a_delivery_once(tmp_path: Path, postgres_dsn: str) -> None:
    options = ("--config", "webhook.yaml", "--database", postgres_dsn)
    with receiving() as receiver:
        one = hector(tmp_path)
        with one.serve(*options) as first, one.serve(*options) as second:
            payload = {"n": 1, "callback_url": receiver.url}
            with ThreadPoolExecutor(6) as pool:
                jobs = [
                    pool.submit(deliver, server, payload, f"d-{n}")
                    for n in range(20)
                    for server in (first, second, first)
                ]
                told = [job.result() for job in jobs]
            assert len({answer["task_id"] for answer in told}) == 20
            assert sum("repeated" in answer for answer in told) == 40
            taken = receiver.wait(lambda got: len({found.body["task_id"] for found in got}) == 20)
            assert (first.stop(), second.stop()) == (0, 0)
    assert len(taken) == 20
