"""The ASGI application: starlette with our routes, our wording of errors and one middleware.

A whole `Starlette`, not a bare `Router`: static files, CORS and authentication plug in as documented, and the two
layers around its router, which contain and word what goes wrong, would have to be written otherwise. Only the requests
that a busy server consists of go past the inner one (`routes.Straight`).
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from hector.a2a.errors import NO_SUCH_PATH, NO_SUCH_VERB, ProtocolError
from hector.apps.registry import Apps
from hector.auth.authenticator import Authenticator
from hector.auth.opening import open_authenticator
from hector.config.server import Server
from hector.core.audit import Entry
from hector.core.clock import Clock, SystemClock
from hector.core.errors import HectorError
from hector.core.pattern import on_demand
from hector.store import Store
from hector.tasks.push import PushService
from hector.tasks.service import TaskService
from hector.web.admin import Admin, table
from hector.web.admin_parts import Parts
from hector.web.answers import demands, refusal, rpc_refusal
from hector.web.entrances import McpEntrance, WebhookEntrance
from hector.web.identity import Gate
from hector.web.limiting import Limiter
from hector.web.logins import Logins
from hector.web.openai_entrance import OpenAiEntrance, Way
from hector.web.origin import OwnPagesOnly, is_local
from hector.web.pages import PATHS, Pages
from hector.web.protocol import Protocol, Rpc
from hector.web.routes import Straight, allowed, make_routes

if TYPE_CHECKING:
    from hector.web.metrics import Watched

READABLE: Final = (
    "X-Request-Id",
    "Retry-After",
    "WWW-Authenticate",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
)
"""Headers of answers that pages of other origins may look at."""


def create_app(
    tasks: TaskService,
    apps: Apps,
    store: Store,
    settings: Server,
    clock: Clock | None = None,
    auth: Authenticator | None = None,
    reload: Callable[[Entry], Awaitable[str]] | None = None,
    watched: "Watched | None" = None,
) -> Starlette:
    """The application over a running task service. It owns nothing: whoever made its parts closes them."""
    push = PushService(store, settings.push_notifications)
    clock = clock or SystemClock()
    auth = auth or open_authenticator(settings, store, clock)
    asks = settings.auth.asks(exposed=not is_local(settings.host))
    limiter = Limiter(tasks.limits, settings.trusted_proxies)
    gate = Gate(auth, asks, settings.auth.excluded_paths, limiter, Logins(store.audit))
    pages = Pages(apps, tasks, store, settings, clock)
    parts = Parts(apps, tasks, store, settings, clock, auth, reload, watched)
    admin = Admin(lambda: table(parts), settings.max_body_bytes, store.audit)
    with on_demand():  # two dozen paths, of which a server on its way up matches none
        more = () if watched is None else (watched.settings.endpoint,)
        routes = make_routes(Protocol(apps, tasks, push, settings), pages) + admin.routes(*more)
        routes.append(McpEntrance(apps, tasks, settings).route())
        routes += WebhookEntrance(apps, tasks, store, settings, clock).routes()
        if settings.openai_api:
            routes += OpenAiEntrance(apps, tasks, store, settings, clock).routes()
    guarded = [one.behind(gate) for one in routes]
    busiest = next(one for one in guarded if isinstance(one.endpoint, Rpc))
    app = Starlette(
        routes=guarded,
        middleware=[*_counted(watched), *_pages_allowed(settings), Middleware(Straight, busiest)],
        exception_handlers={404: _no_such_path, 405: _no_such_verb, HectorError: _refused, Exception: _broken},
    )
    app.router.redirect_slashes = False
    return app


def _counted(watched: "Watched | None") -> list[Middleware]:
    """What counts requests, where anything is counted."""
    if watched is None:
        return []
    from hector.web.metrics import Counted  # noqa: PLC0415 - only with metrics

    return [Middleware(Counted, watched.metrics)]


def _pages_allowed(settings: Server) -> list[Middleware]:
    """Which browsers' pages may use this server: its own, and those of the origins that are listed."""
    cors = settings.cors
    if cors is None or not cors.allowed_origins:
        return [Middleware(OwnPagesOnly, settings.public_url, (), settings.allowed_hosts)]
    from starlette.middleware.cors import CORSMiddleware  # noqa: PLC0415 - only where other sites are let in

    return [
        Middleware(
            CORSMiddleware,
            allow_origins=cors.allowed_origins,
            allow_methods=cors.allowed_methods,
            allow_headers=cors.allowed_headers,
            allow_credentials=cors.allow_credentials,
            expose_headers=READABLE,
            max_age=int(cors.max_age),
        ),
        Middleware(OwnPagesOnly, settings.public_url, cors.allowed_origins, settings.allowed_hosts),
    ]


async def _no_such_path(request: Request, _: Exception) -> Response:
    path = request.scope["path"][:200]
    return refusal(request, ProtocolError(NO_SUCH_PATH, f"nothing is at {path!r}; there are {', '.join(PATHS)}"))


async def _no_such_verb(request: Request, _: Exception) -> Response:
    verbs = allowed(request.app.routes, request.scope)
    error = ProtocolError(NO_SUCH_VERB, f"{request.method} is not possible here; allowed: {verbs}")
    return refusal(request, error, ((b"allow", verbs.encode()),))


async def _refused(request: Request, error: Exception) -> Response:
    """What a service refuses, or could not do."""
    assert isinstance(error, HectorError)  # noqa: S101 - that is what it is registered for
    endpoint = request.scope.get("endpoint")
    if isinstance(endpoint, Rpc):
        return rpc_refusal(request, error)
    if isinstance(endpoint, Way):
        return endpoint.refused(request, error)
    return refusal(request, error, demands(error))


async def _broken(request: Request, error: Exception) -> Response:
    """A defect. Starlette then passes it on to the server, which logs the traceback and closes the connection."""
    return refusal(request, HectorError(f"{type(error).__name__}: {error}"), ((b"connection", b"close"),))
