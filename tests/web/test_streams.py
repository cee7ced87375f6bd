"""Streams: clients that leave, sleep or stop reading; servers that stop."""

import asyncio
import json
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hector.web import opened, streams
from tests.smoke.frontdoor import FORMS, ROOT, Hector
from tests.web.bindings import events
from tests.web.live import PATIENCE, Live, helper, live, user

SLOW = {"text": "one two three four five six seven eight", "pace": "150ms"}
ASK = {"turn": 0, "tool_calls": [{"name": "ask_user", "args": {"question": "what?"}}]}


@pytest.fixture
def server(folder: Path) -> Iterator[Live]:
    with live(helper({"user": "ask", **ASK}, {"user": "slow", **SLOW}, {"text": "done"}), folder) as made:
        yield made


def state_of(server: Live, task_id: str) -> str:
    return str(server.client.get(f"/tasks/{task_id}").json()["status"]["state"])


def follow_to_the_end(server: Live, task_id: str) -> list[Any]:
    """What a subscriber sees until the task has ended; nothing if it already has."""
    with server.client.stream("GET", f"/tasks/{task_id}:subscribe") as answer:
        return list(events(answer)) if answer.status_code == 200 else []


@pytest.mark.proves("a2a.streaming")
def test_a_client_that_leaves_does_not_end_the_task(server: Live) -> None:
    with (
        httpx.Client(base_url=server.url) as client,
        client.stream("POST", "/message:stream", json={"message": user("slow")}) as answer,
    ):
        task_id = next(events(answer))["task"]["id"]
    assert state_of(server, task_id) in ("TASK_STATE_SUBMITTED", "TASK_STATE_WORKING")
    follow_to_the_end(server, task_id)
    task = server.client.get(f"/tasks/{task_id}").json()
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert task["artifacts"][0]["parts"] == [{"text": SLOW["text"]}]


def test_a_blocking_client_that_leaves_does_not_end_the_task(server: Live) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{server.url}/message:send", json={"message": user("slow", contextId="c")}, timeout=0.3)
    (task,) = server.client.get("/tasks", params={"contextId": "c"}).json()["tasks"]
    follow_to_the_end(server, task["id"])
    assert state_of(server, task["id"]) == "TASK_STATE_COMPLETED"


@pytest.mark.proves("a2a.subscribe")
def test_a_late_subscriber_gets_what_was_said_and_what_follows(server: Live) -> None:
    with server.client.stream("POST", "/message:stream", json={"message": user("slow")}) as answer:
        stream = events(answer)
        task_id = next(stream)["task"]["id"]
        for event in stream:
            if "artifactUpdate" in event:
                break
        rest = follow_to_the_end(server, task_id)
    said = [part["text"] for artifact in rest[0]["task"]["artifacts"] for part in artifact["parts"]]
    said += [event["artifactUpdate"]["artifact"]["parts"][0]["text"] for event in rest if "artifactUpdate" in event]
    assert "".join(said) == SLOW["text"]


def test_streams_that_leave_are_forgotten(server: Live) -> None:
    task = server.send("ask")
    for _ in range(5):
        with server.client.stream("GET", f"/tasks/{task['id']}:subscribe") as answer:
            next(events(answer))
    with server.client.stream("GET", f"/tasks/{task['id']}:subscribe") as answer:
        stream = events(answer)
        next(stream)
        server.send("more", taskId=task["id"])
        assert list(list(stream)[-1]) == ["statusUpdate"]


@pytest.mark.parametrize("path", ["/agents/helper", None])
def test_a_stopping_server_tells_those_who_wait(folder: Path, path: str | None) -> None:
    seen: list[Any] = []
    with live(helper(ASK), folder) as server:
        task = server.send()
        rpc = {"jsonrpc": "2.0", "id": 1, "method": "SubscribeToTask", "params": {"id": task["id"]}}
        begun = threading.Event()

        def follow() -> None:
            url = f"{server.url}{path or '/tasks/' + task['id'] + ':subscribe'}"
            with httpx.stream("POST", url, json=rpc if path else None, timeout=PATIENCE) as answer:
                for event in events(answer):
                    seen.append(event)
                    begun.set()

        thread = threading.Thread(target=follow)
        thread.start()
        assert begun.wait(PATIENCE)
    thread.join(PATIENCE)
    assert len(seen) == 2
    error = seen[1]["failed"]["error"]
    assert "subscribe" in error["message"]
    assert (error["data"] if path else error["details"])[0]["reason"] == "UNAVAILABLE"


