"""Whether a request was signed with a secret that both sides know: the formats in which senders of webhooks do that.

Nothing here reads a clock or keeps anything. A caller tells nobody why a signature was refused; the reason is for logs.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Final

from hector.core.pattern import pattern
from hector.core.record import dataclass

HEADERS: Final[Mapping[str, str]] = {
    "stripe": "stripe-signature",
    "slack": "x-slack-signature",
    "standard": "webhook-signature",
    "token": "x-webhook-token",
}
"""Where a format has its signature that nobody has named a header for."""
_BY_HEADER: Final[Mapping[str, str]] = {
    "stripe-signature": "stripe",
    "x-slack-signature": "slack",
    "webhook-signature": "standard",
    "svix-signature": "standard",
    "x-shopify-hmac-sha256": "base64",
    "x-hub-signature-256": "hex",
    "x-hub-signature": "hex",
}
_LONGEST: Final = 4_096
_MOST: Final = 20
"""Signatures in one header, as there are while a sender changes its secret."""
_HEX: Final = pattern(r"[0-9a-fA-F]+")
_TIME: Final = pattern(r"[0-9]{1,12}")
_PREFIX: Final = pattern(r"(sha[0-9]+)=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Scheme:
    """How requests are signed. `header` may be empty; `tolerance` in seconds."""

    secrets: tuple[str, ...]
    format: str = "auto"
    header: str = ""
    algorithm: str = "sha256"
    tolerance: float = 300.0

    def __repr__(self) -> str:
        return f"Scheme({self.format!r}, {self.header!r})"

    @property
    def where(self) -> str:
        """The header's name, in small letters."""
        return (self.header or HEADERS.get(self.format, "X-Webhook-Signature")).lower()

    @property
    def kind(self) -> str:
        """The format that is meant: hex for one that shows by itself whether it is hex or base64."""
        return self.format if self.format != "auto" else _BY_HEADER.get(self.where, "auto")


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that holds. `delivery` is the name that it covers; `timed`, whether it covers a time."""

    delivery: str = ""
    timed: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """The headers of a request, by their names in small letters, as often as each was sent."""

    values: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, raw: Iterable[tuple[bytes, bytes]]) -> "Head":
        """From what ASGI gives."""
        found: dict[str, list[str]] = {}
        for name, value in raw:
            found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1").strip())
        return cls(found)

    def one(self, name: str) -> str:
        """The value of a header that was sent once; empty for none. Raises BadSignature: which one would count?"""
        found = self.values.get(name, ())
        if len(found) > 1:
            raise BadSignature(f"there are {len(found)} headers {name}")
        return found[0] if found else ""


class BadSignature(Exception):  # noqa: N818 - named like other refusals
    """Why a signature does not hold; for logs only."""


def verify(scheme: Scheme, head: Head, content: bytes, now: float) -> Signed:
    """Raises BadSignature unless `content` was signed with one of the secrets; `now` in seconds since the epoch."""
    value = head.one(scheme.where)
    if not value:
        raise BadSignature(f"there is no header {scheme.where}")
    if len(value) > _LONGEST:
        raise BadSignature("the signature is too long")
    return _KINDS[scheme.kind](scheme, head, value, content, now)


def _plain(scheme: Scheme, _: Head, value: str, content: bytes, __: float) -> Signed:
    """An HMAC of the content alone, in hexadecimal digits or in base64."""
    prefix = _PREFIX.match(value)
    if prefix is not None:
        if prefix[1].lower() != scheme.algorithm:
            raise BadSignature(f"the signature is of {prefix[1].lower()}, and {scheme.algorithm} is asked for")
        value = value[prefix.end() :]
    _check(scheme, [_digest(value, scheme.kind, scheme.algorithm)], content)
    return Signed()


def _digest(value: str, kind: str, algorithm: str) -> bytes:
    size = 20 if algorithm == "sha1" else 32
    if kind != "base64" and len(value) == 2 * size and _HEX.fullmatch(value):
        return bytes.fromhex(value)
    if kind != "hex":
        found = _from_base64(value)
        if len(found) == size:
            return found
    raise BadSignature(f"this is no signature of {algorithm} in {'hex or base64' if kind == 'auto' else kind}")


def _from_base64(value: str) -> bytes:
    try:
        return base64.b64decode(value.encode("latin-1"), validate=True)
    except (binascii.Error, ValueError):
        raise BadSignature("this is no base64") from None


def _stripe(scheme: Scheme, _: Head, value: str, content: bytes, now: float) -> Signed:
    """`t=<time>,v1=<hex>`, over time and content."""
    pairs = [piece.strip().partition("=") for piece in value.split(",")]
    times = [said for name, _, said in pairs if name == "t"]
    if len(times) != 1 or len(pairs) > _MOST:
        raise BadSignature("there must be one time, and not too many signatures")
    time = _time(times[0], scheme.tolerance, now)
    given = [bytes.fromhex(said) for name, _, said in pairs if name == "v1" and _is_hex_digest(said)]
    _check(scheme, given, f"{time}.".encode() + content)
    return Signed(timed=True)


def _slack(scheme: Scheme, head: Head, value: str, content: bytes, now: float) -> Signed:
    """`v0=<hex>` over version, time and content; the time stands in a header of its own."""
    time = _time(head.one("x-slack-request-timestamp"), scheme.tolerance, now)
    version, _, said = value.partition("=")
    given = [bytes.fromhex(said)] if version == "v0" and _is_hex_digest(said) else []
    _check(scheme, given, f"v0:{time}:".encode() + content)
    return Signed(timed=True)


def _standard(scheme: Scheme, head: Head, value: str, content: bytes, now: float) -> Signed:
    """Standard Webhooks: `v1,<base64>`, several apart by blanks, over id, time and content."""
    prefix = scheme.where.removesuffix("signature")
    name = head.one(f"{prefix}id")
    if not name or len(name) > 256:
        raise BadSignature(f"there is no header {prefix}id, or it is too long")
    time = _time(head.one(f"{prefix}timestamp"), scheme.tolerance, now)
    pieces = value.split(" ")
    if len(pieces) > _MOST:
        raise BadSignature("there are too many signatures")
    given = [_from_base64(piece[3:]) for piece in pieces if piece.startswith("v1,")]
    _check(scheme, given, f"{name}.{time}.".encode("latin-1") + content, standard_key)
    return Signed(name, timed=True)


def _token(scheme: Scheme, _: Head, value: str, __: bytes, ___: float) -> Signed:
    """The secret itself."""
    found = False
    for secret in scheme.secrets:
        found |= hmac.compare_digest(secret.encode(), value.encode("latin-1"))
    if not found:
        raise BadSignature("the token is another one")
    return Signed()


def standard_key(secret: str) -> bytes:
    """The key of Standard Webhooks: what follows `whsec_` is base64, and any other text is the key itself."""
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret[6:], validate=True)
    except (binascii.Error, ValueError):
        return secret.encode()


def _time(text: str, tolerance: float, now: float) -> str:
    if not _TIME.fullmatch(text) or not text.isascii():
        raise BadSignature("there is no time")
    if abs(now - int(text)) > tolerance:
        raise BadSignature("the time is too far from ours")
    return text


def _is_hex_digest(text: str) -> bool:
    return len(text) == 64 and _HEX.fullmatch(text) is not None


def _check(scheme: Scheme, given: Sequence[bytes], content: bytes, key: Callable[[str], bytes] = str.encode) -> None:
    """Compare with each secret, always all of them, in a time that says nothing."""
    found = False
    for secret in scheme.secrets:
        mine = hmac.digest(key(secret), content, scheme.algorithm if scheme.kind in _ANY_ALGORITHM else "sha256")
        for one in given:
            found |= hmac.compare_digest(mine, one)
    if not found:
        raise BadSignature("the signature is another one")


_ANY_ALGORITHM: Final = frozenset(("auto", "hex", "base64"))
_KINDS: Final[Mapping[str, Callable[[Scheme, Head, str, bytes, float], Signed]]] = {
    "auto": _plain,
    "hex": _plain,
    "base64": _plain,
    "stripe": _stripe,
    "slack": _slack,
    "standard": _standard,
    "token": _token,
}
