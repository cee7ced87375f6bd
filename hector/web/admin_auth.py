"""The public keys that check tokens of apps, new ones of them, and the door that a one-time link opens."""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict, Field

from hector.auth.access import Access
from hector.web.admin_keys import KeyEndpoints
from hector.web.endpoints import Ask, Body, Endpoint, Shape
from hector.web.identity import address_of

if TYPE_CHECKING:
    from hector.web.admin_parts import Parts


class KeySetShape(Shape):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[dict[str, Any]] = Field(description="Public keys; the first one signs at present.")


class UnlockBody(Body):
    """What stands behind `#unlock=` in a one-time link."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, strict=True, hide_input_in_errors=True)

    code: str = Field(min_length=1, max_length=200)


class SessionShape(Shape):
    """What a one-time link is exchanged for."""

    access_token: str = Field(description="A credential with the rights of the admin secret.")
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the word, not one
    expires_in: int = Field(description="Seconds.")
    role: Literal["admin"] = "admin"


class RotatedShape(Shape):
    """A new key."""

    kid: str = Field(description="Its id, as tokens name it.")


class AuthEndpoints:
    """The group."""

    def __init__(self, parts: "Parts") -> None:
        self._auth = parts.auth
        self._keys = KeyEndpoints(parts)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The rows, those of API keys included."""
        return (
            *self._keys.endpoints(),
            Endpoint(
                "GET", "/admin/jwks", Access.PUBLIC, "Public keys that check the tokens of apps", self.jwks, "keys",
                KeySetShape,
            ),
            Endpoint(
                "POST", "/admin/jwks/rotate", Access.ADMIN, "Sign tokens with a new key; old tokens stay good",
                self.rotate, "keys", RotatedShape, status=201, errors=(409,), action="keys.rotate",
            ),
            Endpoint(
                "POST", "/admin/unlock", Access.PUBLIC, "Exchange the code of a one-time link for a session",
                self.unlock, "keys", SessionShape, body=UnlockBody, errors=(401, 429), action="admin.unlock",
            ),
        )  # fmt: skip

    async def jwks(self, ask: Ask) -> KeySetShape:
        """All keys that check, the one that signs first."""
        return KeySetShape(keys=self._auth.tokens.jwks()["keys"])

    async def rotate(self, ask: Ask) -> RotatedShape:
        """Raises Conflict where keys come from seeds."""
        kid = self._auth.tokens.rotate()
        await ask.note(f"signing-key:{kid}")
        return RotatedShape(kid=kid)

    async def unlock(self, ask: Ask) -> SessionShape:
        """Raises Unauthenticated for a code that is no good (any more), Throttled after too many."""
        aside = ask.aside("admin")
        token, seconds = await self._auth.unlock(ask.body.code, address_of(ask.request.scope), aside)
        return SessionShape(access_token=token, expires_in=int(seconds))
