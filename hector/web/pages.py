"""Everything around A2A: cards, the list of agents, health, the schema."""

import asyncio
import logging
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from hector.a2a import wire
from hector.a2a.card import Document, agent_card, document
from hector.apps.app import App
from hector.apps.registry import Apps
from hector.auth.access import sees
from hector.config.server import Server
from hector.core.clock import Clock
from hector.core.content import JsonObject
from hector.core.errors import StoreError
from hector.core.identity import DEFAULT_APP, OPEN, Principal, Via
from hector.store import Store
from hector.tasks.service import TaskService
from hector.version import __version__
from hector.web.address import base_url
from hector.web.answers import JSON, NO_CACHE, Headers, reply, reply_json
from hector.web.identity import principal_of
from hector.web.protocol import visible_agent
from hector.web.schemes import asks, described, secured
from hector.web.tenancy import app_for

log = logging.getLogger("hector.web")

PATHS: Final = (
    "/agents",
    "/agents/{agent} (GET: card, POST: JSON-RPC)",
    "/agents/{agent}/message:send",
    "/agents/{agent}/message:stream",
    "/agents/{agent}/tasks",
    "/agents/{agent}/.well-known/agent-card.json",
    "/.well-known/agent-card.json",
    "/schema",
    "/health",
    "/livez",
    "/readyz",
    "/openapi.json (the Admin API)",
)
"""What a lost client is told."""
PING_SECONDS: Final = 5.0
_MOST_CARDS: Final = 256
"""Cards kept: one per app, agent and address. Addresses come from clients, so there has to be an end."""


