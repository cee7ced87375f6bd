"""Where paths lead."""

import pytest

from hector.a2a.jsonrpc import Operation
from hector.web.paths import Page, Target, resolve

GET, POST, DELETE = "GET", "POST", "DELETE"


@pytest.mark.a2a("HTTP_JSON-URL-001", "HTTP_JSON-URL-002")
@pytest.mark.parametrize("prefix", ["", "/agents/a"])
@pytest.mark.parametrize("tenant", [None, "t"])
@pytest.mark.parametrize(
    ("path", "verb", "operation", "task_id"),
    [
        ("/message:send", POST, Operation.SEND, None),
        ("/message:stream", POST, Operation.STREAM, None),
        ("/tasks", GET, Operation.LIST, None),
        ("/tasks/x", GET, Operation.GET, "x"),
        ("/tasks/x:cancel", POST, Operation.CANCEL, "x"),
        ("/tasks/x:subscribe", GET, Operation.SUBSCRIBE, "x"),
        ("/tasks/x:subscribe", POST, Operation.SUBSCRIBE, "x"),
        ("/tasks/x:y:cancel", POST, Operation.CANCEL, "x:y"),
        ("/tasks/x:odd", GET, Operation.GET, "x:odd"),
        ("/tasks/:cancel", GET, Operation.GET, ":cancel"),
        ("/tasks/x/pushNotificationConfigs", POST, Operation.PUSH_CONFIG, "x"),
        ("/tasks/x/pushNotificationConfigs", GET, Operation.PUSH_CONFIG, "x"),
        ("/tasks/x/pushNotificationConfigs/c", GET, Operation.PUSH_CONFIG, "x"),
        ("/tasks/x/pushNotificationConfigs/c", DELETE, Operation.PUSH_CONFIG, "x"),
        ("/extendedAgentCard", GET, Operation.EXTENDED_CARD, None),
    ],
)
def test_operations(
    prefix: str, tenant: str | None, path: str, verb: str, operation: Operation, task_id: str | None
) -> None:
    found = resolve(f"{prefix}{f'/{tenant}' if tenant else ''}{path}")
    assert found is not None
    assert found.verbs[verb] is operation
    assert found == Target(found.verbs, "a" if prefix else None, tenant, task_id)


@pytest.mark.parametrize(
    ("path", "verb", "page", "agent"),
    [
        ("/", POST, Page.RPC, None),
        ("", POST, Page.RPC, None),
        ("/", GET, Page.INDEX, None),
        ("/agents", GET, Page.AGENTS, None),
        ("/agents/", GET, Page.AGENTS, None),
        ("/agents/a", GET, Page.CARD, "a"),
        ("/agents/a", POST, Page.RPC, "a"),
        ("/agents/a/", POST, Page.RPC, "a"),
        ("/agents/a/.well-known/agent-card.json", GET, Page.CARD, "a"),
        ("/agents/a/.well-known/agent.json", GET, Page.OLD_CARD, "a"),
        ("/.well-known/agent-card.json", GET, Page.CARD, None),
        ("/.well-known/agent.json", GET, Page.OLD_CARD, None),
        ("/health", GET, Page.HEALTH, None),
        ("/livez", GET, Page.LIVE, None),
        ("/readyz", GET, Page.READY, None),
        ("/schema", GET, Page.SCHEMA, None),
    ],
)
def test_pages(path: str, verb: str, page: Page, agent: str | None) -> None:
    found = resolve(path)
    assert found is not None
    assert (found.verbs[verb], found.agent) == (page, agent)


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/agents/a/nope",
        "/agents/a/health",
        "/tasks/x/y",
        "/tasks/x/pushNotificationConfigs/c/d",
        "/message:sendx",
        "/a/b/message:send",
        "/.well-known/other",
        "/../etc/passwd",
    ],
)
def test_nothing_there(path: str) -> None:
    assert resolve(path) is None
