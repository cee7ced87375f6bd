"""The one place that finds out who sends a request, and whether that lets them in: before any endpoint runs.

The principal comes from a credential in the head of the request, never from what a message or a path says.
"""

from collections.abc import Collection
from typing import Final

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from hector.auth.access import Access, allows
from hector.auth.authenticator import Authenticator
from hector.core.errors import Forbidden, HectorError, Unauthenticated
from hector.core.identity import OPEN, Principal
from hector.core.record import dataclass
from hector.observe import metrics
from hector.web.limiting import Limiter
from hector.web.logins import Logins

_PRINCIPAL: Final = "hector.principal"
_GATE: Final = "hector.gate"
_AUTHORIZATION: Final = b"authorization"
_API_KEY: Final = b"x-api-key"
_HEADERS: Final = frozenset((_AUTHORIZATION, _API_KEY))
_BEARER: Final = "bearer "
_ASK: Final = (
    "send a credential as `Authorization: Bearer <token>` or in the header X-API-Key; "
    "`hector key create` makes one for a program"
)
_ASK_ADMIN: Final = (
    "send the admin secret, or a key with that right, as `Authorization: Bearer <token>`; "
    "`hector secret rotate` makes a new secret where it was lost, `hector key create --role operator` a key"
)


def principal_of(scope: Scope) -> Principal:
    """Who sends this request, on every route and for every endpoint."""
    found: Principal = scope[_PRINCIPAL]
    return found


def principal_found(scope: Scope) -> Principal | None:
    """The same where a request may not have come so far."""
    return scope.get(_PRINCIPAL)


def credential_of(scope: Scope) -> str | None:
    """What the request presents: a bearer token, a bare one, or an API key; None for nothing that we know.

    Credentials of other schemes, such as those that a proxy has asked for, are not meant for us; an API key beside a
    bearer token is not, either. Raises Unauthenticated for two in the same header: a proxy in front might have looked
    at the other one.
    """
    found: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        if name in _HEADERS and (given := _given(name, value)) is not None and found.setdefault(name, given) != given:
            raise Unauthenticated(f"the request holds two different credentials in {name.decode()}; send one")
    return found.get(_AUTHORIZATION) or found.get(_API_KEY)


def _given(name: bytes, value: bytes) -> str | None:
    text = value.decode("utf-8", "replace").strip()
    if name == _AUTHORIZATION:
        if text[:7].lower() == _BEARER:
            return text[7:].strip()
        return text if text and " " not in text else None
    return text or None


def gate_of(scope: Scope) -> "Gate | None":
    """The gate that a request came through."""
    found: Gate | None = scope.get(_GATE)
    return found


def address_of(scope: Scope) -> str:
    """Where the request comes from: what the connection says, or a proxy that is trusted."""
    gate = gate_of(scope)
    if gate is not None and gate.limiter is not None:
        return gate.limiter.address(scope)
    client = scope.get("client")
    return client[0] if client else ""


def was_admitted_by_credential(scope: Scope) -> bool:
    """Whether whoever sends this request has shown a credential, which may be revoked."""
    return principal_of(scope) is not OPEN and scope.get(_GATE) is not None


async def is_revoked(scope: Scope) -> bool:
    """Whether the credential of a request that was let in has been revoked meanwhile."""
    gate: Gate = scope[_GATE]
    credential = credential_of(scope)
    return credential is not None and await gate.authenticator.is_revoked(credential, address_of(scope))


@dataclass(frozen=True, slots=True)
class Gate:
    """Lets requests in. `asks`: whether agents take a credential; `excluded`: paths on which they do not.

    Rights above AGENTS always take one, but for the metrics, whose path may be excluded, too.
    """

    authenticator: Authenticator
    asks: bool = False
    excluded: Collection[str] = ()
    limiter: Limiter | None = None
    logins: Logins | None = None

    async def admit(self, scope: Scope, access: Access) -> Principal:
        """Who it is. Raises Unauthenticated, Forbidden, Throttled, IdentityUnavailable."""
        try:
            credential = credential_of(scope)
        except Unauthenticated:
            if access is Access.PUBLIC:
                return OPEN
            raise
        if credential is None:
            return self._anonymous(scope, access)
        principal = self.authenticator.known(credential)
        if principal is None:
            principal = await self._checked(scope, access, credential)
        if not allows(principal, access):
            if self.logins is not None:
                await self.logins.stopped(scope, principal, address_of(scope), access)
            bound = f" of app {principal.app}" if principal.app is not None else ""
            raise Forbidden(f"the role {principal.role}{bound} has no right to this; it takes the right {access.value}")
        return principal

    def _anonymous(self, scope: Scope, access: Access) -> Principal:
        free = access is Access.PUBLIC or (access is Access.AGENTS and not self.asks)
        if access in (Access.AGENTS, Access.METRICS):
            free = free or self._is_excluded(scope)
        if not free:
            raise Unauthenticated(f"this needs authentication: {_ASK if access is Access.AGENTS else _ASK_ADMIN}")
        return OPEN

    async def _checked(self, scope: Scope, access: Access, credential: str) -> Principal:
        """What is public stays so for those who come with a credential that is no good."""
        address = address_of(scope)
        try:
            who = await self.authenticator.check(credential, address)
        except HectorError as error:
            if self.logins is not None:
                await self.logins.failed(scope, address, error)
            if access is Access.PUBLIC:
                return OPEN
            raise
        if self.logins is not None:
            await self.logins.came(scope, who, address)
        return who

    def _is_excluded(self, scope: Scope) -> bool:
        path: str = scope["path"]
        return any(
            path in (one, f"{one}/") or (one.endswith("/*") and (path == one[:-2] or path.startswith(one[:-1])))
            for one in self.excluded
        )


@dataclass(frozen=True, slots=True)
class _Guard:
    """The gate in front of one endpoint."""

    gate: Gate
    access: Access
    endpoint: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through. Raises what `Gate.admit` raises, for the application to word."""
        scope[_GATE] = self.gate
        who = scope[_PRINCIPAL] = await self.gate.admit(scope, self.access)
        limiter = self.gate.limiter
        if limiter is not None and limiter.active and self.access is not Access.PUBLIC:
            await limiter.count(scope, who)
        await self.endpoint(scope, receive, send)


class Guarded(Route):
    """A route that says which right it takes. The application has no others."""

    def __init__(self, path: str, endpoint: object, access: Access, *methods: str) -> None:
        super().__init__(path, endpoint, methods=methods or ("GET",))  # type: ignore[arg-type]
        self.access = access

    def behind(self, gate: Gate) -> "Guarded":
        """The same, with the gate in front of it."""
        self.app = _Guard(gate, self.access, self.app)
        if metrics.current is not None:
            from hector.web.marked import Marked  # noqa: PLC0415 - only with metrics

            self.app = Marked(self.app, self.path)
        return self
