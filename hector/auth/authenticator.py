"""From a credential to a principal: secrets and keys by their hashes, tokens by their signatures.

What was found is kept for seconds, so that a busy caller costs a hash per request and no more; it is dropped when a
credential or an app changes, here or in another process on the same PostgreSQL.
"""

import asyncio
import hashlib
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from hector.auth.attempts import Attempts
from hector.auth.secrets import Key, digest, matches, same
from hector.auth.tokens import Tokens
from hector.config.auth import Auth
from hector.core.clock import Clock
from hector.core.errors import HectorError, StoreError, StoreUnavailable, Unauthenticated
from hector.core.identity import DEFAULT_APP, Principal, Role, Via
from hector.core.record import dataclass
from hector.store.credentials import ADMIN_ID, CHANNEL, Aside, Credential, Credentials, Kind
from hector.store.database import Database

if TYPE_CHECKING:
    from hector.auth.provider import Provider
    from hector.config.apikeys import ApiKey

log = logging.getLogger("hector.auth")
KEY: Final = "hk"
"""How API keys begin."""
SESSION: Final = "hs"
"""How sessions begin, which one-time codes are exchanged for."""
CODE: Final = "hu"
"""How one-time codes begin."""
KEPT: Final = 5.0
"""Seconds until a credential is looked at again: after that at the latest a revoked one is refused everywhere."""
_KEPT_TOKEN: Final = 60.0
"""The same for tokens of an identity provider, about which it tells nobody anything before they end."""
_AWAY: Final = 1.0
"""Seconds between two tries to reach a database that was away."""
_MOST: Final = 10_000
_USE_NOTED: Final = 3600.0
SESSION_SECONDS: Final = 12 * 3600.0
_LONGEST: Final = 16_384
ADMIN: Final = Principal("admin", Role.ADMIN, Via.SECRET, app=None, user="@admin", credential=ADMIN_ID)
_WRONG: Final = "this credential is not valid"


@dataclass(frozen=True, slots=True)
class _Known:
    principal: Principal
    until: float


