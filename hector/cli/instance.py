"""A running Hector: store, apps and tasks under one roof, and the reload that swaps the app."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Final

from hector.apps.app import App, Shelves
from hector.apps.build import build
from hector.apps.precedence import FileConfig, explain, settle, sync
from hector.apps.registry import Apps
from hector.apps.stored import StoredApps
from hector.auth.authenticator import Authenticator
from hector.auth.opening import open_authenticator
from hector.cli.lean import settle as settle_memory
from hector.cli.place import governed
from hector.config.environment import Environment
from hector.config.findings import Finding
from hector.config.load import Loaded, load_config
from hector.config.own import own_files
from hector.config.root import HectorConfig
from hector.config.secrets import password_of, secrets_of
from hector.config.server import Server
from hector.core.audit import FAILED, OK, Entry
from hector.core.clock import SystemClock
from hector.core.errors import ConfigError, HectorError, StoreError
from hector.core.identity import DEFAULT_APP
from hector.core.record import dataclass
from hector.limits.limits import Limits
from hector.observe import metrics
from hector.observe.redact import remember
from hector.store import Store, open_store
from hector.tasks.service import TaskService
from hector.tools.catalog import Catalog
from hector.web.app import create_app

if TYPE_CHECKING:
    from hector.config.limits import RateLimiting
    from hector.config.observability import Metrics as MetricsSettings
    from hector.web.metrics import Watched

log = logging.getLogger("hector.server")
FIXED: Final = ("server", "databases", "storage", "logger", "observability")
"""Blocks that are read at the start only."""
RELOAD: Final = "config.reload"
_FIRST_REQUESTS: Final = 0.1
"""Seconds that are left to whoever waits for the server to come up."""


@dataclass(slots=True)
class Instance:
    """Everything that lives as long as the process serves."""

    environment: Environment
    catalog: Catalog
    file: FileConfig
    store: Store
    apps: Apps
    tasks: TaskService
    settings: Server
    auth: Authenticator
    syncs: bool = False
    shelves: Shelves = field(default_factory=Shelves)
    watched: "Watched | None" = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        dsn: str,
        environment: Environment,
        catalog: Catalog,
        loaded: Loaded,
        settings: Server | None = None,
        rates: "RateLimiting | None" = None,
        *,
        syncs: bool = False,
        watch: "MetricsSettings | None" = None,
    ) -> AsyncIterator["Instance"]:
        """Build the app, open the database, take up work. Raises ConfigError, StartupError, StoreError.

        `settings` and `rates` are those of the file with what flags and variables changed. With `syncs`, the database
        takes over what the file says; with `watch`, figures are counted.
        """
        _note(loaded)
        settings = settings or loaded.config.server
        remember(*settings.auth.secrets, *password_of(dsn))
        catalog.own = own_files(loaded, dsn)
        with _watched(watch) as watched, governed(settings.egress):
            app, file = _built(loaded, catalog), FileConfig(loaded)
            store = await open_store(dsn)
            source = StoredApps(store.apps, lambda: file.loaded, environment, catalog)
            apps = Apps(app, source, loaded.config.tenants.max_loaded)
            shelves = Shelves(settings.readers, lambda: file.loaded.config, source)
            try:
                if syncs:
                    await sync(store.apps, loaded)
                await settle(store.apps, apps, loaded)
                auth = open_authenticator(settings, store, SystemClock())
                limits = Limits(store, SystemClock(), loaded.config, rates)
                apps.attach(shelves.take, shelves.remove)
                if watched is not None:
                    watched.follow(apps)
                async with TaskService(apps, store, SystemClock(), settings, limits) as tasks:
                    yield cls(environment, catalog, file, store, apps, tasks, settings, auth, syncs, shelves, watched)
            finally:
                await apps.aclose()
                await shelves.aclose()
                await store.aclose()

    @property
    def loaded(self) -> Loaded:
        """What was read from the file last."""
        return self.file.loaded

    @property
    def config(self) -> HectorConfig:
        """The configuration of the file."""
        return self.loaded.config

    def web(self) -> Any:
        """The ASGI application."""
        return create_app(
            self.tasks, self.apps, self.store, self.settings, auth=self.auth, reload=self.renew, watched=self.watched
        )

    async def start(self) -> None:
        """Bring up the processes that the models in use need."""
        await self.apps.current.start()

    async def warm_up(self) -> None:
        """Load what the first message should not have to wait for, a moment after the server has become ready."""
        await asyncio.sleep(_FIRST_REQUESTS)
        await self.apps.current.prepare()
        await self.auth.warm_up()
        settle_memory()  # nothing else goes on while it does: before anything is indexed
        self.shelves.start()

    async def tidy(self) -> None:
        """Remove what nobody has used for long, a little now and then. The settings are those of the start."""
        kept = self.config.storage.retention
        await asyncio.sleep(_FIRST_REQUESTS)
        from hector.store.audit_keeper import ChainKeeper  # noqa: PLC0415 - nobody waits for it
        from hector.store.egress import EgressKeeper  # noqa: PLC0415 - likewise
        from hector.store.retention import Policy, Retention  # noqa: PLC0415 - likewise

        policy = Policy(kept.sessions, kept.jobs, kept.dead_letters)
        async with asyncio.TaskGroup() as group:
            group.create_task(Retention(self.store.database, SystemClock(), policy).run())
            group.create_task(EgressKeeper(self.store.egress, self.store.audit, SystemClock()).run())
            group.create_task(ChainKeeper(self.store.audit, self.store.database, SystemClock(), kept.audit).run())

    async def keep_apps(self) -> None:
        """Take in what becomes of other apps, and let go of those that nobody uses."""
        from hector.apps.keeper import Keeper  # noqa: PLC0415 - nobody waits for it

        await Keeper(self.apps, self.store, SystemClock(), lambda: self.config.tenants.unload_after).keep()

    async def reload(self) -> None:
        """Read the configuration again and swap the app; a wrong one changes nothing and is reported."""
        await self.renew(Entry(RELOAD, "config:default", via="file"))

    async def renew(self, entry: Entry) -> str:
        """The same, noted in the audit log as `entry` with how it ended: what is wrong, empty if all is well."""
        trouble = await self._renew()
        detail = (
            {**entry.detail, "trouble": trouble} if trouble else {**entry.detail, "agents": len(self.config.agents)}
        )
        try:
            await self.store.audit.note(replace(entry, outcome=FAILED if trouble else OK, detail=detail))
        except StoreError as error:
            log.error("a reload could not be noted in the audit log: %s", error)  # noqa: TRY400
        return trouble

    async def _renew(self) -> str:
        before = self.loaded
        if before.path is None:
            log.warning("there is no configuration file to read again")
            return "there is no configuration file to read again"
        try:
            await self._take_up(load_config(before.path, self.environment, handlers=self.catalog))
        except ConfigError as error:
            self.file.loaded = before
            log.error("the new configuration is wrong; the old one stays in force:\n%s", error)  # noqa: TRY400
            return f"the new configuration is wrong; the old one stays in force:\n{error}"
        except HectorError as error:
            self.file.loaded = before
            log.error("the new configuration cannot be taken up now; the old one stays in force: %s", error)  # noqa: TRY400
            return f"the new configuration cannot be taken up now; the old one stays in force: {error}"
        except Exception:
            self.file.loaded = before
            log.exception("the new configuration could not be taken up; the old one stays in force")
            return "the new configuration could not be taken up, the server's log says why; the old one stays in force"
        return ""

    async def _take_up(self, loaded: Loaded) -> None:
        before = self.config
        self.catalog.own = own_files(loaded, self.store.dsn)
        _built(loaded, self.catalog)
        if self.syncs:
            await sync(self.store.apps, loaded)
        self.file.loaded = loaded
        found = await self.apps.source.load(DEFAULT_APP)
        _note(loaded)
        for block in FIXED:
            if getattr(loaded.config, block) != getattr(before, block):
                log.warning("a change of `%s` takes effect at the next start", block)
        self.apps.swap(found.app, found.version)
        self.tasks.limits.configure(loaded.config)
        facts = {"agents": len(found.app.agents), "llms": len(found.app.config.llms)}
        log.info("configuration reloaded", extra=facts)
        await explain(self.store.apps, loaded)
        await found.app.start()
        self.apps.most = loaded.config.tenants.max_loaded
        if loaded.config.tenants != before.tenants:
            await self.apps.refresh_others()

    async def watch(self) -> None:
        """Reload whenever a file that the configuration was made from changes."""
        from hector.config.watch import changes  # noqa: PLC0415 - only with --watch

        async for _ in changes(lambda: self.loaded.files):
            await self.reload()


@contextmanager
def _watched(settings: "MetricsSettings | None") -> Iterator["Watched | None"]:
    """Have everything counted meanwhile, if that is wanted."""
    if settings is None:
        yield None
        return
    from hector.web.metrics import Watched  # noqa: PLC0415 - only with metrics

    watched = Watched.of(settings)
    with metrics.counting(watched.metrics):
        yield watched


def _built(loaded: Loaded, catalog: Catalog) -> App:
    """Raises ConfigError, with the line of the file where that can be told."""
    try:
        return build(loaded.config, catalog)
    except ConfigError:
        from hector.apps.schemas import check_schemas  # noqa: PLC0415 - hardly ever

        check_schemas(loaded)
        raise


def _note(loaded: Loaded) -> None:
    """Keep secrets out of everything that is written, and pass on what the loader warns of."""
    remember(*secrets_of(loaded.config))
    for finding in loaded.warnings:
        log.warning("%s", _line(finding))


def _line(finding: Finding) -> str:
    return f"{finding.place}: {finding.message}" + (f" ({finding.details})" if finding.details else "")
