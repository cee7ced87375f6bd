"""Whether a failed call is worth another try, and after how long. Pure: no I/O, no clock.

The union of what the vendors' own clients do: `x-should-retry` decides where a server sends it, then the status;
`retry-after-ms`, `retry-after` (seconds or a date) and RetryInfo set the wait, otherwise doubled delays with jitter.
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Final, TypeAlias

from hector.core.record import dataclass

NEVER_STATUS: Final = frozenset({400, 401, 402, 403, 404, 405, 413, 415, 422})
NEVER_CODE: Final = frozenset({"insufficient_quota", "enforced_spend_limit_reached", "billing_hard_limit_reached"})
"""Error codes that more patience does not cure: somebody has to pay."""

_RETRY_INFO: Final = "google.rpc.RetryInfo"


@dataclass(frozen=True, slots=True)
class Failure:
    """What is known about a failed call.

    `status` is None when there was no usable answer (no connection, a timeout, a cut-off response); `retryable` says
    whether the cause can pass, where that is known. `error_code` is the provider's own word; `asked` a wait in seconds
    that it named in the body; `visible` that somebody has already seen part of the answer. `now` is seconds since the
    epoch, for dates.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    error_code: str = ""
    asked: float | None = None
    retryable: bool | None = None
    visible: bool = False
    now: float = 0.0


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after `delay` seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Report the failure. `reason` is a phrase for the log."""

    reason: str


Decision: TypeAlias = Retry | GiveUp


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`max_attempts` counts all tries. `max_delay` caps our own waits, `patience` those that a server asks for."""

    max_attempts: int = 4
    initial_delay: float = 0.5
    max_delay: float = 30.0
    patience: float = 120.0

    def decide(
        self,
        failure: Failure,
        attempt: int,
        *,
        chance: Callable[[], float] = random.random,  # noqa: S311 - spreads load, guards nothing
    ) -> Decision:
        """What to do after `attempt` tries have failed (1 or more). `chance` gives numbers in [0, 1)."""
        refusal = _refusal(failure)
        if refusal is not None:
            return GiveUp(refusal)
        if attempt >= self.max_attempts:
            return GiveUp(f"gave up after {attempt} {'try' if attempt == 1 else 'tries'}")
        asked = retry_after(failure.headers, failure.now)
        if asked is None:
            asked = failure.asked
        if asked is None:
            delay = min(self.initial_delay * 2.0 ** (attempt - 1), self.max_delay)
            return Retry(delay * (0.75 + 0.25 * chance()))
        if asked > self.patience:
            return GiveUp(f"the server asks for a wait of {asked:.0f} seconds")
        return Retry(asked * (1.0 + 0.1 * chance()))  # never earlier than asked, and not all at once


def _refusal(failure: Failure) -> str | None:
    """Why this failure must not be retried at all; None when it may be."""
    if failure.visible:
        return "part of the answer was already shown"
    if failure.error_code in NEVER_CODE:
        return f"{failure.error_code} does not pass by waiting"
    if failure.status is None:
        return "trying again would change nothing" if failure.retryable is False else None
    wish = failure.headers.get("x-should-retry", "").strip().lower()
    if wish in ("true", "false"):
        return None if wish == "true" else "the server asks not to retry"
    if failure.status in NEVER_STATUS:
        return f"status {failure.status} does not pass by waiting"
    if failure.retryable is not None:
        return None if failure.retryable else "trying again would change nothing"
    if failure.status in (408, 409, 425, 429) or failure.status >= 500:
        return None
    return f"status {failure.status} does not pass by waiting"


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The wait in seconds that the headers (lower-case names) ask for; None without one that can be read."""
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000.0
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    seconds = _number(value)
    return seconds if seconds is not None else _until(value, now)


def retry_info(body: object) -> float | None:
    """The `retryDelay` of a Google error body (bytes, or parsed JSON; an object, or a list that holds one)."""
    if isinstance(body, bytes | bytearray):
        try:
            body = json.loads(body)
        except ValueError:
            return None
    if isinstance(body, list):
        body = body[0] if body else None
    for detail in _details(body):
        delay = detail.get("retryDelay")
        if str(detail.get("@type", "")).endswith(_RETRY_INFO) and isinstance(delay, str):
            return _number(delay.removesuffix("s"))
    return None


def _details(body: object) -> list[dict[str, Any]]:
    error = body.get("error") if isinstance(body, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    return [item for item in details if isinstance(item, dict)] if isinstance(details, list) else []


def _number(text: str) -> float | None:
    """A finite number of at least 0."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0.0 <= value < float("inf") else None


def _until(date: str, now: float) -> float | None:
    """Seconds until an HTTP date; 0 when it has passed."""
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - drags in much of email

    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - now)
