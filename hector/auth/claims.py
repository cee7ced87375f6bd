"""From the claims of an identity provider's token to a principal. Pure."""

from collections.abc import Iterator
from typing import Any, Final, TypeGuard

from hector.config.auth import Auth
from hector.core.content import JsonObject
from hector.core.errors import Unauthenticated
from hector.core.identity import DEFAULT_APP, OPEN, Principal, Role, Via

_LONGEST: Final = 256
_OWN: Final = ("@", "oidc:", "webhook:")
"""How users begin that are not the provider's; theirs are told apart from them."""


def principal_of_claims(settings: Auth, claims: JsonObject) -> Principal:
    """Who that is: user from `sub`, role and app from the configured claims. Raises Unauthenticated."""
    subject = claims["sub"]
    if not _is_name(subject):
        raise Unauthenticated("the token names no subject")
    role = _role(settings, claims)
    credential = claims.get("jti")
    return Principal(
        subject=f"oidc:{subject}",
        role=role,
        via=Via.OIDC,
        app=_app(settings, claims, role),
        user=_user(subject),
        credential=credential if _is_name(credential) else "",
    )


def _user(subject: str) -> str:
    """The subject itself, unless it could be taken for a user of ours."""
    return f"oidc:{subject}" if subject == OPEN.user or subject.startswith(_OWN) else subject


def _role(settings: Auth, claims: JsonObject) -> Role:
    """The highest of those that the token names."""
    known = settings.roles or {role.value: role.value for role in Role}
    named = {known[value] for value in _texts(_at(claims, settings.role_claim)) if value in known}
    found = next((role for role in Role if role.value in named), None)
    if found is not None:
        return found
    if settings.default_role == "none":
        raise Unauthenticated(f"the token names no role that is known here (claim {settings.role_claim!r})")
    return Role(settings.default_role)


def _app(settings: Auth, claims: JsonObject, role: Role) -> str | None:
    """The app that the token is for; admins and operators without one have all of them."""
    found = _at(claims, settings.tenant_claim)
    if found is None:
        return None if role in (Role.ADMIN, Role.OPERATOR) else DEFAULT_APP
    if not _is_name(found):
        raise Unauthenticated(f"the token's claim {settings.tenant_claim!r} is no app")
    return found


def _is_name(value: object) -> TypeGuard[str]:
    """Whether it can be the name of a user or an app: not every database takes the rest, and no log should."""
    return isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isprintable()


def _at(claims: JsonObject, path: str) -> Any:
    """A claim: one of this whole name, as of those that are URLs, else the dots lead into objects."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _texts(value: Any) -> Iterator[str]:
    """One text, or those of a list."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str):
            yield one