class Pages:
    """The endpoints that are not operations of A2A."""

    def __init__(self, apps: Apps, tasks: TaskService, store: Store, settings: Server, clock: Clock) -> None:
        self._apps = apps
        self._settings = settings
        self._tasks = tasks
        self._store = store
        self._clock = clock
        self._cards: dict[tuple[str, str, str, bool], tuple[App, Document]] = {}
        self._since: dict[str, tuple[float, App]] = {}
        self._began = clock.now()
        self._schema: bytes | None = None
        self._trouble = ""

    async def index(self, request: Request) -> Response:
        """Who this is and what there is; for a browser, the page behind one-time links."""
        if "text/html" in request.headers.get("accept", ""):
            from hector.web.unlock import page  # noqa: PLC0415 - most who ask are programs

            return page(request)
        config = self._apps.current.config
        about = {"name": config.name, "description": config.description, "version": __version__, "paths": list(PATHS)}
        return reply(request, 200, wire.dumps(about).encode("ascii"), JSON, (*NO_CACHE, (b"vary", b"accept")))

    async def agents(self, request: Request) -> Response:
        """The cards of all agents that may be seen."""
        app, who = await self._app(request), principal_of(request.scope)
        base = base_url(request, self._settings)
        names = [name for name, agent in app.config.agents.items() if sees(who, agent.visibility)]
        cards = [self._card_of(app, name, base, legacy=self._settings.legacy_card) for name in names]
        return reply_json(request, {"agents": cards, "total": len(cards)})

    async def card(self, request: Request) -> Response:
        """One agent's card. Raises NotFound."""
        return await self._card(request, legacy=self._settings.legacy_card)

    async def old_card(self, request: Request) -> Response:
        """One agent's card for clients of 0.3. Raises NotFound."""
        return await self._card(request, legacy=True)

    async def _app(self, request: Request) -> App:
        """The app that is meant. Raises as `app_for` does."""
        tenant = request.path_params.get("tenant") or request.query_params.get("tenant")
        return await app_for(self._apps, principal_of(request.scope), tenant)

    def _card_of(self, app: App, agent: str, base: str, *, legacy: bool) -> JsonObject:
        tenant = None if app.id == DEFAULT_APP else app.id
        push = self._settings.push_notifications.enabled
        card = agent_card(app.config, agent, base, legacy=legacy, push=push, tenant=tenant)
        return secured(card, self._settings, app.config.agents[agent].visibility, legacy=legacy)

    async def _card(self, request: Request, *, legacy: bool) -> Response:
        app = await self._app(request)
        agent = visible_agent(app, request.path_params["agent"], principal_of(request.scope))
        found = self._document(app, agent, base_url(request, self._settings), legacy=legacy)
        headers = (*_for(principal_of(request.scope), found.headers), (b"vary", b"host, authorization, x-api-key"))
        if found.is_fresh(request.headers.get("if-none-match"), request.headers.get("if-modified-since")):
            return reply(request, 304, b"", JSON, headers)
        return reply(request, 200, found.body, JSON, headers)

    def _document(self, app: App, agent: str, base: str, *, legacy: bool) -> Document:
        since, of = self._since.get(app.id, (self._began, None))
        if of is not app:
            since = self._clock.now() if of else since
            self._since[app.id] = since, app
        key = (app.id, agent, base, legacy)
        card, found = self._cards.get(key, (None, None))
        if found is None or card is not app:
            if len(self._cards) >= _MOST_CARDS:
                self._cards.clear()
                self._since = {app.id: (since, app)}
            found = document(self._card_of(app, agent, base, legacy=legacy), since)
            self._cards[key] = app, found
        return found

    async def health(self, request: Request) -> Response:
        """That it lives, how to log in and, to those whom agents answer, how busy it is."""
        who = principal_of(request.scope)
        agents = self._apps.current.config.agents.values()
        report: JsonObject = {
            "status": "ok",
            "version": __version__,
            "agents": sum(sees(who, agent.visibility) for agent in agents),
            "tasks": {"running": self._tasks.running},
            "auth": described(self._settings),
        }
        knowledge = self._apps.current.knowledge
        if knowledge is not None and who.app in {None, DEFAULT_APP}:  # ids of its stores are not for other apps
            report["document_stores"] = await knowledge.glance()
        rests = self._apps.current.models.rests
        if rests is not None and (resting := rests.now()):
            report["models_resting"] = {name: round(seconds, 1) for name, seconds in resting.items()}
        known = ("status", "auth") if who is OPEN and asks(self._settings) else tuple(report)
        return reply_json(request, {name: report[name] for name in known})

    async def live(self, request: Request) -> Response:
        """That it lives."""
        return reply_json(request, {"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """Whether it can work: 503 while the database takes no writes."""
        try:
            async with asyncio.timeout(PING_SECONDS):
                await self._store.ping()
        except (StoreError, TimeoutError) as error:
            trouble = str(error) or f"the database has not answered for {PING_SECONDS:.0f} seconds"
            self._note(trouble)
            return reply_json(request, {"status": "unavailable", "reason": self._placeless(trouble)}, 503)
        self._note("")
        return reply_json(request, {"status": "ready"})

    def _placeless(self, trouble: str) -> str:
        """What is wrong with the database, without the folders or the host that only the operator may know."""
        place = self._store.dsn.partition("://")[2]
        return trouble.replace(place, place.rpartition("/")[2])

    def _note(self, trouble: str) -> None:
        """Log why it is not ready, and when that is over: once each, however often somebody asks."""
        if trouble and trouble != self._trouble:
            log.error("not ready", extra={"error": trouble})
        if self._trouble and not trouble:
            log.info("ready again")
        self._trouble = trouble

    async def schema(self, request: Request) -> Response:
        """JSON Schema of the configuration."""
        if self._schema is None:
            from hector.config.schema import schema_text  # noqa: PLC0415 - costs time and memory: for those who ask

            self._schema = schema_text(compact=True).encode()
        return reply(request, 200, self._schema, JSON, ((b"cache-control", b"public, max-age=60"),))


def _for(who: Principal, headers: Headers) -> Headers:
    """Caches between us and somebody who has said who they are keep nothing for others."""
    if who.via is Via.OPEN:
        return headers
    return [(name, value.replace(b"public", b"private")) for name, value in headers]
