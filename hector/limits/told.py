"""What the events of a run tell of what it has used."""

from collections.abc import Iterable, Sequence
from itertools import takewhile

from hector.core.event import Event


def announced(events: Iterable[Event]) -> set[tuple[str, str]]:
    """Calls (branch, id) that were let in by a decision: they are paid for in the write that says that they begin."""
    return {(event.branch, call) for event in events if event.message.role == "tool" for call in event.started}


def since_last_turn(events: Sequence[Event]) -> Iterable[Event]:
    """What came after the model's last turn: models use the ids of calls again."""
    return takewhile(lambda event: not event.message.tool_calls, reversed(events))


def answered(events: Iterable[Event]) -> set[tuple[str, str]]:
    """Calls (branch, id) that have a result. Others are yet to be made, and are counted by then."""
    return {(event.branch, result.call_id) for event in events for result in event.tool_results}


def seconds(events: Iterable[Event]) -> float:
    """How long a run took so far: from step to step, but not while it waited for people."""
    total, before = 0.0, None
    for event in events:
        if before is not None and before.control is None:
            total += max(0.0, event.at - before.at)
        before = event
    return total
