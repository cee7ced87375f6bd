"""Core errors in A2A's words: JSON-RPC code, HTTP status, canonical status and machine-readable reason.

Table: A2A 1.0.1 section 5.4. Errors that the table does not know keep the plain JSON-RPC codes.
"""

from collections.abc import Mapping
from math import ceil
from typing import Final

from hector.core import errors
from hector.core.content import JsonObject
from hector.core.record import dataclass

DOMAIN: Final = "a2a-protocol.org"
ERROR_INFO: Final = "type.googleapis.com/google.rpc.ErrorInfo"
BAD_REQUEST: Final = "type.googleapis.com/google.rpc.BadRequest"
RETRY_INFO: Final = "type.googleapis.com/google.rpc.RetryInfo"
STRUCT: Final = "type.googleapis.com/google.protobuf.Struct"


@dataclass(frozen=True, slots=True)
class Fault:
    """One row: `reason` for machines, `code` for JSON-RPC, `status` for HTTP, `canonical` from google.rpc.Code."""

    reason: str
    code: int
    status: int
    canonical: str


PARSE_ERROR: Final = Fault("PARSE_ERROR", -32700, 400, "INVALID_ARGUMENT")
INVALID_REQUEST: Final = Fault("INVALID_REQUEST", -32600, 400, "INVALID_ARGUMENT")
METHOD_NOT_FOUND: Final = Fault("METHOD_NOT_FOUND", -32601, 404, "NOT_FOUND")
INVALID_PARAMS: Final = Fault("INVALID_PARAMS", -32602, 400, "INVALID_ARGUMENT")
INTERNAL: Final = Fault("INTERNAL_ERROR", -32603, 500, "INTERNAL")
UNAVAILABLE: Final = Fault("UNAVAILABLE", -32603, 503, "UNAVAILABLE")
TOO_LARGE: Final = Fault("REQUEST_TOO_LARGE", -32600, 413, "INVALID_ARGUMENT")
TIMED_OUT: Final = Fault("REQUEST_TIMEOUT", -32600, 408, "DEADLINE_EXCEEDED")
TOO_MANY_STREAMS: Final = Fault("TOO_MANY_STREAMS", -32603, 429, "RESOURCE_EXHAUSTED")
NO_SUCH_PATH: Final = Fault("PATH_NOT_FOUND", -32601, 404, "NOT_FOUND")
NO_SUCH_VERB: Final = Fault("HTTP_METHOD_NOT_ALLOWED", -32601, 405, "UNIMPLEMENTED")
FORBIDDEN: Final = Fault("CROSS_ORIGIN", -32600, 403, "PERMISSION_DENIED")
UNAUTHENTICATED: Final = Fault("UNAUTHENTICATED", -32600, 401, "UNAUTHENTICATED")
PERMISSION_DENIED: Final = Fault("PERMISSION_DENIED", -32600, 403, "PERMISSION_DENIED")
THROTTLED: Final = Fault("RATE_LIMIT_EXCEEDED", -32603, 429, "RESOURCE_EXHAUSTED")
CONFLICT: Final = Fault("CONFLICT", -32600, 409, "ABORTED")
SWITCHED_OFF: Final = Fault("SWITCHED_OFF", -32603, 503, "UNAVAILABLE")
APP_UNAVAILABLE: Final = Fault("APP_UNAVAILABLE", -32603, 503, "UNAVAILABLE")
AGENT_NOT_FOUND: Final = Fault("AGENT_NOT_FOUND", -32602, 404, "NOT_FOUND")
TENANT_NOT_FOUND: Final = Fault("TENANT_NOT_FOUND", -32602, 404, "NOT_FOUND")
TASK_NOT_FOUND: Final = Fault("TASK_NOT_FOUND", -32001, 404, "NOT_FOUND")
TASK_NOT_CANCELABLE: Final = Fault("TASK_NOT_CANCELABLE", -32002, 400, "FAILED_PRECONDITION")
PUSH_NOT_SUPPORTED: Final = Fault("PUSH_NOTIFICATION_NOT_SUPPORTED", -32003, 400, "FAILED_PRECONDITION")
UNSUPPORTED_OPERATION: Final = Fault("UNSUPPORTED_OPERATION", -32004, 400, "FAILED_PRECONDITION")
CONTENT_NOT_SUPPORTED: Final = Fault("CONTENT_TYPE_NOT_SUPPORTED", -32005, 400, "INVALID_ARGUMENT")
BODY_NOT_JSON: Final = Fault("CONTENT_TYPE_NOT_SUPPORTED", -32005, 415, "INVALID_ARGUMENT")
"""The request's own Content-Type header, as opposed to the media type of a part, is HTTP's business: 415."""
VERSION_NOT_SUPPORTED: Final = Fault("VERSION_NOT_SUPPORTED", -32009, 400, "FAILED_PRECONDITION")