class Authenticator:
    """Knows all kinds of credentials."""

    def __init__(
        self, settings: Auth, database: Database, credentials: Credentials, tokens: Tokens, clock: Clock
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self.tokens = tokens
        self._clock = clock
        self._attempts = Attempts(clock)
        self._fixed = tuple(_fixed(settings))
        self._known: dict[bytes, _Known] = {}
        self._proven: dict[bytes, None] = {}
        self._changes = 0
        self._looking = asyncio.Lock()
        self._away_until = 0.0
        self._provider: Provider | None = None
        self._unheard = database.listen(CHANNEL, self._forget)

    def let_in(self, secret: str, principal: Principal) -> None:
        """Take one more secret, for as long as this process lives."""
        self._fixed = (*self._fixed, (digest(secret), principal))

    def known(self, credential: str) -> Principal | None:
        """Whose it is, if it was checked a moment ago."""
        found = self._known.get(_name(credential))
        return found.principal if found is not None and self._clock.now() < found.until else None

    async def check(self, credential: str, address: str) -> Principal:
        """Whose it is. Raises Unauthenticated, Throttled, IdentityUnavailable, StoreError."""
        if len(credential) > _LONGEST:
            raise Unauthenticated(_WRONG)
        seen = self._changes
        if looks_like_token(credential):
            principal, until = await self._token(credential)
        else:
            principal, until = await self._opaque(credential, address)
        if len(self._known) >= _MOST:
            self._known.clear()
        if seen == self._changes:  # else what was found may be revoked by now: it holds for this request alone
            self._known[_name(credential)] = _Known(principal, until)
        return principal

    async def is_revoked(self, credential: str, address: str) -> bool:
        """Whether a credential that was good is so no more, for streams that it has opened.

        A token that has grown old meanwhile was not revoked: what it began may end.
        """
        if self.known(credential):
            return False
        try:
            await self.check(credential, address)
        except Unauthenticated as error:
            from hector.auth.checking import EXPIRED  # noqa: PLC0415 - loaded by the first that is refused

            return str(error) != EXPIRED
        except HectorError:  # nobody can tell now
            return False
        return False

    async def unlock(self, code: str, address: str, aside: Aside | None = None) -> tuple[str, float]:
        """Take a one-time code for a session: its text, and for how many seconds it is good.

        `aside` is written with it. Raises Unauthenticated, Throttled.
        """
        async with self._looking:
            self._attempts.require(address)
            given, session, now = Key.parse(CODE, code), Key.new(SESSION), self._clock.now()
            kept = Credential(
                session.id, Kind.SESSION, "unlocked", session.hash, Role.ADMIN, None, ADMIN.user, "one-time link", now,
                now + SESSION_SECONDS,
            )  # fmt: skip
            if given is None or not await self._credentials.exchange(given.id, given.hash, kept, aside):
                self._attempts.fail(address, _name(code))
                raise Unauthenticated("this link was used already, or is too old; `hector secret link` makes a new one")
        return session.text, SESSION_SECONDS

    async def warm_up(self) -> None:
        """Look for the identity provider before the first token comes."""
        if self._settings.issuer:
            await self._provided().warm_up()

    def aclose(self) -> None:
        """Listen no more."""
        self._unheard()

    async def _opaque(self, credential: str, address: str) -> tuple[Principal, float]:
        """One at a time, so that a crowd of guesses is counted before the next one is looked at.

        What was good before is no guess: whoever guesses at the same address does not shut its owner out.
        """
        name = _name(credential)
        if name not in self._proven:
            self._require(address, name)
        async with self._looking:
            if principal := self.known(credential):
                return principal, self._clock.now() + KEPT
            if name not in self._proven:
                self._require(address, name)
            found = self._of_settings(credential) or await self._stored(credential)
            if found is None:
                self._proven.pop(name, None)
                self._attempts.fail(address, name)
                log.warning("a wrong credential was refused", extra={"address": address})
                raise Unauthenticated(_WRONG)
            self._prove(name)
            return found, self._clock.now() + KEPT

    def _require(self, address: str, name: bytes) -> None:
        """Raises Unauthenticated for what was wrong a moment ago, Throttled after too many guesses."""
        if self._attempts.was_wrong(address, name):
            raise Unauthenticated(_WRONG)
        self._attempts.require(address)

    def _prove(self, name: bytes) -> None:
        """Remember that a credential was good; of too many, the oldest is forgotten."""
        self._proven.pop(name, None)
        if len(self._proven) >= _MOST:
            del self._proven[next(iter(self._proven))]
        self._proven[name] = None

    def _forget(self, _: str) -> None:
        """Something about credentials or apps has changed: all are looked at again."""
        self._changes += 1
        self._known.clear()

    def _of_settings(self, credential: str) -> Principal | None:
        """All of them are compared, whichever it is."""
        found = [principal for kept, principal in self._fixed if matches(credential, kept)]
        return found[0] if found else None

    async def _stored(self, credential: str) -> Principal | None:
        """By the database; while that is away, those who wait for their turn are not made to find out one by one."""
        if self._clock.now() < self._away_until:
            raise StoreUnavailable("the database that knows credentials is away")
        try:
            return await self._of_store(credential)
        except StoreUnavailable:
            self._away_until = self._clock.now() + _AWAY
            raise

    async def _of_store(self, credential: str) -> Principal | None:
        for prefix, kind in ((KEY, Kind.KEY), (SESSION, Kind.SESSION)):
            if key := Key.parse(prefix, credential):
                found = await self._credentials.find(key.id)
                good = found is not None and found.kind is kind and same(key.hash, found.hash)
                return await self._used(found) if found and good else None
        if self._settings.secret is not None:
            return None
        found = await self._credentials.find(ADMIN_ID)
        good = found is not None and found.kind is Kind.ADMIN and matches(credential, found.hash)
        return ADMIN if good else None

    async def _used(self, found: Credential) -> Principal | None:
        now = self._clock.now()
        if not found.valid(now):
            return None
        if found.kind is Kind.KEY and now - (found.used or 0.0) > _USE_NOTED:
            with suppress(StoreError):
                await self._credentials.note_use(found.id)
        if found.kind is Kind.SESSION:
            return Principal("admin", found.role, Via.SECRET, found.app, found.user, found.id)
        return Principal(f"key:{found.name}", found.role, Via.API_KEY, found.app, found.user, found.id)

    async def _token(self, token: str) -> tuple[Principal, float]:
        """By the key that it names: one of ours, or else one of the identity provider's."""
        from hector.auth.checking import header_of  # noqa: PLC0415 - loaded by the first token

        now = self._clock.now()
        if self.tokens.knows(header_of(token).get("kid")):
            claims = await self.tokens.verify(token)
            principal = Principal(f"app:{claims.app}", Role.APP, Via.APP_TOKEN, claims.app, credential=claims.id)
            return principal, min(now + KEPT, claims.expires + self._settings.leeway)
        if not self._settings.issuer:
            raise Unauthenticated("the token is signed with a key that is not known here")
        from hector.auth.claims import principal_of_claims  # noqa: PLC0415 - likewise

        found = await self._provided().verify(token)
        return principal_of_claims(self._settings, found), min(now + _KEPT_TOKEN, found["exp"] + self._settings.leeway)

    def _provided(self) -> "Provider":
        if self._provider is None:
            from hector.auth.provider import Provider  # noqa: PLC0415 - loaded by the first token

            self._provider = Provider(self._settings, self._clock)
        return self._provider


def looks_like_token(text: str) -> bool:
    """Whether it has the form of a signed token."""
    return text.startswith("eyJ") and text.count(".") == 2


def _name(credential: str) -> bytes:
    """What a credential is remembered by: no text of it stays in memory."""
    return hashlib.sha256(credential.encode()).digest()


def _fixed(settings: Auth) -> list[tuple[str, Principal]]:
    """Hashes of what the configuration lets in, and whom."""
    found = [(digest(settings.secret), ADMIN)] if settings.secret else []
    return found + [(one.hash or digest(one.key or ""), _of_key(one)) for one in settings.api_keys]


def _of_key(key: "ApiKey") -> Principal:
    role = Role(key.role)
    everywhere = role in (Role.ADMIN, Role.OPERATOR) and key.app is None
    app = None if everywhere else key.app or DEFAULT_APP
    return Principal(f"key:{key.name}", role, Via.API_KEY, app, key.user or key.name, key.name)
