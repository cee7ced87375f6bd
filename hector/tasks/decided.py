"""What people, and the clock, have decided, as lines of the log: each when the run begins that carries it out."""

import logging
from typing import Final

from hector.agents.history import DECISIONS
from hector.core.event import Event

log = logging.getLogger("hector.tasks")
_LONGEST: Final = 200
"""Characters of a comment in the log; the database has all of it."""


def log_decisions(task_id: str, begun_by: Event) -> None:
    """Whoever decided: a client, the admin API, `hector approve` beside the server, or the end of the time for it."""
    for call_id, one in (begun_by.metadata or {}).get(DECISIONS, {}).items():
        said = {"comment": str(one["comment"])[:_LONGEST]} if one.get("comment") else {}
        facts = {"task": task_id, "call": call_id, "decision": one.get("decision"), "by": one.get("by")}
        log.info("a call was decided about", extra=facts | said)