_BY_CLASS: Final[Mapping[type[errors.HectorError], Fault]] = {
    errors.InvalidRequest: INVALID_PARAMS,
    errors.NotSupported: UNSUPPORTED_OPERATION,
    errors.TaskNotCancelable: TASK_NOT_CANCELABLE,
    errors.ContentNotAccepted: CONTENT_NOT_SUPPORTED,
    errors.TooLarge: TOO_LARGE,
    errors.Unauthenticated: UNAUTHENTICATED,
    errors.Forbidden: PERMISSION_DENIED,
    errors.Throttled: THROTTLED,
    errors.Conflict: CONFLICT,
    errors.RequestError: INVALID_REQUEST,
    errors.SwitchedOff: SWITCHED_OFF,
    errors.AppUnavailable: APP_UNAVAILABLE,
    errors.IdentityUnavailable: UNAVAILABLE,
    errors.StoreUnavailable: UNAVAILABLE,
}
_NOT_FOUND: Final[Mapping[str, Fault]] = {
    "agent": AGENT_NOT_FOUND,
    "task": TASK_NOT_FOUND,
    "push notification config": TASK_NOT_FOUND,
    "tenant": TENANT_NOT_FOUND,
}


class ProtocolError(errors.RequestError):
    """The request breaks a rule of the protocol itself; `fault` says which."""

    code = "protocol"

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


def fault_of(error: errors.HectorError) -> Fault:
    """The row for an error; INTERNAL for what no caller can mend."""
    if isinstance(error, ProtocolError):
        return error.fault
    if isinstance(error, errors.NotFound):
        return _NOT_FOUND.get(error.kind) or _no_such(error.kind)
    for base in type(error).__mro__:
        if base in _BY_CLASS:
            return _BY_CLASS[base]
    return INTERNAL


def _no_such(kind: str) -> Fault:
    """Of what A2A knows nothing of: it names itself."""
    return Fault(f"{kind.upper().replace(' ', '_')}_NOT_FOUND", INVALID_PARAMS.code, 404, "NOT_FOUND")


def text_of(error: errors.HectorError, fault: Fault) -> str:
    """What the caller may read. Causes inside the server stay there."""
    if fault is INTERNAL:
        return "the server could not handle this request; its log says why"
    if isinstance(error, errors.StoreUnavailable):
        return "the server is stopping or cannot use its database at the moment; try again"
    return str(error)


def details_of(error: errors.HectorError, fault: Fault) -> list[JsonObject]:
    """google.rpc.ErrorInfo, and google.rpc.BadRequest where single fields are wrong."""
    found: list[JsonObject] = [{"@type": ERROR_INFO, "reason": fault.reason, "domain": DOMAIN, "metadata": {}}]
    if isinstance(error, errors.InvalidRequest) and error.violations:
        fields = [{"field": wrong.field, "description": wrong.description} for wrong in error.violations]
        found.append({"@type": BAD_REQUEST, "fieldViolations": fields})
    if isinstance(error, errors.Throttled):
        found.append({"@type": RETRY_INFO, "retryDelay": f"{ceil(error.retry_after)}s"})
    return found


def _quota(error: errors.HectorError) -> JsonObject:
    """How far the rules have been used that a client was refused by."""
    if not isinstance(error, errors.RateLimited):
        return {}
    return {"retry_after_seconds": ceil(error.retry_after), "usage": list(error.usage)}


def rpc_error(error: errors.HectorError) -> JsonObject:
    """The `error` member of a JSON-RPC response."""
    fault = fault_of(error)
    data = details_of(error, fault)
    if quota := _quota(error):
        data.append({"@type": STRUCT, "value": {"code": error.code, **quota}})
    return {"code": fault.code, "message": text_of(error, fault), "data": data}


def rest_error(error: errors.HectorError) -> JsonObject:
    """The body of an HTTP+JSON error response (AIP-193)."""
    fault = fault_of(error)
    return {
        "error": {
            "code": fault.status,
            "status": fault.canonical,
            "message": text_of(error, fault),
            "details": details_of(error, fault),
        },
        **_quota(error),
    }
