"""A task while it runs: what has been published so far, as a snapshot at any moment."""

from dataclasses import field
from typing import Final

from hector.core.content import Text
from hector.core.event import ANSWER, Artifact, TextDelta
from hector.core.record import dataclass
from hector.core.task import AnswerDelta, ArtifactUpdate, ClientMessage, Status, StatusUpdate, Task, TaskState, Update

INCOMPLETE: Final = "incomplete"
"""The key of an answer's metadata that marks what a run had come to when it was given up."""


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
        """Begin with what is stored, in `status`. The answer of this run gets an id of its own.

        One that was given up takes the id of what it had come to when it is given another round.
        """
        artifacts = {artifact.id: artifact for artifact in task.artifacts}
        done = {artifact.id for artifact in task.artifacts if not (artifact.metadata or {}).get(INCOMPLETE)}
        number = 1
        while f"{ANSWER}{number}" in done:
            number += 1
        return cls(task, status, artifacts, f"{ANSWER}{number}")

    def apply(self, update: Update) -> None:
        """Take in one published update."""
        if isinstance(update, AnswerDelta):
            if update.artifact_id != self.answer_id or (update.first and self.pieces):
                self._turn_to(update.artifact_id, first=update.first)
            for delta in update.deltas:
                if isinstance(delta, TextDelta) and delta.text:
                    self.pieces.append(delta.text)
        elif isinstance(update, StatusUpdate):
            self.status = update.status
        elif isinstance(update, ArtifactUpdate) and not update.append:
            self.artifacts[update.artifact.id] = update.artifact

    def _turn_to(self, artifact_id: str, *, first: bool) -> None:
        """Another answer grows from now on, or this one anew."""
        answer = self.answer()
        if answer is not None:
            self.artifacts[answer.id] = answer
        self.answer_id, self.media_type = artifact_id, None
        known = None if first else self.artifacts.get(artifact_id)
        self.pieces[:] = [part.text for part in known.parts if isinstance(part, Text)] if known else []

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
            artifacts[answer.id] = answer
        history = last(base.history or (), history_length)
        return Task(
            base.id, base.context_id, base.agent, self.status, tuple(artifacts.values()), history, base.metadata
        )


def last(history: tuple[ClientMessage, ...], length: int | None) -> tuple[ClientMessage, ...] | None:
    """The last `length` messages: all for None, no history at all for 0."""
    if length is None:
        return history
    return history[-length:] if length else None


def missing(shown: Task, actual: Task) -> tuple[Update, ...]:
    """What somebody who was shown one state has to be told to know the other; `actual` is a later one.

    An answer that grew otherwise than it was shown is sent again as a whole; a state that is no news is left out.
    """
    known = {artifact.id: artifact for artifact in shown.artifacts}
    over = actual.status.state.terminal or actual.status.state.interrupted
    updates = [_whole(found, over=over) for found in actual.artifacts if known.get(found.id) != found]
    return (*updates, *_news(shown.status, actual.status))


def _whole(artifact: Artifact, *, over: bool) -> Update:
    """The artifact from its beginning; an answer that still grows goes out as it does when it streams."""
    growing = not over and artifact.id.startswith(ANSWER)
    if growing and all(isinstance(part, Text) and part.media_type is None for part in artifact.parts):
        deltas = tuple(TextDelta(part.text) for part in artifact.parts if isinstance(part, Text))
        return AnswerDelta(artifact.id, deltas, first=True)
    return ArtifactUpdate(artifact, last=not growing)


def _news(shown: Status, actual: Status) -> tuple[StatusUpdate, ...]:
    if actual.state is TaskState.SUBMITTED or (actual.state, actual.message) == (shown.state, shown.message):
        return ()
    return (StatusUpdate(actual),)
