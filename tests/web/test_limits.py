"""Hostile and careless requests get the protocol's error, and the server lives on."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.web.live import Live, helper, live, user

pytestmark = pytest.mark.proves("web.limits")
MOST = 65_536


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    config = {
        **helper({"text": "fine"}, enforce_input_modes=True),
        "server": {"max_body_bytes": MOST},
    }
    config["agents"]["hidden"] = {"visibility": "private"}
    with live(config, tmp_path_factory.mktemp("limits")) as made:
        yield made
        assert made.send("still alive")["status"]["state"] == "TASK_STATE_COMPLETED"


def post(server: Live, content: bytes, path: str = "/agents/helper", **headers: str) -> httpx.Response:
    return server.client.post(path, content=content, headers={"Content-Type": "application/json", **headers})


@pytest.mark.a2a("JSONRPC-ERR-001", "CORE-ERR-002")
@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"\xff\xfe", -32700),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": NaN}}', -32700),
        (b'{"jsonrpc": "2.0", "id": ' + b"9" * 5000 + b', "method": "GetTask"}', -32700),
        (b"[" * 30_000 + b"]" * 30_000, -32600),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, -32600),
        (b"[]", -32600),
        (b'[{"jsonrpc": "2.0", "id": 1, "method": "ListTasks"}]', -32600),
        (b"null", -32600),
        (b'{"jsonrpc": "2.0", "id": 1}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "Drop"}', -32601),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "SendMessage"}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": [1]}', -32602),
    ],
)
def test_broken_json_rpc(server: Live, content: bytes, code: int) -> None:
    answer = post(server, content)
    body = answer.json()
    assert (answer.status_code, body["error"]["code"], body["jsonrpc"]) == (200, code, "2.0")
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"", 400), (b"{", 400), (b"[]", 400), (b"\xff", 400), (b"[" * 30_000, 400), (b'{"message": {"parts": 1}}', 400)],
)
def test_broken_rest(server: Live, content: bytes, status: int) -> None:
    for operation in ("send", "stream"):
        answer = post(server, content, f"/message:{operation}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, status)


def test_numbers_keep_their_value(server: Live) -> None:
    task = server.send(metadata={"big": 10**300, "deep": {"a_b": [None, 1.5]}})
    assert task["history"][0]["metadata"] == {"big": 10**300, "deep": {"a_b": [None, 1.5]}}


@pytest.mark.parametrize("path", ["/agents/helper", "/message:send"])
def test_bodies_are_bounded_by_their_announced_size(server: Live, path: str) -> None:
    answer = post(server, b"x" * (MOST + 1), path)
    assert answer.status_code == 413
    assert str(MOST) in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/agents/helper", "/message:send"])
def test_bodies_are_bounded_while_they_are_read(server: Live, path: str) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(64):
            yield b"x" * 4096

    answer = server.client.post(path, content=endless(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_a_body_of_exactly_the_limit_is_read(server: Live) -> None:
    body = json.dumps({"message": user("")}).encode()
    padded = json.dumps({"message": user("x" * (MOST - len(body)))}).encode()
    assert len(padded) == MOST
    assert post(server, padded, "/message:send").status_code == 200


@pytest.mark.a2a("JSONRPC-SSE-002", "HTTP_JSON-STATUS-001")
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_other_content_types_are_refused(server: Live, kind: str) -> None:
    rpc = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ListTasks"}).encode()
    answer = server.client.post("/agents/helper", content=rpc, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["error"]["code"]) == (200, -32005)
    rest = json.dumps({"message": user()}).encode()
    answer = server.client.post("/message:send", content=rest, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["error"]["details"][0]["reason"]) == (415, "CONTENT_TYPE_NOT_SUPPORTED")


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/A2A+JSON", None])
def test_json_under_its_names_and_without_one(server: Live, kind: str | None) -> None:
    content = json.dumps({"message": user()}).encode()
    headers = {"Content-Type": kind} if kind else {}
    assert server.client.post("/message:send", content=content, headers=headers).status_code == 200


@pytest.mark.a2a("CORE-SEND-003")
def test_media_types_are_refused_where_that_is_configured(server: Live) -> None:
    odd = {"message": user() | {"parts": [{"raw": "aGk=", "mediaType": "image/png"}]}}
    answer = server.client.post("/message:send", json=odd)
    assert (answer.status_code, answer.json()["error"]["details"][0]["reason"]) == (400, "CONTENT_TYPE_NOT_SUPPORTED")
    assert server.rpc("SendMessage", odd).json()["error"]["code"] == -32005


@pytest.mark.parametrize("agent", ["nobody", "hidden", "Helper", "helper%00"])
def test_agents_that_are_not_there(server: Live, agent: str) -> None:
    answer = server.client.post(f"/agents/{agent}/message:send", json={"message": user()})
    assert (answer.status_code, answer.json()["error"]["status"]) == (404, "NOT_FOUND")
    answer = server.rpc("ListTasks", agent=agent)
    assert (answer.status_code, answer.json()["id"], answer.json()["error"]["code"]) == (404, "r-1", -32602)
    assert server.client.get(f"/agents/{agent}").status_code == 404


def test_tasks_of_another_agent_are_not_there(server: Live) -> None:
    task = server.send()
    assert server.client.get(f"/agents/helper/tasks/{task['id']}").status_code == 200
    assert server.client.get(f"/agents/hidden/tasks/{task['id']}").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/agents/helper", "POST, GET"),
        ("GET", "/message:send", "POST"),
        ("DELETE", "/tasks/x", "GET"),
        ("GET", "/tasks/x:cancel", "POST"),
        ("OPTIONS", "/agents/helper/message:send", "POST"),
        ("POST", "/health", "GET"),
    ],
)
def test_other_methods_are_refused(server: Live, method: str, path: str, allowed: str) -> None:
    answer = server.client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert allowed in answer.json()["error"]["message"]
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_lost_clients_are_told_what_exists(server: Live) -> None:
    answer = server.client.get("/nope/<script>")
    assert answer.status_code == 404
    assert "/.well-known/agent-card.json" in answer.json()["error"]["message"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/agents/helper/message:send/", "/agents/helper/"])
def test_a_slash_at_the_end_does_not_redirect(server: Live, path: str) -> None:
    rpc = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": user()}}
    answer = server.client.post(path, json={"message": user(), **rpc}, follow_redirects=False)
    assert answer.status_code == 200


def test_a_defect_is_answered_and_logged(server: Live, caplog: pytest.LogCaptureFixture) -> None:
    async def defect(_: Request) -> Response:
        raise ZeroDivisionError("secret")

    server.app.routes.append(Route("/defect", defect))
    answer = server.client.get("/defect", headers={"X-Request-ID": "r-42"})
    error = answer.json()["error"]
    assert (answer.status_code, error["details"][0]["reason"]) == (500, "INTERNAL_ERROR")
    assert "secret" not in answer.text
    assert (answer.headers["x-request-id"], answer.headers["x-content-type-options"]) == ("r-42", "nosniff")
    (ours,) = [record for record in caplog.records if record.name == "hector.web"]
    assert (vars(ours)["request"], vars(ours)["error"]) == ("r-42", "ZeroDivisionError: secret")
    assert answer.headers["connection"] == "close"
    assert server.client.get("/livez").status_code == 200
    (theirs,) = [record for record in caplog.records if record.name == "uvicorn.error"]
    assert theirs.exc_info


def test_requests_have_ids(server: Live) -> None:
    given = [server.client.get("/livez", headers={"X-Request-ID": name}).headers["x-request-id"] for name in ("a.b-1",)]
    assert given == ["a.b-1"]
    for odd in ("x" * 65, "a b", "<>"):
        made = server.client.get("/livez", headers={"X-Request-ID": odd}).headers["x-request-id"]
        assert made != odd
        assert len(made) == 36


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        (None, None, 200),
        ("http://{here}", None, 200),
        ("http://{here}", "other.example", 403),
        ("https://evil.example", None, 403),
        ("null", None, 403),
        ("http://rebound.example:{port}", "rebound.example:{port}", 403),
        ("http://localhost:{port}", "localhost:{port}", 200),
        ("http://[::1]:{port}", "[::1]:{port}", 200),
    ],
)
def test_pages_of_other_sites_are_kept_out(server: Live, origin: str | None, host: str | None, status: int) -> None:
    here = server.url.removeprefix("http://")
    places = {"here": here, "port": here.rpartition(":")[2]}
    headers = {"Origin": (origin or "").format(**places)} if origin else {}
    if host:
        headers["Host"] = host.format(**places)
    answer = server.client.post("/message:send", json={"message": user()}, headers=headers)
    assert answer.status_code == status


def test_a_client_that_leaves_in_the_middle_of_its_body(server: Live) -> None:
    address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
    for part in (b"", b'{"message'):
        with socket.create_connection(address) as wire:
            wire.sendall(b"POST /message:send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n" + part)
    assert server.send()["status"]["state"] == "TASK_STATE_COMPLETED"


def test_the_same_wrong_request_many_times_leaves_nothing_behind(server: Live, folder: Path) -> None:
    before: Any = server.client.get("/tasks").json()["totalSize"]
    for _ in range(20):
        server.rpc("SendMessage", {"message": user(parts=[])})
    assert server.client.get("/tasks").json()["totalSize"] == before
