"""Deliveries of other programs as tasks: each is run once, however often and to however many processes it is sent."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from hector.core.errors import NotFound, NotSupported, StoreError, StoreUnavailable
from hector.core.record import dataclass
from hector.core.task import Caller, ClientMessage, Task
from hector.store import Store
from hector.tasks.service import SendOptions, TaskService
from hector.tasks.worker import Begun


@dataclass(frozen=True, slots=True)
class Arrival:
    """A delivery that is stored. `repeated`: an earlier request has brought it already."""

    begun: Begun
    repeated: bool = False


@dataclass(slots=True)
class _Queue:
    """Requests that bring the same delivery, in this process."""

    lock: asyncio.Lock
    length: int = 0


class Arrivals:
    """Takes them in. What makes two of them the same is the id of their task, which the database has once."""

    def __init__(self, tasks: TaskService, store: Store) -> None:
        self._tasks = tasks
        self._store = store
        self._under_way: dict[str, _Queue] = {}

    async def take(
        self, caller: Caller, agent: str, message: ClientMessage, options: SendOptions, ids: Sequence[str]
    ) -> Arrival:
        """Store a delivery and have it run, as a task of the first id, unless there is a task of one of the ids.

        Raises what `TaskService.send` raises.
        """
        async with self._alone(ids[0]):
            for one in ids:
                if (found := await self._known(caller, agent, one)) is not None:
                    return Arrival(Begun(found, ""), repeated=True)
            try:
                return Arrival(await self._tasks.submit(caller, agent, message, options, ids[0]))
            except StoreUnavailable:
                raise
            except (StoreError, NotSupported):  # another process was quicker
                if (found := await self._known(caller, agent, ids[0])) is None:
                    raise
                return Arrival(Begun(found, ""), repeated=True)

    async def settled(self, caller: Caller, arrival: Arrival) -> Task:
        """Its task, once that has ended or waits for somebody."""
        return await self._tasks.settled(caller, arrival.begun)

    async def _known(self, caller: Caller, agent: str, task_id: str) -> Task | None:
        try:
            return await self._store.tasks.get(caller, task_id, agent, 0)
        except NotFound:
            return None

    @asynccontextmanager
    async def _alone(self, task_id: str) -> AsyncIterator[None]:
        """One after the other, those of the same task."""
        queue = self._under_way.setdefault(task_id, _Queue(asyncio.Lock()))
        queue.length += 1
        try:
            async with queue.lock:
                yield
        finally:
            queue.length -= 1
            if not queue.length:
                del self._under_way[task_id]
