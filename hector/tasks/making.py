"""Makes runs: of a message that was just accepted, and of a job that waited, failed, was handed back or was cut off."""

from collections.abc import Callable

from hector.apps.app import App
from hector.config.checkpoint import Recovery
from hector.core.clock import Clock
from hector.core.errors import NotFound
from hector.core.job import Job, JobState
from hector.core.record import dataclass
from hector.core.task import Status, TaskState
from hector.limits.limits import Limits
from hector.store import Accept, Accepted, Session, Store
from hector.tasks.channel import Channels
from hector.tasks.checkpoint import Checkpoints, refusal
from hector.tasks.conduct import Unfit
from hector.tasks.handling import unfit
from hector.tasks.insist import insist
from hector.tasks.journal import Journal
from hector.tasks.live import LiveTask
from hector.tasks.perform import Request, begin_of, done_of, load, perform
from hector.tasks.positions import Epoch
from hector.tasks.run import Run


@dataclass(frozen=True, slots=True)
class Making:
    """`halting` tells whether the process stops."""

    store: Store
    clock: Clock
    channels: Channels
    halting: Callable[[], bool]
    limits: Limits | None = None

    def fresh(self, accepted: Accepted, offer: Accept, app: App) -> Run:
        """The run of a message, which begins at once."""
        config = app.config.agents[offer.agent]
        live = LiveTask.of(accepted.task, Status(TaskState.SUBMITTED, offer.at))
        return Run(
            offer.caller,
            live,
            self.channels.hold(offer.task_id, Epoch(accepted.claim.key, accepted.claim.fence), live),
            self.store,
            self.clock,
            Journal(self.store, self.clock, offer.caller, accepted.task, accepted.claim),
            "task" if offer.resume or offer.push else config.answers_as,  # notifications are about tasks
            structured=app.structured,
            halting=self.halting,
            due=Checkpoints(app.config.storage.checkpoint).due,
            limits=self.limits,
        )

    async def later(self, job: Job, app: App) -> Run | None:
        """The run of a job; None when its task is gone. Raises LeaseLost."""
        try:
            task = await insist(self.clock, lambda: self.store.tasks.of_job(job), "reading a task")
        except NotFound:
            await insist(self.clock, lambda: self.store.jobs.finish(job.claim, JobState.CANCELED), "ending a job")
            return None
        config = app.config.agents.get(task.agent)
        return Run(
            job.caller,
            LiveTask.of(task, task.status),
            self.channels.hold(task.id),
            self.store,
            self.clock,
            Journal(self.store, self.clock, job.caller, task, job.claim),
            config.answers_as if config and job.attempts == 1 and job.payload.get("direct") else "task",
            structured=app.structured,
            halting=self.halting,
            due=Checkpoints(app.config.storage.checkpoint).due,
            limits=self.limits,
        )

    async def go_on(self, run: Run, job: Job, app: App) -> None:
        """Perform the run of a job from where its stored events end. Raises Unfit, and what `perform` raises."""
        session = await load(run, self.store, self.clock)
        invocation: str = job.payload.get("invocation", "")
        run.restore(done_of(session, invocation))
        self.channels.hold(run.task_id, Epoch(job.claim.key, job.claim.fence), run.live)
        recovery = app.config.storage.checkpoint.recovery
        if (cause := unfit(job, self.clock.now()) or self._refusal(job, recovery, session)) is not None:
            raise Unfit(cause)
        stream = bool(job.payload.get("stream", True))
        last = job.attempts >= job.max_attempts
        request = Request(app, run.live.base.agent, invocation, stream, session, last)
        await perform(run, request, self.store, self.clock)

    def _refusal(self, job: Job, settings: Recovery, session: Session) -> str | None:
        """Why a run that was cut off is not to go on by itself."""
        if not job.was_cut_off:
            return None
        begun_by = begin_of(session, job.payload["invocation"])
        last_sign = max(event.at for event in session.events if event.invocation_id == begun_by.invocation_id)
        return refusal(settings, begun_by, last_sign, self.clock.now())
