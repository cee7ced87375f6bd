"""Apps: who they are, every version of their configurations, and which of their tokens are good.

What an app is made of (sessions, jobs, ...) lies in the other tables under its id. The app that the configuration file
feeds has a row only once somebody has changed it through the API.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from hector.core.clock import Clock, SystemClock, milliseconds
from hector.core.errors import Conflict, NotFound
from hector.core.identity import DEFAULT_APP
from hector.core.record import dataclass
from hector.store.database import Connection, Database, Row
from hector.store.paging import decode_name, encode_name
from hector.store.queries import load

CHANNEL: Final = "hector_apps"
"""Where the id of an app is announced when it, its configuration, or what its tokens are worth has changed."""
FILE_AUTHOR: Final = "file"
"""The author of versions that were taken from the configuration file."""
_NEWEST: Final = 1 << 62

Format: TypeAlias = Literal["yaml", "json"]
Aside: TypeAlias = Callable[[Connection], Awaitable[None]]
"""What is written in the same transaction as a change, such as an entry of the audit log."""


class AppStatus(StrEnum):
    """`suspended` keeps everything and does nothing; `deleting` is on its way out and never comes back."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETING = "deleting"


@dataclass(frozen=True, slots=True)
class AppRecord:
    """An app. Tokens that name an older `epoch` are void. Times in seconds since the epoch."""

    id: str
    name: str
    status: AppStatus
    version: int
    epoch: int
    created: float
    updated: float


@dataclass(frozen=True, slots=True)
class AppConfig:
    """One version of an app's configuration, as it was written. In listings `body` is empty."""

    app: str
    version: int
    format: Format
    body: str
    author: str
    note: str
    created: float


@dataclass(frozen=True, slots=True)
class Draft:
    """A configuration to be stored as the next version. Checked by whoever brings it."""

    format: Format
    body: str
    author: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class AppPage:
    """One page in the order of ids; `next_token` is empty on the last one."""

    apps: tuple[AppRecord, ...]
    next_token: str


