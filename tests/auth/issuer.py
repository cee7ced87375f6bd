"""An identity provider of the tests' own: keys, a JWKS over real HTTP, and tokens of every shape."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

AUDIENCE = "hector-tests"
_ALGORITHMS = {
    "RS256": jwt.algorithms.RSAAlgorithm,
    "ES256": jwt.algorithms.ECAlgorithm,
    "EdDSA": jwt.algorithms.OKPAlgorithm,
}


def new_key(algorithm: str) -> Any:
    if algorithm == "RS256":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else ed25519.Ed25519PrivateKey.generate()


def public_pem(key: Any) -> bytes:
    pem: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def segment(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Issuer:
    """Answers discovery and JWKS; `down` makes it refuse. `asked` counts requests for keys."""

    def __init__(self) -> None:
        self.keys: dict[str, tuple[str, Any]] = {}
        self.down = False
        self.asked = 0
        self.url = ""
        self.says: str | None = None
        self.add("one", "RS256")

    def add(self, kid: str, algorithm: str) -> None:
        self.keys[kid] = (algorithm, new_key(algorithm))

    def document(self) -> dict[str, Any]:
        found = []
        for kid, (algorithm, key) in self.keys.items():
            members = json.loads(_ALGORITHMS[algorithm].to_jwk(key.public_key()))  # type: ignore[attr-defined]
            found.append({**members, "kid": kid, "use": "sig", "alg": algorithm})
        return {"keys": found}

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Good ones, but for the changes; None leaves a claim out."""
        now = int(time.time())
        found = {"iss": self.url, "aud": AUDIENCE, "sub": "ada", "iat": now, "nbf": now, "exp": now + 300, **changes}
        return {name: value for name, value in found.items() if value is not None}

    def token(self, kid: str = "one", header: dict[str, Any] | None = None, **changes: Any) -> str:
        algorithm, key = self.keys[kid]
        return jwt.encode(self.claims(**changes), key, algorithm, {"kid": kid, **(header or {})})


@contextmanager
def issuing(port: int = 0) -> Iterator[Issuer]:
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pages: dict[str, Any] = {
                "/keys": issuer.document,
                "/.well-known/openid-configuration": lambda: {
                    "issuer": issuer.says or issuer.url,
                    "jwks_uri": f"{issuer.url}/keys",
                },
            }
            issuer.asked += self.path == "/keys"
            found = None if issuer.down else pages.get(self.path)
            body = json.dumps(found()).encode() if found else b""
            self.send_response(200 if found else 503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        issuer.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield issuer
        server.shutdown()
        thread.join()
