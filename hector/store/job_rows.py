"""Jobs as rows: what was tried before, and payloads, read whatever their state."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from hector.core.content import JsonObject
from hector.core.job import DAMAGED, JobState
from hector.core.record import dataclass
from hector.core.task import Caller
from hector.store.codec import dumps, loads
from hector.store.database import Row

LONGEST_HISTORY: Final = 20
"""Failed attempts of one job that are remembered."""
LONGEST_DAMAGE: Final = 200
"""Characters of a damaged payload that are shown."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that failed. `at`: seconds since the epoch."""

    number: int
    at: float
    owner: str
    cause: str


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as an operator sees it. Times in seconds since the epoch."""

    key: int
    kind: str
    caller: Caller
    subject: str
    payload: JsonObject
    state: JobState
    attempts: int
    max_attempts: int
    cause: str
    history: tuple[Attempt, ...]
    created: float
    ended: float | None


def record_from_row(row: Row) -> JobRecord:
    """From the columns of the statement `get`."""
    key, kind, app, user, subject, payload, state, attempts, most, cause, history, created, ended = row
    return JobRecord(
        key,
        kind,
        Caller(app, user),
        subject,
        payload_from_text(payload),
        JobState(state),
        attempts,
        most,
        cause or "",
        _attempts(history),
        created / 1000,
        None if ended is None else ended / 1000,
    )


def payload_from_text(text: str) -> JsonObject:
    """What is damaged must neither hold up the queue nor hide from operators: it is told as `{DAMAGED: its text}`."""
    try:
        value = loads(text)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {DAMAGED: text[:LONGEST_DAMAGE]}


def longer_history(found: Sequence[Any], now: int, cause: str) -> str:
    """The history with one more failed attempt, at `now` ms. `found` begins with attempts, owner, history."""
    attempts, owner, history = found[:3]
    entry = {"number": attempts, "at": now / 1000, "owner": owner or "", "cause": cause}
    before = [asdict(one) for one in _attempts(history)]
    return dumps([*before, entry][-LONGEST_HISTORY:])


def last_history(found: Sequence[Any], now: int, cause: str) -> str:
    """The history of a job that is given up. `found` has the columns of the statement `attempt`.

    One whose attempts were used up before, by processes that died of it, was not begun again: its claim was no attempt.
    """
    return found[2] if found[0] > found[5] else longer_history(found, now, cause)


def _attempts(text: str | None) -> tuple[Attempt, ...]:
    try:
        return tuple(Attempt(**one) for one in loads(text or "[]"))
    except (ValueError, TypeError):
        return ()