class AppConfigs:
    """The repository. Every public method is one unit of work; changes are announced on CHANNEL.

    `aside` runs in the transaction of the change.
    """

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()
        self._sql = load("apps", database.dialect)

    def create(self, app_id: str, name: str, draft: Draft, aside: Aside | None = None) -> Awaitable[AppRecord]:
        """Add an app with its first version. Raises Conflict when there is one of this id."""
        return self._database.write(lambda con: self._create(con, app_id, name, draft, aside))

    def get(self, app_id: str) -> Awaitable[AppRecord]:
        """One app. Raises NotFound."""
        return self._database.read(lambda con: self._find(con, app_id))

    def load(self, app_id: str) -> Awaitable[tuple[AppRecord, AppConfig]]:
        """One app with the configuration that is in force. Raises NotFound."""

        async def unit(con: Connection) -> tuple[AppRecord, AppConfig]:
            found = await self._find(con, app_id)
            return found, await self._version(con, app_id, found.version)

        return self._database.read(unit)

    def standing(self, app_ids: tuple[str, ...]) -> Awaitable[dict[str, AppRecord]]:
        """Those of these apps that are there, for whoever keeps copies and wants to know whether they are good."""

        async def unit(con: Connection) -> dict[str, AppRecord]:
            rows = [await con.one(self._sql["find"], (app_id,)) for app_id in app_ids]
            return {row[0]: _record(row) for row in rows if row is not None}

        return self._database.read(unit)

    def list(self, *, page_size: int = 50, page_token: str | None = None) -> Awaitable[AppPage]:
        """All apps. Raises InvalidRequest for a token that is none."""
        after = decode_name(page_token)

        async def unit(con: Connection) -> AppPage:
            rows = await con.all(self._sql["page"], (after, page_size + 1))
            found = tuple(_record(row) for row in rows[:page_size])
            return AppPage(found, encode_name(found[-1].id) if len(rows) > page_size else "")

        return self._database.read(unit)

    def deleting(self, before: float) -> Awaitable[tuple[str, ...]]:
        """Apps whose deletion was begun, and held last, before a time (seconds since the epoch)."""

        async def unit(con: Connection) -> tuple[str, ...]:
            return tuple(row[0] for row in await con.all(self._sql["deleting"], (milliseconds(before),)))

        return self._database.read(unit)

    def version(self, app_id: str, version: int) -> Awaitable[AppConfig]:
        """One version. Raises NotFound."""
        return self._database.read(lambda con: self._version(con, app_id, version))

    def versions(self, app_id: str, *, before: int | None = None, limit: int = 50) -> Awaitable[tuple[AppConfig, ...]]:
        """The versions without their texts, the newest first; `before` is the number that the last page ended with."""

        async def unit(con: Connection) -> tuple[AppConfig, ...]:
            await self._find(con, app_id)
            rows = await con.all(self._sql["versions"], (app_id, _NEWEST if before is None else before, limit))
            return tuple(_config(row) for row in rows)

        return self._database.read(unit)

    def update(
        self,
        app_id: str,
        *,
        name: str | None = None,
        draft: Draft | None = None,
        if_version: int | None = None,
        aside: Aside | None = None,
    ) -> Awaitable[AppRecord]:
        """Rename an app, give it its next version, or both. Raises NotFound; Conflict unless it is at `if_version`."""

        async def unit(con: Connection) -> AppRecord:
            found = await self._find_for_change(con, app_id)
            if if_version is not None and found.version != if_version:
                raise Conflict(
                    f"app {app_id!r} is at version {found.version}, not {if_version}: somebody has changed it; "
                    "read it again, and make the change to what it is now"
                )
            changed = replace(found, name=found.name if name is None else name)
            if draft is not None:
                changed = replace(changed, version=found.version + 1)
                await self._add(con, changed, draft)
            return await self._change(con, changed, aside)

        return self._database.write(unit)

    def set_status(self, app_id: str, status: AppStatus, aside: Aside | None = None) -> Awaitable[AppRecord]:
        """Suspend, resume, or begin to delete an app. Raises NotFound; Conflict for one that is being deleted."""

        async def unit(con: Connection) -> AppRecord:
            found = await self._find_for_change(con, app_id, deleting=status is AppStatus.DELETING)
            return await self._change(con, replace(found, status=status), aside)

        return self._database.write(unit)

    def revoke(self, app_id: str, aside: Aside | None = None) -> Awaitable[AppRecord]:
        """Void all tokens that were given out for an app. Raises NotFound, Conflict."""

        async def unit(con: Connection) -> AppRecord:
            found = await self._find_for_change(con, app_id)
            return await self._change(con, replace(found, epoch=found.epoch + 1), aside)

        return self._database.write(unit)

    def hold(self, app_id: str) -> Awaitable[None]:
        """Say that something of an app is left that is being deleted: who asks for such apps finds it later."""

        async def unit(con: Connection) -> None:
            await con.execute(self._sql["hold"], (milliseconds(self._clock.now()), app_id))

        return self._database.write(unit)

    def remove(self, app_id: str) -> Awaitable[None]:
        """Forget an app and all its versions; nothing else of it may be left."""

        async def unit(con: Connection) -> None:
            await con.execute(self._sql["remove_versions"], (app_id,))
            await con.execute(self._sql["remove"], (app_id,))
            await con.notify(CHANNEL, app_id)

        return self._database.write(unit)

    async def _create(self, con: Connection, app_id: str, name: str, draft: Draft, aside: Aside | None) -> AppRecord:
        now = milliseconds(self._clock.now())
        # Another app may have had this id: its tokens must not open this one.
        epoch = 1 if app_id == DEFAULT_APP else now
        if not await con.execute(self._sql["create"], (app_id, name, epoch, now, now)):
            raise Conflict(f"there is an app {app_id!r} already; choose another id, or leave it out")
        made = AppRecord(app_id, name, AppStatus.ACTIVE, 1, epoch, now / 1000, now / 1000)
        await self._add(con, made, draft)
        if aside is not None:
            await aside(con)
        await con.notify(CHANNEL, app_id)
        return made

    async def _find(self, con: Connection, app_id: str) -> AppRecord:
        row = await con.one(self._sql["find"], (app_id,))
        if row is None:
            raise NotFound("app", app_id)
        return _record(row)

    async def _find_for_change(self, con: Connection, app_id: str, *, deleting: bool = False) -> AppRecord:
        row = await con.one(self._sql["find_for_change"], (app_id,))
        if row is None:
            raise NotFound("app", app_id)
        found = _record(row)
        if found.status is AppStatus.DELETING and not deleting:
            raise Conflict(f"app {app_id!r} is being deleted and takes no more changes")
        return found

    async def _version(self, con: Connection, app_id: str, version: int) -> AppConfig:
        row = await con.one(self._sql["version"], (app_id, version))
        if row is None:
            raise NotFound("version", f"{version} of app {app_id}")
        return _config(row)

    async def _add(self, con: Connection, app: AppRecord, draft: Draft) -> None:
        values = (app.id, app.version, draft.format, draft.body, draft.author, draft.note)
        await con.execute(self._sql["add_version"], (*values, milliseconds(self._clock.now())))

    async def _change(self, con: Connection, app: AppRecord, aside: Aside | None) -> AppRecord:
        now = milliseconds(self._clock.now())
        values = (app.name, app.status.value, app.version, app.epoch, now, app.id)
        await con.execute(self._sql["change"], values)
        if aside is not None:
            await aside(con)
        await con.notify(CHANNEL, app.id)
        return replace(app, updated=now / 1000)


def _record(row: Row) -> AppRecord:
    app_id, name, status, version, epoch, created, updated = row
    return AppRecord(app_id, name, AppStatus(status), version, epoch, created / 1000, updated / 1000)


def _config(row: Row) -> AppConfig:
    app, version, form, body, author, note, created = row
    return AppConfig(app, version, form, body, author, note, created / 1000)
