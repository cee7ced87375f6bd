"""A task while it runs: what has been published so far, as a snapshot at any moment."""

from dataclasses import field
from itertools import count

from hector.core.content import Text
from hector.core.event import ANSWER, Artifact, TextDelta
from hector.core.record import dataclass
from hector.core.task import AnswerDelta, ArtifactUpdate, ClientMessage, Status, StatusUpdate, Task, Update


@dataclass(slots=True)
class LiveTask:
    """Folds updates into a task. The answer grows in pieces, so that a long stream costs linear time."""

    base: Task
    status: Status
    artifacts: dict[str, Artifact]
    answer_id: str
    pieces: list[str] = field(default_factory=list)
    media_type: str | None = None

    @classmethod
    def of(cls, task: Task, status: Status) -> "LiveTask":
        """Begin with what is stored, in `status`. The answer of this run gets an id of its own."""
        artifacts = {artifact.id: artifact for artifact in task.artifacts}
        numbers = (f"{ANSWER}{number}" for number in count(1))
        return cls(task, status, artifacts, next(name for name in numbers if name not in artifacts))

    def apply(self, update: Update) -> None:
        """Take in one published update."""
        match update:
            case StatusUpdate(status):
                self.status = status
            case ArtifactUpdate(artifact, append=False):
                self.artifacts[artifact.id] = artifact
            case AnswerDelta(deltas=deltas):
                self.pieces += [delta.text for delta in deltas if isinstance(delta, TextDelta) and delta.text]
            case _:
                pass

    def answer(self) -> Artifact | None:
        """The answer so far as one artifact, or None while there is none."""
        if not self.pieces:
            return None
        if len(self.pieces) > 1:
            self.pieces[:] = ["".join(self.pieces)]
        return Artifact(self.answer_id, (Text(self.pieces[0], media_type=self.media_type),), name="response")

    def snapshot(self, history_length: int | None = None) -> Task:
        """The task as it is now; `history_length` as A2A has it: None is all, 0 leaves the history out."""
        base, answer = self.base, self.answer()
        artifacts = dict(self.artifacts)
        if answer is not None:
            artifacts.setdefault(answer.id, answer)
        history = last(base.history or (), history_length)
        return Task(
            base.id, base.context_id, base.agent, self.status, tuple(artifacts.values()), history, base.metadata
        )


def last(history: tuple[ClientMessage, ...], length: int | None) -> tuple[ClientMessage, ...] | None:
    """The last `length` messages: all for None, no history at all for 0."""
    if length is None:
        return history
    return history[-length:] if length else None
