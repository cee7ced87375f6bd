"""Whether an agent runs in circles: the same tool with the same arguments, again and again."""

import json
from collections.abc import Sequence
from typing import TypeAlias

from hector.config.limits import RepeatedCalls
from hector.core.content import ToolCall
from hector.core.errors import BudgetExceeded
from hector.core.event import Event

Same: TypeAlias = tuple[str, str]
"""A tool and its arguments as text."""


def same(call: ToolCall) -> Same:
    """What is equal in equal calls."""
    return call.name, json.dumps(call.args, sort_keys=True) if call.raw is None else call.raw


def in_a_row(events: Sequence[Event], author: str, invocation: str) -> dict[str, int]:
    """How many equal calls in a row each call of an agent's last model turn ends, itself included, by its id.

    Equal calls of one turn count one after the other. A turn that does not make a call ends its row.
    """
    rows: dict[Same, int] = {}
    found: dict[str, int] = {}
    for event in events:
        if event.invocation_id != invocation or event.author != author or event.message.role != "assistant":
            continue
        found = {}
        now: dict[Same, int] = {}
        for call in event.message.tool_calls:
            kind = same(call)
            now[kind] = now.get(kind, rows.get(kind, 0)) + 1
            found[call.id] = now[kind]
        rows = now
    return found


def refusals(
    settings: RepeatedCalls, calls: Sequence[ToolCall], events: Sequence[Event], agent: str, invocation: str
) -> dict[str, str]:
    """Which calls are not carried out since they go round in circles, by id, and what the model is told instead.

    Raises BudgetExceeded where that has not helped.
    """
    if not settings.refuse_after and not settings.fail_after:
        return {}
    rows = in_a_row(events, agent, invocation)
    longest = max((rows.get(call.id, 0) for call in calls), default=0)
    if settings.fail_after and longest > settings.fail_after:
        name = next(call.name for call in calls if rows.get(call.id) == longest)
        raise BudgetExceeded(
            f"agent {agent!r} called {name} {longest} times in a row with the same arguments "
            f"(limits.repeated_calls.fail_after is {settings.fail_after})"
        )
    return {
        call.id: f"{call.name} has been called {rows[call.id] - 1} times in a row with exactly these arguments and "
        "was not called again: its results are above. Use them, call it with other arguments, or answer now."
        for call in calls
        if settings.refuse_after and rows.get(call.id, 0) > settings.refuse_after
    }
