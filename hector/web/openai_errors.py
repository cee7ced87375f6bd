"""Errors in the form that clients of OpenAI's API know."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from hector.a2a import wire
from hector.a2a.errors import fault_of, text_of
from hector.core.content import JsonObject
from hector.core.errors import HectorError, InvalidRequest, NotFound
from hector.web.answers import JSON, NO_CACHE, Headers, reply

_TYPES: Final = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
ONCE: Final = ((b"x-should-retry", b"false"),)
"""Tells the official clients not to repeat by themselves what has run: they would have everything done again."""


class RunFailed(HectorError):  # noqa: N818 - what it is, not what went wrong
    """The agent came to no answer; the text is what its task says."""

    code, http_status = "task_failed", 500


def refused(request: Request, error: HectorError, extra: Headers = ()) -> Response:
    """The whole answer."""
    return reply(request, status_of(error), wire.dumps(body_of(error)).encode("ascii"), JSON, (*NO_CACHE, *extra))


def status_of(error: HectorError) -> int:
    """The HTTP status."""
    return error.http_status if isinstance(error, RunFailed) else fault_of(error).status


def body_of(error: HectorError) -> JsonObject:
    """`{"error": {"message", "type", "param", "code"}}`."""
    status = status_of(error)
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    said = str(error) if isinstance(error, RunFailed) else text_of(error, fault_of(error))
    violations = error.violations if isinstance(error, InvalidRequest) else ()
    param = violations[0].field if violations else None
    return {"error": {"message": said, "type": kind, "param": param, "code": _code(error)}}


def _code(error: HectorError) -> str:
    if isinstance(error, NotFound) and error.kind == "agent":
        return "model_not_found"
    return {"unauthenticated": "invalid_api_key", "throttled": "rate_limit_exceeded"}.get(error.code, error.code)
