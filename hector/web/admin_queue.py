"""The queue: figures, and the dead letters with what becomes of them."""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from hector.auth.access import Access
from hector.config.masking import masked
from hector.core.clock import iso
from hector.core.errors import NotFound
from hector.core.job import JobState
from hector.observe.redact import redact, redact_values
from hector.store.database import Work
from hector.store.job_rows import JobRecord
from hector.web.endpoints import Ask, Endpoint, PageQuery, PageShape, Query, Shape, cut

if TYPE_CHECKING:
    from hector.web.admin_parts import Parts


class QueueQuery(Query):
    """Whose jobs."""

    app_id: str | None = Field(None, description="Only those of this app.", max_length=128)


class LettersQuery(PageQuery, QueueQuery):
    """Which dead letters."""

    limit: int | None = Field(None, ge=1, le=100, description="Another way to say `page_size`.")


class QueueShape(Shape):
    """Jobs by state, as far back as they are remembered. Times are in seconds, null where there is nothing to tell."""

    pending: int = Field(description="Wait to be taken up.")
    processing: int = Field(description="Are being worked on.")
    completed: int
    failed: int = Field(description="Ended with an error as their answer.")
    dead_letter: int = Field(description="Were given up and wait for somebody.")
    canceled: int
    timers: int = Field(description="End something when their time comes, such as approvals; not among the pending.")
    oldest_pending: str | None = Field(description="Since when the oldest one waits.")
    avg_wait_time: float | None = Field(description="Mean time from when a job was due until it was begun.")
    avg_processing_time: float | None = Field(description="Mean time from the beginning of a job to its end.")


class AttemptShape(Shape):
    """An attempt that failed."""

    number: int
    at: str
    process: str
    cause: str


class LetterShape(Shape):
    """A job that was given up."""

    id: int
    kind: str = Field(description="run: an agent's task; push: a notification; and others.")
    app_id: str
    user_id: str
    subject: str = Field(description="What it is about: for runs and notifications a task.")
    attempts: int
    max_attempts: int
    cause: str = Field(description="Why it was given up.")
    created: str
    ended: str | None
    history: list[AttemptShape]
    payload: dict[str, Any] = Field(description="What the job holds, secrets hidden.")


class LettersShape(PageShape):
    """A page of dead letters, the newest first."""

    items: list[LetterShape]
    count: int = Field(description="How many are on this page.")


class RequeuedShape(Shape):
    """A dead letter that has another chance."""

    requeued: int = Field(description="Its id.")
    status: Literal["pending"]


class QueueEndpoints:
    """The endpoints."""

    def __init__(self, parts: "Parts") -> None:
        self._store = parts.store

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The table."""
        figures = [
            Endpoint("GET", path, Access.OPERATOR, summary, self.figures, "queue", QueueShape, query=QueueQuery)
            for path, summary in (
                ("/admin/queue", "Jobs by state, and how long they take"),
                ("/admin/queue/stats", "The same"),
            )
        ]
        return (*figures, *self._letters())

    def _letters(self) -> tuple[Endpoint, ...]:
        ids = {"id": "job"}
        right, tag = Access.OPERATOR, "queue"
        return (
            Endpoint(
                "GET", "/admin/queue/dlq", right, "The dead letters", self.page, tag, LettersShape, query=LettersQuery,
            ),
            Endpoint("GET", "/admin/queue/dlq/{id}", right, "One dead letter", self.get, tag, LetterShape, ids=ids),
            Endpoint(
                "POST", "/admin/queue/dlq/{id}/requeue", right, "Give a dead letter a new round of attempts",
                self.requeue, tag, RequeuedShape, ids=ids, action="dead_letter.requeue",
            ),
            Endpoint(
                "DELETE", "/admin/queue/dlq/{id}", right, "Give a dead letter up for good; its task stays failed",
                self.drop, tag, status=204, ids=ids, action="dead_letter.drop",
            ),
        )  # fmt: skip

    async def figures(self, ask: Ask) -> Shape:
        """How much there is. Raises NotFound."""
        query: QueueQuery = ask.query
        found = await self._store.queue.statistics(ask.app(query.app_id))
        return QueueShape(
            pending=found.pending,
            processing=found.processing,
            completed=found.completed,
            failed=found.failed,
            dead_letter=found.dead,
            canceled=found.canceled,
            timers=found.timers,
            oldest_pending=None if found.oldest_pending is None else iso(found.oldest_pending),
            avg_wait_time=found.mean_wait,
            avg_processing_time=found.mean_run,
        )

    async def page(self, ask: Ask) -> Shape:
        """What was given up. Raises NotFound, InvalidRequest."""
        query: LettersQuery = ask.query
        size, app = query.limit or query.page_size, ask.app(query.app_id)
        found = await self._store.queue.dead(before=query.place, limit=size + 1, app=app)
        page, token = cut(found, size, lambda job: job.key)
        return LettersShape(items=[_letter(job) for job in page], count=len(page), next_page_token=token)

    async def get(self, ask: Ask) -> Shape:
        """One of them. Raises NotFound."""
        return _letter(await self._find(ask))

    async def requeue(self, ask: Ask) -> Shape:
        """Another chance. Raises NotFound, InvalidRequest."""
        job = await self._find(ask)
        await self._store.queue.requeue(job.key, _aside(ask, job))
        return RequeuedShape(requeued=job.key, status="pending")

    async def drop(self, ask: Ask) -> None:
        """No other chance. Raises NotFound, InvalidRequest."""
        job = await self._find(ask)
        await self._store.queue.drop(job.key, _aside(ask, job))

    async def _find(self, ask: Ask) -> JobRecord:
        job = await self._store.jobs.get(ask.number())
        ask.require_app(job.caller.app)
        if job.state is not JobState.DEAD:
            raise NotFound("job", ask.id())
        return job


def _aside(ask: Ask, job: JobRecord) -> Work[None]:
    return ask.aside(f"job:{job.key}", job.caller.app, kind=job.kind, subject=job.subject)


def _letter(job: JobRecord) -> LetterShape:
    return LetterShape(
        id=job.key,
        kind=job.kind,
        app_id=job.caller.app,
        user_id=job.caller.user,
        subject=job.subject,
        attempts=job.attempts,
        max_attempts=job.max_attempts,
        cause=redact(job.cause),
        created=iso(job.created),
        ended=None if job.ended is None else iso(job.ended),
        history=[
            AttemptShape(number=one.number, at=iso(one.at), process=one.owner, cause=redact(one.cause))
            for one in job.history
        ],
        payload=redact_values(masked(job.payload)),
    )
