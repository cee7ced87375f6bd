"""What agents that run others by a plan note in the log: how far they have come.

A mark is an event of the plan's own agent whose metadata holds FLOW. There is no other memory of a plan: whoever goes
on with it reads them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hector.core.content import Content, Data, Media, Text
from hector.core.event import Event

FLOW: Final = "flow"
"""The key of a mark's metadata."""
STEP: Final = "step"
"""In a mark: a step has ended, and is never run again; what it says of the step depends on the plan."""
OVER: Final = "over"
"""In a mark: the plan has ended."""
REPEATS: Final = "repeats"
"""In a mark: its message says again what the log holds already."""
WITHIN: Final = "within"
"""The key of an event's metadata that names the plans in whose course it came about, the outermost first."""
PLANNED: Final = "+"
"""Behind the @ of a branch that a plan opened, rather than a call."""


def mark_of(event: Event) -> Mapping[str, Any] | None:
    """What an event notes, if it is a mark."""
    return event.metadata.get(FLOW) if event.metadata is not None else None


def ends_step(event: Event) -> bool:
    """Whether an event says that a step has ended: it is on the disk before the next one begins."""
    return event.metadata is not None and FLOW in event.metadata and STEP in event.metadata[FLOW]


def repeats(event: Event) -> bool:
    """Whether what an event says stands in the log already."""
    return event.metadata is not None and FLOW in event.metadata and REPEATS in event.metadata[FLOW]


def content_of(event: Event) -> tuple[Content, ...]:
    """What an event says to people: text, media and data."""
    return tuple(part for part in event.message.parts if isinstance(part, Text | Media | Data))


def answer_of(events: Sequence[Event], branch: str) -> Event | None:
    """The last answer that was given in a branch: what an agent said when it called for nothing more."""
    for event in reversed(events):
        message = event.message
        if event.branch == branch and message.role == "assistant" and not message.tool_calls and content_of(event):
            return event
    return None
