"""Apps: made, read, changed, deleted, and their tokens. Versions of their configurations are in admin_versions.py."""

import json
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict, Field

from hector.apps.service import AppService, Wish, form_of
from hector.auth.access import Access
from hector.config.readback import Written, as_json, readable
from hector.core.clock import iso
from hector.core.errors import InvalidRequest, Violation
from hector.store.apps import AppConfig, AppRecord, AppStatus
from hector.web.endpoints import Ask, Body, Endpoint, PageQuery, PageShape, Shape

if TYPE_CHECKING:
    from hector.web.admin_parts import Parts

Format = Literal["yaml", "json"]
_ID = {"id": "app"}


class ConfigBody(Body):
    """A configuration, as text in YAML or JSON, or as a JSON object."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, strict=True, hide_input_in_errors=True)

    config_json: str | dict[str, Any] | None = Field(
        None, description="The configuration as JSON: a text, or an object."
    )
    config: str | None = Field(None, description="The configuration as a text in YAML or JSON.")
    format: Format | None = Field(None, description="In which words `config` is written. Left out: found out.")
    note: str = Field("", max_length=1000, description="Why; kept with the version.")

    def wish(self, author: str) -> Wish:
        """What is asked for. Raises InvalidRequest where both spellings are used."""
        if self.config is not None and self.config_json is not None:
            said = "give either `config` or `config_json`"
            raise InvalidRequest(said, [Violation("config_json", said)])
        given = self.config_json
        if isinstance(given, dict):
            given = json.dumps(given, indent=2, ensure_ascii=False)
        if given is not None:
            _require_json(given)
            return Wish(given, "json", author, self.note)
        return Wish(self.config, form_of(self.config or "", self.format), author, self.note)


class NewAppBody(ConfigBody):
    """An app to be made. Without a configuration it gets one that works."""

    id: str | None = Field(None, description="Left out: one is made. Small letters, digits, '-', '_'; 64 at most.")
    name: str = Field(min_length=1, max_length=200)


class ChangedAppBody(ConfigBody):
    """What is to change of an app."""

    name: str | None = Field(None, min_length=1, max_length=200)
    if_version: int | None = Field(None, ge=0, description="Change nothing unless the app is at this version.")


class StatusBody(Body):
    """Whether an app works."""

    status: Literal["active", "suspended"]


class AppSummaryShape(Shape):
    """An app in a list."""

    id: str
    name: str
    status: Literal["active", "suspended", "deleting"]
    version: int = Field(description="The version of its configuration that is in force; 0: that of the server's file.")
    created_at: str | None
    updated_at: str | None


class AppShape(AppSummaryShape):
    """An app with its configuration. Secrets in it are shown as ***; sent back so, they stay what they are."""

    config: str = Field(description="The configuration as text.")
    format: Format
    config_json: str = Field(description="The same as JSON.")


class AppsShape(PageShape):
    """A page of apps."""

    apps: list[AppSummaryShape]


class TokenShape(Shape):
    """A token of an app. It is not shown again."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the word, not one
    issuer: str
    expires_in: int = Field(description="Seconds.")


class CreatedShape(TokenShape):
    """A new app and its first token."""

    app: AppShape


