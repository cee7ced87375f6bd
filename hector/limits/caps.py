"""How many runs may be under way at once: a run holds a place of each counter until it is over."""

import asyncio
import logging
from typing import Final

from hector.config.limits import RunLimits
from hector.core.errors import RateLimited, StoreError
from hector.core.ids import new_id
from hector.core.quota import Answer, Ask, Counter, Verdict, Want
from hector.core.task import Caller
from hector.limits.folding import Folding
from hector.limits.ledger import SharedLedger
from hector.limits.windows import NEVER, subject_of
from hector.store.counters import Counters

log = logging.getLogger("hector.limits")
_PATIENCE: Final = (0.05, 0.1, 0.2, 0.4)
_RUNS: Final = "runs"
WAIT: Final = 1.0
"""Seconds after which it is worth trying again."""


class Caps:
    """The caps of a server."""

    def __init__(self, settings: RunLimits, ledger: SharedLedger, counters: Counters, folding: Folding) -> None:
        self.settings = settings
        self._ledger = ledger
        self._counters = counters
        self._folding = folding
        self._places: dict[str, list[str]] = {}

    async def enter(self, caller: Caller, agent: str, task: str) -> None:
        """Take a place for a task. Raises RateLimited."""
        if (full := await self.take(caller, agent, task)) is not None:
            raise RateLimited(full, WAIT)

    async def take(self, caller: Caller, agent: str, task: str) -> str | None:
        """The same; what is full is told. A run that has just ended is given a moment to leave its place."""
        wants = self._wants(caller, agent)
        if not wants:
            return None
        name = new_id()
        answer = await self._ledger.ask(Ask(tuple(wants), name, task))
        for pause in _PATIENCE:
            if answer.verdict is Verdict.GRANTED:
                break
            self._folding.hurry()
            await asyncio.sleep(pause)
            answer = await self._ledger.ask(Ask(tuple(wants), name, task))
        if answer.verdict is not Verdict.GRANTED:
            return _full(wants, answer)
        self._places.setdefault(task, []).append(name)
        return None

    async def leave(self, task: str) -> None:
        """Give the places of a task back, if it has any here. Never raises."""
        names = self._places.get(task, [])
        if not names:
            return
        name = names.pop()
        if not names:
            del self._places[task]
        try:
            await self._counters.release([name])
        except StoreError as error:
            log.warning("the place of a run could not be given back", extra={"error": str(error)})
        self._folding.note()

    def _wants(self, caller: Caller, agent: str) -> list[Want]:
        settings = self.settings
        limits = {"app": settings.per_app, "agent": settings.per_agent, "user": settings.per_user}
        return [
            Want(Counter(subject_of(scope, caller, agent), _RUNS, 0, NEVER), 1, limit)
            for scope, limit in limits.items()
            if limit
        ]


def _full(wants: list[Want], answer: Answer) -> str:
    want = wants[answer.at]
    return (
        f"{want.limit} runs of {want.counter.subject} are under way already (limits.runs); "
        "try again when one of them has ended"
    )
