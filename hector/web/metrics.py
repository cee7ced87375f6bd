"""The page with the metrics, and what counts requests; only where metrics are wanted."""

import asyncio
import time
from collections.abc import Awaitable
from typing import Final, TypeAlias

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hector.apps.registry import Apps
from hector.auth.access import Access
from hector.config.observability import Metrics as Settings
from hector.core.identity import DEFAULT_APP, Principal, Via
from hector.core.record import dataclass
from hector.observe.metrics_page import Naming, page
from hector.observe.metrics_series import Bounds, Distribution, Value
from hector.observe.metrics_table import Metrics
from hector.store import Store
from hector.tasks.service import TaskService
from hector.web.answers import reply
from hector.web.endpoints import Ask, Endpoint
from hector.web.identity import principal_found
from hector.web.marked import template_of

LAG_SECONDS: Final = 0.5
"""How often the event loop is looked at."""
_MOST_KEPT: Final = 5_000
"""Combinations of app, method, path and status whose series are at hand."""
_Cells: TypeAlias = tuple[Value, Distribution, Distribution, Distribution]
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Watched:
    """Where figures are counted, and how they are served."""

    metrics: Metrics
    settings: Settings

    @classmethod
    def of(cls, settings: Settings) -> "Watched":
        """Nothing is counted yet."""
        return cls(Metrics(Bounds(settings.max_apps, settings.max_series)), settings)

    def follow(self, apps: Apps) -> None:
        """Forget apps that are deleted."""

        async def forget(app: str, _: float) -> tuple[bool, tuple[str, ...]]:
            self.metrics.forget(app)
            return True, ()

        apps.attach(lambda _: None, forget)

    async def keep(self) -> None:
        """Measure, until cancelled, how late the event loop is."""
        while True:
            began = time.perf_counter()
            await asyncio.sleep(LAG_SECONDS)
            self.metrics.loop_lag.observe(max(time.perf_counter() - began - LAG_SECONDS, 0.0), "")


class MetricsEndpoint:
    """The page. What is of the moment, such as the queue, is read for it."""

    def __init__(self, watched: Watched, tasks: TaskService, store: Store) -> None:
        self._metrics = watched.metrics
        self._settings = watched.settings
        self._naming = Naming(watched.settings.prefix, watched.settings.const_labels)
        self._tasks = tasks
        self._store = store

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The table."""
        return (
            Endpoint(
                "GET", self._settings.endpoint, Access.METRICS,
                "Figures for Prometheus: of the whole server, or of the app that the credential belongs to",
                self.show, "server",
                description="Text format 0.0.4; OpenMetrics 1.0 for those who accept application/openmetrics-text.",
            ),
        )  # fmt: skip

    async def show(self, ask: Ask) -> Response:
        """The page, of one app for those who belong to it. Raises StoreError."""
        app = None if ask.principal.via is Via.OPEN else ask.principal.app
        await self._read_moment(app)
        accept = ask.request.headers.get("accept", "")
        body, kind = await page(self._metrics, self._naming, accept, app)
        return reply(ask.request, 200, body, kind.encode(), ((b"cache-control", b"no-store"), (b"vary", b"accept")))

    async def _read_moment(self, app: str | None) -> None:
        depths = await self._store.queue.depths(app)
        metrics = self._metrics
        metrics.queue_depth.clear()
        for name in {app or DEFAULT_APP, *(one.app for one in depths)}:
            for status in ("pending", "processing", "dead", "timers"):
                metrics.queue_depth.add(name, status, amount=0.0)
        for one in depths:
            metrics.queue_depth.add(one.app, one.status, amount=one.count)
        metrics.sessions_active.clear()
        for name in self._tasks.running_apps:
            metrics.sessions_active.add(name)
        metrics.folded.clear()
        for family in metrics.families():
            if family.folded:
                metrics.folded.add("", family.name, amount=family.folded)


class Counted:
    """Middleware that counts requests, by the route that they took and whom they came from."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._forgotten = 0
        self._kept: dict[tuple[str, str, str, int], _Cells] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count it when it has been answered or has failed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send)
        began = time.perf_counter()
        try:
            await self._app(scope, exchange.receive, exchange.send)
        finally:
            self._count(scope, exchange, time.perf_counter() - began)

    def _count(self, scope: Scope, exchange: "_Exchange", seconds: float) -> None:
        app = _app_of(principal_found(scope))
        method = scope["method"] if scope["method"] in _METHODS else "(other)"
        path = template_of(scope)
        requests, durations, received, sent = self._cells(app, method, path, exchange.status)
        requests.value += 1
        durations.observe(seconds)
        received.observe(exchange.received)
        sent.observe(exchange.sent)

    def _cells(self, app: str, method: str, path: str, status: int) -> _Cells:
        """What such a request adds to."""
        metrics, key = self._metrics, (app, method, path, status)
        if metrics.forgotten != self._forgotten or len(self._kept) > _MOST_KEPT:
            self._forgotten = metrics.forgotten
            self._kept.clear()
        found = self._kept.get(key)
        if found is None:
            families = (metrics.request_seconds, metrics.request_size, metrics.response_size)
            seconds, received, sent = (one.cell(app, method, path) for one in families)
            requests = metrics.requests.cell(app, method, path, str(status))
            found = self._kept[key] = (requests, seconds, received, sent)
        return found


def _app_of(who: Principal | None) -> str:
    """The app that somebody belongs to; empty for those who belong to none, or were not let in."""
    return "" if who is None else who.app or ""


class _Exchange:
    """Counts octets both ways. Without an answer, the status is that of a defect."""

    __slots__ = ("_receive", "_send", "received", "sent", "status")

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.received = self.sent = 0
        self.status = 500

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self.received += len(message.get("body", b""))
        return message

    def send(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.sent += len(message.get("body", b""))
        return self._send(message)
