"""When failed work is tried again, as tables."""

import pytest

from hector.core.job import Claim, Job
from hector.core.task import Caller
from hector.tasks.backoff import Again, GiveUp, Schedule, Tries, after_failure, longest_delay, poisoned

SCHEDULE = Schedule(1.0, 60.0)


def job(attempts: int, most: int = 4, cause: str | None = None) -> Job:
    return Job(Claim(1, 1), "run", Caller(), None, "t", {}, attempts, most, 0.0, None, cause)


@pytest.mark.parametrize(("attempts", "limit"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (50, 60), (100_000, 60)])
def test_the_wait_doubles_up_to_its_limit(attempts: int, limit: float) -> None:
    assert longest_delay(SCHEDULE, attempts) == limit


@pytest.mark.proves("queue.backoff")
@pytest.mark.parametrize(
    ("made", "chance", "after", "delay"),
    [
        (1, 0.0, None, 0.0),
        (1, 0.5, None, 0.5),
        (3, 1.0, None, 4.0),
        (3, 0.25, 3.0, 3.0),  # the other side asked for more
        (3, 1.0, 3.0, 4.0),  # it asked for less
        (1, 0.0, 3600.0, 60.0),  # nobody waits longer than the limit
    ],
)
def test_the_wait_is_drawn_and_never_shorter_than_asked_for(
    made: int, chance: float, after: float | None, delay: float
) -> None:
    assert after_failure(SCHEDULE, Tries(made, 4), "away", lambda: chance, after) == Again(delay)


def test_a_share_of_the_wait_is_certain_where_that_is_asked_for() -> None:
    half = Schedule(1.0, 60.0, least=0.5)
    assert after_failure(half, Tries(3, 4), "away", lambda: 0.0) == Again(2.0)
    assert after_failure(half, Tries(3, 4), "away", lambda: 1.0) == Again(4.0)


@pytest.mark.parametrize(
    ("made", "most", "cause"),
    [(4, 4, "given up after 4 attempts: away"), (9, 4, "given up after 9 attempts: away"), (1, 1, "away")],
)
def test_what_has_used_up_its_attempts_is_given_up(made: int, most: int, cause: str) -> None:
    assert after_failure(SCHEDULE, Tries(made, most), "away", lambda: 0.5) == GiveUp(cause)


@pytest.mark.parametrize(
    ("found", "cause"),
    [
        (job(1), None),
        (job(4), None),
        (job(5), "it was begun 4 times and never came to an end"),
        (
            job(5, cause="host gone"),
            "it was begun 4 times and never came to an end; the last thing known of it: host gone",
        ),
    ],
)
def test_what_never_comes_to_an_end_is_not_begun_again(found: Job, cause: str | None) -> None:
    assert poisoned(found) == cause
