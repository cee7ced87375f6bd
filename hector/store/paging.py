"""Cursors of listings: where a page ended, as an opaque token."""

import base64
import json

from hector.core.errors import InvalidRequest, Violation


def check_size(size: int) -> None:
    """Raises InvalidRequest outside 1..100."""
    if not 1 <= size <= 100:
        said = f"must be between 1 and 100, not {size}"
        raise InvalidRequest(f"pageSize {said}", [Violation("pageSize", said)])


def encode_token(at: int, name: str) -> str:
    """The token of a page that ended at this time and id."""
    return base64.urlsafe_b64encode(json.dumps([at, name]).encode()).decode().rstrip("=")


def decode_token(token: str | None) -> tuple[int, str] | None:
    """The reverse; None for no token. Raises InvalidRequest on one that we did not make."""
    if not token:
        return None
    try:
        at, name = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
        if isinstance(at, int) and isinstance(name, str) and abs(at) < 1 << 62:
            return at, name
    except (ValueError, TypeError):
        pass
    said = "is not a token of an earlier page; leave it out to begin with the first one"
    raise InvalidRequest(f"pageToken {said}", [Violation("pageToken", said)])
