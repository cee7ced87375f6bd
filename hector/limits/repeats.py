"""Whether an agent runs in circles: the same tool with the same arguments, again and again."""

import json
from collections.abc import Sequence
from typing import TypeAlias

from hector.core.content import ToolCall
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
