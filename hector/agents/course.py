"""Where the exchange with an agent of another server stands, read from what the log says of it. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from typing import Any

from hector.agents.history import ANSWERS
from hector.agents.marks import FLOW, OVER, STEP
from hector.agents.part import Part
from hector.core.event import Event, InputRequired, Rejected, call_name
from hector.core.record import dataclass

SENDING, UNSENT, TAKEN, ASKED = "sending", "unsent", "taken", "asked"
"""In a mark, what the step was: a message goes out; it did not; it became a task; that task asks something."""


@dataclass(slots=True)
class Course:
    """What the log says of the exchange. `answers` are what the user said to its questions."""

    sent: int = 0
    open: str = ""
    """The id of a message of which it is not known whether it has arrived."""
    again: str = ""
    """The id of the message that is to be sent again: a server that knows ids takes it once."""
    task: str = ""
    context: str = ""
    asked: int = 0
    prompt: str = ""
    choices: tuple[str, ...] = ()
    answers: list[Event] = field(default_factory=list)

    @classmethod
    def of(cls, part: Part) -> "Course":
        """That of an agent's part of a run."""
        course, pause = cls(context=_known_context(part)), ""
        for event in part.events[part.start :]:
            metadata = event.metadata or {}
            if event.author == "user" and pause and metadata.get(ANSWERS) == pause:
                course.answers.append(event)
            elif isinstance(event.control, InputRequired) and event.control.call_id == asking(part, course.asked):
                pause = "" if event.branch else event.id
            if event.author == part.agent and event.branch == part.context.branch:
                course.take(metadata.get(FLOW, {}))
        return course

    def take(self, mark: Mapping[str, Any]) -> None:
        """The next mark."""
        match mark.get(STEP):
            case "sending":
                self.sent, self.open, self.again = self.sent + 1, mark["message"], ""
                self.context = mark["context"]
            case "unsent":
                self.sent, self.open, self.again = self.sent - 1, "", self.open
            case "taken":
                self.open, self.task, self.context = "", mark["task"], mark["context"]
            case "asked":
                self.asked, self.prompt = self.asked + 1, mark["prompt"]
                self.choices = tuple(mark.get("choices", ()))
            case _:
                pass


def asking(part: Part, number: int) -> str:
    """What the question of this number is known by."""
    return call_name(f"remote-{number}", part.agent, part.context.branch, part.context.root)


def _known_context(part: Part) -> str:
    """The conversation there that belongs to this one here."""
    for event in reversed(part.events):
        mark = (event.metadata or {}).get(FLOW, {}) if event.author == part.agent else {}
        if mark.get(STEP) == TAKEN and mark["context"]:
            return str(mark["context"])
    return ""


def open_tasks(events: Sequence[Event], agents: Collection[str]) -> dict[str, str]:
    """The tasks elsewhere that are known and have not come to an end, by the agent that stands for them."""
    found: dict[str, str] = {}
    for event in events:
        mark = (event.metadata or {}).get(FLOW, {}) if event.author in agents else {}
        if mark.get(STEP) == TAKEN:
            found[event.author] = mark["task"]
        elif OVER in mark or isinstance(event.control, Rejected):
            found.pop(event.author, None)
    return found
