"""Fan-out of a task's updates: the same order for every subscriber, and a bound on how far one may lag."""

import asyncio
from collections.abc import Callable
from typing import Final

from hector.core.task import StatusUpdate, Update

MOST_PENDING: Final = 20_000
"""Updates that wait for one slow reader before it is cut off; it may subscribe again and gets a snapshot."""


class Subscription:
    """One reader. Iterating gives all updates that have come since the last time, as one tuple."""

    def __init__(self, channel: "Channel", *, until_interrupted: bool) -> None:
        self._channel = channel
        self._until_interrupted = until_interrupted
        self._pending: list[Update] = []
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False

    def put(self, update: Update) -> None:
        """Queue an update; the one that ends the stream is the last."""
        if self._ended:
            return
        self._pending.append(update)
        if isinstance(update, StatusUpdate):
            state = update.status.state
            self._ended = state.terminal or (self._until_interrupted and state.interrupted)
        if len(self._pending) > MOST_PENDING:
            self._pending.clear()
            self._ended = True
        self._wake()

    def restart(self) -> None:
        """Forget what is queued, because a fresher snapshot was taken."""
        self._pending.clear()
        self._ended = False

    @property
    def untouched(self) -> bool:
        """Nothing has come yet."""
        return not self._pending and not self._ended

    def close(self) -> None:
        """Stop listening. Safe to call twice."""
        self._ended = True
        self._channel.leave(self)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def take(self) -> tuple[Update, ...]:
        """Wait for updates; an empty tuple is the end."""
        while not self._pending and not self._ended:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        batch = tuple(self._pending)
        self._pending.clear()
        if not batch:
            self._channel.leave(self)
        return batch


class Channel:
    """All subscriptions of one task. `on_empty` is called when the last one has left."""

    def __init__(self, on_empty: Callable[[], None]) -> None:
        self._subscriptions: list[Subscription] = []
        self._on_empty = on_empty

    def subscribe(self, *, until_interrupted: bool) -> Subscription:
        """A new reader that sees everything published from now on."""
        subscription = Subscription(self, until_interrupted=until_interrupted)
        self._subscriptions.append(subscription)
        return subscription

    def publish(self, update: Update) -> None:
        """Give it to every reader, without waiting for any."""
        for subscription in self._subscriptions:
            subscription.put(update)

    def leave(self, subscription: Subscription) -> None:
        """Remove a reader."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
            if not self._subscriptions:
                self._on_empty()

    def close(self) -> None:
        """End every stream, as at shutdown."""
        for subscription in tuple(self._subscriptions):
            subscription.close()

    @property
    def empty(self) -> bool:
        """Nobody listens."""
        return not self._subscriptions


class Channels:
    """The channels of all tasks that are worked on or followed; the others have none."""

    def __init__(self) -> None:
        self._channels: dict[str, Channel] = {}
        self._held: set[str] = set()

    def of(self, task_id: str) -> Channel:
        """The channel of a task, kept for as long as somebody listens or it is held."""
        channel = self._channels.get(task_id)
        if channel is None:
            channel = self._channels[task_id] = Channel(lambda: self._drop(task_id))
        return channel

    def hold(self, task_id: str) -> Channel:
        """Keep the channel until `release`, whether or not anybody listens."""
        self._held.add(task_id)
        return self.of(task_id)

    def release(self, task_id: str) -> None:
        """Let go of it."""
        self._held.discard(task_id)
        self._drop(task_id)

    def publish(self, task_id: str, update: Update) -> None:
        """Tell those who listen, if there are any."""
        if task_id in self._channels:
            self._channels[task_id].publish(update)

    def close(self) -> None:
        """End every stream."""
        for channel in tuple(self._channels.values()):
            channel.close()

    def _drop(self, task_id: str) -> None:
        channel = self._channels.get(task_id)
        if channel is not None and channel.empty and task_id not in self._held:
            del self._channels[task_id]
