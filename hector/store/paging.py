"""Cursors of listings: where a page ended, as an opaque token."""

import base64
import json
from typing import TypeAlias

from hector.core.errors import InvalidRequest, Violation

Position: TypeAlias = tuple[int, int]
"""Time in milliseconds and key of the last row of a page."""


def check_size(size: int) -> None:
    """Raises InvalidRequest outside 1..100."""
    if not 1 <= size <= 100:
        said = f"must be between 1 and 100, not {size}"
        raise InvalidRequest(f"pageSize {said}", [Violation("pageSize", said)])


def encode_token(position: Position) -> str:
    """The token of a page that ended here."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def decode_token(token: str | None) -> Position | None:
    """The reverse; None for no token. Raises InvalidRequest on one that we did not make."""
    if not token:
        return None
    try:
        found = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        found = None
    match found:
        case [int(at), int(key)] if abs(at) < 1 << 62 and abs(key) < 1 << 62:
            return at, key
        case _:
            said = "is not a token of an earlier page; leave it out to begin with the first one"
            raise InvalidRequest(f"pageToken {said}", [Violation("pageToken", said)])
