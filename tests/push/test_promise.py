"""The promise: each update arrives at least once and in order, with the same id on each retry, or shows as failed."""

import json
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import yaml

from hector.store.job_rows import JobRecord
from tests.push.receiver import PATIENCE, Received, Receiver, receiving
from tests.smoke.frontdoor import FORMS, ROOT, Hector, request
from tests.web.live import Live, helper, live, user

pytestmark = pytest.mark.proves("push.delivery")

FAST = {"initial_delay": "20ms", "max_delay": "100ms", "max_retries": 50}
OPEN = {"push_notifications": {"allow": ["127.0.0.1"]}}
QUICK = {"push_notifications": {"allow": ["127.0.0.1"], **FAST}}
SECRETS = ("token-canary", "credential-canary", "path-canary")


def config_for(receiver: Receiver) -> dict[str, Any]:
    authentication = {"scheme": "Bearer", "credentials": "credential-canary"}
    return {"url": f"{receiver.url}&path-canary", "token": "token-canary", "authentication": authentication}


def send(server: Live, receiver: Receiver, text: str = "hello") -> str:
    """Have a task done whose updates the receiver gets; its id."""
    params = {"message": user(text), "configuration": {"taskPushNotificationConfig": config_for(receiver)}}
    return str(server.rpc("SendMessage", params).json()["result"]["task"]["id"])


def dead(server: Live, count: int) -> tuple[JobRecord, ...]:
    """The dead letters, once there are so many."""

    async def enough() -> tuple[JobRecord, ...]:
        while len(found := await server.store.queue.dead()) < count:
            await server.store.ping()
        return found

    found: tuple[JobRecord, ...] = server.call(enough)
    return found


@pytest.fixture
def server(folder: Path) -> Iterator[Live]:
    with live({**helper({"text": "Hello"}), "server": QUICK}, folder) as found:
        yield found


def runs(got: Sequence[Received]) -> list[str]:
    """The ids, each run of equal ones once: longer than the set of ids if a notification came back later."""
    return [found for found, _ in groupby(one.id for one in got)]


def states(got: Sequence[Received]) -> list[str]:
    return [next(group).state for _, group in groupby(got, lambda one: one.id)]


def test_a_receiver_that_fails_is_tried_until_it_takes_it(server: Live, receiver: Receiver) -> None:
    receiver.answer = lambda number: (503, 0, 404, 429, 200)[number % 5]
    send(server, receiver)
    taken = receiver.ended()
    assert states(taken) == ["WORKING", "", "COMPLETED"]
    assert len(receiver.got) == 15
    assert len(runs(receiver.got)) == len({one.id for one in receiver.got}) == 3, "never another before its end"
    for _, tries in groupby(receiver.got, lambda one: one.id):
        first, *others = tries
        assert all((one.body, one.headers) == (first.body, first.headers) for one in others)


def test_one_receiver_that_fails_holds_up_no_other(server: Live, receiver: Receiver) -> None:
    receiver.answer = lambda _: 503
    with receiving() as other:
        task = send(server, receiver)
        place = {"taskId": task, "url": other.url}
        server.rpc("CreateTaskPushNotificationConfig", place)
        asked = server.send("again", contextId="other")
        server.rpc("CreateTaskPushNotificationConfig", {"taskId": asked["id"], "url": other.url})
        send(server, other)
        other.ended()
    assert receiver.taken == []


def test_what_is_refused_is_a_dead_letter_that_can_be_sent_again(server: Live, receiver: Receiver) -> None:
    receiver.answer = lambda number: 410 if number == 0 else 200
    task = send(server, receiver)
    assert states(receiver.ended()) == ["", "COMPLETED"], "the others go on"
    (letter,) = dead(server, 1)
    assert (letter.kind, letter.subject, letter.cause) == ("push", task, "the receiver answered 410 Gone")
    assert not any(secret in str(letter) for secret in SECRETS)

    async def requeue() -> None:
        await server.store.queue.requeue(letter.key)

    server.call(requeue)
    taken = receiver.wait(lambda got: len(got) == 3)
    assert taken[-1].state == "WORKING"
    assert taken[-1].id == receiver.got[0].id


def test_attempts_come_to_an_end(folder: Path, receiver: Receiver) -> None:
    receiver.answer = lambda _: 500
    few = {"push_notifications": {"allow_private": True, "initial_delay": 0, "max_retries": 2}}
    with live({**helper({"text": "Hello"}), "server": few}, folder) as server:
        send(server, receiver)
        with receiver.changed:
            assert receiver.changed.wait_for(lambda: len(receiver.got) == 9, PATIENCE)
        letters = dead(server, 3)
    assert {letter.cause for letter in letters} == {
        "given up after 3 attempts: the receiver answered 500 Internal Server Error"
    }


def test_nothing_is_sent_to_an_address_that_was_opened_once(folder: Path, receiver: Receiver) -> None:
    waiting = helper({"tool_calls": [{"name": "ask_user", "args": {"question": "?"}}], "turn": 0}, {"text": "Hello"})
    with live({**waiting, "server": QUICK}, folder) as server:
        asked = server.send("ask", contextId="c")
        server.rpc("CreateTaskPushNotificationConfig", {"taskId": asked["id"], "url": receiver.url})
    with live({**waiting, "server": {"push_notifications": FAST}}, folder) as server:
        server.send("yes", taskId=asked["id"])
        assert "it is this machine" in dead(server, 1)[0].cause
    assert receiver.got == []


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, folder: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite://{folder}/hector.db"
    return str(request.getfixturevalue("postgres_dsn"))


