"""Which path leads where. Starlette matches and checks the method; the placeholders that A2A needs are below.

Paths may end in a slash: they are served, not redirected, because clients do not repeat a POST.
"""

from collections.abc import Sequence
from typing import Any, Final

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from hector.a2a.jsonrpc import Operation
from hector.auth.access import Access
from hector.core.errors import HectorError
from hector.web.answers import rpc_refusal
from hector.web.identity import Guarded
from hector.web.pages import Pages
from hector.web.protocol import Protocol, Rest, Rpc

GET, POST, DELETE = "GET", "POST", "DELETE"
AGENTS: Final = "/agents"


class _Agent(Convertor[str | None]):
    """Whose operation it is: `agents/{agent}/`, or nothing for the default agent."""

    regex = "(?:agents/[^/]+/)?"

    def convert(self, value: str) -> str | None:
        return value[7:-1] or None


class _Tenant(Convertor[str | None]):
    """A2A allows for `{tenant}/` before every operation; words that already mean something are no tenants."""

    regex = "(?:(?!agents/|tasks/|webhooks/)[^/]+/)?"

    def convert(self, value: str) -> str | None:
        return value[:-1] or None


class _TaskId(Convertor[str]):
    """A task's id: a segment that is not a task with an operation."""

    regex = "(?![^/]+:(?:cancel|subscribe)/?$)[^/]+"

    def convert(self, value: str) -> str:
        return value


class _End(Convertor[str]):
    """The end of a path, with or without a slash."""

    regex = "/?"

    def convert(self, value: str) -> str:
        return value


register_url_convertor("agent", _Agent())
register_url_convertor("tenant", _Tenant())
register_url_convertor("task", _TaskId())
register_url_convertor("end", _End())

OPERATIONS: Final = (  # the order is that of their number on a busy server
    ("message:send", Operation.SEND, (POST,)),
    ("message:stream", Operation.STREAM, (POST,)),
    ("tasks/{id:task}", Operation.GET, (GET,)),
    ("tasks/{id}:subscribe", Operation.SUBSCRIBE, (GET, POST)),
    ("tasks/{id}:cancel", Operation.CANCEL, (POST,)),
    ("tasks", Operation.LIST, (GET,)),
    ("tasks/{id}/pushNotificationConfigs", Operation.CREATE_PUSH, (POST,)),
    ("tasks/{id}/pushNotificationConfigs", Operation.LIST_PUSH, (GET,)),
    ("tasks/{id}/pushNotificationConfigs/{config}", Operation.GET_PUSH, (GET,)),
    ("tasks/{id}/pushNotificationConfigs/{config}", Operation.DELETE_PUSH, (DELETE,)),
    ("extendedAgentCard", Operation.EXTENDED_CARD, (GET,)),
)


def make_routes(protocol: Protocol, pages: Pages) -> list[Guarded]:
    """All routes, the busiest first. Those of A2A's operations are bare ASGI (see asgi.py)."""
    rpc = Rpc(protocol)
    operations = [
        route(f"/{{agent:agent}}{{tenant:tenant}}{path}", Rest(protocol, operation), Access.AGENTS, *methods)
        for path, operation, methods in OPERATIONS
    ]
    return [
        route(f"{AGENTS}/{{agent}}", rpc, Access.AGENTS, POST),
        *operations[:3],
        route("/", rpc, Access.AGENTS, POST),
        route("/agents/{agent}", pages.card, Access.PUBLIC),
        route("/{agent:agent}{tenant:tenant}.well-known/agent-card.json", pages.card, Access.PUBLIC),
        route("/{agent:agent}{tenant:tenant}.well-known/agent.json", pages.old_card, Access.PUBLIC),
        route("/livez", pages.live, Access.PUBLIC),
        route("/readyz", pages.ready, Access.PUBLIC),
        route("/health", pages.health, Access.PUBLIC),
        route("/agents", pages.agents, Access.AGENTS),
        route("/schema", pages.schema, Access.PUBLIC),
        route("/", pages.index, Access.PUBLIC),
        *operations[3:],
    ]


class Straight:
    """The innermost middleware. What is no POST to an agent's own path goes on to starlette's router.

    Looking through the routes, and the layer that words refusals, are a fiftieth of a plain turn.
    """

    def __init__(self, app: ASGIApp, route: Guarded) -> None:
        self._app = app
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do as the router and the handlers of errors would."""
        if scope["type"] == "http" and scope["method"] == "POST" and not scope.get("root_path"):
            place, _, agent = scope["path"].rpartition("/")
            if place == AGENTS and agent:
                scope["path_params"] = {"agent": agent}
                try:
                    await self._route.app(scope, receive, send)
                except HectorError as error:
                    await rpc_refusal(Request(scope), error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def route(path: str, endpoint: Any, access: Access, *methods: str) -> Guarded:
    """A path with or without a slash at its end, the endpoint there, the right that it takes, the methods (GET)."""
    return Guarded(path if path.endswith("/") else f"{path}{{end:end}}", endpoint, access, *methods)


def allowed(routes: Sequence[BaseRoute], scope: Scope) -> str:
    """The methods that are possible at a path, for the header Allow: those of all its routes.

    Starlette's own answer names those of the first route only.
    """
    here = [route for route in routes if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE]
    found = [route.methods or set() for route in here]
    return ", ".join(dict.fromkeys(method for methods in found for method in sorted(methods - {"HEAD"})))
