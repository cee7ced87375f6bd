"""The end of approvals that nobody gave in time: the task goes on as if they had been denied."""

from contextlib import suppress
from dataclasses import replace

from hector.core.clock import Clock
from hector.core.errors import RequestError
from hector.core.job import Job
from hector.store import Store
from hector.store.approvals import ApprovalState
from hector.tasks.decisions import continuation, decide
from hector.tasks.outcome import Done, Outcome

CLOCK = "the clock"
"""Who decided."""


class Expiry:
    """The handler of the jobs of kind `expire`. `max_attempts` is that of the runs which go on."""

    def __init__(self, store: Store, clock: Clock, max_attempts: int) -> None:
        self._store = store
        self._clock = clock
        self._max_attempts = max_attempts

    async def __call__(self, job: Job) -> Outcome:
        """End what is due of the task. Doing it twice does nothing: a decision applies once.

        That the job has come up says that its time has come, also when the clock was set back meanwhile.
        """
        now = self._clock.now()
        reached = max(now, job.payload.get("at", now))
        waiting = await self._store.approvals.waiting(job.subject)
        due = [found for found in waiting if found.expires is not None and found.expires <= reached]
        if due:
            offer = continuation(due, decide(due, ApprovalState.EXPIRED, CLOCK), now)
            with suppress(RequestError):  # somebody decided, or the task ended, a moment ago
                await self._store.tasks.accept(replace(offer, max_attempts=self._max_attempts))
        return Done()
