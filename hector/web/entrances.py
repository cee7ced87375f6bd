"""Routes that most servers have no use for: what is behind them is loaded by the first request.

The MCP server, and webhooks. They share a module, since each one costs every start something.
"""

from typing import TYPE_CHECKING, Final

from starlette.types import Receive, Scope, Send

from hector.apps.registry import Apps
from hector.auth.access import Access
from hector.config.server import Server
from hector.core.clock import Clock
from hector.store import Store
from hector.tasks.service import TaskService
from hector.web.identity import Guarded
from hector.web.routes import DELETE, GET, POST, route

if TYPE_CHECKING:
    from hector.web.mcp import McpEndpoint
    from hector.web.webhooks import Webhooks

WEBHOOKS: Final = ("/webhooks/{path:path}", "/apps/{app}/webhooks/{path:path}")
"""Of the app of the configuration file, and of each other one: a path of one app is never in the way of another's."""


class McpEntrance:
    """Makes the endpoint, once."""

    def __init__(self, apps: Apps, tasks: TaskService, settings: Server) -> None:
        self._apps = apps
        self._tasks = tasks
        self._most = settings.max_body_bytes
        self._endpoint: McpEndpoint | None = None

    def route(self) -> Guarded:
        """What leads here."""
        return route("/mcp", self, Access.AGENTS, POST, DELETE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. Raises HectorError."""
        if self._endpoint is None:
            from hector.web.mcp import McpEndpoint  # noqa: PLC0415 - loaded by the first request
            from hector.web.mcp_door import Door  # noqa: PLC0415 - likewise
            from hector.web.opened import Opened  # noqa: PLC0415 - likewise

            door = Door(self._apps, self._tasks)
            self._endpoint = McpEndpoint(door, Opened(self._tasks.limits), self._most)
        await self._endpoint(scope, receive, send)


class WebhookEntrance:
    """Makes the door, once. Who may come in is a matter of each webhook, so the routes themselves are public."""

    def __init__(self, apps: Apps, tasks: TaskService, store: Store, settings: Server, clock: Clock) -> None:
        self._apps = apps
        self._tasks = tasks
        self._store = store
        self._settings = settings
        self._clock = clock
        self._door: Webhooks | None = None

    def routes(self) -> list[Guarded]:
        """What leads here."""
        return [route(path, self, Access.PUBLIC, POST, "PUT", "PATCH", GET, DELETE) for path in WEBHOOKS]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. Raises HectorError."""
        if self._door is None:
            from hector.web.webhooks import Webhooks  # noqa: PLC0415 - loaded by the first request

            self._door = Webhooks(self._apps, self._tasks, self._store, self._settings, self._clock)
        await self._door(scope, receive, send)
