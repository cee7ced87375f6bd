"""Works on claimed jobs other than runs, by the handler of their kind, and notes how that ended."""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Final

from hector.core.errors import HectorError, LeaseLost
from hector.core.job import DAMAGED, Job, JobState
from hector.observe import metrics
from hector.observe.redact import redact
from hector.tasks.backoff import Again, Tries, after_failure, poisoned
from hector.tasks.conduct import hand_back
from hector.tasks.handlers import FACTORIES, Parts, terms_of
from hector.tasks.insist import insist
from hector.tasks.outcome import Dead, Done, Handler, Outcome, Retry
from hector.tasks.work import Ending, Work

log = logging.getLogger("hector.tasks")
LATE: Final = "its deadline passed before anybody could begin it"
INTERNAL: Final = "an internal error; the server's log has the details"


class Handling:
    """Handlers are made when the first job of their kind comes. `chance` gives 0 to 1, for the waits in between."""

    def __init__(self, parts: Parts, chance: Callable[[], float] | None = None) -> None:
        self._parts = parts
        self._chance = chance or random.random  # noqa: S311 - it spreads load and guards nothing
        self._handlers: dict[str, Handler] = {}

    async def handle(self, work: Work, job: Job) -> None:
        """Work on it until its end is stored, it is put back, or the claim is gone. Raises nothing."""
        try:
            began = time.perf_counter()
            outcome = await self._outcome(work, job)
            seconds = time.perf_counter() - began
            await self._apply(job, outcome)
            await self._count(job, outcome, seconds)
        except LeaseLost:
            log.info("a job was taken over or ended elsewhere", extra={"kind": job.kind, "subject": job.subject})
        except asyncio.CancelledError:
            if work.ending is Ending.RELEASE:
                await hand_back(self._parts.store, job.claim)
        except Exception:
            log.exception("a job cannot be ended", extra={"kind": job.kind, "subject": job.subject})

    async def _count(self, job: Job, outcome: Outcome, seconds: float) -> None:
        """Tell the metrics of a delivery."""
        if metrics.current is None or job.kind != "push":
            return
        from hector.tasks.counted import count_delivery  # noqa: PLC0415 - only with metrics

        kind = "artifact" if job.payload.get("artifact") else "status"
        await count_delivery(metrics.current, self._parts.store, job, outcome, kind, seconds)

    async def _outcome(self, work: Work, job: Job) -> Outcome:
        if (cause := unfit(job, self._parts.clock.now())) is not None:
            return Dead(cause)
        handler = self._handler(job.kind)
        if handler is None:
            return Dead(f"this version of Hector knows no work of the kind {job.kind!r}")
        try:
            return await self._attempt(work, job, handler)
        except LeaseLost:
            raise
        except HectorError as error:
            return Retry(redact(str(error))) if error.retryable else Dead(redact(str(error)))
        except Exception:
            log.exception("job failed", extra={"kind": job.kind, "subject": job.subject})
            return Dead(INTERNAL)

    async def _attempt(self, work: Work, job: Job, handler: Handler) -> Outcome:
        """Let the handler work; it may be stopped in the middle because others wait for its place."""
        patience = terms_of(job.kind, self._parts.settings).patience
        if patience is not None:
            work.yields_at = asyncio.get_running_loop().time() + patience
        try:
            return await handler(job)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if work.ending is not Ending.DEFER or task is None or task.uncancel():
                raise
            work.ending = None
            return Retry(f"not done within {patience:g} s, and other work waited for its place")
        finally:
            work.yields_at = None

    def _handler(self, kind: str) -> Handler | None:
        if kind not in self._handlers and kind in FACTORIES:
            self._handlers[kind] = FACTORIES[kind](self._parts)
        return self._handlers.get(kind)

    async def _apply(self, job: Job, outcome: Outcome) -> None:
        match outcome:
            case Done():
                await self._finish(job, JobState.DONE)
            case Dead(cause):
                await self._bury(job, cause)
            case Retry(cause, after):
                tries = Tries(job.attempts, job.max_attempts)
                schedule = terms_of(job.kind, self._parts.settings).schedule
                verdict = after_failure(schedule, tries, cause, self._chance, after)
                if isinstance(verdict, Again):
                    await self._put_back(job, verdict.delay, cause)
                else:
                    await self._bury(job, verdict.cause)
            case _:
                pass

    async def _bury(self, job: Job, cause: str) -> None:
        log.warning("job given up", extra={"kind": job.kind, "subject": job.subject, "cause": cause})
        await self._finish(job, JobState.DEAD, cause)
        if metrics.current is not None:
            metrics.current.dead_letters.add(job.caller.app, job.kind)

    async def _finish(self, job: Job, state: JobState, cause: str | None = None) -> None:
        parts = self._parts
        await insist(parts.clock, lambda: parts.store.jobs.finish(job.claim, state, cause), "ending a job")

    async def _put_back(self, job: Job, delay: float, cause: str) -> None:
        parts = self._parts
        run_at = parts.clock.now() + delay
        await insist(parts.clock, lambda: parts.store.jobs.retry(job.claim, run_at, cause), "putting a job back")


def unfit(job: Job, now: float) -> str | None:
    """Why a job that was just claimed must not be begun."""
    if job.deadline is not None and now > job.deadline:
        return LATE
    if DAMAGED in job.payload:
        return f"row {job.claim.key} of table jobs is damaged; drop it, and send its message again"
    return poisoned(job)
