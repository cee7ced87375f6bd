"""One token against one key. Loads pyjwt and cryptography: to be imported by whoever has a token in hand.

Which algorithms may be used follows from the key, never from the token, so that neither "none" nor a public key taken
for a shared secret gets anywhere (RFC 8725).
"""

from collections.abc import Sequence
from typing import Any, Final

import jwt

from hector.core.content import JsonObject
from hector.core.errors import Unauthenticated

LONGEST: Final = 16_384
"""Characters of a token."""
_KINDS: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""Types of tokens that stand for a caller. Others (for logouts, for proofs of possession) were made for other ends."""
EXPIRED: Final = "the token has expired"
_REASONS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (jwt.ExpiredSignatureError, EXPIRED),
    (jwt.ImmatureSignatureError, "the token is not valid yet"),
    (jwt.InvalidAudienceError, "the token is for another audience"),
    (jwt.InvalidIssuerError, "the token is of another issuer"),
    (jwt.InvalidSignatureError, "the signature of the token is wrong"),
    (jwt.MissingRequiredClaimError, "the token lacks a claim that it needs"),
    (jwt.InvalidAlgorithmError, "the token is signed with an algorithm that its key is not for"),
)


def header_of(token: str) -> JsonObject:
    """The head of a token, not checked yet. Raises Unauthenticated for what is no token."""
    if len(token) > LONGEST:
        raise Unauthenticated("the token is too long")
    try:
        header: JsonObject = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise Unauthenticated("this is no token") from None
    if str(header.get("typ", "JWT")).lower() not in _KINDS:
        raise Unauthenticated("the token was made for something else than calling services")
    return header


def check(
    token: str,
    key: Any,
    algorithms: Sequence[str],
    *,
    issuers: Sequence[str],
    audiences: Sequence[str],
    leeway: float,
    needed: Sequence[str] = (),
) -> JsonObject:
    """The claims of a token that is signed with this key, of one of the issuers, for one of the audiences, in its time.

    Raises Unauthenticated with the reason; what a token claims is only told about once its signature is right.
    """
    required = list(dict.fromkeys(("exp", "iat", "iss", "aud", "sub", *needed)))
    try:
        return jwt.decode(
            token, key, list(algorithms), {"require": required}, audience=audiences, issuer=issuers, leeway=leeway
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        reason = next((text for kind, text in _REASONS if isinstance(error, kind)), "the token is not valid")
        raise Unauthenticated(reason) from None
