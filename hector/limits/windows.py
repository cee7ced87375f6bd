"""Windows of the calendar, in UTC, and the subjects that counters belong to."""

import hashlib
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from hector.core.quota import Counter
from hector.core.task import Caller

NEVER: Final = 1 << 60
"""The end of what does not end, in milliseconds."""
_SECONDS: Final = {"minute": 60, "hour": 3600, "day": 86_400}
_WEEK: Final = 7 * 86_400
_FIRST_MONDAY: Final = 4 * 86_400
"""1970-01-05."""
_LONGEST: Final = 200


class Span(NamedTuple):
    """From `start` up to, not including, `end`; milliseconds since the epoch."""

    start: int
    end: int


def span(window: str, now: float) -> Span:
    """The window that a moment (seconds since the epoch) is in."""
    if window == "total":
        return Span(0, NEVER)
    if window == "month":
        return _month(now)
    length, offset = (_WEEK, _FIRST_MONDAY) if window == "week" else (_SECONDS[window], 0)
    start = int((now - offset) // length) * length + offset
    return Span(start * 1000, (start + length) * 1000)


def _month(now: float) -> Span:
    first = datetime.fromtimestamp(now, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    after = (first + timedelta(days=31)).replace(day=1)
    return Span(round(first.timestamp()) * 1000, round(after.timestamp()) * 1000)


def counter(subject: str, what: str, window: str, now: float) -> Counter:
    """The counter of a subject for the window that a moment is in."""
    start, end = span(window, now)
    return Counter(subject, f"{what}/{window}", start, end)


@lru_cache(maxsize=4096)  # asked for the same few with every request
def subject(kind: str, *parts: str) -> str:
    """A name that no other parts give; long ones are replaced by their digest."""
    text = "/".join(part.replace("%", "%25").replace("/", "%2F").replace("\0", "%00") for part in parts)
    if len(text) > _LONGEST:
        text = hashlib.sha256(text.encode()).hexdigest()
    return f"{kind}:{text}"


def subject_of(scope: str, caller: Caller, agent: str = "", session: str = "") -> str:
    """Whose counter a request of this caller, agent and conversation counts for."""
    match scope:
        case "server":
            return "server"
        case "app":
            return subject("app", caller.app)
        case "agent":
            return subject("agent", caller.app, agent)
        case "session" if session:
            return subject("session", caller.app, caller.user, session)
        case _:
            return subject("user", caller.app, caller.user)
