"""A session's events as the messages that a model is shown."""

from collections.abc import Sequence

from hector.core.content import Content, Data, Media, Message, Part, Text, ToolResult
from hector.core.event import Event, InputRequired


def in_turns(events: Sequence[Event], last_invocation: str | None = None) -> list[Event]:
    """The events with each invocation's kept together, in the order in which the invocations began.

    A message that arrives while an earlier run still works is stored at once, so the log may interleave two runs; the
    model must see one after the other. Invocations that began after `last_invocation` are left out.
    """
    turns: dict[str, list[Event]] = {}
    for event in events:
        turns.setdefault(event.invocation_id, []).append(event)
    chosen: list[Event] = []
    for invocation, items in turns.items():
        chosen += items
        if invocation == last_invocation:
            break
    return chosen


def messages_of(events: Sequence[Event], agent: str) -> list[Message]:
    """The conversation for `agent`: answers to its questions as tool results, other agents' words as reports."""
    messages: list[Message] = []
    pending: InputRequired | None = None
    for event in events:
        if event.author == "user":
            messages.append(_answer(pending, event.message, messages) if pending else event.message)
            pending = None
            continue
        if event.message.parts:
            messages.append(event.message if event.author == agent else _reported(event))
        if isinstance(event.control, InputRequired) and event.author == agent:
            pending = event.control
    return messages


def _answer(question: InputRequired, message: Message, before: Sequence[Message]) -> Message:
    """The user's message as the result of the call that asked, whatever name that tool goes by."""
    calls = (call for asked in reversed(before) for call in asked.tool_calls)
    name = next((call.name for call in calls if call.id == question.call_id), "ask_user")
    content = tuple(part for part in message.parts if isinstance(part, Text | Media | Data))
    return Message("tool", (ToolResult(question.call_id, name, content),))


def _reported(event: Event) -> Message:
    """Another agent's turn as something that a user reports, because a model may only be shown its own calls."""
    lines = [_line(part) for part in event.message.parts]
    text = "\n".join(line for line in lines if line)
    return Message("user", (Text(f"[{event.author} said]\n{text}"),))


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
