"""Everything around A2A: cards, the list of agents, health, the schema."""

import asyncio
from collections.abc import Mapping
from typing import Final

from hector import __version__
from hector.a2a import wire
from hector.a2a.card import Document, agent_card, document
from hector.apps.app import App
from hector.apps.registry import Apps
from hector.config.server import Server
from hector.core.clock import Clock
from hector.core.content import JsonObject
from hector.core.errors import StoreError
from hector.store import Store
from hector.tasks.service import TaskService
from hector.web.address import base_url
from hector.web.asgi import JSON, Exchange
from hector.web.paths import PATHS, Page, Target
from hector.web.protocol import NO_CACHE, visible_agent

PING_SECONDS: Final = 5.0
_MOST_CARDS: Final = 256
"""Cards kept: one per agent and address. Addresses come from clients, so there has to be an end."""


class Pages:
    """Answers GET requests that are not operations of A2A."""

    def __init__(self, apps: Apps, tasks: TaskService, store: Store, settings: Server, clock: Clock) -> None:
        self._apps = apps
        self._settings = settings
        self._tasks = tasks
        self._store = store
        self._clock = clock
        self._cards: dict[tuple[str, str, bool], Document] = {}
        self._cards_of: App | None = None
        self._since = clock.now()
        self._schema: bytes | None = None

    async def serve(self, exchange: Exchange, target: Target, page: Page) -> None:
        """Answer. Raises NotFound for agents that are not there."""
        match page:
            case Page.CARD:
                await self._card(exchange, target, legacy=self._settings.legacy_card)
            case Page.OLD_CARD:
                await self._card(exchange, target, legacy=True)
            case Page.AGENTS:
                await self._json(exchange, self._agents(exchange))
            case Page.HEALTH:
                await self._json(exchange, self._health())
            case Page.LIVE:
                await self._json(exchange, {"status": "ok"})
            case Page.READY:
                await self._ready(exchange)
            case Page.SCHEMA:
                await exchange.reply(200, self._schema_body(), JSON, ((b"cache-control", b"public, max-age=60"),))
            case _:
                await self._json(exchange, self._index())

    async def _json(self, exchange: Exchange, value: Mapping[str, object], status: int = 200) -> None:
        await exchange.reply(status, wire.dumps(value).encode("ascii"), JSON, NO_CACHE)

    def _index(self) -> JsonObject:
        config = self._apps.current.config
        return {"name": config.name, "description": config.description, "version": __version__, "paths": list(PATHS)}

    def _agents(self, exchange: Exchange) -> JsonObject:
        config = self._apps.current.config
        base = base_url(exchange, self._settings)
        names = [name for name, agent in config.agents.items() if agent.visibility != "private"]
        cards = [agent_card(config, name, base, legacy=self._settings.legacy_card) for name in names]
        return {"agents": cards, "total": len(cards)}

    async def _card(self, exchange: Exchange, target: Target, *, legacy: bool) -> None:
        app = self._apps.current
        agent = visible_agent(app, target.agent)
        found = self._document(app, agent, base_url(exchange, self._settings), legacy=legacy)
        headers = (*found.headers, (b"vary", b"host"))
        if found.is_fresh(exchange.header(b"if-none-match"), exchange.header(b"if-modified-since")):
            await exchange.reply(304, b"", JSON, headers)
        else:
            await exchange.reply(200, found.body, JSON, headers)

    def _document(self, app: App, agent: str, base: str, *, legacy: bool) -> Document:
        if app is not self._cards_of:
            self._since = self._clock.now() if self._cards_of else self._since
            self._cards_of = app
            self._cards.clear()
        key = (agent, base, legacy)
        found = self._cards.get(key)
        if found is None:
            if len(self._cards) >= _MOST_CARDS:
                self._cards.clear()
            found = self._cards[key] = document(agent_card(app.config, agent, base, legacy=legacy), self._since)
        return found

    def _health(self) -> JsonObject:
        """That it lives and how busy it is; nothing about how it is set up."""
        return {
            "status": "ok",
            "version": __version__,
            "agents": sum(agent.visibility != "private" for agent in self._apps.current.config.agents.values()),
            "tasks": {"running": self._tasks.running},
            "auth": {"enabled": False},
        }

    async def _ready(self, exchange: Exchange) -> None:
        try:
            async with asyncio.timeout(PING_SECONDS):
                await self._store.ping()
        except (StoreError, TimeoutError):
            reason = "the database takes no writes at the moment"
            await self._json(exchange, {"status": "unavailable", "reason": reason}, 503)
            return
        await self._json(exchange, {"status": "ready"})

    def _schema_body(self) -> bytes:
        if self._schema is None:
            from hector.config.schema import schema_text  # noqa: PLC0415 - costs time and memory: for those who ask

            self._schema = schema_text(compact=True).encode()
        return self._schema
