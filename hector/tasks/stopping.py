"""What stops runs of this process from outside: word that their claim may be void, and switches that are thrown."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TypeAlias

from hector.core.errors import StoreError
from hector.limits.limits import Limits
from hector.store import Store
from hector.tasks.work import Ending, Work

Spawn: TypeAlias = Callable[[Callable[[], Awaitable[None]]], object]


class Stopping:
    """`runs` is the work of this process by task; `spawn` begins what may have to ask the store first."""

    def __init__(self, store: Store, limits: Limits, runs: Mapping[str, Work], spawn: Spawn) -> None:
        self._store = store
        self._limits = limits
        self._runs = runs
        self._spawn = spawn

    def heard(self, task_id: str) -> None:
        """Somebody has ended a task, or taken it over."""
        work = self._runs.get(task_id)
        if work is not None and work.claim is not None:
            self._spawn(lambda: self._stop_if_void(work))

    async def _stop_if_void(self, work: Work) -> None:
        """What was heard may be about an earlier claim: look whether ours is still good before anything is stopped."""
        with suppress(StoreError):  # if it is void, the next write says so
            if work.claim is not None and not await self._store.jobs.holds(work.claim):
                if work.run is not None:
                    await work.run.learn_if_canceled()
                work.stop(Ending.LOSE)

    def heed_all(self) -> None:
        """Switches have been thrown."""
        for work in tuple(self._runs.values()):
            self.heed(work)

    def heed(self, work: Work) -> None:
        """Stop a run that is switched off; it goes on from its last stored step when it is switched on again."""
        if work.run is None or work.run.ended:
            return
        pause = self._limits.pause(work.run.caller.app, work.run.live.base.agent)
        if pause is not None:
            work.pause = pause
            work.stop(Ending.PAUSE)
