"""Everything Hector raises on purpose. Meaning is class data; only the edge turns it into protocol codes.

HectorError
  ConfigError            the configuration is wrong: exit code 2
  StartupError           the process cannot start here (port, files): exit code 2
  StoreError             the database cannot do what was asked
    StoreUnavailable     it is away or busy: try again
    SchemaTooNew         it was written by a newer Hector
    LeaseLost            the job was taken away from this process: it must write nothing more
  RequestError           the caller's fault
    InvalidRequest       a field is missing or wrong (carries `violations`)
    NotFound             no such agent, task or session, or not yours
    NotSupported         the operation does not exist for this object
    TaskNotCancelable    it has already ended
    TooLarge             a body or a part is over the limit
    ContentNotAccepted   a part has a media type that the agent does not take
    Unauthenticated      nobody knows who asks: no credential, or a wrong one
    Forbidden            it is known who asks, and they have no right to this
      AppSuspended       the app of whoever asks rests
    Throttled            too often, or too much: again in `retry_after` seconds
      RateLimited        a rule of rate_limiting or limits stands in the way (carries `usage`)
    Conflict             the object is no longer, or not yet, in the state that this needs
  SwitchedOff            an operator has switched this off
  AppUnavailable         this app cannot be loaded at the moment; others can
  IdentityUnavailable    whose credential it is cannot be found out at the moment
  ModelError             a model call failed
    ModelUnavailable     down, overloaded, rate limited, cut off: retryable
    ModelRejected        the provider refuses this request
      ContextOverflow    the conversation is too long for the model
    ModelAuthError       key missing or refused
    UnsupportedContent   this provider takes no such part
    AccountSpent         the account has no credit left
  ToolError              a tool failed in a way that the model should read
  AgentError             a run ended without an answer (iteration cap, template, schema)
    BudgetExceeded       what it may spend is used up, or it runs in circles
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hector.core.record import dataclass


class HectorError(Exception):
    """Base of the tree. `str(error)` is fit for a user: what happened, where, and what to do."""

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False


class ConfigError(HectorError):
    """The configuration is wrong; the text lists every finding."""

    code = "config"


class StartupError(HectorError):
    """The process cannot start here: port in use, unreadable file, no permission."""

    code = "startup"


class StoreError(HectorError):
    """The database cannot do what was asked."""

    code = "store"


class StoreUnavailable(StoreError):  # noqa: N818 - a state, not a mistake
    """The database is away, busy or full."""

    code, http_status, retryable = "store_unavailable", 503, True


class ArtifactsFull(StoreError):  # noqa: N818
    """What a user may keep in all was used up by others meanwhile: the run goes on, and is told so."""

    code, retryable = "artifacts_full", True


class SchemaTooNew(StoreError):  # noqa: N818
    """The database was written by a newer Hector."""

    code = "schema_too_new"


class LeaseLost(StoreError):  # noqa: N818
    """Another process has taken the job over, or it was cancelled. Whoever held it stops quietly."""

    code = "lease_lost"


class RequestError(HectorError):
    """The caller asked for something that cannot be."""

    code, http_status = "request", 400


@dataclass(frozen=True, slots=True)
class Violation:
    """One wrong field: `field` is a path such as "message.parts[0]"."""

    field: str
    description: str


class InvalidRequest(RequestError):  # noqa: N818
    """A field is missing or wrong."""

    code = "invalid_request"

    def __init__(self, message: str, violations: Sequence[Violation] = ()) -> None:
        super().__init__(message)
        self.violations = tuple(violations)


class NotFound(RequestError):  # noqa: N818
    """No such object, or it belongs to somebody else. `kind` is "agent", "task" or "session"."""

    code, http_status = "not_found", 404

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"{kind} {name!r} was not found")
        self.kind = kind
        self.name = name


class NotSupported(RequestError):  # noqa: N818
    """The operation is not possible on this object."""

    code = "not_supported"


class TaskNotCancelable(RequestError):  # noqa: N818
    """The task has already ended."""

    code = "task_not_cancelable"


class TooLarge(RequestError):  # noqa: N818
    """The body, or one part of it, is over the limit."""

    code, http_status = "too_large", 413


class ContentNotAccepted(RequestError):  # noqa: N818
    """A part has a media type that the agent does not take (and enforces that)."""

    code = "content_not_accepted"


class Unauthenticated(RequestError):  # noqa: N818
    """No credential, or one that is not valid (any more)."""

    code, http_status = "unauthenticated", 401


class Forbidden(RequestError):  # noqa: N818
    """The caller is known and has no right to this."""

    code, http_status = "forbidden", 403


class AppSuspended(Forbidden):
    """Whoever looks after the server has stopped this app for the time being."""

    code = "app_suspended"


class Throttled(RequestError):  # noqa: N818
    """Too often or too much. `retry_after` is in seconds."""

    code, http_status, retryable = "throttled", 429, True

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimited(Throttled):
    """A rule about requests, tokens or runs at once. `usage` says of each rule how far it has been used."""

    code = "rate_limit_exceeded"

    def __init__(self, message: str, retry_after: float, usage: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(message, retry_after)
        self.usage = tuple(usage)


class Conflict(RequestError):  # noqa: N818
    """The object is not in the state that this needs: changed meanwhile, there already, or on its way out."""

    code, http_status = "conflict", 409


class SwitchedOff(HectorError):  # noqa: N818
    """An operator has switched an agent, an app or the server off; what runs waits, and new work is refused."""

    code, http_status, retryable = "switched_off", 503, True


class AppUnavailable(HectorError):  # noqa: N818
    """One app cannot be loaded here and now: its stored configuration does not hold, or too many apps are at work."""

    code, http_status, retryable = "app_unavailable", 503, True


class IdentityUnavailable(HectorError):  # noqa: N818
    """Whose credential it is cannot be found out now: the identity provider is away."""

    code, http_status, retryable = "identity_unavailable", 503, True


class ModelError(HectorError):
    """A model call failed for good."""

    code, http_status = "model", 502

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class ModelUnavailable(ModelError):  # noqa: N818
    """Down, overloaded, rate limited, timed out or cut off in mid-answer."""

    code, http_status, retryable = "model_unavailable", 503, True


class ModelRejected(ModelError):  # noqa: N818
    """The provider refuses this request; sending it again changes nothing."""

    code = "model_rejected"


class ContextOverflow(ModelRejected):
    """The conversation is longer than the model's context."""

    code = "context_overflow"


class AccountSpent(ModelRejected):
    """The account has no credit left."""

    code = "model_account"


class ModelAuthError(ModelError):
    """The key is missing, wrong, or lacks a right."""

    code = "model_auth"


class UnsupportedContent(ModelRejected):
    """The provider takes no part of this kind."""

    code, http_status = "unsupported_content", 400


class ToolError(HectorError):
    """The tool failed; the text goes to the model as an error result."""

    code = "tool"


class AgentError(HectorError):
    """The run ended without an answer."""

    code = "agent"


class BudgetExceeded(AgentError):  # noqa: N818
    """What the run, or its agent, user or app may spend is used up; or it repeats itself."""

    code = "budget"
