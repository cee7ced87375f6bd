"""Whose the rows of every table are: what goes with a session, what with an app, and what belongs to nobody.

Whoever adds a table names it here; a test demands it, since a deletion that forgets a table is found by nobody else.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple


class Rows(NamedTuple):
    """Some rows of a table: those for which `condition` holds, given the `args` of these names."""

    table: str
    condition: str
    args: tuple[str, ...]
    key: tuple[str, ...] = ("key",)
    only: str = ""
    """The one engine that has the table."""


_ITS_TASKS: Final = "(SELECT id FROM tasks WHERE key >= ? AND key < ?)"
_RANGE: Final = ("first", "end")

OF_SESSION: Final = (
    # Live runs, and dead letters: of runs, and of what was to be sent. What has ended stays for the statistics.
    Rows("jobs", "lane = ? AND state IN ('ready', 'running')", ("lane",)),
    Rows("jobs", f"state = 'dead' AND subject IN {_ITS_TASKS}", _RANGE),
    Rows("relay", f"task IN {_ITS_TASKS}", _RANGE, only="postgres"),
    Rows("approvals", "task >= ? AND task < ?", _RANGE),
    Rows("push_configs", "task >= ? AND task < ?", _RANGE),
    Rows("artifacts", "task >= ? AND task < ?", _RANGE),
    Rows("tasks", "key >= ? AND key < ?", _RANGE),
    Rows("session_state", "session = ?", ("session",)),
    Rows("artifact_versions", "session = ?", ("session",)),
    Rows("memories", "session = ? AND kind = 'turn'", ("session",)),
)
"""Everything of a session but its events and its own row, in the order in which it goes: a task is needed to find what
is its own. `first` and `end` bound the keys of its events and tasks."""

OF_APP: Final = (
    Rows("app_state", "app = ?", ("app",), ("app", "name")),
    Rows("user_state", "app = ?", ("app",), ("app", '"user"', "name")),
    Rows("artifact_versions", "app = ?", ("app",)),
    Rows("memories", "app = ?", ("app",)),
    Rows("mcp_pins", "app = ?", ("app",), ("app", "server", "tool")),
    Rows("usage", "app = ?", ("app",), ("app", "day", "agent", '"user"', "model")),
    Rows("credentials", "app = ?", ("app",), ("id",)),
    Rows("switches", "scope = ? OR scope >= ? AND scope < ?", ("switch", "switches", "past_switches"), ("scope",)),
    Rows(
        "counters",
        "subject = ? OR subject >= ? AND subject < ? OR subject >= ? AND subject < ? OR subject >= ? AND subject < ?",
        ("of_app", "of_agent", "past_agent", "of_user", "past_user", "of_session", "past_session"),
        ("subject", "what", "period"),
    ),
)
"""What an app has outside of its sessions and jobs. `key` is the primary key, by which it goes a little at a time."""

WALKED: Final = frozenset(("sessions", "events", "jobs"))
"""Tables that may be large: an app's rows of them go along their keys."""
REGISTRY: Final = frozenset(("apps", "app_configs"))
"""The app itself and its configurations, which go last: `AppConfigs.remove`."""
GLOBAL: Final = frozenset(("migrations", "instances", "sizes", "audit", "audit_inbox", "reservations", "egress"))
"""Of this database, its processes, or the log of what was done to whom, which outlives them. Reservations go by
themselves within seconds, into the counters that they hold something of: deleted, they would hold it for ever."""


def everything() -> frozenset[str]:
    """All tables that are named here."""
    return GLOBAL | REGISTRY | WALKED | {rows.table for rows in (*OF_SESSION, *OF_APP)}


@lru_cache(maxsize=4)
def of_session(dialect: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Statements that delete what a session has around its events, with the names of their arguments."""
    return tuple((f"DELETE FROM {rows.table} WHERE {rows.condition}", rows.args)  # noqa: S608 - texts of ours
                 for rows in OF_SESSION if rows.only in ("", dialect))  # fmt: skip


@lru_cache(maxsize=4)
def of_app(dialect: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Statements that each delete a few rows of an app, the last argument says how many."""
    found = []
    for rows in OF_APP:
        if rows.only in ("", dialect):
            key = ", ".join(rows.key)
            inner = f"SELECT {key} FROM {rows.table} WHERE {rows.condition} LIMIT ?"  # noqa: S608
            found.append((f"DELETE FROM {rows.table} WHERE ({key}) IN ({inner})", rows.args))  # noqa: S608
    return tuple(found)


def args_of_app(app: str) -> Mapping[str, str]:
    """What the conditions of an app are about. Counters and switches name it within a longer text."""
    name = app.replace("%", "%25").replace("/", "%2F").replace("\0", "%00")
    kinds = ("agent", "user", "session")
    return {
        "app": app,
        "switch": f"app:{app}",
        "switches": f"agent:{app}/",
        "past_switches": f"agent:{app}0",
        "of_app": f"app:{name}",
        **{f"of_{kind}": f"{kind}:{name}/" for kind in kinds},
        **{f"past_{kind}": f"{kind}:{name}0" for kind in kinds},  # 0 is the character behind /
    }
