"""Ids and Last-Event-ID over HTTP, in every binding and version, on SQLite."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.web.live import Live, helper, live, user

WORDS: Final = " ".join(f"w{number}" for number in range(30))
ASK: Final = {"turn": 0, "user": "ask", "tool_calls": [{"name": "ask_user", "args": {"question": "what?"}}]}
BINDINGS: Final = ("get", "post", "rpc", "rpc 0.3")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Live]:
    with live(helper(ASK, {"text": WORDS, "pace": "8ms"}), tmp_path) as made:
        yield made


def subscribe(server: Live, binding: str, task_id: str, last: str = "") -> AbstractContextManager[httpx.Response]:
    headers = {"Last-Event-ID": last} if last else {}
    if binding.startswith("rpc"):
        method = "tasks/resubscribe" if binding.endswith("0.3") else "SubscribeToTask"
        body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": {"id": task_id}}
        return server.client.stream("POST", "/agents/helper", json=body, headers=headers)
    return server.client.stream(binding.upper(), f"/tasks/{task_id}:subscribe", headers=headers)


def events(answer: httpx.Response) -> Iterator[tuple[str, str]]:
    """(id, data) of each event."""
    name = data = ""
    for line in answer.iter_lines():
        key, _, value = line.partition(": ")
        if key == "id":
            name = value
        elif key == "data":
            data = value
        elif not line and data:
            yield name, data
            name = data = ""


def begin(server: Live, text: str = "go", **fields: Any) -> str:
    body = {"message": user(text, **fields), "configuration": {"returnImmediately": True}}
    return str(server.client.post("/message:send", json=body).json()["task"]["id"])


@pytest.mark.proves("streams.positions", "a2a.subscribe")
@pytest.mark.parametrize("binding", BINDINGS)
def test_a_client_that_comes_back_gets_what_followed(server: Live, binding: str) -> None:
    task_id = begin(server)
    with subscribe(server, binding, task_id) as answer:
        whole = list(events(answer))
    names = [name for name, _ in whole]
    assert len(set(names)) == len(names) > 20
    assert names[-1].endswith("-end")
    for seen in (0, 5, len(names) - 2):
        with subscribe(server, binding, task_id, names[seen]) as answer:
            assert list(events(answer)) == whole[seen + 1 :]


@pytest.mark.parametrize("binding", BINDINGS)
def test_a_client_that_comes_back_in_time_goes_on(server: Live, binding: str) -> None:
    task_id, seen = begin(server), list[tuple[str, str]]()
    while not seen or not seen[-1][0].endswith("-end"):
        with subscribe(server, binding, task_id, seen[-1][0] if seen else "") as answer:
            assert answer.status_code == 200
            for event, _ in zip(events(answer), range(4), strict=False):
                seen.append(event)
    numbers = [int(name.partition("-")[2]) for name, _ in seen[:-1]]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert sum('"history"' in data for _, data in seen) == 1  # only a snapshot has one


def test_what_is_not_held_is_answered_with_a_snapshot(server: Live) -> None:
    task_id = begin(server)
    for last in ("999.1-4", "0.0-4", "nonsense", "' OR 1=1"):
        with subscribe(server, "get", task_id, last) as answer:
            _, data = next(events(answer))
            assert task_id in data
            assert '"history"' in data


@pytest.mark.parametrize("binding", BINDINGS)
def test_who_knows_the_end_is_told_that_there_is_nothing_to_follow(server: Live, binding: str) -> None:
    task_id = begin(server)
    with subscribe(server, binding, task_id) as answer:
        *_, (end, _) = events(answer)
    for last in (end, "", "999.1-end"):
        with subscribe(server, binding, task_id, last) as answer:
            assert "nothing to follow" in answer.read().decode()
    with subscribe(server, binding, task_id, "999.1-4") as answer:
        ((name, data),) = events(answer)
        assert name == "999.1-end"
        assert WORDS in data


def test_a_stream_that_is_asked_for_again_goes_on_and_runs_nothing_twice(server: Live) -> None:
    body = {"message": user(contextId="c")}
    with server.client.stream("POST", "/message:stream", json=body) as answer:
        stream = events(answer)
        seen = [next(stream) for _ in range(4)]
    again = {"Last-Event-ID": seen[-1][0]}
    with server.client.stream("POST", "/message:stream", json=body, headers=again) as answer:
        seen += list(events(answer))
    numbers = [name.partition("-")[2] for name, _ in seen]
    assert numbers == [*(str(number) for number in range(len(numbers) - 1)), "end"]
    assert len(server.client.get("/tasks", params={"contextId": "c"}).json()["tasks"]) == 1
    with server.client.stream("POST", "/message:stream", json=body, headers={"Last-Event-ID": seen[-1][0]}) as answer:
        ((_, data),) = events(answer)
        assert json.loads(data)["task"]["status"]["state"] == "TASK_STATE_COMPLETED"


def test_a_stream_that_ended_with_a_question_is_over_when_it_is_asked_for_again(server: Live) -> None:
    body = {"message": user("ask")}
    with server.client.stream("POST", "/message:stream", json=body) as answer:
        seen = list(events(answer))
    for last in (seen[0], seen[-1]):
        with server.client.stream("POST", "/message:stream", json=body, headers={"Last-Event-ID": last[0]}) as answer:
            assert "TASK_STATE_INPUT_REQUIRED" in list(events(answer))[-1][1]


def test_a_subscription_that_is_taken_up_again_goes_on_over_the_answer(server: Live) -> None:
    task_id = begin(server, "ask")
    with subscribe(server, "get", task_id) as answer:
        stream = events(answer)
        seen = [next(stream)]
        while "INPUT_REQUIRED" not in seen[-1][1]:
            seen.append(next(stream))
        begin(server, "that", taskId=task_id)
        seen += [next(stream) for _ in range(5)]
    with subscribe(server, "get", task_id, seen[-1][0]) as answer:
        seen += list(events(answer))
    assert sum('"history"' in data for _, data in seen) == 1
    assert len({name for name, _ in seen}) == len(seen)
    said = [json.loads(data).get("artifactUpdate") for _, data in seen]
    assert "".join(one["artifact"]["parts"][0]["text"] for one in said if one) == WORDS
