"""Cursors of listings: where a page ended, as an opaque token."""

import base64
import json
from collections.abc import Sequence
from typing import Any, TypeAlias

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


def encode_name(name: str) -> str:
    """The token of a page that ended with this name, for listings in the order of names."""
    return base64.urlsafe_b64encode(json.dumps(name).encode()).decode().rstrip("=")


def decode_name(token: str | None) -> str:
    """The reverse; the empty text for no token. Raises InvalidRequest on one that we did not make."""
    found = _decoded(token) if token else ""
    if not isinstance(found, str) or not (found.isascii() and found.isprintable()):
        raise _no_token("page_token")
    return found


def encode_line(line: Sequence[str | int]) -> str:
    """The token of a page that ended with this line, for reports in the order of several columns."""
    return base64.urlsafe_b64encode(json.dumps(line).encode()).decode().rstrip("=")


def decode_line(token: str | None, kinds: Sequence[type]) -> tuple[Any, ...] | None:
    """The reverse; None for no token. Raises InvalidRequest on one that we did not make."""
    if not token:
        return None
    found = _decoded(token)
    if not isinstance(found, list) or [type(one) for one in found] != list(kinds):
        raise _no_token("page_token")
    return tuple(found)


def decode_token(token: str | None, field: str = "pageToken") -> Position | None:
    """The reverse; None for no token. Raises InvalidRequest on one that we did not make."""
    if not token:
        return None
    match _decoded(token):
        case [int(at), int(key)] if abs(at) < 1 << 62 and abs(key) < 1 << 62:
            return at, key
        case _:
            raise _no_token(field)


def _decoded(token: str) -> Any:
    try:
        return json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        return None


def _no_token(field: str) -> InvalidRequest:
    said = "is not a token of an earlier page; leave it out to begin with the first one"
    return InvalidRequest(f"{field} {said}", [Violation(field, said)])
