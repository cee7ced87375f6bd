"""API keys over HTTP: made, listed, revoked."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from hector.auth.access import Access
from hector.auth.keys import Wish, new_api_key
from hector.core.clock import iso
from hector.core.identity import Role
from hector.core.ids import CONFIG_ID
from hector.store.credentials import Credential
from hector.store.paging import decode_name, encode_name
from hector.web.endpoints import Ask, Body, Endpoint, PageQuery, PageShape, Shape

if TYPE_CHECKING:
    from hector.web.admin_parts import Parts


class KeysQuery(PageQuery):
    """Which page."""

    app_id: str | None = Field(None, min_length=1, max_length=256, description="Only those of this app.")


class KeyBody(Body):
    """What a key is to be."""

    name: str = Field(min_length=1, max_length=100, description="What it is for; logs call it that.")
    role: Literal["admin", "operator", "app", "user"] = Field("user", description="What it may do.")
    app_id: str | None = Field(
        None,
        pattern=CONFIG_ID.pattern,
        description="The app that it is for. Left out: the default one; all for admins and operators.",
    )
    user_id: str | None = Field(
        None, min_length=1, max_length=256, description="Whose sessions and tasks it has. Left out: its name."
    )
    expires_in: int | None = Field(None, ge=60, le=10**9, description="Seconds until it ends. Left out: never.")


class KeyShape(Shape):
    """An API key, without what is secret of it."""

    id: str
    name: str
    role: Literal["admin", "operator", "app", "user"]
    app_id: str | None = Field(description="null: all apps.")
    user_id: str
    author: str = Field(description="Who has made it.")
    created: str
    expires: str | None = None
    used: str | None = Field(None, description="When it was used last, within an hour or so.")
    revoked: str | None = None


class NewKeyShape(KeyShape):
    """The same with the key itself."""

    key: str = Field(description="Shown this once.")


class KeysShape(PageShape):
    """A page of keys."""

    keys: list[KeyShape]


class KeyEndpoints:
    """The group."""

    def __init__(self, parts: "Parts") -> None:
        self._store = parts.store
        self._clock = parts.clock

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The rows."""
        return (
            Endpoint(
                "GET", "/admin/keys", Access.ADMIN, "List API keys, revoked ones included", self.page, "keys",
                KeysShape, query=KeysQuery,
            ),
            Endpoint(
                "POST", "/admin/keys", Access.ADMIN, "Make an API key", self.create, "keys", NewKeyShape, status=201,
                body=KeyBody, action="key.create",
            ),
            Endpoint(
                "DELETE", "/admin/keys/{id}", Access.ADMIN, "Revoke an API key, for good", self.revoke, "keys",
                status=204, ids={"id": "key"}, action="key.revoke",
            ),
        )  # fmt: skip

    async def page(self, ask: Ask) -> Shape:
        """One page. Raises InvalidRequest, NotFound."""
        query: KeysQuery = ask.query
        found = await self._store.credentials.list(
            app=ask.app(query.app_id), after=decode_name(query.page_token), limit=query.page_size + 1
        )
        page = found[: query.page_size]
        token = encode_name(page[-1].id) if len(found) > query.page_size else ""
        return KeysShape(keys=[_shape(one) for one in page], next_page_token=token)

    async def create(self, ask: Ask) -> Shape:
        """A new one. Raises NotFound for an app of somebody else."""
        body: KeyBody = ask.body
        now = self._clock.now()
        expires = None if body.expires_in is None else now + body.expires_in
        wish = Wish(body.name, Role(body.role), ask.app(body.app_id), body.user_id, expires)
        row, text = new_api_key(wish, ask.author, now)
        aside = ask.aside(f"key:{row.id}", row.app or "", name=row.name, role=row.role.value, user=row.user)
        await self._store.credentials.add(row, aside)
        return NewKeyShape(**_shape(row).model_dump(), key=text)

    async def revoke(self, ask: Ask) -> None:
        """Again is no error. Raises NotFound."""
        key, app = ask.id(), ask.app()
        await self._store.credentials.revoke(key, app=app, aside=ask.aside(f"key:{key}", app or ""))


def _shape(one: Credential) -> KeyShape:
    return KeyShape(
        id=one.id,
        name=one.name,
        role=one.role.value,
        app_id=one.app,
        user_id=one.user,
        author=one.author,
        created=iso(one.created),
        expires=_when(one.expires),
        used=_when(one.used),
        revoked=_when(one.revoked),
    )


def _when(at: float | None) -> str | None:
    return None if at is None else iso(at)
