"""What every answer carries, and how answers outside A2A's own envelopes are made."""

import logging
from collections.abc import Iterable, Mapping
from math import ceil
from typing import Final, Protocol, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from hector.a2a import wire
from hector.a2a.errors import INTERNAL, fault_of, rest_error
from hector.a2a.jsonrpc import Call
from hector.core.errors import HectorError, StoreUnavailable, Throttled, Unauthenticated
from hector.core.ids import new_id
from hector.core.pattern import pattern

log = logging.getLogger("hector.web")
Headers: TypeAlias = Iterable[tuple[bytes, bytes]]


class Tally(Protocol):
    """What a request has been counted for."""

    def headers(self) -> Headers:
        """How the answer tells it."""


JSON: Final = b"application/json"
A2A_JSON: Final = b'application/a2a+json; also="application/json"'
"""The media type that A2A prefers; the parameter is for the many clients that look for the plain one's name."""
NO_CACHE: Final = ((b"cache-control", b"no-store"),)

TALLY: Final = "hector.tally"
"""Where a request that is limited keeps its Tally."""
_ID: Final = "hector.request_id"
_ID_SHAPE: Final = pattern(rb"[A-Za-z0-9._-]{1,64}")
_SAFE: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)
"""What browsers are to make of an answer: data, never a page, a frame or a trail."""
_SECURE: Final = (*_SAFE, (b"strict-transport-security", b"max-age=31536000"))
"""The same for connections with TLS, which browsers then insist on."""


def request_id(scope: Scope) -> bytes:
    """What a request is called in its answer and in the log: as the client calls it if that is fit, else a new id."""
    found: bytes | None = scope.get(_ID)
    if found is None:
        asked: bytes = dict(scope["headers"]).get(b"x-request-id", b"")
        found = scope[_ID] = asked if asked and _ID_SHAPE.fullmatch(asked) else new_id().encode()
    return found


def marks(scope: Scope) -> Headers:
    """The headers of every answer."""
    safe = _SECURE if scope.get("scheme") == "https" else _SAFE
    tally: Tally | None = scope.get(TALLY)
    return (b"x-request-id", request_id(scope)), *safe, *(tally.headers() if tally is not None else ())


def demands(error: HectorError) -> Headers:
    """What a refused client has to do, as HTTP says it."""
    if isinstance(error, Unauthenticated):
        return ((b"www-authenticate", b'Bearer realm="hector"'),)
    if isinstance(error, Throttled):
        return ((b"retry-after", str(max(1, ceil(error.retry_after))).encode()),)
    return ()


def reply(request: Request, status: int, body: bytes, content_type: bytes = JSON, extra: Headers = ()) -> Response:
    """An answer in one piece."""
    response = Response(body, status, media_type=content_type.decode("latin-1"))
    response.raw_headers += [*marks(request.scope), *extra]
    return response


def reply_json(request: Request, value: Mapping[str, object], status: int = 200) -> Response:
    """A JSON answer that nobody keeps."""
    return reply(request, status, wire.dumps(value).encode("ascii"), JSON, NO_CACHE)


def refusal(request: Request, error: HectorError, extra: Headers = ()) -> Response:
    """An error in the form of A2A's HTTP+JSON, which is also the form of everything outside A2A."""
    note(request.scope, error)
    body = wire.dumps(rest_error(error)).encode("ascii")
    own = request.scope["path"].startswith("/admin")
    kind = JSON if own else json_type(request.headers.get("accept", "").encode("latin-1"))
    return reply(request, fault_of(error).status, body, kind, (*NO_CACHE, *extra))


def rpc_refusal(request: Request, error: HectorError) -> Response:
    """An error in the form of JSON-RPC, for a call that was refused before it was read: its id is not known."""
    note(request.scope, error)
    body = wire.dumps(Call().error(error)).encode("ascii")
    return reply(request, fault_of(error).status, body, JSON, (*NO_CACHE, *demands(error)))


def json_type(accept: bytes) -> bytes:
    """The media type of an HTTP+JSON answer: plain JSON for those who ask for it by name."""
    return JSON if JSON in accept and b"application/a2a+json" not in accept else A2A_JSON


def note(scope: Scope, error: HectorError) -> None:
    """What the client is not told goes to the log."""
    if fault_of(error) is INTERNAL or isinstance(error, StoreUnavailable):
        log.error("request failed", extra={"request": request_id(scope).decode(), "error": str(error)})
