"""A client's view of a task: what it has put together from snapshots and updates, and where it stands."""

from dataclasses import dataclass, field

from hector.core.content import Text
from hector.core.event import TextDelta
from hector.core.task import AnswerDelta, ArtifactUpdate, StatusUpdate, Task, TaskState, Update
from hector.tasks.follow import TaskStream
from hector.tasks.positions import NOWHERE, Position


@dataclass
class Reader:
    """Reads streams one after the other. `numbered` holds every update that has a position, once for each time."""

    texts: dict[str, str] = field(default_factory=dict)
    states: list[TaskState] = field(default_factory=list)
    numbered: list[tuple[Position, Update]] = field(default_factory=list)
    snapshots: int = 0
    at: Position | None = None

    @property
    def text(self) -> str:
        """The answer, its artifacts joined."""
        return "".join(self.texts.values())

    @property
    def over(self) -> bool:
        """The task has ended."""
        return bool(self.states) and self.states[-1].terminal

    async def read(self, stream: TaskStream, batches: int | None = None) -> None:
        """To the end, or so many batches; then leave."""
        try:
            if not stream.resumed:
                assert isinstance(stream.first, Task)
                self.snapshots += 1
                self.texts = {found.id: _text(found.parts) for found in stream.first.artifacts}
                self.states.append(stream.first.status.state)
                self.at = stream.at
            while batches != 0:
                try:
                    batch = await anext(stream)
                except StopAsyncIteration:
                    return
                for number, update in enumerate(batch, stream.mark.number + 1):
                    self._take(Position(stream.mark.epoch, number), update)
                batches = None if batches is None else batches - 1
        finally:
            await stream.aclose()

    def _take(self, at: Position, update: Update) -> None:
        self.at = at
        if at.epoch != NOWHERE:
            self.numbered.append((at, update))
        match update:
            case StatusUpdate(status):
                self.states.append(status.state)
            case AnswerDelta(name, deltas, first):
                before = "" if first else self.texts.get(name, "")
                self.texts[name] = before + "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
            case ArtifactUpdate(artifact, append=append):
                self.texts[artifact.id] = (self.texts.get(artifact.id, "") if append else "") + _text(artifact.parts)
            case _:
                pass


def _text(parts: tuple[object, ...]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Text))
