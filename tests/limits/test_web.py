"""Rate limits over HTTP: what clients see, in each protocol."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from hector.cli.chat_client import Client, RemoteError
from tests.web.live import AS_ADMIN, Live, helper, live, user


def config(*rules: dict[str, Any], **block: Any) -> dict[str, Any]:
    return {**helper({"text": "hi"}), "rate_limiting": {"enabled": True, "limits": list(rules), **block}}


def send(server: Live, **headers: str) -> Any:
    body = {"message": user()}
    return server.client.post("/agents/helper/message:send", json=body, headers=headers)


@pytest.mark.proves("limits.exact", "limits.headers", "limits.refusal", "security.rate-limit")
@pytest.mark.parametrize("backend", ["memory", "sql"])
@pytest.mark.parametrize("scope", ["user", "agent", "address", "session", "app"])
def test_requests_are_refused_beyond_the_limit_with_all_a_client_needs(
    tmp_path: Path, backend: str, scope: str
) -> None:
    rule = {"type": "count", "window": "day", "limit": 3}
    with live(config(rule, backend=backend, scope=scope), tmp_path) as server:
        answers = [send(server) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["2", "1", "0"]
        refused = send(server, **{"X-User-ID": "somebody", "X-Session-ID": "new", "X-Forwarded-For": "9.9.9.9"})
        assert refused.status_code == 429
        body = refused.json()
        assert body["error"]["status"] == "RESOURCE_EXHAUSTED"
        assert body["error"]["details"][0]["reason"] == "RATE_LIMIT_EXCEEDED"
        assert body["retry_after_seconds"] == int(refused.headers["retry-after"]) > 0
        assert body["usage"][0]["current"] == body["usage"][0]["limit"] == 3
        assert refused.headers["x-ratelimit-limit"] == "3"
        assert int(refused.headers["x-ratelimit-reset"]) > 1_700_000_000
        assert server.client.get("/health").status_code == 200
        assert "x-ratelimit-limit" not in server.client.get("/agents/helper").headers


@pytest.mark.proves("limits.refusal")
def test_json_rpc_is_refused_in_its_own_words(tmp_path: Path) -> None:
    with live(config({"limit": 1}, scope="agent"), tmp_path) as server:
        assert server.rpc("SendMessage", {"message": user()}).status_code == 200
        refused = server.rpc("SendMessage", {"message": user()})
        assert (refused.status_code, refused.json()["id"]) == (429, "r-1")
        assert int(refused.headers["retry-after"]) > 0
        data = refused.json()["error"]["data"]
        assert data[0]["reason"] == "RATE_LIMIT_EXCEEDED"
        assert data[-1]["value"]["code"] == "rate_limit_exceeded"
        assert data[-1]["value"]["usage"][0]["remaining"] == 0


@pytest.mark.proves("limits.refusal")
def test_json_rpc_is_refused_in_its_own_words_before_it_is_read(tmp_path: Path) -> None:
    with live(config({"limit": 1}, scope="user"), tmp_path) as server:
        assert server.rpc("SendMessage", {"message": user()}).status_code == 200
        refused = server.rpc("SendMessage", {"message": user()})
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        body = refused.json()
        assert (body["jsonrpc"], body["id"]) == ("2.0", None)
        assert body["error"]["data"][0]["reason"] == "RATE_LIMIT_EXCEEDED"
        assert body["error"]["data"][-1]["value"]["usage"][0]["remaining"] == 0


@pytest.mark.proves("limits.scopes")
def test_pages_for_operators_count_for_who_asks(tmp_path: Path) -> None:
    with live(config({"limit": 2}, scope="user"), tmp_path) as server:
        found = [server.client.get("/admin/approvals", headers=AS_ADMIN).status_code for _ in range(3)]
        assert found == [200, 200, 429]


@pytest.mark.proves("limits.exact")
@pytest.mark.parametrize("backend", ["memory", "sql"])
def test_of_200_clients_at_once_exactly_as_many_are_served(tmp_path: Path, backend: str) -> None:
    rule = {"type": "count", "window": "day", "limit": 77}
    with live(config(rule, backend=backend, scope="user"), tmp_path) as server, ThreadPoolExecutor(50) as pool:
        codes = list(pool.map(lambda _: send(server).status_code, range(200)))
        assert (codes.count(200), codes.count(429)) == (77, 123)


@pytest.mark.proves("limits.streams")
def test_a_user_may_have_so_many_streams_and_the_places_come_back(tmp_path: Path) -> None:
    block = {**helper({"text": "slow", "delay": 30}), "limits": {"streams_per_user": 2}}
    with live(block, tmp_path) as server, ExitStack() as stack:
        path, body = "/agents/helper/message:stream", {"message": user()}
        reading: list[Iterator[str]] = []
        for _ in range(2):
            stream = stack.enter_context(server.client.stream("POST", path, json=body))
            reading.append(stream.iter_lines())  # kept: one that nobody has is closed
            assert next(reading[-1])
        refused = server.client.post(path, json=body)
        assert refused.status_code == 429
        assert "2 streams of yours are open already" in refused.json()["error"]["message"]
    with live({**helper({"text": "hi"}), "limits": {"streams_per_user": 1}}, tmp_path) as server:
        for _ in range(3):
            assert server.client.post(path, json=body).status_code == 200
            assert server.client.post(path, json={"message": 1}).status_code == 400


@pytest.mark.proves("limits.refusal")
async def test_a_chat_says_why_it_was_refused(tmp_path: Path) -> None:
    with live(config({"type": "count", "window": "day", "limit": 1}, scope="user"), tmp_path) as server:
        assert send(server).status_code == 200
        client = Client(str(server.client.base_url))
        try:
            with pytest.raises(RemoteError, match="rate limit exceeded: 1 of 1 requests per day"):
                await client.agents()
        finally:
            await client.aclose()
