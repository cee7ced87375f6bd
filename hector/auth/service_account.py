"""What a Google service account signs to be given an access token (RFC 7523)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hector.core.errors import ConfigError

LIFETIME: Final = 3600
"""Seconds that an assertion, and the token that it is given for, may live."""


def key_of(file: str) -> Mapping[str, Any]:
    """The key file of a service account. Raises ConfigError."""
    try:
        key = json.loads(Path(file).expanduser().read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"the key of a service account cannot be read from {file}: {error}") from None
    needed = ("client_email", "private_key", "token_uri")
    if not isinstance(key, dict) or not all(isinstance(key.get(name), str) for name in needed):
        raise ConfigError(f"{file} is no key of a service account: it needs {', '.join(needed)}")
    return key


def assertion(key: Mapping[str, Any], scope: str, now: float) -> str:
    """A signed wish for an access token. `now`: seconds since the epoch. Raises ConfigError."""
    import jwt  # noqa: PLC0415 - loads cryptography

    claims = {
        "iss": key["client_email"], "scope": scope, "aud": key["token_uri"], "iat": int(now),
        "exp": int(now) + LIFETIME,
    }  # fmt: skip
    try:
        return jwt.encode(claims, key["private_key"], algorithm="RS256", headers={"kid": key.get("private_key_id", "")})
    except (ValueError, TypeError, jwt.PyJWTError) as error:
        raise ConfigError(f"the private key of {key['client_email']} cannot be used: {error}") from None
