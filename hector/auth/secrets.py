"""Secrets that we make up, and how those that come back are compared: by hash, in constant time."""

import hashlib
import hmac
import os
from base64 import urlsafe_b64encode
from typing import Final

from hector.core.record import dataclass

_PREFIX: Final = "sha256:"
_STRONG: Final = 20
"""Characters that a secret made up by a person should have at least."""
_COMMON: Final = ("secret", "password", "admin", "hector", "changeme", "test", "token", "default", "12345", "qwerty")


def digest(secret: str) -> str:
    """What is kept of a secret. One round is enough: those that we make hold 256 bits of chance."""
    return _PREFIX + hashlib.sha256(secret.encode()).hexdigest()


def matches(secret: str, kept: str) -> bool:
    """Whether it is the secret of this hash; how long that takes says nothing about where they differ."""
    return same(digest(secret), kept)


def same(one: str, other: str) -> bool:
    """Whether two hashes are the same, as above."""
    return hmac.compare_digest(one.encode(), other.encode())


def chance(octets: int = 32) -> str:
    """Random text, fit for URLs."""
    return urlsafe_b64encode(os.urandom(octets)).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Key:
    """A credential that names its row: `text` is what its owner gets to see, once, and `hash` what is kept."""

    id: str
    text: str
    hash: str

    @classmethod
    def new(cls, prefix: str) -> "Key":
        """A new one, such as hk_5f0c0ffee012_<43 characters>."""
        key, secret = os.urandom(8).hex(), chance()
        return cls(key, f"{prefix}_{key}_{secret}", digest(secret))

    @classmethod
    def parse(cls, prefix: str, text: str) -> "Key | None":
        """What somebody presents as one; None for what does not look like one."""
        start, mark, rest = text.partition("_")
        key, second, secret = rest.partition("_")
        if start != prefix or not mark or not second or len(key) != 16 or not secret:
            return None
        return cls(key, text, digest(secret))


def weakness(secret: str) -> str:
    """Why a secret that somebody made up can be guessed; empty if nothing speaks for it."""
    if len(secret) < _STRONG:
        return f"it has {len(secret)} characters; {_STRONG} or more, made up by chance, cannot be guessed"
    if len(set(secret)) < 8:
        return "it repeats a few characters"
    found = next((word for word in _COMMON if word in secret.lower()), None)
    return f"it contains the word {found!r}, which is tried first" if found else ""
