"""Jobs: every piece of work that must not be lost, as a row that some process works on."""

from enum import StrEnum
from typing import Final

from hector.core.content import JsonObject
from hector.core.record import dataclass
from hector.core.task import Caller

READY: Final = "hector_jobs"
"""The channel on which a job that may be claimed is announced; a new one by its lane, which may still be busy."""
STOP: Final = "hector_stop"
"""The channel on which a task is named whose job was taken away from whoever works on it."""


CUT_OFF: Final = "the process that worked on it"
"""How the cause begins of a job that a process left behind when it died."""


DAMAGED: Final = "damaged"
"""The key under which a payload that cannot be read is told in its stead."""


class JobState(StrEnum):
    """`ready` and `running` are live; the rest are ends. `failed` had an answer, though a bad one; `dead` had none."""

    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    DEAD = "dead"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a job. Whoever takes the job over raises its fence, and older claims are void."""

    key: int
    fence: int


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be added. Jobs of one lane run one after the other, in the order in which they were added.

    `subject` is what the job is about, for runs and deliveries a task's id. `run_at`, `deadline`: seconds since the
    epoch, 0 for at once, which no clock that is set back delays; a job that was not begun by its deadline is not begun
    at all. `max_attempts` counts the first one.
    """

    kind: str
    caller: Caller
    subject: str
    payload: JsonObject
    run_at: float = 0.0
    lane: str | None = None
    max_attempts: int = 4
    priority: int = 0
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed job. `attempts` counts this one; `cause` is why the last one failed. Times: seconds since the epoch."""

    claim: Claim
    kind: str
    caller: Caller
    lane: str | None
    subject: str
    payload: JsonObject
    attempts: int
    max_attempts: int
    created: float
    deadline: float | None = None
    cause: str | None = None

    @property
    def was_cut_off(self) -> bool:
        """The last attempt did not end: its process died."""
        return self.attempts > 1 and (self.cause or "").startswith(CUT_OFF)


@dataclass(frozen=True, slots=True)
class Instance:
    """A serving process. `id` is unique over all times; times in seconds since the epoch."""

    id: str
    host: str
    pid: int
    version: str
    started: float
    seen: float
