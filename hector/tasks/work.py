"""One piece of work of this process: its claim, the asyncio task that does it, and how it is told to stop."""

import asyncio
from enum import IntEnum

from hector.core.job import Claim
from hector.core.record import dataclass
from hector.limits.switches import Pause
from hector.tasks.run import Run


class Ending(IntEnum):
    """Why work stops before it is done; a later one overrules an earlier one."""

    DEFER = 0
    """Others wait for its place, and it is of a kind that can be done later."""
    CANCEL = 1
    """Somebody cancels the task: its end is stored, and its job's with it."""
    PAUSE = 2
    """An operator has switched it off: the claim is handed back, to rest."""
    RELEASE = 3
    """The process stops: the claim is handed back."""
    LOSE = 4
    """The claim is void: nothing is written any more."""


@dataclass(slots=True)
class Work:
    """`claim` is there once the job is known to be ours; `run`, once a run can be asked about itself.

    `pause` says why it rests, when it was stopped for that.
    `yields_at` is the event loop's time from which it gives its place to others that wait; None: it does not.
    """

    lane: str = ""
    claim: Claim | None = None
    run: Run | None = None
    task: asyncio.Task[None] | None = None
    ending: Ending | None = None
    yields_at: float | None = None
    pause: Pause | None = None

    def stop(self, ending: Ending) -> None:
        """Not before the claim is known: what was handed to the store cannot be taken back."""
        if self.ending is None or ending > self.ending:
            self.ending = ending
            if ending is Ending.CANCEL and self.run is not None:
                self.run.canceled = True
            if self.claim is not None and self.task is not None:
                self.task.cancel()
