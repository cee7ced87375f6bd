"""Following a task: from its present state, or from where a reader was cut off, wherever the task runs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from hector.core.errors import NotSupported, StoreUnavailable
from hector.core.task import Caller, ClientMessage, Task, TaskState, Update
from hector.store import Store
from hector.tasks.channel import Channel, Channels
from hector.tasks.polling import Polling
from hector.tasks.positions import END, Position, unknown
from hector.tasks.subscription import Subscription

if TYPE_CHECKING:
    from hector.tasks.remote import Remote

ANSWER_SECONDS: Final = 3.0
"""How long a reader waits for the process that runs its task, before it begins with what is stored."""


class TaskStream:
    """A first answer, then batches of updates until the stream's end. Close it when done; that cancels nothing.

    `at` is the position of the first answer. A `resumed` stream goes on behind the position that was asked for, and its
    first answer is for whoever has to know the task, not to be shown.
    """

    def __init__(
        self,
        first: Task | ClientMessage,
        subscription: Subscription | None,
        at: Position | None = None,
        *,
        resumed: bool = False,
    ) -> None:
        self.first = first
        self.at = at or unknown()
        self.resumed = resumed
        self._subscription = subscription

    @property
    def mark(self) -> Position:
        """The position behind which the last batch began; its updates are numbered from there."""
        return self._subscription.mark if self._subscription else self.at

    def __aiter__(self) -> AsyncIterator[tuple[Update, ...]]:
        return self

    async def __anext__(self) -> tuple[Update, ...]:
        batch = await self._subscription.take() if self._subscription else ()
        if not batch:
            raise StopAsyncIteration
        return batch

    async def aclose(self) -> None:
        """Stop listening."""
        if self._subscription is not None:
            self._subscription.close()


class Follower:
    """Opens streams, and sees to it that the channels are fed of tasks that do not run here. `keep` does the work.

    Where one process has the database for itself, it looks at what is stored now and then, since commands may change
    that. Where several share one, they pass updates on to each other.
    """

    def __init__(self, store: Store, channels: Channels, is_here: Callable[[str], bool]) -> None:
        self._store = store
        self._channels = channels
        self._is_here = is_here
        self._group: asyncio.TaskGroup | None = None
        self._polling = Polling(store, channels, is_here)
        self._remote: Remote | None = None
        if store.database.dialect == "postgres":
            self._remote = _remote(store, channels)

    async def keep(self) -> None:
        """Feed channels until cancelled."""
        if self._remote is not None:
            await self._remote.keep()
            return
        async with asyncio.TaskGroup() as self._group:
            await asyncio.get_running_loop().create_future()

    def tend(self, caller: Caller, shown: Task) -> None:
        """Tell those who listen to a task, and were shown this much of it, what becomes of it."""
        if self._is_here(shown.id) or not self._channels.listened_to(shown.id):
            return
        if self._remote is not None:
            self._remote.follow(caller, shown)
        elif self._group is not None and self._polling.wanted(shown.id):
            self._group.create_task(self._polling.follow(caller, shown))

    def nudge(self, task_id: str) -> None:
        """Something has happened to a task."""
        if self._remote is not None:
            self._remote.nudge(task_id)
        else:
            self._polling.nudge(task_id)

    async def open(
        self,
        caller: Caller,
        agent: str | None,
        task_id: str,
        behind: Position | None = None,
        *,
        until_interrupted: bool = False,
        ended: bool = False,
    ) -> TaskStream:
        """Follow a task from now on, or from behind a position if that is still known.

        A reader that missed the end of a task is told it, if it says where it was. Raises NotFound, StoreUnavailable
        while stopping, and NotSupported for a task that has ended, unless `ended` asks for how it did.
        """
        channel = self._channels.of(task_id)
        anchor = channel.subscribe(until_interrupted=False)
        try:
            while True:
                task = await self._store.tasks.get(caller, task_id, agent)
                if task.status.state.terminal and not self._channels.fed(task_id):
                    await self._heard_out(task_id)
                    return _after_the_end(channel, task, behind, ended=ended)
                fed = await self._is_fed(caller, task, behind)
                if fed or anchor.untouched:
                    break
                anchor.restart()
            stream = self._stream(channel, task, behind, until_interrupted=until_interrupted, ended=ended)
        finally:
            anchor.close()
        if not fed:
            self.tend(caller, task)
        return stream

    def here(self, task_id: str, behind: Position | None = None) -> TaskStream | None:
        """The same for a task whose run feeds its channel in this process, at once; None for any other."""
        channel = self._channels.of(task_id) if self._channels.fed(task_id) else None
        if channel is None or channel.shown is None:
            return None
        return self._stream(channel, channel.shown.snapshot(0), behind, until_interrupted=False, ended=False)

    async def _heard_out(self, task_id: str) -> None:
        """Wait for the last words of another process, if they are on their way."""
        if self._remote is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._remote.heard_out(task_id)

    async def _is_fed(self, caller: Caller, task: Task, behind: Position | None) -> bool:
        """Whether the channel itself knows the task as it is now."""
        if self._channels.fed(task.id):
            return True
        if self._remote is None or self._is_here(task.id):
            return False
        self._remote.follow(caller, task, behind)
        if behind is not None or task.status.state is TaskState.WORKING:
            with suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._remote.reached(task.id, behind)
        self._remote.settle(task)
        return True

    def _stream(
        self, channel: Channel, task: Task, behind: Position | None, *, until_interrupted: bool, ended: bool
    ) -> TaskStream:
        """Nothing may be awaited in here: the stream begins exactly where its first answer ends."""
        if self._channels.closed:
            raise StoreUnavailable("the server is stopping; subscribe again when it is back")
        known = channel.shown is not None and (self._channels.fed(task.id) or self._remote is not None)
        now = channel.shown.snapshot() if known and channel.shown is not None else task
        if now.status.state.terminal:
            return _after_the_end(channel, now, behind, ended=ended)
        if now.status.state.interrupted and not task.status.state.interrupted:
            now = replace(now, status=task.status)
        at = channel.position if known else unknown()
        resumed = None if behind is None else channel.resume(behind, until_interrupted=until_interrupted)
        subscription = resumed or channel.subscribe(until_interrupted=until_interrupted)
        if until_interrupted and now.status.state.interrupted and subscription.untouched:
            subscription.close()
            return TaskStream(now, None, at)
        if behind is not None and resumed is not None:
            return TaskStream(now, resumed, behind, resumed=True)
        return TaskStream(now, subscription, at)


def _remote(store: Store, channels: Channels) -> "Remote":
    from hector.tasks.remote import Remote  # noqa: PLC0415 - loaded where several processes share a database

    return Remote(store, channels)


def _after_the_end(channel: Channel, task: Task, behind: Position | None, *, ended: bool) -> TaskStream:
    """For whoever was cut off shortly before the end: what is missing, or else the task as it ended."""
    if (behind is None or behind.at_end) and not ended:
        raise NotSupported(f"task {task.id} is already {task.status.state}; there is nothing to follow")
    if behind is not None and channel.over:
        subscription = channel.resume(behind, until_interrupted=False)
        if subscription is not None and not subscription.untouched:
            return TaskStream(task, subscription, behind, resumed=True)
        if subscription is not None:
            subscription.close()
    return TaskStream(task, None, Position(channel.epoch if behind is None else behind.epoch, END))
