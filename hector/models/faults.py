"""What went wrong at a provider, as one of the ModelErrors: bodies read defensively, classes chosen by one table."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from hector.core.clock import SystemClock
from hector.core.content import JsonObject
from hector.core.errors import (
    AccountSpent,
    ContextOverflow,
    ModelAuthError,
    ModelError,
    ModelRejected,
    ModelUnavailable,
)
from hector.core.pattern import pattern
from hector.core.record import dataclass
from hector.net.retry import retry_after
from hector.observe.redact import redact

BODY_LIMIT: Final = 2048
"""Characters of a provider's error text that are ever shown."""

GLIMPSE: Final = 200
"""Characters that are shown of a text that should have been something else."""

_LOOK: Final = 4 * BODY_LIMIT

_OVERFLOW: Final = pattern(
    r"context_length_exceeded|exceed_context_size|prompt is too long|input is too long"
    r"|exceeds the maximum number of tokens|exceeds the maximum token count|maximum context length"
    r"|reduce the length of the (messages|input|prompt)"
    r"|(exceeds?|exceeded|longer than|larger than|greater than|over)\b[^.]{0,60}\bcontext (length|window|size|limit)"
)
_AUTH_KINDS: Final = frozenset({"authentication_error", "permission_error", "invalid_api_key", "permission_denied"})
_SPENT: Final = frozenset({"insufficient_quota", "billing_error", "enforced_spend_limit_reached"})
_RETRYABLE_STATUS: Final = frozenset({408, 409, 425, 429})
_BAD_KEY: Final = pattern(r"api[ _]key not valid|api_key_invalid|invalid api key")


@dataclass(frozen=True, slots=True)
class Fault:
    """One reported failure, in the provider's words. `kind` and `code` are its type and code strings, or empty."""

    message: str
    status: int | None = None
    kind: str = ""
    code: str = ""
    param: str = ""
    retry_after: float | None = None
    should_retry: bool | None = None
    request_id: str = ""


def read_fault(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """The fault in an HTTP error answer: a JSON object, a list of one, a bare string, or a page of some proxy."""
    fields = error_fields(_parsed(body))
    return Fault(
        message=fields.get("message") or _page_text(body) or "no details given",
        status=status,
        kind=fields.get("kind", ""),
        code=fields.get("code", ""),
        param=fields.get("param", ""),
        retry_after=retry_after(headers, SystemClock().now()),
        should_retry={"true": True, "false": False}.get(headers.get("x-should-retry", "").lower()),
        request_id=headers.get("request-id") or headers.get("x-request-id") or "",
    )


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def error_fields(value: Any) -> dict[str, str]:
    """`message`, `kind`, `code`, `param` of any provider's error object; those that are absent are left out."""
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return {}
    error = value.get("error", value)
    if isinstance(error, str):
        return {"message": redact(error)[:BODY_LIMIT]}
    if not isinstance(error, dict):
        return {}
    details = error.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    found = {
        "message": error.get("message"),
        "kind": error.get("status") if isinstance(error.get("status"), str) else error.get("type"),
        "code": code or error.get("code"),
        "param": error.get("param"),
    }
    return {key: redact(str(item))[:BODY_LIMIT] for key, item in found.items() if item is not None}


def _page_text(body: bytes) -> str:
    """The readable words of a body that is no JSON: tags, scripts and runs of blanks removed."""
    text = redact(body[:_LOOK].decode("utf-8", errors="replace"))
    text = re.sub(r"(?is)<(script|style)\b.*?(</\1>|$)|<[^>]*>", " ", text)
    return " ".join(text.split())[: BODY_LIMIT // 4]


def reported(who: str, value: Any, fallback: str = "an error without details") -> ModelError:
    """The error that a provider reports without a bad HTTP status: inside a stream, or in an answer of status 200.

    A number given as its code is taken for the status that it would have had. `who` is `Wire.label`.
    """
    fields = error_fields(value)
    code = fields.get("code", "")
    status = int(code) if code.isdecimal() and 400 <= int(code) < 600 else None
    message = fields.get("message") or fallback
    return to_error(who, Fault(message, status, fields.get("kind", ""), code, fields.get("param", "")))


def parse_event(who: str, text: str) -> JsonObject:
    """The JSON object in one event or line of a stream. Raises ModelUnavailable for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ModelUnavailable(f"{who}: sent an event that is no JSON object: {glimpse(text)}")
    return value


def glimpse(text: str) -> str:
    """The beginning of a foreign text, fit for an error message. A secret is taken out before the cut, not halved."""
    return " ".join(redact(text[:_LOOK]).split())[:GLIMPSE] or "empty"


def to_error(who: str, fault: Fault) -> ModelError:
    """The ModelError that `fault` amounts to. `who` is `Wire.label`."""
    status = f"HTTP {fault.status}" if fault.status else "reported"
    named = " ".join(
        dict.fromkeys(word for word in (status, fault.kind, fault.code) if word and word != str(fault.status))
    )
    kind, advice = _classify(fault)
    asked = f"request {fault.request_id[:80]}" if fault.request_id else ""
    notes = "; ".join(note for note in (advice, asked) if note)
    text = f"{who}: {named}: {fault.message[:BODY_LIMIT]}"
    return kind(f"{text} ({notes})" if notes else text, status=fault.status, retry_after=fault.retry_after)


def _classify(fault: Fault) -> tuple[type[ModelError], str]:
    names = {fault.kind.lower(), fault.code.lower()}
    words = f"{fault.code} {fault.kind} {fault.message}".lower()
    if fault.status in {401, 403} or names & _AUTH_KINDS or (fault.status == 400 and _BAD_KEY.search(words)):
        return ModelAuthError, "check the api_key of this llm and what it may use"
    if names & _SPENT or fault.status == 402:
        return AccountSpent, "the account has no credit left; retrying does not help"
    if fault.status in {None, 400, 413, 422, 500} and _OVERFLOW.search(words):
        return ContextOverflow, "the conversation is longer than the model's context"
    if fault.should_retry is not None:
        return (ModelUnavailable, "") if fault.should_retry else (ModelRejected, "")
    return _by_status(fault.status, names)


def _by_status(status: int | None, names: set[str]) -> tuple[type[ModelError], str]:
    if status is None:
        return (ModelRejected, "") if any("invalid" in name for name in names) else (ModelUnavailable, "")
    if status in _RETRYABLE_STATUS or status >= 500:
        return ModelUnavailable, ""
    if 300 <= status < 400:
        return ModelRejected, "redirects are not followed; check `base_url` of this llm"
    if status == 404:
        return ModelRejected, "check `model` and `base_url` of this llm"
    return ModelRejected, ""


def rejected_parameter(fault_text: str, droppable: Mapping[str, str]) -> str | None:
    """Which droppable parameter a provider's refusal names; None if it names none.

    The earliest mention counts, and of those that begin at one place the longest.
    """
    text = fault_text.lower()
    hits = [
        (found.start(), -len(word), name)
        for word, name in droppable.items()
        if (found := re.search(rf"(?<![a-z0-9_]){re.escape(word)}(?![a-z0-9_])", text))
    ]
    return min(hits)[2] if hits else None
