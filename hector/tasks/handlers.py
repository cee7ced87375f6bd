"""Kinds of jobs: who works on each, and how the work may end."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from hector.config.server import Server
from hector.core.clock import Clock
from hector.core.record import dataclass
from hector.store import Store

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

    It is cancelled when the claim is lost or the process stops; it may then leave things half done, because somebody
    works on the same job again. Whatever it changes in the database must name `job.claim`. A HectorError that is
    `retryable` counts as Retry, any other exception as Dead, LeaseLost as Settled.
    """

    async def __call__(self, job: "Job") -> Outcome:
        """Do it. `job.attempts` counts this attempt, too."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a handler may be made from."""

    store: Store
    clock: Clock
    settings: Server


def _push(parts: Parts) -> Handler:
    from hector.tasks.push import PushDelivery  # noqa: PLC0415 - loaded on first use

    return PushDelivery(parts.store, parts.settings.push_notifications)


def _expire(parts: Parts) -> Handler:
    from hector.tasks.expiry import Expiry  # noqa: PLC0415 - loaded on first use

    return Expiry(parts.store, parts.clock, parts.settings.queue.max_retries + 1)


FACTORIES: Final[Mapping[str, Callable[[Parts], Handler]]] = {"push": _push, "expire": _expire}
"""Handlers by kind, each made when the first job of its kind is claimed; the kind "run" belongs to the worker itself.

A row names a function above that imports the handler's module locally, so that a start loads none of them.
"""
