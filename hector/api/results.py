"""What a program gets back."""

from dataclasses import dataclass
from typing import Literal

from hector.core.event import ANSWER, Artifact
from hector.core.task import ClientMessage, Status, Task, TaskState


@dataclass(frozen=True, slots=True)
class Piece:
    """Something that happened on the way: a piece of the answer or of the thinking, or a tool that is called."""

    kind: Literal["text", "thinking", "tool"]
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """How a run has ended, or what it waits for.

    `session` goes on with the conversation; `task` answers a run that `waits`, with `question` as what it asks.
    """

    text: str
    session: str
    task: str = ""
    state: str = TaskState.COMPLETED.value
    question: str = ""
    artifacts: tuple[Artifact, ...] = ()

    @property
    def waits(self) -> bool:
        """Whether the agent asks for something: run the reply with `task=answer.task`."""
        return self.state in (TaskState.INPUT_REQUIRED.value, TaskState.AUTH_REQUIRED.value)

    def __str__(self) -> str:
        return self.text or self.question


def answer_of(found: Task | ClientMessage) -> Answer:
    """The answer in what the task service gives."""
    if isinstance(found, ClientMessage):
        return Answer(found.message.text, found.context_id or "")
    answers = [one for one in found.artifacts if one.id.startswith(ANSWER)]
    text = "".join(getattr(part, "text", "") for part in answers[-1].parts) if answers else ""
    others = tuple(one for one in found.artifacts if not one.id.startswith(ANSWER))
    return Answer(text, found.context_id, found.id, found.status.state.value, said_by(found.status), others)


def said_by(status: Status) -> str:
    """What a status says."""
    return status.message.message.text if status.message else ""
