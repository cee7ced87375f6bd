"""Where paths lead."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import pytest
from starlette.routing import BaseRoute, Match, Route

from hector.a2a.jsonrpc import Operation
from hector.apps.build import build
from hector.apps.registry import Apps
from hector.config.root import HectorConfig
from hector.config.server import Server
from hector.core.clock import SystemClock
from hector.store import open_store
from hector.tasks.service import TaskService
from hector.tools.catalog import Catalog
from hector.web.app import create_app
from hector.web.protocol import Rest, Rpc
from hector.web.routes import allowed
from tests.web.live import helper

GET, POST, DELETE = "GET", "POST", "DELETE"
NOWHERE: Final[tuple[object, dict[str, Any]]] = ("nowhere", {})


@pytest.fixture(scope="module")
def routes() -> Sequence[BaseRoute]:
    """The routes of an application that is not served."""

    async def make() -> Sequence[BaseRoute]:
        store = await open_store("sqlite://:memory:")
        apps = Apps(build(HectorConfig.model_validate(helper({"text": "hi"})), Catalog(())))
        try:
            return create_app(TaskService(apps, store, SystemClock()), apps, store, Server()).routes
        finally:
            await apps.aclose()
            await store.aclose()

    return asyncio.run(make())


def lead(routes: Sequence[BaseRoute], path: str, verb: str) -> tuple[object, dict[str, Any]]:
    """What answers there (an operation, "rpc", or the name of a page), and what the placeholders stand for."""
    for route in routes:
        match, found = route.matches({"type": "http", "path": path, "method": verb})
        if match is Match.FULL:
            assert isinstance(route, Route)
            places = {key: value for key, value in found["path_params"].items() if key != "end"}
            if isinstance(route.endpoint, Rest):
                return route.endpoint.operation, places
            return "rpc" if isinstance(route.endpoint, Rpc) else route.name, places
    return NOWHERE


@pytest.mark.a2a("HTTP_JSON-URL-001", "HTTP_JSON-URL-002")
@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize("agent", [None, "a"])
@pytest.mark.parametrize("tenant", [None, "t"])
@pytest.mark.parametrize(
    ("path", "verb", "operation", "task_id"),
    [
        ("message:send", POST, Operation.SEND, None),
        ("message:stream", POST, Operation.STREAM, None),
        ("tasks", GET, Operation.LIST, None),
        ("tasks/x", GET, Operation.GET, "x"),
        ("tasks/x:cancel", POST, Operation.CANCEL, "x"),
        ("tasks/x:subscribe", GET, Operation.SUBSCRIBE, "x"),
        ("tasks/x:subscribe", POST, Operation.SUBSCRIBE, "x"),
        ("tasks/x:y:cancel", POST, Operation.CANCEL, "x:y"),
        ("tasks/x:odd", GET, Operation.GET, "x:odd"),
        ("tasks/:cancel", GET, Operation.GET, ":cancel"),
        ("tasks/x/pushNotificationConfigs", POST, Operation.CREATE_PUSH, "x"),
        ("tasks/x/pushNotificationConfigs", GET, Operation.LIST_PUSH, "x"),
        ("tasks/x/pushNotificationConfigs/c", GET, Operation.GET_PUSH, "x"),
        ("tasks/x/pushNotificationConfigs/c", DELETE, Operation.DELETE_PUSH, "x"),
        ("extendedAgentCard", GET, Operation.EXTENDED_CARD, None),
    ],
)
def test_operations(
    routes: Sequence[BaseRoute],
    agent: str | None,
    tenant: str | None,
    path: str,
    verb: str,
    operation: Operation,
    task_id: str | None,
    end: str,
) -> None:
    prefix = (f"agents/{agent}/" if agent else "") + (f"{tenant}/" if tenant else "")
    found, places = lead(routes, f"/{prefix}{path}{end}", verb)
    assert found is operation
    places.pop("config", None)
    assert places == {"agent": agent, "tenant": tenant} | ({"id": task_id} if task_id else {})


@pytest.mark.parametrize(
    ("path", "verb", "page", "agent"),
    [
        ("/", POST, "rpc", None),
        ("/", GET, "index", None),
        ("/agents", GET, "agents", None),
        ("/agents/", GET, "agents", None),
        ("/agents/a", GET, "card", "a"),
        ("/agents/a", "HEAD", "card", "a"),
        ("/agents/a", POST, "rpc", "a"),
        ("/agents/a/", POST, "rpc", "a"),
        ("/agents/tasks", GET, "card", "tasks"),
        ("/agents/message:send", POST, "rpc", "message:send"),
        ("/agents/a/.well-known/agent-card.json", GET, "card", "a"),
        ("/agents/a/.well-known/agent.json", GET, "old_card", "a"),
        ("/.well-known/agent-card.json", GET, "card", None),
        ("/.well-known/agent.json", GET, "old_card", None),
        ("/health", GET, "health", None),
        ("/livez", GET, "live", None),
        ("/readyz", GET, "ready", None),
        ("/schema", GET, "schema", None),
    ],
)
def test_pages(routes: Sequence[BaseRoute], path: str, verb: str, page: str, agent: str | None) -> None:
    found, places = lead(routes, path, verb)
    assert (found, places.get("agent")) == (page, agent)


@pytest.mark.parametrize("verb", [GET, POST])
@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/agents/a/nope",
        "/agents/a/health",
        "/agents/tasks/x",
        "/tasks/x/y",
        "/tasks/x/pushNotificationConfigs/c/d",
        "/message:sendx",
        "/a/b/message:send",
        "/.well-known/other",
        "/../etc/passwd",
    ],
)
def test_nothing_there(routes: Sequence[BaseRoute], path: str, verb: str) -> None:
    assert lead(routes, path, verb) == NOWHERE


@pytest.mark.parametrize(
    ("path", "verbs"),
    [
        ("/agents/a", "POST, GET"),
        ("/tasks/x", "GET"),
        ("/tasks/x:cancel", "POST"),
        ("/tasks/x:subscribe", "GET, POST"),
        ("/t/tasks/x/pushNotificationConfigs/c/", "GET, DELETE"),
        ("/tasks/message:send", "GET"),
        ("/nope", ""),
    ],
)
def test_the_methods_of_a_path_are_those_of_all_its_routes(routes: Sequence[BaseRoute], path: str, verbs: str) -> None:
    assert allowed(routes, {"type": "http", "path": path, "method": "PUT"}) == verbs
