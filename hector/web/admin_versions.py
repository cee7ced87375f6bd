"""Versions of the configurations of apps: listed, read, compared, put in force again."""

from typing import TYPE_CHECKING

from pydantic import Field

from hector.apps.service import AppService
from hector.auth.access import Access
from hector.config.readback import Written, readable, unified
from hector.core.clock import iso
from hector.store.apps import AppConfig
from hector.web.admin_apps import AppShape, Format, shape
from hector.web.endpoints import Ask, Body, Endpoint, PageQuery, PageShape, Query, Shape, cut

if TYPE_CHECKING:
    from hector.web.admin_parts import Parts

_ID = {"id": "app"}


class DiffQuery(Query):
    """Which two versions."""

    old: int = Field(ge=1, le=2**53)
    new: int | None = Field(None, ge=1, le=2**53, description="Left out: the one that is in force.")


class RollbackBody(Body):
    """Which version is to be in force again."""

    version: int = Field(ge=1, le=2**53)
    note: str = Field("", max_length=1000, description="Why; kept with the version.")
    if_version: int | None = Field(None, ge=0, description="Change nothing unless the app is at this version.")


class VersionShape(Shape):
    """A version of a configuration."""

    version: int
    format: Format
    author: str
    note: str
    created_at: str


class VersionsShape(PageShape):
    """A page of versions."""

    versions: list[VersionShape]


class ReadVersionShape(VersionShape):
    """A version with what it says, without the secrets in that."""

    config: str


class DiffShape(Shape):
    """How two versions differ."""

    old: int
    new: int
    diff: str = Field(description="A unified diff; empty where nothing that may be shown differs.")


class VersionEndpoints:
    """The group."""

    def __init__(self, parts: "Parts") -> None:
        self._store = parts.store
        self._service = AppService(parts.store, parts.apps, parts.clock)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The rows."""
        return (
            Endpoint(
                "GET", "/admin/apps/{id}/versions", Access.APP, "The versions of an app's configuration", self.list,
                "apps", VersionsShape, query=PageQuery, ids=_ID,
            ),
            Endpoint(
                "GET", "/admin/apps/{id}/versions/{version}", Access.APP, "One version", self.get, "apps",
                ReadVersionShape, ids={**_ID, "version": "version"},
            ),
            Endpoint(
                "GET", "/admin/apps/{id}/diff", Access.APP, "How two versions differ", self.diff, "apps", DiffShape,
                query=DiffQuery, ids=_ID,
            ),
            Endpoint(
                "POST", "/admin/apps/{id}/rollback", Access.APP, "Put an earlier version in force again, as a new one",
                self.rollback, "apps", AppShape, body=RollbackBody, ids=_ID, errors=(409,), action="app.rollback",
            ),
        )  # fmt: skip

    async def list(self, ask: Ask) -> VersionsShape:
        """One page, the newest first. Raises NotFound."""
        query: PageQuery = ask.query
        app_id = await self._mine(ask)
        found: tuple[AppConfig, ...] = ()
        if app_id in await self._store.apps.standing((app_id,)):
            found = await self._store.apps.versions(app_id, before=query.place, limit=query.page_size + 1)
        page, token = cut(found, query.page_size, lambda one: one.version)
        return VersionsShape(versions=[VersionShape(**_facts(one)) for one in page], next_page_token=token)

    async def get(self, ask: Ask) -> ReadVersionShape:
        """Raises NotFound."""
        app_id = await self._mine(ask)
        found = await self._store.apps.version(app_id, ask.number("version"))
        return ReadVersionShape(**_facts(found), config=readable(_written(found)))

    async def diff(self, ask: Ask) -> DiffShape:
        """Raises NotFound."""
        query: DiffQuery = ask.query
        app_id = await self._mine(ask)
        old = await self._store.apps.version(app_id, query.old)
        if query.new is None:
            _, new = await self._store.apps.load(app_id)
        else:
            new = await self._store.apps.version(app_id, query.new)
        names = (f"version {old.version}", f"version {new.version}")
        return DiffShape(old=old.version, new=new.version, diff=unified(_written(old), _written(new), names))

    async def rollback(self, ask: Ask) -> AppShape:
        """Raises NotFound, InvalidRequest, Conflict."""
        body: RollbackBody = ask.body
        app_id = await self._mine(ask)
        aside = ask.aside(f"app:{app_id}", app_id, version=body.version)
        await self._service.rollback(app_id, body.version, ask.author, body.note, body.if_version, aside)
        return shape(*await self._service.get(app_id))

    async def _mine(self, ask: Ask) -> str:
        """The app that the path names. Raises NotFound for one of somebody else, and for none."""
        ask.require_app(ask.id())
        await self._service.get(ask.id())
        return ask.id()


def _written(config: AppConfig) -> Written:
    return Written(config.body, config.format == "json")


def _facts(config: AppConfig) -> dict[str, object]:
    return {
        "version": config.version,
        "format": config.format,
        "author": config.author,
        "note": config.note,
        "created_at": iso(config.created),
    }
