"""Streams across processes: what runs here is passed on, what runs elsewhere is taken up."""

import asyncio

from hector.core.task import Caller, Task
from hector.store import Store
from hector.store.relay import FOLLOW, RELAY, Relays
from hector.tasks.channel import Channels
from hector.tasks.mirror import Mirrors
from hector.tasks.positions import Position
from hector.tasks.relay import Relay


class Remote:
    """Both sides of one process."""

    def __init__(self, store: Store, channels: Channels) -> None:
        self._database = store.database
        relays = Relays(store.database)
        self._relay = Relay(relays, channels)
        self._mirrors = Mirrors(store, relays, channels, self._relay.id)
        channels.on_begin = self._begun

    async def keep(self) -> None:
        """Listen, give and take until cancelled."""
        deaf = [
            self._database.listen(FOLLOW, self._relay.heard),
            self._database.listen(RELAY, self._mirrors.heard),
        ]
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._relay.keep())
                group.create_task(self._mirrors.keep())
        finally:
            for stop in deaf:
                stop()

    def follow(self, caller: Caller, shown: Task) -> None:
        """Follow a task whose readers were shown this much of it."""
        self._mirrors.begin(caller, shown)

    async def answer(self, caller: Caller, task: Task, behind: Position) -> None:
        """Follow a task from behind a position; return when it is known what comes next."""
        await self._mirrors.begin(caller, task, behind).answered.wait()

    def settle(self, task: Task) -> None:
        """Do with what is stored if nobody has answered."""
        mirror = self._mirrors.of(task.id)
        if mirror is not None and mirror.channel.shown is None:
            mirror.settle(task)

    def nudge(self, task_id: str) -> None:
        """Something has happened to a task."""
        self._mirrors.nudge(task_id)

    def _begun(self, task_id: str) -> None:
        self._mirrors.begun(task_id)
        self._relay.begun(task_id)
