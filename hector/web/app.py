"""The ASGI application: from a path to the one function that answers it."""

import logging

from hector.a2a.errors import NO_SUCH_PATH, NO_SUCH_VERB, ProtocolError
from hector.a2a.jsonrpc import Operation
from hector.apps.registry import Apps
from hector.config.server import Server
from hector.core.clock import Clock, SystemClock
from hector.core.errors import HectorError
from hector.store import Store
from hector.tasks.service import TaskService
from hector.web import origin
from hector.web.asgi import Disconnected, Exchange, Receive, Scope, Send
from hector.web.pages import Pages
from hector.web.paths import PATHS, Page, Target, resolve
from hector.web.protocol import Protocol

log = logging.getLogger("hector.web")


class Application:
    """Hector over HTTP."""

    def __init__(self, tasks: TaskService, apps: Apps, store: Store, settings: Server, clock: Clock) -> None:
        self._public_url = settings.public_url
        self._protocol = Protocol(apps, tasks, settings)
        self._pages = Pages(apps, tasks, store, settings, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI connection; anything but HTTP is turned away."""
        if scope["type"] == "http":
            await self._http(Exchange(scope, receive, send))
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1002})

    async def _http(self, exchange: Exchange) -> None:
        """The containment of a request: whatever happens inside, the client gets an answer and the server lives on."""
        try:
            await self._answer(exchange)
        except Disconnected:
            pass
        except HectorError as error:
            await self._protocol.refuse(exchange, error)
        except Exception as error:
            log.exception("request failed", extra={"request": exchange.id.decode(), "path": exchange.path})
            if exchange.answered:
                raise
            await self._protocol.refuse(exchange, HectorError(str(error)))

    async def _answer(self, exchange: Exchange) -> None:
        target = resolve(exchange.path)
        if target is None:
            raise ProtocolError(NO_SUCH_PATH, f"nothing is at {exchange.path[:200]!r}; there are {', '.join(PATHS)}")
        method = "GET" if exchange.method == "HEAD" else exchange.method
        goal = target.verbs.get(method)
        if goal is None:
            await self._refuse_verb(exchange, target)
            return
        origin.check(exchange, self._public_url)
        if goal is Page.RPC:
            await self._protocol.rpc(exchange, target)
        elif isinstance(goal, Operation):
            await self._protocol.rest(exchange, target, goal)
        else:
            await self._pages.serve(exchange, target, goal)

    async def _refuse_verb(self, exchange: Exchange, target: Target) -> None:
        allowed = ", ".join(target.verbs)
        error = ProtocolError(NO_SUCH_VERB, f"{exchange.method} is not possible here; allowed: {allowed}")
        await self._protocol.refuse(exchange, error, ((b"allow", allowed.encode()),))


async def _lifespan(receive: Receive, send: Send) -> None:
    """Nothing to do: whoever made the runtime starts and stops it."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def create_app(
    tasks: TaskService, apps: Apps, store: Store, settings: Server, clock: Clock | None = None
) -> Application:
    """The application over a running task service. It owns nothing: whoever made its parts closes them."""
    return Application(tasks, apps, store, settings, clock or SystemClock())
