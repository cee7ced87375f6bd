"""A session's events: kept together by run, and as the messages that a model is shown."""

from collections.abc import Sequence
from dataclasses import field
from typing import Final

from hector.agents.marks import repeats
from hector.core.content import Content, Data, Media, Message, Part, Text, ToolCall, ToolResult, user
from hector.core.event import ApprovalRequired, Event, InputRequired, Transfer
from hector.core.record import dataclass

ANSWERS: Final = "answers"
"""The key of a user event's metadata that names the event of the pause which it ends: both belong to one run."""
DECISIONS: Final = "decisions"
"""The key of an event's metadata that holds what was decided of calls that waited, by call id."""
SUMMARY: Final = "summary"
"""The key of an event's metadata that says which part of its agent's conversation the event's text stands for."""
CONTEXT: Final = "context"
"""The key of an event's metadata that says what was looked up in documents for a message, and that it was shown."""
REPAIR: Final = "repair"
"""The key of a model event's metadata that says what is wrong with its structured answer."""

UNDECIDED: Final = "this call waits for the approval of a person; it has not been carried out"
UNANSWERED: Final = "the user has not answered this question yet"
UNFINISHED: Final = "there is no result yet: a person has to answer or to decide first"
CUT_OFF: Final = "this call was cut off before it had a result: it is not known whether it took effect"


def in_turns(events: Sequence[Event], last_invocation: str | None = None) -> list[Event]:
    """The events with each run's kept together, in the order in which the runs began.

    A message that arrives while an earlier run still works is stored at once, so the log may interleave two runs; the
    model must see one after the other. What ends a pause belongs to the run that paused, whatever was said meanwhile.
    Runs that began after the one of `last_invocation` are left out.
    """
    runs: list[list[Event]] = []
    run_of: dict[str, list[Event]] = {}
    paused: dict[str, list[Event]] = {}
    for event in events:
        run = run_of.get(event.invocation_id)
        if run is None:
            run = paused.get((event.metadata or {}).get(ANSWERS, "")) if paused else None
            if run is None:
                run = []
                runs.append(run)
            run_of[event.invocation_id] = run
        run.append(event)
        if event.control is not None:
            paused[event.id] = run
    last = run_of.get(last_invocation) if last_invocation else None
    chosen: list[Event] = []
    for run in runs:
        chosen += run
        if run is last:
            break
    return chosen


def this_run(events: Sequence[Event], invocation: str) -> list[Event]:
    """The events of the run that `invocation` belongs to, pauses included; `events` are in turns and end with it."""
    return list(events[begin_of(events, invocation) :])


def begin_of(events: Sequence[Event], invocation: str, branch: str = "") -> int:
    """Where the run begins that `invocation` belongs to; a branch holds nothing of any other one."""
    if branch:
        return 0
    known, answered = {invocation}, set[str]()
    start = len(events)
    while start:
        event = events[start - 1]
        if event.invocation_id not in known:
            if event.id not in answered:
                break
            known.add(event.invocation_id)
        if answers := (event.metadata or {}).get(ANSWERS):
            answered.add(answers)
        start -= 1
    return start


def is_beside(event: Event) -> bool:
    """Whether an event stands beside a conversation, as a summary of a part of it does, rather than being said."""
    return event.metadata is not None and (SUMMARY in event.metadata or CONTEXT in event.metadata)


@dataclass(slots=True)
class _OpenTurn:
    """A model turn whose calls are being answered; `at` is where its results will stand."""

    at: int
    calls: tuple[ToolCall, ...]
    prefix: str
    last: Event
    results: dict[str, ToolResult] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    """What to say of calls that have no result."""

    def take(self, event: Event) -> None:
        """Results, and the marks of calls that may never get one."""
        self.last = event
        self.results |= {result.call_id: result for result in event.tool_results}
        self.notes |= dict.fromkeys(event.started, CUT_OFF)
        if isinstance(event.control, ApprovalRequired):
            self.notes |= {call.id: UNFINISHED for call in self.calls if call.id not in self.notes}
            self.notes |= {self.id_of(call.call_id): UNDECIDED for call in event.control.calls}
        elif isinstance(event.control, InputRequired):
            self.notes |= {call.id: UNFINISHED for call in self.calls if call.id not in self.notes}
            self.notes[self.id_of(event.control.call_id)] = UNANSWERED

    def id_of(self, name: str) -> str:
        """The id of the call that goes by a name; empty when it is none of these."""
        return next((call.id for call in self.calls if self.prefix + call.id == name), "")

    def answers(self) -> tuple[ToolResult, ...]:
        """One for each call that anything is known of, in the order of the calls."""
        return tuple(found for call in self.calls if (found := self._answer(call)) is not None)

    def _answer(self, call: ToolCall) -> ToolResult | None:
        if call.id in self.results or call.id not in self.notes:
            return self.results.get(call.id)
        return ToolResult(call.id, call.name, (Text(self.notes[call.id]),), is_error=True)


