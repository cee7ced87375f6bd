"""Scoped state as rows: which keys a batch of events sets and deletes, per scope."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from hector.core.event import Event
from hector.core.task import Caller
from hector.store.codec import decoded, dumps, loads
from hector.store.database import Connection, Row


class StateChange(NamedTuple):
    """One key's last value in JSON, or None for a deletion. `scope` is "app", "user" or "session"."""

    scope: str
    name: str
    value: str | None


def state_changes(events: Iterable[Event]) -> tuple[StateChange, ...]:
    """What remains to be written: the last value of each key, `temp:` left out."""
    merged: dict[str, Any] = {}
    for event in events:
        merged.update(event.state)
    return tuple(_change(key, value) for key, value in merged.items() if not key.startswith("temp:"))


def _change(key: str, value: Any) -> StateChange:
    prefix, colon, rest = key.partition(":")
    scope, name = (prefix, rest) if colon and prefix in ("app", "user") else ("session", key)
    return StateChange(scope, name, None if value is None else dumps(value))


async def apply_changes(
    con: Connection, sql: Mapping[str, str], caller: Caller, session: int, changes: Iterable[StateChange]
) -> None:
    """Write them, one row per key."""
    owners: dict[str, tuple[Any, ...]] = {
        "app": (caller.app,),
        "user": (caller.app, caller.user),
        "session": (session,),
    }
    for change in changes:
        args = (*owners[change.scope], change.name)
        if change.value is None:
            await con.send(sql[f"unset_{change.scope}"], args)
        else:
            await con.send(sql[f"set_{change.scope}"], (*args, change.value))


def state_from_rows(rows: Iterable[Row]) -> dict[str, Any]:
    """The merged view, from (prefixed key, JSON) rows."""
    return {key: decoded("state", key, loads, value) for key, value in rows}
