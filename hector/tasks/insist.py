"""Patience with a database that is away: what must be done is tried until it works or makes no sense any more."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from hector.core.clock import Clock
from hector.core.errors import StoreUnavailable

T = TypeVar("T")
log = logging.getLogger("hector.tasks")

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 1.0


async def insist(clock: Clock, attempt: Callable[[], Awaitable[T]], what: str) -> T:
    """The first answer of `attempt`, which must be safe to repeat. `what` names it in the log.

    Every other error passes: LeaseLost says that somebody else has the work now, and cancelling ends the wait.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            return await attempt()
        except StoreUnavailable as error:
            if pause == FIRST_PAUSE:
                log.warning("waiting for the database", extra={"what": what, "error": str(error)})
        await clock.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