class Conversation:
    """Builds the messages. All results of a model turn stand in one message right behind it, whenever they came.

    `origins` are the events that the messages come from, of results the last; `asked` is where the message stands that
    says what is to be done now, -1 for nowhere.
    """

    def __init__(self, agent: str, invocation: str | None, branch: str, prefix: str) -> None:
        self.messages: list[Message] = []
        self.origins: list[Event] = []
        self.asked = -1
        self._agent = agent
        self._invocation = invocation
        self._branch = branch
        self._prefix = prefix
        self._open: _OpenTurn | None = None
        self._pause: Event | None = None
        """The pause that asks the user a question, until it is answered."""

    def add(self, event: Event) -> None:
        """Take in the next event."""
        author = event.author
        if author == "user":
            self._said(event)
            return
        if event.branch == self._branch:
            if author != self._agent:
                self._heard(event)
            elif event.message.role == "assistant":
                self._thought(event)
            elif self._open is not None and event.message.role == "tool":
                self._open.take(event)
        if event.control is not None and not event.branch and isinstance(event.control, InputRequired):
            self._pause = event

    def _heard(self, event: Event) -> None:
        """What another agent of this conversation did; when it hands over to this one, that is what is to be done."""
        if isinstance(event.control, Transfer):
            self.close()
            self._put(_handed(event.author, event.control), event, asks=event.control.agent == self._agent)
        elif not repeats(event) and not is_beside(event) and (text := _reported(event)):
            self._put(user(text), event)

    def _said(self, event: Event) -> None:
        if event.metadata is not None and DECISIONS in event.metadata:
            return  # its calls' results say it
        pause, self._pause = self._pause, None
        question = None if pause is None else pause.control
        if not isinstance(question, InputRequired):
            self._put(event.message, event, asks=True)
        elif self._open is not None and (call_id := self._open.id_of(question.call_id)):
            self._open.results[call_id] = _answer(call_id, event.message, self._open.calls)
            self._open.last = event
        elif question.branch == self._branch or not _answers(event, pause):
            self._put(event.message, event, asks=True)

    def _thought(self, event: Event) -> None:
        repair = event.metadata.get(REPAIR) if event.metadata else None
        if repair is not None and event.invocation_id != self._invocation:
            return  # an answer that was mended concerns nobody later
        message = event.message
        if self._open is not None:
            self.close()
        if message.parts:
            self._put(message, event)
        if repair is not None:
            self._put(user(repair), event)
        for part in message.parts:
            if part.__class__ is ToolCall:
                self._open = _OpenTurn(len(self.messages), message.tool_calls, self._prefix, event)
                self._open.take(event)
                break

    def close(self) -> None:
        """Put the results of the last model turn in their place."""
        if self._open is not None and (answers := self._open.answers()):
            self.messages.insert(self._open.at, Message("tool", answers))
            self.origins.insert(self._open.at, self._open.last)
            self.asked += self.asked >= self._open.at
        self._open = None

    def _put(self, message: Message, event: Event, *, asks: bool = False) -> None:
        if asks:
            self.asked = len(self.messages)
        self.messages.append(message)
        self.origins.append(event)


def messages_of(
    events: Sequence[Event], agent: str, invocation: str | None = None, branch: str = "", prefix: str = ""
) -> list[Message]:
    """The conversation for `agent`: answers to its questions as tool results, other agents' words as reports.

    Of other branches nothing is shown; `prefix` makes the names of its calls out of their ids. Answers that did not fit
    their schema are shown only to the invocation that is repairing them.
    """
    return conversation_of(events, agent, invocation, branch, prefix).messages


def conversation_of(
    events: Sequence[Event], agent: str, invocation: str | None = None, branch: str = "", prefix: str = ""
) -> Conversation:
    """The same with where each message comes from."""
    conversation = Conversation(agent, invocation, branch, prefix)
    for event in events:
        conversation.add(event)
    conversation.close()
    return conversation


def _answers(event: Event, pause: Event | None) -> bool:
    return pause is not None and (event.metadata or {}).get(ANSWERS) == pause.id


def _answer(call_id: str, message: Message, calls: Sequence[ToolCall]) -> ToolResult:
    """The user's message as the result of the call that asked, whatever name that tool goes by."""
    name = next((call.name for call in calls if call.id == call_id), "ask_user")
    content = tuple(part for part in message.parts if isinstance(part, Text | Media | Data))
    return ToolResult(call_id, name, content)


def _reported(event: Event) -> str:
    """Another agent's turn as something that a user reports, because a model may only be shown its own calls."""
    lines = [_line(part) for part in event.message.parts]
    if isinstance(event.control, InputRequired) and not event.control.branch:
        lines.append(f"(asked the user: {event.control.prompt})")
    text = "\n".join(line for line in lines if line)
    return f"[{event.author} said]\n{text}" if text else ""


def _handed(author: str, transfer: Transfer) -> Message:
    """A change of hands, which all who take part are told of; the request is never lost."""
    return user(f"[{author} handed the conversation to {transfer.agent}]\n{transfer.request}")


def _line(part: Part) -> str:
    match part:
        case Text(text=text):
            return text
        case ToolResult(name=name, content=content):
            return f"({name} returned: {_plain(content)})"
        case _:
            return ""


def _plain(content: Sequence[Content]) -> str:
    return " ".join(part.text for part in content if isinstance(part, Text))
