"""Streams across processes: what runs here is passed on, what runs elsewhere is taken up."""

import asyncio

from hector.core.task import Caller, Task
from hector.store import Store
from hector.store.relay import FOLLOW, RELAY, Relays
from hector.tasks.channel import Channels
from hector.tasks.mirrors import Mirrors
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

    def follow(self, caller: Caller, shown: Task, behind: Position | None = None) -> None:
        """Follow a task whose readers were shown this much of it, or have everything up to `behind`."""
        self._mirrors.begin(caller, shown, behind)

    async def reached(self, task_id: str, behind: Position | None) -> None:
        """Return when it is known how a task stands, and what comes behind a position."""
        mirror = self._mirrors.of(task_id)
        if mirror is not None:
            await mirror.reached(behind)

    async def heard_out(self, task_id: str) -> None:
        """Return once all has come of a task that has ended."""
        mirror = self._mirrors.of(task_id)
        if mirror is not None:
            await mirror.heard_out()

    def settle(self, task: Task) -> None:
        """Do with what is stored if nobody has answered."""
        mirror = self._mirrors.of(task.id)
        if mirror is not None:
            mirror.answered.set()
            if mirror.channel.shown is None:
                mirror.settle(task)

    def nudge(self, task_id: str) -> None:
        """Something has happened to a task."""
        self._mirrors.nudge(task_id)

    def _begun(self, task_id: str) -> None:
        self._mirrors.begun(task_id)
        self._relay.begun(task_id)
