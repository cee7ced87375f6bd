"""Forged and broken tokens, each made from a good key, a kid and good claims."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt

from tests.auth.issuer import new_key, public_pem, segment


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return f"{segment(header)}.{segment(claims)}."


def hmac_with(secret: bytes, header: dict[str, Any], claims: dict[str, Any]) -> str:
    signed = f"{segment(header)}.{segment(claims)}"
    return f"{signed}.{segment(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


Make = Callable[[str, str, Any, dict[str, Any]], str]
"""From the algorithm, the kid, the private key and good claims."""


def _with(**changes: Any) -> Make:
    def make(algorithm: str, kid: str, key: Any, claims: dict[str, Any]) -> str:
        changed = {**claims, **{name: value(claims) if callable(value) else value for name, value in changes.items()}}
        return jwt.encode(
            {name: value for name, value in changed.items() if value is not None}, key, algorithm, {"kid": kid}
        )

    return make


def _head(**changes: Any) -> Make:
    def make(algorithm: str, kid: str, key: Any, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, key, algorithm, {"kid": kid, **changes})

    return make


def _altered(algorithm: str, kid: str, key: Any, claims: dict[str, Any]) -> str:
    head, _, signature = jwt.encode(claims, key, algorithm, {"kid": kid}).split(".")
    return f"{head}.{segment({**claims, 'sub': 'root', 'role': 'admin'})}.{signature}"


def _cut(algorithm: str, kid: str, key: Any, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, key, algorithm, {"kid": kid}).rpartition(".")[0] + "."


def _raw(key: Any) -> bytes:
    numbers = getattr(key.public_key(), "public_bytes_raw", None)
    return numbers() if numbers else public_pem(key)


NOW = time.time
FORGERIES: dict[str, Make] = {
    "alg none": lambda a, kid, key, claims: unsigned({"alg": "none", "typ": "JWT", "kid": kid}, claims),
    "alg None": lambda a, kid, key, claims: unsigned({"alg": "None", "typ": "JWT", "kid": kid}, claims),
    "alg NONE without kid": lambda a, kid, key, claims: unsigned({"alg": "NONE"}, claims),
    "no alg": lambda a, kid, key, claims: unsigned({"typ": "JWT", "kid": kid}, claims),
    "HS256 with the public key as PEM": lambda a, kid, key, claims: hmac_with(
        public_pem(key), {"alg": "HS256", "typ": "JWT", "kid": kid}, claims
    ),
    "HS256 with the public key raw": lambda a, kid, key, claims: hmac_with(
        _raw(key), {"alg": "HS256", "typ": "JWT", "kid": kid}, claims
    ),
    "HS256 with nothing": lambda a, kid, key, claims: hmac_with(b"", {"alg": "HS256", "kid": kid}, claims),
    "HS256 named as the right algorithm": lambda a, kid, key, claims: hmac_with(
        public_pem(key), {"alg": a, "kid": kid}, claims
    ),
    "another key under the kid": lambda a, kid, key, claims: jwt.encode(claims, new_key(a), a, {"kid": kid}),
    "another algorithm under the kid": lambda a, kid, key, claims: jwt.encode(
        claims, new_key("ES256"), "ES256", {"kid": kid}
    ),
    "unknown kid": lambda a, kid, key, claims: jwt.encode(claims, key, a, {"kid": "unknown"}),
    "a kid that is a path": lambda a, kid, key, claims: jwt.encode(claims, key, a, {"kid": "../../etc/passwd"}),
    "a key in the header": lambda a, kid, key, claims: _embedded(claims),
    "a key at an address in the header": lambda a, kid, key, claims: jwt.encode(
        claims, new_key(a), a, {"kid": "x", "jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/x"}
    ),
    "altered claims": _altered,
    "no signature": _cut,
    "an unknown critical header": _head(crit=["exp2"], exp2=1),
    "typ of a logout": _head(typ="logout+jwt"),
    "typ of a proof": _head(typ="dpop+jwt"),
    "wrong audience": _with(aud="another-service"),
    "no audience": _with(aud=None),
    "an empty list of audiences": _with(aud=[]),
    "audience as a part of ours": _with(aud=lambda claims: str(claims["aud"])[:-1]),
    "wrong issuer": _with(iss="https://evil.example"),
    "no issuer": _with(iss=None),
    "issuer with a slash more": _with(iss=lambda claims: f"{claims['iss']}/"),
    "expired": _with(exp=lambda claims: int(NOW()) - 3600),
    "no end": _with(exp=None),
    "an end that is no number": _with(exp="never"),
    "not yet valid": _with(nbf=lambda claims: int(NOW()) + 3600),
    "issued in the future": _with(iat=lambda claims: int(NOW()) + 3600),
    "no subject": _with(sub=None),
    "a subject that is no text": lambda a, kid, key, claims: _subject(a, kid, key, claims),
    "claims that are no object": lambda a, kid, key, claims: jwt.api_jws.encode(b"[1]", key, a, {"kid": kid}),
    "no JSON": lambda a, kid, key, claims: f"eyJ{base64.urlsafe_b64encode(b'{').decode()}.e30.e30",
    "too long": _with(pad="x" * 20_000),
    "deeply nested": lambda a, kid, key, claims: f"eyJhbGciOiJSUzI1NiJ9.{segment(b'[' * 5000)}.AAAA",
    "nothing between the dots": lambda a, kid, key, claims: "eyJ..",
}


def _subject(algorithm: str, kid: str, key: Any, claims: dict[str, Any]) -> str:
    body = json.dumps({**claims, "sub": {"$ne": 1}}).encode()
    return jwt.api_jws.encode(body, key, algorithm, {"kid": kid})


def _embedded(claims: dict[str, Any]) -> str:
    own = new_key("RS256")
    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(own.public_key()))
    return jwt.encode(claims, own, "RS256", {"kid": "mine", "jwk": jwk})
