"""When work that failed is tried again, and when it is given up."""

from collections.abc import Callable
from typing import Final

from hector.core.job import Job
from hector.core.record import dataclass

_LARGEST_POWER: Final = 60
"""Beyond it a doubled delay is above any limit; the bound keeps the float from overflowing."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long work waits that failed: up to `initial` seconds before the first retry, doubled with each, up to
    `longest`. `least` is the share of such a wait that it takes at least; the rest is drawn.
    """

    initial: float
    longest: float
    least: float = 0.0


@dataclass(frozen=True, slots=True)
class Again:
    """Try again in `delay` seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Bury it with this cause, fit for a user."""

    cause: str


@dataclass(frozen=True, slots=True)
class Tries:
    """Attempts of a job: how many there were, this one counted, and how many there may be."""

    made: int
    most: int


def after_failure(
    schedule: Schedule, tries: Tries, cause: str, chance: Callable[[], float], after: float | None = None
) -> Again | GiveUp:
    """What becomes of a job that has failed for a passing reason.

    The wait is drawn evenly up to the limit, so that jobs which failed together do not come back together; `chance`
    gives 0 to 1. `after` seconds, where the other side named them, are waited for at least, up to the limit.
    """
    if tries.made >= tries.most:
        return GiveUp(cause if tries.made <= 1 else f"given up after {tries.made} attempts: {cause}")
    drawn = longest_delay(schedule, tries.made) * (schedule.least + (1.0 - schedule.least) * chance())
    return Again(max(drawn, min(after or 0.0, schedule.longest)))


def longest_delay(schedule: Schedule, attempts: int) -> float:
    """The limit of the wait after so many attempts."""
    return min(schedule.initial * 2.0 ** min(attempts - 1, _LARGEST_POWER), schedule.longest)


def poisoned(job: Job) -> str | None:
    """Why a job that was just claimed must not be begun again: it never came to an end before, not even a bad one."""
    if job.attempts <= job.max_attempts:
        return None
    known = f"; the last thing known of it: {job.cause}" if job.cause else ""
    return f"it was begun {job.attempts - 1} times and never came to an end{known}"
