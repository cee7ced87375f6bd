"""A running Hector: store, apps and tasks under one roof, and the reload that swaps the app."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from hector.apps.build import build
from hector.apps.registry import Apps
from hector.auth.authenticator import Authenticator
from hector.auth.opening import open_authenticator
from hector.cli.lean import settle
from hector.config.environment import Environment
from hector.config.findings import Finding
from hector.config.limits import RateLimiting
from hector.config.load import Loaded, load_config
from hector.config.root import HectorConfig
from hector.config.server import Server
from hector.core.clock import SystemClock
from hector.core.errors import ConfigError
from hector.core.record import dataclass
from hector.limits.limits import Limits
from hector.observe.redact import remember
from hector.store import Store, open_store
from hector.tasks.service import TaskService
from hector.tools.catalog import Catalog
from hector.web.app import create_app

log = logging.getLogger("hector.server")
FIXED: Final = ("server", "databases", "storage", "logger")
"""Blocks that are read at the start only."""
_FIRST_REQUESTS: Final = 0.1
"""Seconds that are left to whoever waits for the server to come up."""


@dataclass(slots=True)
class Instance:
    """Everything that lives as long as the process serves."""

    environment: Environment
    catalog: Catalog
    loaded: Loaded
    store: Store
    apps: Apps
    tasks: TaskService
    settings: Server
    auth: Authenticator

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        dsn: str,
        environment: Environment,
        catalog: Catalog,
        loaded: Loaded,
        settings: Server | None = None,
        rates: RateLimiting | None = None,
    ) -> AsyncIterator["Instance"]:
        """Build the app, open the database, take up work. Raises ConfigError, StartupError, StoreError.

        `settings` and `rates` are those of the file with what flags and variables changed.
        """
        _note(loaded)
        settings = settings or loaded.config.server
        remember(*settings.auth.secrets)
        apps = Apps(build(loaded.config, catalog))
        store = await open_store(dsn)
        try:
            auth = open_authenticator(settings, store, SystemClock())
            limits = Limits(store, SystemClock(), loaded.config, rates)
            async with TaskService(apps, store, SystemClock(), settings, limits) as tasks:
                yield cls(environment, catalog, loaded, store, apps, tasks, settings, auth)
        finally:
            await apps.aclose()
            await store.aclose()

    @property
    def config(self) -> HectorConfig:
        """The configuration that new work runs on."""
        return self.loaded.config

    def web(self) -> Any:
        """The ASGI application."""
        return create_app(self.tasks, self.apps, self.store, self.settings, auth=self.auth)

    async def start(self) -> None:
        """Bring up the processes that the models in use need."""
        await self.apps.current.start()

    async def warm_up(self) -> None:
        """Load what the first message should not have to wait for, a moment after the server has become ready."""
        await asyncio.sleep(_FIRST_REQUESTS)
        await self.apps.current.prepare()
        await self.auth.warm_up()
        settle()

    async def tidy(self) -> None:
        """Remove what nobody has used for long, a little now and then. The settings are those of the start."""
        kept = self.config.storage.retention
        await asyncio.sleep(_FIRST_REQUESTS)
        from hector.store.retention import Policy, Retention  # noqa: PLC0415 - nobody waits for it

        policy = Policy(kept.sessions, kept.jobs, kept.dead_letters)
        await Retention(self.store.database, SystemClock(), policy).run()

    async def reload(self) -> None:
        """Read the configuration again and swap the app; a wrong one changes nothing and is reported."""
        if self.loaded.path is None:
            log.warning("there is no configuration file to read again")
            return
        try:
            loaded = load_config(self.loaded.path, self.environment, handlers=self.catalog)
            app = build(loaded.config, self.catalog)
        except ConfigError as error:
            log.error("the new configuration is wrong; the old one stays in force:\n%s", error)  # noqa: TRY400
            return
        except Exception:
            log.exception("the new configuration could not be taken up; the old one stays in force")
            return
        _note(loaded)
        for block in FIXED:
            if getattr(loaded.config, block) != getattr(self.config, block):
                log.warning("a change of `%s` takes effect at the next start", block)
        self.loaded = loaded
        self.apps.swap(app)
        self.tasks.limits.configure(loaded.config)
        log.info("configuration reloaded", extra={"agents": len(app.agents), "llms": len(loaded.config.llms)})
        await app.start()

    async def watch(self) -> None:
        """Reload whenever a file that the configuration was made from changes."""
        from hector.config.watch import changes  # noqa: PLC0415 - only with --watch

        async for _ in changes(lambda: self.loaded.files):
            await self.reload()


def _note(loaded: Loaded) -> None:
    """Keep secrets out of everything that is written, and pass on what the loader warns of."""
    remember(*(key for llm in loaded.config.llms.values() if (key := getattr(llm, "api_key", ""))))
    for finding in loaded.warnings:
        log.warning("%s", _line(finding))


def _line(finding: Finding) -> str:
    return f"{finding.place}: {finding.message}" + (f" ({finding.details})" if finding.details else "")
