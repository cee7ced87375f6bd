"""Runs that this process has claimed: what waited for a place, and what was cut off somewhere."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from hector.apps.app import App
from hector.apps.registry import Apps
from hector.apps.registry import Lease as AppLease
from hector.core.clock import Clock
from hector.core.errors import LeaseLost
from hector.core.job import Job
from hector.limits.limits import Limits
from hector.observe import metrics
from hector.store import Store
from hector.tasks.backoff import Tries
from hector.tasks.conduct import Conductor, give_up, hand_back
from hector.tasks.making import Making
from hector.tasks.tenancy import lent
from hector.tasks.work import Ending, Work

log = logging.getLogger("hector.tasks")
LAST_WORDS: Final = 0.5
"""Seconds that work has to end by itself when its job has been claimed anew."""


class Resuming:
    """`forget` is told of each work that is over, with its task's id."""

    def __init__(
        self,
        apps: Apps,
        store: Store,
        clock: Clock,
        limits: Limits,
        making: Making,
        conductor: Conductor,
        forget: Callable[[Work, str], None],
    ) -> None:
        self._apps = apps
        self._store = store
        self._clock = clock
        self._limits = limits
        self._making = making
        self._conductor = conductor
        self._forget = forget

    async def go_on(self, work: Work, job: Job, before: Work | None) -> None:
        """Run it from its last stored step; `before` is the work of this process that ran it last."""
        lease: AppLease | None = None
        try:
            if before is not None:
                await _over(before)
            lease = await lent(self._apps, self._store, self._clock, job)
            if lease is not None:
                await self._go_on_with(lease.app, work, job)
        except asyncio.CancelledError:
            await self._conductor.stopped_early(work, job.claim)
        except LeaseLost:
            log.info("a job was taken over or ended elsewhere", extra={"task": job.subject})
        except Exception as error:
            log.exception("a run cannot be taken up", extra={"task": job.subject})
            await give_up(self._store, job.claim, str(error))
        finally:
            self._forget(work, job.subject)
            if lease is not None:
                lease.release()
            await self._limits.leave(job.subject)

    async def _go_on_with(self, app: App, work: Work, job: Job) -> None:
        run = work.run = await self._making.later(job, app)
        if run is None:
            return
        work.pause = await self._limits.hold_up(run.caller, run.live.base.agent, run.task_id)
        if work.pause is not None:
            await hand_back(self._store, job.claim, work.pause)
            run.leave()
        else:
            if metrics.current is not None and job.attempts == 1:
                waited = max(self._clock.now() - job.created, 0.0)
                metrics.current.queue_latency.observe(waited, job.caller.app, run.live.base.agent)
            tries = Tries(job.attempts, job.max_attempts)
            await self._conductor.conduct(work, run, tries, lambda: self._making.go_on(run, job, app))


async def _over(work: Work) -> None:
    """Wait for the end of work whose job has been claimed anew; it may just be about to say why it put that back."""
    if work.task is not None:
        await asyncio.wait((work.task,), timeout=LAST_WORDS)
        work.stop(Ending.LOSE)
        await asyncio.wait((work.task,))
