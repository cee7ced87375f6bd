"""The two writes of a plain turn as one statement each, for servers, to which every statement is a journey.

What they do is what `Tasks` does step by step; what is out of the ordinary has no shortcut.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from hector.core.audit import Entry
from hector.core.clock import milliseconds
from hector.core.event import ApprovalRequired
from hector.core.job import Claim, JobState
from hector.store.codec import EventRow, dumps, loads
from hector.store.database import Row, Shortcut
from hector.store.jobs import FIRST
from hector.store.records import Accept, Accepted, Record, Step, end_of, run_of
from hector.store.state import StateChange, state_from_rows

Entered: TypeAlias = Callable[[int, Claim, dict[str, Any]], Accepted]
"""The answer for a session's key, the claim of the run, and the state that the session sees."""


class Shortcuts:
    """Makes them, where they apply."""

    def __init__(self, sql: Mapping[str, str]) -> None:
        self._begin, self._finish = sql["begin"], sql["finish"]

    def begin(
        self,
        accept: Accept,
        place: tuple[str, str | None],
        stored: tuple[EventRow, Sequence[StateChange]],
        now: int,
        entered: Entered,
    ) -> Shortcut[Accepted] | None:
        """Of a message that begins a session and is run at once. `place`: context id, metadata of the task."""
        row, changes = stored
        if not accept.begins or accept.resume or accept.owner is None or accept.push is not None or changes:
            return None
        (context_id, metadata), caller, run = place, accept.caller, run_of(accept, 0)

        def answer(found: Row) -> Accepted:
            session, job, state = found
            seen = {} if state is None else state_from_rows(loads(state).items())
            return entered(session, Claim(job, FIRST), seen)

        task = (caller.app, caller.user, context_id, accept.agent, milliseconds(accept.at), accept.task_id, metadata)
        job = (run.kind, dumps(run.payload), run.priority, run.max_attempts, FIRST, accept.owner, now)
        return Shortcut(self._begin, (*task, *job, *row), answer)

    def finish(self, record: Record, step: Step, entries: Sequence[Entry], now: int) -> Shortcut[bool] | None:
        """Of a run that ends with one event and at most one artifact; `now`: ms."""
        end, cause = end_of(record)
        if record.claim is None or step.status is None or end in (None, JobState.DEAD):
            return None
        if len(step.rows) != 1 or len(step.artifacts) > 1 or record.discard:
            return None
        event, claim, caller = record.events[0], record.claim, record.caller
        more = step.changes or step.kept or entries or record.charges or record.jobs
        if more or isinstance(event.control, ApprovalRequired):
            return None
        task = (record.task_id, caller.app, caller.user, record.context_id)
        job = (claim.key, claim.fence, record.step - 1, str(end), cause, now)
        artifact = step.artifacts[0] if step.artifacts else (None, None)
        args = (*task, *job, milliseconds(event.at), *step.rows[0], *artifact, *step.status)
        return Shortcut(self._finish, args, _done)


def _done(_: Row) -> bool:
    return True
