"""Killed at any moment, again and again, the server comes back with everything that it had confirmed."""

import http.client
import random
import signal
import threading
import time
import urllib.error
from typing import Any

import pytest

from tests.smoke.frontdoor import PATIENCE, Hector, Server, answer_text, echo_model, request
from tests.smoke.test_frontdoor import REMOTE, write

ROUNDS = 12
TALKERS = 4


class Talker:
    """One client with one conversation: says 0, 1, 2 and so on, and keeps what was confirmed.

    `heard`: there is something."""

    def __init__(self, server: Server, context: str) -> None:
        self._server = server
        self._context = context
        self.confirmed: list[dict[str, Any]] = []
        self.heard = threading.Event()
        self.thread = threading.Thread(target=self._talk)

    def _talk(self) -> None:
        try:
            for number in range(1000):
                self.confirmed.append(self._server.say("echo", str(number), self._context))
                self.heard.set()
        except (urllib.error.URLError, http.client.HTTPException, OSError):
            return  # the server is gone


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.proves("serve.kill", "state.crash", "durability.tasks")
def test_nothing_confirmed_is_lost_and_all_that_was_begun_comes_to_its_end(hector: Hector) -> None:
    chance = random.Random(20260101)
    confirmed: list[dict[str, Any]] = []
    with echo_model() as url:
        config = write(hector.folder, REMOTE.format(url=url))
        for turn in range(ROUNDS):
            with hector.serve("--config", config) as server:
                check(server, confirmed)
                talkers = [Talker(server, f"round-{turn}-{number}") for number in range(TALKERS)]
                for talker in talkers:
                    talker.thread.start()
                if turn % 2:
                    talkers[0].heard.wait(PATIENCE)
                talkers[0].thread.join(chance.uniform(0.05, 0.6))  # does not end by itself: this passes the time
                server.stop(signal.SIGKILL)
                for talker in talkers:
                    talker.thread.join()
                    confirmed += talker.confirmed
        with hector.serve("--config", config) as server:
            check(server, confirmed)
    assert len(confirmed) >= ROUNDS // 2


def check(server: Server, confirmed: list[dict[str, Any]]) -> None:
    """Every confirmed task reads as it was; whatever else was begun goes on and completes."""
    for task in confirmed:
        kept = request(f"{server.url}/agents/echo/tasks/{task['id']}", headers={"A2A-Version": "1.0"}).json()
        assert kept["status"] == task["status"]
        assert answer_text(kept) == answer_text(task)
    deadline = time.monotonic() + PATIENCE
    while (found := states(server)) != {"TASK_STATE_COMPLETED"} and found:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def states(server: Server) -> set[str]:
    """The states of all tasks."""
    page, states = "", set[str]()
    while True:
        found = request(f"{server.url}/agents/echo/tasks?pageSize=100{page}", headers={"A2A-Version": "1.0"}).json()
        states |= {task["status"]["state"] for task in found["tasks"]}
        if not found["nextPageToken"]:
            return states
        page = f"&pageToken={found['nextPageToken']}"
