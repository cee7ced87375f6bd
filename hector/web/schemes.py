"""How callers can authenticate, as agent cards and the health page say it."""

from typing import Final

from hector.config.server import Server
from hector.core.content import JsonObject
from hector.web.origin import is_local

_SCHEMES: Final[dict[str, tuple[str, JsonObject, JsonObject]]] = {
    "bearer": (
        "httpAuthSecurityScheme",
        {"description": "An API key, the token of an app, or one of the identity provider.", "scheme": "Bearer"},
        {"type": "http", "scheme": "bearer"},
    ),
    "apiKey": (
        "apiKeySecurityScheme",
        {"description": "An API key.", "location": "header", "name": "X-API-Key"},
        {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    ),
}
"""By name: the wrapper and its content in A2A 1.0, and what A2A 0.3 has for it."""


def asks(settings: Server) -> bool:
    """Whether agents take a credential."""
    return settings.auth.asks(exposed=not is_local(settings.host))


def described(settings: Server) -> JsonObject:
    """What a page needs to log somebody in; all of it is public."""
    auth = settings.auth
    found: JsonObject = {"enabled": asks(settings), "admin": True}
    if auth.issuer:
        audience = auth.audience[0] if len(auth.audience) == 1 else list(auth.audience)
        found |= {"type": "jwt", "issuer": auth.issuer, "audience": audience}
    return found | ({"client_id": auth.client_id} if auth.client_id else {})


def secured(card: JsonObject, settings: Server, visibility: str, *, legacy: bool) -> JsonObject:
    """A card with the schemes that its agent takes; as it is where nobody is asked."""
    if not asks(settings) and visibility == "public":
        return card
    schemes: JsonObject = {
        name: {wrapper: new, **(old if legacy else {})} for name, (wrapper, new, old) in _SCHEMES.items()
    }
    if settings.auth.issuer:
        url = f"{settings.auth.issuer.rstrip('/')}/.well-known/openid-configuration"
        schemes["openIdConnect"] = {"openIdConnectSecurityScheme": {"openIdConnectUrl": url}}
        schemes["openIdConnect"] |= {"type": "openIdConnect", "openIdConnectUrl": url} if legacy else {}
    secured = {
        **card,
        "securitySchemes": schemes,
        "securityRequirements": [{"schemes": {name: {"list": []}}} for name in schemes],
    }
    return secured | ({"security": [{name: []} for name in schemes]} if legacy else {})
