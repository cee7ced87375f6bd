"""Tokens of apps: made and checked with keys of our own. Their packages are loaded by the first token, not before."""

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from hector.config.auth import Auth
from hector.core.clock import Clock
from hector.core.content import JsonObject
from hector.core.errors import Unauthenticated
from hector.core.ids import new_id
from hector.core.record import dataclass

if TYPE_CHECKING:
    from hector.auth.ring import FileRing, SeededRing

log = logging.getLogger("hector.auth")
AUDIENCE: Final = "hector-api"
ISSUER: Final = "hector"
"""The issuer where no public address is configured."""

EpochOf: TypeAlias = Callable[[str], Awaitable[int | None]]
"""The present epoch of an app, below which its tokens are revoked; None for an app that is not there."""


@dataclass(frozen=True, slots=True)
class AppClaims:
    """What the token of an app says: which app, its own id, until when (seconds since the epoch)."""

    app: str
    id: str
    epoch: int
    expires: float


class Tokens:
    """Issues and checks the tokens of apps.

    `folder` is where keys are kept, `public_url` the address that tokens name as their issuer.
    """

    def __init__(
        self,
        settings: Auth,
        folder: Path,
        public_url: str | None,
        epoch_of: EpochOf,
        clock: Clock,
        *,
        several: bool = False,
    ) -> None:
        """`several`: other servers may work on the same database, which have to trust each other's tokens."""
        self._settings = settings
        self._folder = folder
        self.issuer: Final = public_url or ISSUER
        self._epoch_of = epoch_of
        self._clock = clock
        self._several = several
        self._made: FileRing | SeededRing | None = None

    @property
    def lifetime(self) -> float:
        """Seconds that a token is good for."""
        return self._settings.token_lifetime

    def issue(self, app: str, epoch: int) -> str:
        """A new token of an app. Raises StartupError if the key cannot be read or made."""
        import jwt  # noqa: PLC0415 - loaded by the first token

        key, now = self._ring.signer(), int(self._clock.now())
        claims: JsonObject = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": app,
            "tenant_id": app,
            "role": "app",
            "epoch": epoch,
            "jti": new_id(),
            "iat": now,
            "nbf": now,
            "exp": now + int(self.lifetime),
        }
        return jwt.encode(claims, key.private, key.algorithm, {"kid": key.kid})

    def knows(self, kid: object) -> bool:
        """Whether a token that names this key claims to be ours."""
        return isinstance(kid, str) and self._ring.find(kid) is not None

    async def verify(self, token: str) -> AppClaims:
        """What a token says, if it is one of ours and good. Raises Unauthenticated with the reason."""
        from hector.auth.checking import check, header_of  # noqa: PLC0415 - loads what reads tokens

        key = self._ring.find(str(header_of(token).get("kid")))
        if key is None:
            raise Unauthenticated("the token is signed with a key that is not known here")
        claims = check(
            token,
            key.public,
            (key.algorithm,),
            issuers=(self.issuer, ISSUER),
            audiences=(AUDIENCE,),
            leeway=self._settings.leeway,
            needed=("jti", "nbf", "epoch", "tenant_id"),
        )
        app, epoch = claims["tenant_id"], claims["epoch"]
        if claims["sub"] != app or not isinstance(epoch, int) or claims.get("role") != "app":
            raise Unauthenticated("the token is not one of an app")
        if epoch != await self._epoch_of(app):
            raise Unauthenticated("the token was revoked")
        return AppClaims(app, str(claims["jti"]), epoch, float(claims["exp"]))

    def jwks(self) -> JsonObject:
        """The public keys that check our tokens. Makes the first key if there is none: who asks wants one."""
        from hector.auth.ring import public_jwk  # noqa: PLC0415 - loaded by the first token

        self._ring.signer()
        return {"keys": [public_jwk(key) for key in self._ring.all()]}

    def rotate(self) -> str:
        """Sign with a new key from now on; its id. Raises Conflict where keys come from seeds."""
        return self._ring.rotate().kid

    @property
    def _ring(self) -> "FileRing | SeededRing":
        if self._made is None:
            from hector.auth.ring import FileRing, SeededRing  # noqa: PLC0415 - loaded by the first token

            seeds = self._settings.signing_seed
            if self._several and not seeds and not self._settings.keys_folder:
                log.warning("tokens of apps are good on this server only: give all of them the same signing_seed")
            kept = self.lifetime + self._settings.leeway
            self._made = (
                SeededRing(seeds)
                if seeds
                else FileRing(self._folder, self._settings.signing_algorithm, kept, self._clock)
            )
        return self._made
