"""An agent's own path is answered past starlette's router: a slash at its end, which is not, changes nothing."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from hector.apps.build import build
from hector.apps.registry import Apps
from hector.config.root import HectorConfig
from hector.config.server import Server
from hector.core.clock import SystemClock
from hector.store import open_store
from hector.tasks.service import TaskService
from hector.tools.catalog import Catalog
from hector.web.app import create_app
from tests.web.live import helper

KEY = "hk_0123456789abcdef_0123456789abcdef0123456789abcdef"
GET_NONE = {"jsonrpc": "2.0", "id": 7, "method": "GetTask", "params": {"id": "none"}}
CASES: dict[str, tuple[str, str, dict[str, str], str]] = {
    "a result": ("helper", "POST", {}, json.dumps(GET_NONE)),
    "no such agent": ("nobody", "POST", {}, json.dumps(GET_NONE)),
    "no json": ("helper", "POST", {}, "{"),
    "another type": ("helper", "POST", {"content-type": "text/plain"}, "hello"),
    "no credential": ("helper", "POST", {"authorization": ""}, json.dumps(GET_NONE)),
    "a bad credential": ("helper", "POST", {"authorization": "Bearer nonsense"}, json.dumps(GET_NONE)),
    "two credentials": ("helper", "POST", {"authorization": "Bearer a", "Authorization": "Bearer b"}, "{}"),
    "a page elsewhere": ("helper", "POST", {"origin": "https://elsewhere.example"}, json.dumps(GET_NONE)),
    "another verb": ("helper", "PUT", {}, "{}"),
    "the card": ("helper", "GET", {}, ""),
}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    auth = {"secret": "s" * 40, "require_auth": True, "api_keys": [{"name": "c", "key": KEY, "role": "user"}]}
    settings = Server.model_validate({"auth": auth})
    store = await open_store("sqlite://:memory:")
    apps = Apps(build(HectorConfig.model_validate(helper({"text": "hi"})), Catalog(())))
    try:
        async with TaskService(apps, store, SystemClock()) as tasks:
            transport = httpx.ASGITransport(create_app(tasks, apps, store, settings))
            headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json", "a2a-version": "1.0"}
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1:8080", headers=headers
            ) as found:
                yield found
    finally:
        await apps.aclose()
        await store.aclose()


def told(answer: httpx.Response) -> tuple[int, Any, dict[str, str]]:
    own = {"x-request-id", "etag", "last-modified"}
    return answer.status_code, answer.text, {key: value for key, value in answer.headers.items() if key not in own}


@pytest.mark.proves("a2a.jsonrpc")
@pytest.mark.parametrize("case", CASES)
async def test_both_ways_answer_the_same(client: httpx.AsyncClient, case: str) -> None:
    agent, verb, headers, body = CASES[case]
    straight, routed = [
        await client.request(verb, f"/agents/{agent}{end}", headers=headers, content=body) for end in ("", "/")
    ]
    assert told(straight) == told(routed)
    assert straight.headers.get("x-request-id")
