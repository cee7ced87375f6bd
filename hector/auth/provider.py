"""An identity provider's public keys: found through its issuer, kept, and asked for again, but never too often.

Loads pyjwt and cryptography. While the provider is away, keys that were read go on checking; before any could be read,
requests with tokens are answered with 503 and the reason, and the server serves everything else.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import jwt

from hector.auth.checking import check, header_of
from hector.config.auth import Auth
from hector.core.clock import Clock
from hector.core.content import JsonObject
from hector.core.errors import ConfigError, HectorError, IdentityUnavailable, Unauthenticated
from hector.core.record import dataclass
from hector.net.call import CallerOptions
from hector.net.caller import open_caller

log = logging.getLogger("hector.auth")
AGAIN: Final = 10.0
"""Seconds between two requests to the provider that something unknown, or a failure, gave rise to."""
_PATIENCE: Final = 10.0
_LARGEST: Final = 512 * 1024
_MOST_KEYS: Final = 100
_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_RSA_BITS: Final = 2048
_EC: Final[Mapping[str, str]] = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key of the provider, and the algorithms that it may have been used with."""

    kid: str | None
    key: Any
    algorithms: tuple[str, ...]


def public_keys(document: object) -> tuple[PublicKey, ...]:
    """The usable ones of a JWKS document: public keys for signatures, of a kind and a size that is safe."""
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("it holds no list of keys")
    found = [_public_key(entry) for entry in entries[:_MOST_KEYS] if isinstance(entry, dict)]
    return tuple(key for key in found if key is not None)


def _public_key(entry: JsonObject) -> PublicKey | None:
    """None for keys of other kinds, and for those that are made for something else."""
    algorithms = _algorithms(entry)
    if not algorithms or entry.get("use", "sig") != "sig" or "verify" not in (entry.get("key_ops") or ("verify",)):
        return None
    public = {name: value for name, value in entry.items() if name not in ("d", "p", "q", "dp", "dq", "qi", "oth")}
    try:
        key = jwt.PyJWK(public, algorithms[0]).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if entry["kty"] == "RSA" and key.key_size < _RSA_BITS:
        return None
    kid = entry.get("kid")
    return PublicKey(kid if isinstance(kid, str) else None, key, algorithms)


def _algorithms(entry: JsonObject) -> tuple[str, ...]:
    """What follows from the kind of the key, narrowed down by what it says itself."""
    kind, curve = entry.get("kty"), str(entry.get("crv"))
    found: tuple[str, ...]
    if kind == "RSA":
        found = _RSA
    elif kind == "EC":
        found = (_EC[curve],) if curve in _EC else ()
    else:
        found = ("EdDSA",) if kind == "OKP" and curve == "Ed25519" else ()
    asked = {"Ed25519": "EdDSA"}.get(str(entry.get("alg")), entry.get("alg"))
    return found if asked is None else tuple(one for one in found if one == asked)


class Provider:
    """The provider of one issuer."""

    def __init__(self, settings: Auth, clock: Clock) -> None:
        assert settings.issuer is not None  # noqa: S101 - checked with the configuration
        self._settings = settings
        self._issuer: str = settings.issuer
        self._clock = clock
        self._keys: tuple[PublicKey, ...] = ()
        self._read_at = self._tried_at = float("-inf")
        self._trouble = ""
        self._reading = asyncio.Lock()

    async def verify(self, token: str) -> JsonObject:
        """The claims of a good token. Raises Unauthenticated, and IdentityUnavailable while no keys can be had."""
        header = header_of(token)
        key = await self._key(header.get("kid"), header.get("alg"))
        return check(
            token,
            key.key,
            key.algorithms,
            issuers=(self._issuer,),
            audiences=self._settings.audience,
            leeway=self._settings.leeway,
        )

    async def warm_up(self) -> None:
        """Read the keys before the first token comes; what stands in the way is logged."""
        await self._refresh()

    async def _key(self, kid: object, algorithm: object) -> PublicKey:
        now = self._clock.now()
        stale = now >= self._read_at + self._settings.refresh_interval
        if stale and not (self._keys and self._reading.locked()):
            await self._refresh()
        found = self._find(kid, algorithm)
        if found is None and self._keys:
            await self._refresh()
            found = self._find(kid, algorithm)
        if found is not None:
            return found
        if not self._keys:
            raise IdentityUnavailable(f"the keys of the identity provider cannot be read: {self._trouble}; try again")
        raise Unauthenticated("the token is signed with a key that its issuer does not publish")

    def _find(self, kid: object, algorithm: object) -> PublicKey | None:
        """The key of this id; without an id the only one that it can be."""
        named = [key for key in self._keys if (kid is None or key.kid == kid) and algorithm in key.algorithms]
        return named[0] if len(named) == 1 or (named and kid is not None) else None

    async def _refresh(self) -> None:
        """Read the keys again, unless that was tried a moment ago."""
        async with self._reading:
            if self._clock.now() < self._tried_at + AGAIN:
                return
            self._tried_at = self._clock.now()
            try:
                self._keys = await self._read()
            except (HectorError, ValueError, TimeoutError) as error:
                self._note(str(error) or f"no answer within {_PATIENCE:.0f} seconds")
            else:
                self._read_at = self._clock.now()
                self._note("")

    async def _read(self) -> tuple[PublicKey, ...]:
        async with asyncio.timeout(_PATIENCE):
            url = self._settings.jwks_url or await self._discover()
            found = public_keys(await _get(url))
        if not found:
            raise ValueError(f"{url} holds no key that can check signatures")
        return found

    async def _discover(self) -> str:
        """Where the issuer says that its keys are (OpenID Connect Discovery 1.0)."""
        document = await _get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if document.get("issuer") != self._issuer:
            raise ValueError(f"the discovery document of {self._issuer} names another issuer")
        url = document.get("jwks_uri")
        if not isinstance(url, str):
            raise ValueError(f"the discovery document of {self._issuer} names no jwks_uri")
        return url

    def _note(self, trouble: str) -> None:
        """Log what is wrong, and when that is over: once each."""
        if trouble and trouble != self._trouble:
            log.error("cannot read the identity provider's keys", extra={"issuer": self._issuer, "error": trouble})
        if self._trouble and not trouble:
            log.info("the identity provider's keys can be read again", extra={"issuer": self._issuer})
        self._trouble = trouble


async def _get(url: str) -> JsonObject:
    """A JSON object. Raises ValueError and NetError."""
    parts = urlsplit(url)
    try:
        options = CallerOptions(
            f"{parts.scheme}://{parts.netloc}", connect_timeout=5.0, read_timeout=5.0, purpose="identity"
        )
        caller = open_caller(options)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    try:
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        async with await caller.send("GET", path, headers={"accept": "application/json"}) as answer:
            if answer.status != 200:
                raise ValueError(f"{url} answers with HTTP {answer.status}")
            document = json.loads(await answer.read(_LARGEST))
    finally:
        await caller.aclose()
    if not isinstance(document, dict):
        raise ValueError(f"{url} answers with something else than a JSON object")
    return document