class AppEndpoints:
    """The group."""

    def __init__(self, parts: "Parts") -> None:
        self._store = parts.store
        self._service = AppService(parts.store, parts.apps, parts.clock)
        self._auth = parts.auth

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The rows."""
        return (
            Endpoint(
                "GET", "/admin/apps", Access.OPERATOR, "All apps, in the order of their ids", self.list, "apps",
                AppsShape, query=PageQuery,
            ),
            Endpoint(
                "POST", "/admin/apps", Access.ADMIN, "Make an app; the answer holds its first token", self.create,
                "apps", CreatedShape, status=201, body=NewAppBody, errors=(409,), action="app.create",
            ),
            Endpoint(
                "GET", "/admin/apps/{id}", Access.APP, "An app with its configuration, without secrets", self.get,
                "apps", AppShape, ids=_ID,
            ),
            Endpoint(
                "PUT", "/admin/apps/{id}", Access.APP, "Rename an app or give it another configuration", self.update,
                "apps", AppShape, body=ChangedAppBody, ids=_ID, errors=(409,), action="app.update",
            ),
            Endpoint(
                "DELETE", "/admin/apps/{id}", Access.ADMIN, "Delete an app with all that belongs to it", self.delete,
                "apps", status=204, ids=_ID, errors=(403, 409), action="app.delete",
            ),
            Endpoint(
                "POST", "/admin/apps/{id}/token", Access.ADMIN, "A new token of an app; all older ones end", self.token,
                "apps", TokenShape, ids=_ID, errors=(409,), action="app.token",
            ),
            Endpoint(
                "POST", "/admin/apps/{id}/status", Access.OPERATOR, "Suspend an app, or let it go on", self.status,
                "apps", AppSummaryShape, body=StatusBody, ids=_ID, errors=(403, 409), action="app.status",
            ),
        )  # fmt: skip

    async def list(self, ask: Ask) -> AppsShape:
        """One page."""
        query: PageQuery = ask.query
        page = await self._service.list(query.page_size, query.page_token)
        return AppsShape(apps=[summary(app) for app in page.apps], next_page_token=page.next_token)

    async def create(self, ask: Ask) -> CreatedShape:
        """Raises InvalidRequest, Conflict."""
        body: NewAppBody = ask.body
        wish = body.wish(ask.author)
        app_id = body.id if body.id is not None else self._service.new_id()
        aside = ask.aside(f"app:{app_id}", app_id, name=body.name)
        record = await self._service.create(app_id, body.name, wish, aside)
        _, config = await self._service.get(record.id)
        return CreatedShape(app=shape(record, config), **self._token(record))

    async def get(self, ask: Ask) -> AppShape:
        """Raises NotFound."""
        ask.require_app(ask.id())
        return shape(*await self._service.get(ask.id()))

    async def update(self, ask: Ask) -> AppShape:
        """Raises NotFound, InvalidRequest, Conflict."""
        body: ChangedAppBody = ask.body
        app_id = ask.id()
        ask.require_app(app_id)
        wish = body.wish(ask.author)
        if wish.text is None and body.name is None:
            raise InvalidRequest("nothing is to change: give `name`, `config` or `config_json`")
        aside = ask.aside(f"app:{app_id}", app_id, name=body.name, config=wish.text is not None)
        record = await self._service.update(app_id, name=body.name, wish=wish, if_version=body.if_version, aside=aside)
        _, config = await self._service.get(app_id)
        return shape(record, config)

    async def delete(self, ask: Ask) -> None:
        """Raises NotFound, Forbidden."""
        app_id = ask.id()
        await self._service.delete(app_id, ask.aside(f"app:{app_id}", app_id))

    async def token(self, ask: Ask) -> TokenShape:
        """Raises NotFound, Conflict."""
        app_id = ask.id()
        record = await self._service.revoke(app_id, ask.aside(f"app:{app_id}", app_id))
        return TokenShape(**self._token(record))

    async def status(self, ask: Ask) -> AppSummaryShape:
        """Raises NotFound, Conflict, Forbidden."""
        app_id, status = ask.id(), AppStatus(ask.body.status)
        ask.require_app(app_id)
        aside = ask.aside(f"app:{app_id}", app_id, status=status.value)
        return summary(await self._service.set_status(app_id, status, aside))

    def _token(self, record: AppRecord) -> dict[str, Any]:
        tokens = self._auth.tokens
        return {
            "access_token": tokens.issue(record.id, record.epoch),
            "issuer": tokens.issuer,
            "expires_in": int(tokens.lifetime),
        }


def _require_json(text: str) -> None:
    """YAML would be understood, too, but not by those who read it back. Raises InvalidRequest."""
    try:
        json.loads(text, parse_constant=_refuse)
    except RecursionError:
        return  # whoever reads it says which depth is allowed
    except ValueError as error:
        place = f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "a number"
        said = f"is not JSON ({place}); a configuration in YAML goes into `config`"
        raise InvalidRequest(f"config_json {said}", [Violation("config_json", said)]) from None


def _refuse(word: str) -> None:
    """NaN and Infinity, which Python takes and JSON does not know. Raises ValueError."""
    raise ValueError(word)


def summary(app: AppRecord) -> AppSummaryShape:
    """An app without its configuration."""
    return AppSummaryShape(**_facts(app))


def shape(app: AppRecord, config: AppConfig) -> AppShape:
    """An app with its configuration, without the secrets in that."""
    written = Written(config.body, config.format == "json")
    return AppShape(**_facts(app), config=readable(written), format=config.format, config_json=as_json(written))


def _facts(app: AppRecord) -> dict[str, Any]:
    return {
        "id": app.id,
        "name": app.name,
        "status": app.status.value,
        "version": app.version,
        "created_at": iso(app.created) if app.created else None,
        "updated_at": iso(app.updated) if app.updated else None,
    }
