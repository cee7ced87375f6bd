"""The keys that sign tokens of apps. Loads cryptography: to be imported by whoever has a token in hand.

Keys are files, one each, that only their owner may read; the newest of the wanted kind signs. A key that no longer
signs goes on checking until the last token that it can have signed has ended. Instances that share no folder share a
seed.
"""

import base64
import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from hector.core.clock import Clock
from hector.core.content import JsonObject
from hector.core.errors import Conflict, StartupError
from hector.core.record import dataclass

Algorithm: TypeAlias = Literal["EdDSA", "RS256"]
Private: TypeAlias = Ed25519PrivateKey | RSAPrivateKey
_NAME: Final = re.compile(r"signing-(\d{1,12})-([A-Za-z0-9_-]{16})\.pem")
_RSA_BITS: Final = 2048
_LOOK_AGAIN: Final = 1.0
"""Seconds between two searches for a key that is not there."""
_SALT: Final = b"hector/app-tokens/1"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key with its name in tokens, since when it is there (seconds since the epoch), and what it signs with."""

    kid: str
    algorithm: Algorithm
    private: Private
    created: float

    @property
    def public(self) -> Ed25519PublicKey | RSAPublicKey:
        """What checks its signatures."""
        return self.private.public_key()


def named(private: Private, created: float) -> SigningKey:
    """The key under the beginning of its thumbprint (RFC 7638)."""
    algorithm: Algorithm = "EdDSA" if isinstance(private, Ed25519PrivateKey) else "RS256"
    members = json.dumps(_members(private.public_key()), separators=(",", ":"), sort_keys=True)
    return SigningKey(_base64(hashlib.sha256(members.encode()).digest())[:16], algorithm, private, created)


def from_seed(seed: str) -> SigningKey:
    """The key of a seed. Slow on purpose: the public key is public, and seeds could be tried against it."""
    octets = hashlib.scrypt(seed.encode(), salt=_SALT, n=2**15, r=8, p=1, maxmem=2**26, dklen=32)
    return named(Ed25519PrivateKey.from_private_bytes(octets), 0.0)


def public_jwk(key: SigningKey) -> JsonObject:
    """The public half as JSON Web Key (RFC 7517, RFC 8037)."""
    return {**_members(key.public), "kid": key.kid, "use": "sig", "alg": key.algorithm}


def _members(public: Ed25519PublicKey | RSAPublicKey) -> dict[str, Any]:
    if isinstance(public, Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": _base64(public.public_bytes(Encoding.Raw, PublicFormat.Raw))}
    numbers = public.public_numbers()
    return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}


def _number(value: int) -> str:
    return _base64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _base64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


class SeededRing:
    """Keys made from seeds: the first one signs, all of them check."""

    def __init__(self, seeds: Sequence[str]) -> None:
        self._keys = tuple(from_seed(seed) for seed in seeds)

    def signer(self) -> SigningKey:
        """The key that signs."""
        return self._keys[0]

    def find(self, kid: str) -> SigningKey | None:
        """A key by its name."""
        return next((key for key in self._keys if key.kid == kid), None)

    def all(self) -> tuple[SigningKey, ...]:
        """Those that check, the one that signs first."""
        return self._keys

    def rotate(self) -> SigningKey:
        """Raises Conflict: seeds are changed where they are configured."""
        raise Conflict(
            "the signing keys come from seeds; put a new seed before the old one in signing_seed on all instances, and "
            "take the old one out when its tokens have ended"
        )


class FileRing:
    """Keys in a folder; other processes may add to it at any time. `kept` is how long a replaced key still checks."""

    def __init__(self, folder: Path, algorithm: Algorithm, kept: float, clock: Clock) -> None:
        self._folder = folder
        self._algorithm = algorithm
        self._kept = kept
        self._clock = clock
        self._seen = -1
        self._looked = 0.0
        self._keys: tuple[SigningKey, ...] = ()

    def signer(self) -> SigningKey:
        """The newest key of the wanted kind; made if there is none. Raises StartupError."""
        found = next((key for key in self.all() if key.algorithm == self._algorithm), None)
        return found or self.rotate()

    def find(self, kid: str) -> SigningKey | None:
        """A key by its name, unless it was replaced so long ago that none of its tokens can be good."""
        found = next((key for key in self.all() if key.kid == kid), None)
        if found is None and self._clock.now() >= self._looked + _LOOK_AGAIN:
            self._looked, self._seen = self._clock.now(), -1  # a file made within the tick of the last look
            found = next((key for key in self.all() if key.kid == kid), None)
        return found

    def all(self) -> tuple[SigningKey, ...]:
        """Those that check, the newest first. Raises StartupError."""
        try:
            seen = self._folder.stat().st_mtime_ns
        except FileNotFoundError:
            return ()
        if seen != self._seen:
            self._keys = tuple(sorted(self._load(), key=lambda key: -key.created))
            self._seen = seen
        return tuple(self._standing())

    def rotate(self) -> SigningKey:
        """Make a new key, which signs from now on. Raises StartupError."""
        private = Ed25519PrivateKey.generate() if self._algorithm == "EdDSA" else generate_private_key(65537, _RSA_BITS)
        made = named(private, float(int(self._clock.now())))
        newest = max((key.created for key in self.all()), default=0.0)
        made = SigningKey(made.kid, made.algorithm, private, max(made.created, newest + 1))
        try:
            self._write(made)
            self._sweep()
        except OSError as error:
            raise StartupError(f"cannot keep a signing key in {self._folder}: {error.strerror}") from None
        return made

    def _standing(self) -> Iterator[SigningKey]:
        """Without those that were replaced too long ago. What replaces a key is the next one of the same kind."""
        replaced: dict[str, float] = {}
        for key in self._keys:
            if key.algorithm not in replaced or replaced[key.algorithm] + self._kept > self._clock.now():
                yield key
            replaced[key.algorithm] = key.created

    def _load(self) -> Iterator[SigningKey]:
        for path in self._folder.iterdir():
            if match := _NAME.fullmatch(path.name):
                yield _read(path, float(match[1]))

    def _write(self, key: SigningKey) -> None:
        self._folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        self._folder.chmod(0o700)
        pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = self._folder / f"signing-{key.created:.0f}-{key.kid}.pem"
        unfinished = path.with_suffix(".new")
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)

    def _sweep(self) -> None:
        """Remove keys whose time is over."""
        good = {key.kid for key in self.all()}
        for path in self._folder.iterdir():
            match = _NAME.fullmatch(path.name)
            if match and match[2] not in good:
                path.unlink(missing_ok=True)


def _read(path: Path, created: float) -> SigningKey:
    """Raises StartupError for a file that holds no key of ours, or that others may read."""
    try:
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise StartupError(f"{path} can be read by others than its owner: chmod 600 it, and make a new key")
        private = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise StartupError(f"{path} is no usable signing key: {type(error).__name__}") from None
    if not isinstance(private, Ed25519PrivateKey | RSAPrivateKey):
        raise StartupError(f"{path} is a key of another kind than Ed25519 or RSA")
    return named(private, created)
