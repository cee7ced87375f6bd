"""What the audit log is told of runs: each call of a tool before it begins, how it ended, and what people decided.

An entry for the call stands in the transaction after which the call may begin, one for its end in that of its result:
a call that was cut off has the first one only. Arguments may be anything, so that only their hash is kept here: the
same that approvals are bound to.
"""

from collections.abc import Iterator
from typing import Final

from hector.core.audit import FAILED, OK, REFUSED, Entry
from hector.core.content import ToolResult
from hector.core.digest import args_hash
from hector.core.event import DENIED, Event
from hector.store.records import Accept, Record

RUN: Final = "run"
"""`via` of what agents do."""
APPROVAL: Final = "approval"
"""`via` of decisions; how whoever decided was known stands in `actor`."""


def tool_entries(record: Record) -> tuple[Entry, ...]:
    """The calls that a step of a run asks for, and the results that it brings. Nothing for a turn without tools."""
    return tuple(entry for event in record.events for entry in _of_event(record, event))


def decision_entries(accept: Accept) -> tuple[Entry, ...]:
    """The decisions that a message brings about calls that waited."""
    return tuple(
        Entry(
            "approval.decide",
            f"task:{accept.task_id}",
            actor=one.by,
            via=APPROVAL,
            app=accept.caller.app,
            detail={
                "call": one.call_id,
                "decision": one.state.value,
                "args_hash": one.args_hash,
                "user": accept.caller.user,
            }
            | ({"comment": one.comment} if one.comment else {}),
        )
        for one in accept.decisions
    )


def _of_event(record: Record, event: Event) -> Iterator[Entry]:
    for call in event.message.tool_calls:
        yield _entry("tool.call", record, event, OK, tool=call.name, call=call.id, args_hash=args_hash(call.args))
    denied = (event.metadata or {}).get(DENIED, {})
    for part in event.message.parts:
        if isinstance(part, ToolResult) and part.call_id in denied:
            rule = str(denied[part.call_id])
            yield _entry("tool.deny", record, event, REFUSED, tool=part.name, call=part.call_id, rule=rule)
        elif isinstance(part, ToolResult):
            outcome = FAILED if part.is_error else OK
            yield _entry("tool.result", record, event, outcome, tool=part.name, call=part.call_id)


def _entry(action: str, record: Record, event: Event, outcome: str, **detail: str) -> Entry:
    return Entry(
        action,
        f"task:{record.task_id}",
        outcome,
        f"agent {event.author}",
        RUN,
        record.caller.app,
        detail={**detail, "user": record.caller.user, "invocation": event.invocation_id},
    )
