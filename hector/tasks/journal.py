"""The writes of one run under its claim, each of which takes effect once, however often it has to be sent."""

from dataclasses import replace

from hector.core.clock import Clock
from hector.core.content import Text, ToolResult
from hector.core.errors import ArtifactsFull, StoreUnavailable
from hector.core.event import Artifact, Event
from hector.core.job import Claim, NewJob
from hector.core.task import Caller, Status, Task, TaskState
from hector.observe import metrics
from hector.store import Record, Store
from hector.store.counters import Charge
from hector.tasks.insist import insist


class Journal:
    """Counts the writes of a claim. `unsaved` are the events that wait for the next one, `charges` what they cost.

    `after` are the jobs that follow once the run has come to an answer; `most_kept`, see Record.
    """

    def __init__(self, store: Store, clock: Clock, caller: Caller, task: Task, claim: Claim) -> None:
        self.claim = claim
        self.unsaved: list[Event] = []
        self.charges: list[Charge] = []
        self.after: tuple[NewJob, ...] = ()
        self.most_kept = 0
        self._store = store
        self._clock = clock
        self._caller = caller
        self._task = task
        self._step = 0
        self._sent: Record | None = None

    @property
    def ending(self) -> Record | None:
        """The write that ends the run, if it is on its way."""
        return self._sent if self._sent is not None and is_end(self._sent) else None

    @property
    def behind(self) -> bool:
        """Something is not known to be stored."""
        return bool(self.unsaved) or self._sent is not None

    async def next(
        self,
        status: Status | None = None,
        *,
        answer: Artifact | None = None,
        discard: bool = False,
        dead: str | None = None,
    ) -> Record:
        """The next write, with all events that wait, once the last one is known to have arrived. Raises LeaseLost.

        What is handed over counts as stored at once, since a cancel does not take it back.
        """
        if self._sent is not None:
            await self.send(self._sent)
        self._step += 1
        record = Record(
            self._caller,
            self._task.id,
            self._task.context_id,
            tuple(self.unsaved),
            (answer,) if answer else (),
            status,
            discard,
            self.claim,
            self._step,
            dead,
            tuple(self.charges),
            self.after if discard or (status is not None and status.state is TaskState.COMPLETED) else (),
            self.most_kept,
        )
        self.unsaved.clear()
        self.charges.clear()
        return record

    async def send(self, record: Record) -> bool:
        """Write, again and again while the database is away. After a cancel the same write is sent again first.

        False: the task had already ended. What is refused for good has not been stored: its events wait for the next
        write, without the artifacts if those are the trouble. Raises LeaseLost.
        """
        self._sent = record
        try:
            done = await self._write(record)
        except Exception as error:
            self._sent = None
            self._step -= 1
            full = isinstance(error, ArtifactsFull)
            self.unsaved[:0] = [_bare(event, str(error)) for event in record.events] if full else record.events
            self.charges[:0] = record.charges
            raise
        self._sent = None
        if done and metrics.current is not None:
            metrics.current.stored(record.caller.app, record.events)
        return done

    async def _write(self, record: Record) -> bool:
        try:
            return await self._store.tasks.record(record)
        except StoreUnavailable:
            return await insist(self._clock, lambda: self._store.tasks.record(record), "storing a step of a task")


def _bare(event: Event, reason: str) -> Event:
    """The event without its artifacts; whoever is told the results learns that these were not kept."""
    if not event.artifacts:
        return event
    note = Text(f"(No artifact of this step was kept: {reason}.)")
    content = tuple(
        replace(part, content=(*part.content, note)) if isinstance(part, ToolResult) else part
        for part in event.message.parts
    )
    return replace(event, message=replace(event.message, parts=content), artifacts=())


def is_end(record: Record) -> bool:
    """Whether the run is over with this write: the task has ended or waits for its user."""
    state = record.status.state if record.status else None
    return record.discard or (state is not None and (state.terminal or state.interrupted))