@pytest.mark.timeout(180)
def test_killed_between_the_answer_and_the_delivery_the_server_still_delivers(folder: Path, database: str) -> None:
    """The receiver is down, the server answers and is killed at once; both come back."""
    agent = helper({"text": "Hello"})
    text = yaml.safe_dump({**agent, "server": {**QUICK, "queue": {"stale_threshold": "1s"}}})
    (folder / "push.yaml").write_text(text, encoding="utf-8")
    hector = Hector(FORMS["source"], folder, {"PYTHONPATH": str(ROOT)})
    options = ("--config", "push.yaml", "--database", database)
    with receiving() as receiver:
        receiver.answer = lambda _: 503
        with hector.serve(*options) as server:
            body = {
                "message": user(),
                "configuration": {"taskPushNotificationConfig": config_for(receiver)},
            }
            answer = request(f"{server.url}/agents/helper/message:send", body)
            assert answer.json()["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
            server.stop(signal.SIGKILL)
        tried = {one.id for one in receiver.got}
        receiver.answer = lambda _: 200
        with hector.serve(*options) as again:
            taken = receiver.ended()
            assert again.stop() == 0
    assert states(taken) == ["WORKING", "", "COMPLETED"]
    assert len(runs(receiver.got)) == len({one.id for one in receiver.got}) == 3
    assert tried <= {one.id for one in taken}
    assert not any(secret in again.text() + server.text() for secret in SECRETS)


@pytest.mark.timeout(180)
def test_killed_while_the_receiver_takes_it_the_server_sends_it_again_under_the_same_id(folder: Path) -> None:
    text = yaml.safe_dump({**helper({"text": "Hello"}), "server": QUICK})
    (folder / "push.yaml").write_text(text, encoding="utf-8")
    hector = Hector(FORMS["source"], folder, {"PYTHONPATH": str(ROOT)})
    options = ("--config", "push.yaml", "--database", f"sqlite://{folder}/hector.db")
    arrived, killed = threading.Event(), threading.Event()

    def answer(number: int) -> int:
        if number == 0:
            arrived.set()
            assert killed.wait(PATIENCE)
        return 200

    with receiving() as receiver:
        receiver.answer = answer
        with hector.serve(*options) as server:
            body = {"message": user(), "configuration": {"taskPushNotificationConfig": config_for(receiver)}}
            request(f"{server.url}/agents/helper/message:send", body)
            assert arrived.wait(PATIENCE)
            server.stop(signal.SIGKILL)
            killed.set()
        with hector.serve(*options):
            taken = receiver.ended()
    first, again, *_ = taken
    assert (first.id, first.body) == (again.id, again.body)
    assert states(taken) == ["WORKING", "", "COMPLETED"]


@pytest.mark.timeout(180)
def test_an_operator_sees_what_failed_and_no_secret(folder: Path) -> None:
    text = yaml.safe_dump({**helper({"text": "Hello"}), "server": QUICK})
    (folder / "push.yaml").write_text(text, encoding="utf-8")
    hector = Hector(FORMS["source"], folder, {"PYTHONPATH": str(ROOT)})
    options = ("--config", "push.yaml", "--database", f"sqlite://{folder}/hector.db")
    with receiving() as receiver, hector.serve(*options) as server:
        receiver.answer = lambda number: 401 if number == 0 else 200
        body = {"message": user(), "configuration": {"taskPushNotificationConfig": config_for(receiver)}}
        request(f"{server.url}/agents/helper/message:send", body)
        receiver.ended()
        listed = hector.run("dlq", "list", "--json", *options)
        (letter,) = json.loads(listed.stdout)["dead_letters"]
        shown = hector.run("dlq", "show", str(letter["key"]), *options)
        assert "the receiver answered 401 Unauthorized" in shown.stdout
        assert hector.run("dlq", "requeue", str(letter["key"]), *options).returncode == 0
        receiver.wait(lambda got: len(got) == 3)
        everything = listed.stdout + shown.stdout + shown.stderr + server.text()
    assert not any(secret in everything for secret in SECRETS)


DIRECT = {"tool_calls": [{"name": "reply_directly", "args": {"text": "Hello"}}]}


@pytest.mark.parametrize(("reply", "rule"), [("auto", DIRECT), ("message", {"text": "Hello"})])
def test_whoever_asks_for_notifications_gets_a_task(
    folder: Path, receiver: Receiver, reply: str, rule: dict[str, Any]
) -> None:
    with live({**helper(rule, reply=reply), "server": OPEN}, folder) as server:
        assert "messageId" in server.send()
        send(server, receiver)
        assert states(receiver.ended()) == ["WORKING", "", "COMPLETED"]


def test_receivers_that_hang_hold_up_no_run(folder: Path) -> None:
    """Half of the places are kept for runs, those that have to wait for their turn included."""
    small = {"queue": {"workers": 4}, **OPEN}
    with live({**helper({"text": "Hello"}), "server": small}, folder) as server, deaf() as address:
        for number in range(8):
            task = server.send("first", contextId=f"c-{number}")
            server.rpc("CreateTaskPushNotificationConfig", {"taskId": task["id"], "url": address})
            params = {
                "message": user(contextId=f"c-{number}"),
                "configuration": {"taskPushNotificationConfig": {"url": address}, "returnImmediately": True},
            }
            server.rpc("SendMessage", params)
            assert server.send("after it", contextId=f"c-{number}")["status"]["state"] == "TASK_STATE_COMPLETED"


@contextmanager
def deaf() -> Iterator[str]:
    """An address that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
