"""When work that failed is tried again, and when it is given up."""

from collections.abc import Callable
from typing import Final

from hector.config.server import Queue
from hector.core.job import Job
from hector.core.record import dataclass

_LARGEST_POWER: Final = 60
"""Beyond it a doubled delay is above any limit; the bound keeps the float from overflowing."""


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
    settings: Queue, tries: Tries, cause: str, chance: Callable[[], float], after: float | None = None
) -> Again | GiveUp:
    """What becomes of a job that has failed for a passing reason.

    The wait is drawn evenly from nothing to the limit, so that jobs which failed together do not come back together;
    `chance` gives 0 to 1. `after` seconds, where the other side named them, are waited for at least, up to the limit.
    """
    if tries.made >= tries.most:
        return GiveUp(cause if tries.made <= 1 else f"given up after {tries.made} attempts: {cause}")
    drawn = longest_delay(settings, tries.made) * chance()
    return Again(max(drawn, min(after or 0.0, settings.max_delay)))


def longest_delay(settings: Queue, attempts: int) -> float:
    """The limit of the wait after so many attempts: doubled with each, up to `max_delay`."""
    doubled = settings.initial_delay * 2.0 ** min(attempts - 1, _LARGEST_POWER)
    return min(doubled, settings.max_delay)


def poisoned(job: Job) -> str | None:
    """Why a job that was just claimed must not be begun again: it never came to an end before, not even a bad one."""
    if job.attempts <= job.max_attempts:
        return None
    known = f"; the last thing known of it: {job.cause}" if job.cause else ""
    return f"it was begun {job.attempts - 1} times and never came to an end{known}"
