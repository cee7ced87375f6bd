"""Conducts runs: whatever happens in one, it ends in a state that says so, is put back, or is left to others."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

from hector.core.clock import Clock
from hector.core.errors import HectorError, LeaseLost, StoreError
from hector.core.job import Claim, JobState
from hector.core.record import dataclass
from hector.core.task import TaskState
from hector.limits.switches import Pause
from hector.observe import metrics
from hector.observe.redact import redact
from hector.store import Store
from hector.tasks.backoff import Again, Schedule, Tries, after_failure
from hector.tasks.insist import insist
from hector.tasks.run import Released, Run
from hector.tasks.work import Ending, Work

log = logging.getLogger("hector.tasks")
INTERNAL: Final = "the task failed because of an internal error; the server's log has the details"
RELEASE_SECONDS: Final = 5.0
"""How long a stop waits for the database to take a claim back; without an answer others take over by themselves."""


class Unfit(Exception):  # noqa: N818 - a judgement
    """The run must not be begun (again): `str()` is the cause of its dead letter."""


@dataclass(frozen=True, slots=True)
class Conductor:
    """`chance` gives 0 to 1, for the waits between attempts."""

    store: Store
    clock: Clock
    schedule: Schedule
    chance: Callable[[], float] = random.random  # noqa: S311 - it spreads load and guards nothing

    async def conduct(self, work: Work, run: Run, tries: Tries, running: Callable[[], Awaitable[None]]) -> None:
        """Await `running()` and settle what becomes of it."""
        counts = metrics.current
        began = 0.0 if counts is None else time.perf_counter()
        try:
            await self._contain(work, run, tries, running)
        except LeaseLost:
            log.info("a run goes on without this process, or was ended", extra={"task": run.task_id})
        except asyncio.CancelledError:
            log.info("a run was stopped before its end could be stored", extra={"task": run.task_id})
        except Exception:
            log.exception("a run cannot be ended or put back", extra={"task": run.task_id})
            await self._last_resort(run)
        finally:
            if work.ending in (Ending.RELEASE, Ending.PAUSE) and not run.ended:
                await self._hand_back(run, work.pause)
            run.leave()
            if counts is not None:
                counts.queue_seconds.observe(time.perf_counter() - began, run.caller.app, run.live.base.agent)

    async def stopped_early(self, work: Work, claim: Claim) -> None:
        """Work was told to stop before its run could begin. A task that is canceled has ended its job itself."""
        if work.ending in (Ending.RELEASE, Ending.PAUSE):
            await hand_back(self.store, claim, work.pause)

    async def _contain(self, work: Work, run: Run, tries: Tries, running: Callable[[], Awaitable[None]]) -> None:
        try:
            if work.ending is not None:
                raise asyncio.CancelledError
            await running()
        except Released:
            work.ending = Ending.RELEASE
        except LeaseLost:
            raise
        except asyncio.CancelledError:
            await self._stopped(work, run)
        except Unfit as verdict:
            log.warning("task given up", extra={"task": run.task_id, "cause": str(verdict)})
            await self._settle(run, TaskState.FAILED, str(verdict), dead=True)
        except HectorError as error:
            await self._failed(run, tries, error)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException:
            log.exception("task failed", extra={"task": run.task_id})
            await self._settle(run, TaskState.FAILED, INTERNAL)

    async def _last_resort(self, run: Run) -> None:
        try:
            await self._settle(run, TaskState.FAILED, INTERNAL)
        except LeaseLost:
            log.info("a run goes on without this process, or was ended", extra={"task": run.task_id})

    async def _stopped(self, work: Work, run: Run) -> None:
        if work.ending is Ending.CANCEL:
            await self._settle(run, TaskState.CANCELED)
        elif work.ending is None:
            await self._settle(run, TaskState.FAILED, INTERNAL)

    async def _failed(self, run: Run, tries: Tries, error: HectorError) -> None:
        cause = redact(str(error))
        facts = {"task": run.task_id, "cause": error.code, "error": str(error)}
        if not error.retryable:
            log.warning("task failed", extra=facts)
            await self._settle(run, TaskState.FAILED, cause)
            return
        verdict = after_failure(self.schedule, tries, cause, self.chance, getattr(error, "retry_after", None))
        if isinstance(verdict, Again):
            log.warning("attempt failed, to be made again", extra=facts | {"in_seconds": round(verdict.delay, 1)})
            await self._put_back(run, verdict.delay, cause)
        else:
            log.warning("task failed, and is a dead letter now", extra=facts)
            await self._settle(run, TaskState.FAILED, verdict.cause, dead=True)

    async def _put_back(self, run: Run, delay: float, cause: str) -> None:
        """Let the job be claimed again later. What the agent has done so far stays done."""
        await run.save()
        run_at = self.clock.now() + delay
        await insist(self.clock, lambda: self.store.jobs.retry(run.claim, run_at, cause), "putting a job back")
        run.say(f"{cause}; trying again in {delay:.1f} s")

    async def _settle(self, run: Run, state: TaskState, text: str = "", *, dead: bool = False) -> None:
        """Settle a run that did not settle itself: with its last events, without them if those are the trouble.

        If even that cannot be stored, those who watch still learn that it is over.
        """
        for _ in range(2):
            try:
                await run.end(state, text, dead=dead)
            except LeaseLost:
                raise
            except Exception:
                log.exception("the end of a task cannot be stored with its events", extra={"task": run.task_id})
                run.journal.unsaved.clear()
            else:
                if dead and metrics.current is not None:
                    metrics.current.dead_letters.add(run.caller.app, "run")
                return
        run.abandon(text or INTERNAL)
        await give_up(self.store, run.claim, text or INTERNAL)

    async def _hand_back(self, run: Run, pause: Pause | None) -> None:
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await run.save()
        except (HectorError, TimeoutError) as error:
            log.info("the last steps of a run could not be stored", extra={"task": run.task_id, "error": str(error)})
        if not run.ended:
            await hand_back(self.store, run.claim, pause)
            if pause is not None:
                run.say(f"paused: {pause.reason}")


async def hand_back(store: Store, claim: Claim, pause: Pause | None = None) -> None:
    """Let another process, or the next start of this one, go on: at once, or when the pause is over."""
    try:
        async with asyncio.timeout(RELEASE_SECONDS):
            if pause is None:
                await store.jobs.release((claim,))
            else:
                await store.switches.pause((claim,), pause.until, pause.reason, (pause.scope, pause.soon))
    except (StoreError, TimeoutError) as error:
        log.warning("a job could not be handed back; it is taken over later", extra={"error": str(error)})


async def give_up(store: Store, claim: Claim, cause: str) -> None:
    """Make a job a dead letter whatever it is about. Says so in the log if even that does not work."""
    try:
        await store.jobs.finish(claim, JobState.DEAD, cause)
    except StoreError as error:
        log.error("a job cannot be ended", extra={"job": claim.key, "error": str(error)})  # noqa: TRY400
