"""How work on a job other than a run may end, and what whoever does such work promises."""

from typing import TYPE_CHECKING, Protocol, TypeAlias

from hector.core.record import dataclass

if TYPE_CHECKING:
    from hector.core.job import Job


@dataclass(frozen=True, slots=True)
class Done:
    """The work is done, or there is nothing left to do."""


@dataclass(frozen=True, slots=True)
class Retry:
    """It did not work this time. `after`: seconds that the other side asked to be left alone.

    The worker decides when to try again and, once the attempts are used up, buries the job with this cause.
    """

    cause: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Dead:
    """It will never work: a dead letter with this cause, fit for a user."""

    cause: str


@dataclass(frozen=True, slots=True)
class Settled:
    """A transaction of the handler's own has ended the job already, or has put it back."""


Outcome: TypeAlias = Done | Retry | Dead | Settled


class Handler(Protocol):
    """Works on one job of its kind.

    It is cancelled when the claim is lost, the process stops, or others need its place; it may then leave things half
    done, because somebody works on the same job again. Whatever it changes in the database must name `job.claim`. A
    HectorError that is `retryable` counts as Retry, any other exception as Dead, LeaseLost as Settled.
    """

    async def __call__(self, job: "Job") -> Outcome:
        """Do it. `job.attempts` counts this attempt, too."""