def test_a_stopping_server_takes_no_more_work(folder: Path) -> None:
    with live(helper({"text": "hi"}), folder) as server:

        async def drain() -> None:
            await server.tasks.drain(0)

        server.call(drain)
        answer = server.client.post("/message:stream", json={"message": user()})
        assert (answer.status_code, answer.json()["error"]["status"]) == (503, "UNAVAILABLE")
        answer = server.rpc("SendMessage", {"message": user()})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, -32603)


def test_silence_is_broken_by_comments(server: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PING_SECONDS", 0.1)
    task = server.send("ask")
    with server.client.stream("GET", f"/tasks/{task['id']}:subscribe") as answer:
        lines = answer.iter_lines()
        comments = 0
        while comments < 3:
            comments += next(lines) == ": ping"
        server.send("more", taskId=task["id"])
        rest = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert rest[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"


@pytest.mark.parametrize("pace", [0, 3600], ids=["in mid-stream", "while the model is silent"])
def test_a_client_that_does_not_read_is_let_go(folder: Path, monkeypatch: pytest.MonkeyPatch, pace: float) -> None:
    monkeypatch.setattr(streams, "PING_SECONDS", 0.1)
    monkeypatch.setattr(streams, "SLOW_SECONDS", 0.3)
    flood = "x" * 3_000_000  # more than the kernel buffers for a connection
    words = [flood, flood, flood] if not pace else [flood * 3, "end"]
    with live(helper({"text": " ".join(words), "pace": pace}), folder) as server:
        body = json.dumps({"message": user(contextId="c")}).encode()
        head = (
            "POST /message:stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as wire:
            wire.settimeout(PATIENCE)
            wire.sendall(head.encode() + body)
            assert b"200 OK" in wire.recv(4096)
            server.call(lambda: cut_off(server))
            received = b"".join(iter(lambda: wire.recv(1 << 20), b""))
        assert pace or len(received) < len(flood) * 3
        assert not received.endswith(b"0\r\n\r\n")
        (task,) = server.client.get("/tasks", params={"contextId": "c"}).json()["tasks"]
        if pace:
            assert state_of(server, task["id"]) == "TASK_STATE_WORKING"
            return
        follow_to_the_end(server, task["id"])
        assert state_of(server, task["id"]) == "TASK_STATE_COMPLETED"


async def cut_off(server: Live) -> None:
    """Return when no request is being answered any more but ours."""
    async with asyncio.timeout(PATIENCE):
        while any("Follower._watch" in repr(task.get_coro()) for task in asyncio.all_tasks()):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.02)


@pytest.mark.proves("web.limits")
def test_open_streams_are_bounded(server: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "MOST", 1)
    task = server.send("ask")
    with server.client.stream("GET", f"/tasks/{task['id']}:subscribe") as answer:
        stream = events(answer)
        assert "task" in next(stream)
        for refused in (
            server.client.get(f"/tasks/{task['id']}:subscribe"),
            server.rpc("SendStreamingMessage", {"message": user()}),
        ):
            assert refused.status_code == 429
            assert "1 streams" in refused.json()["error"]["message"]
        assert server.send("plain")["status"]["state"] == "TASK_STATE_COMPLETED"
        server.send("more", taskId=task["id"])
        assert list(stream)[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"


@pytest.mark.proves("serve.stop")
def test_a_signal_ends_streams_and_then_the_process(folder: Path) -> None:
    hector = Hector(FORMS["source"], folder, {"PYTHONPATH": str(ROOT)})
    with hector.serve("--config", str(ROOT / "examples" / "a2a-conformance.yaml")) as process:
        with httpx.Client(base_url=process.url, timeout=PATIENCE) as client:
            body = {"message": user(messageId="tck-input-required")}
            task = client.post("/message:send", json=body).json()["task"]
            with client.stream("GET", f"/tasks/{task['id']}:subscribe") as answer:
                stream = events(answer)
                assert "task" in next(stream)
                process.process.send_signal(signal.SIGTERM)
                assert [list(event) for event in stream] == [["failed"]]
        assert process.process.wait(PATIENCE) == 0
        assert "Traceback" not in process.text()
