"""Apps from the database: read, checked under the operator's policy, and built. The file feeds the app `default`."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING

from hector.apps.app import App
from hector.apps.build import build
from hector.apps.registry import Found
from hector.config.environment import Environment
from hector.config.load import Loaded
from hector.config.root import HectorConfig
from hector.config.secrets import secrets_of
from hector.core.errors import AppSuspended, AppUnavailable, ConfigError, NotFound
from hector.core.identity import DEFAULT_APP
from hector.observe.redact import remember
from hector.store.apps import FILE_AUTHOR, AppConfig, AppConfigs, AppRecord, AppStatus
from hector.tools.catalog import Catalog

if TYPE_CHECKING:
    from hector.config.tenancy import Policy

log = logging.getLogger("hector.apps")


class StoredApps:
    """`file` gives what was read from the file last: what it says of the server holds for every app."""

    def __init__(
        self, configs: AppConfigs, file: Callable[[], Loaded], environment: Environment, catalog: Catalog
    ) -> None:
        self._configs = configs
        self._file = file
        self._environment = environment
        self._catalog = catalog

    async def load(self, app_id: str) -> Found:
        """One app as it is to be served. Raises NotFound, AppSuspended, AppUnavailable, StoreError."""
        try:
            record, config = await self._configs.load(app_id)
        except NotFound:
            if app_id != DEFAULT_APP:
                raise
            return await self._of_file(0)
        if app_id == DEFAULT_APP and config.author == FILE_AUTHOR:
            return await self._of_file(record.version)
        require_active(record)
        return await asyncio.to_thread(self._made, record, config)

    async def past(self, app_id: str) -> AsyncGenerator[HectorConfig, None]:
        """Every configuration of an app that still holds, the newest first. Raises StoreError."""
        before: int | None = None
        while found := await self._configs.versions(app_id, before=before):
            for one in found:
                before = one.version
                config = await self._configs.version(app_id, before)
                with contextlib.suppress(ConfigError):
                    loaded = await asyncio.to_thread(self.check, app_id, config.format, config.body)
                    remember(*secrets_of(loaded.config))
                    yield self._completed(loaded)

    def check(self, app_id: str, form: str, text: str) -> Loaded:
        """What a configuration means for an app. Raises ConfigError with every finding."""
        from hector.config.tenancy import parse_app  # noqa: PLC0415 - only where there are such apps

        return parse_app(text, form, self.policy(app_id))

    def policy(self, app_id: str) -> "Policy":
        """What the operator lets an app use."""
        from hector.config.tenancy import Policy  # noqa: PLC0415 - only where there are such apps

        return Policy(app_id, self._file().config.tenants, self._environment, self._catalog)

    def file(self) -> Loaded:
        """The configuration that feeds the app `default`, unless the database has another one for it."""
        return self._file()

    def try_out(self, app_id: str, form: str, text: str) -> Loaded:
        """Check a configuration and build the app that it means, as loading it will. Raises ConfigError."""
        loaded = self.check(app_id, form, text)
        from hector.apps.schemas import check_schemas  # noqa: PLC0415 - only where apps are changed

        check_schemas(loaded)
        self._app(loaded, app_id)
        return loaded

    async def _of_file(self, version: int) -> Found:
        config = self._file().config
        return Found(await asyncio.to_thread(build, config, self._catalog), version)

    def _made(self, record: AppRecord, config: AppConfig) -> Found:
        try:
            loaded = self.check(record.id, config.format, config.body)
            remember(*secrets_of(loaded.config))
            return Found(self._app(loaded, record.id), record.version)
        except ConfigError as error:
            log.error(  # noqa: TRY400 - the findings are all there is to know
                "the stored configuration of an app does not hold",
                extra={"app": record.id, "version": record.version, "error": str(error)},
            )
            raise AppUnavailable(
                f"app {record.id!r} cannot be loaded: version {record.version} of its configuration does not hold here "
                f"(any more); the server's log says why. Whoever looks after it can store a correct one"
            ) from None

    def _app(self, loaded: Loaded, app_id: str) -> App:
        return build(self._completed(loaded), self._catalog, app_id, self._file().config)

    def _completed(self, loaded: Loaded) -> HectorConfig:
        """With the operator's blocks."""
        from hector.config.tenancy import operators  # noqa: PLC0415 - only where there are such apps

        file = self._file().config
        blocks = {key: getattr(file, key) for key in operators() if key in HectorConfig.model_fields}
        return loaded.config.with_changes(**blocks)


def require_active(record: AppRecord) -> None:
    """Raises AppSuspended for an app that rests, NotFound for one that is being deleted."""
    if record.status is AppStatus.SUSPENDED:
        raise AppSuspended(f"app {record.id!r} is suspended; whoever looks after the server can let it go on")
    if record.status is AppStatus.DELETING:
        raise NotFound("app", record.id)
