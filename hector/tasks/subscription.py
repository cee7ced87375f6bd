"""Readers of a channel: each a place in its log, none waited for by whoever publishes."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from hector.core.task import StatusUpdate, Update
from hector.tasks.log import Log
from hector.tasks.positions import NOWHERE, Position


class Source(Protocol):
    """Where readers have their places: a channel."""

    @property
    def log(self) -> Log:
        """What is read."""

    def leave(self, subscription: "Subscription", /) -> None:
        """A reader has read enough."""


class Subscription:
    """One reader: a place in the log of a channel.

    `mark` says behind which position the last batch began, `cut_off` whether the log has moved on without it.
    """

    __slots__ = ("_channel", "_end", "_place", "_until_interrupted", "_waiter", "cut_off", "mark")

    def __init__(self, channel: Source, place: int, *, until_interrupted: bool) -> None:
        self.mark = Position(NOWHERE, 0)
        self.cut_off = False
        self._channel = channel
        self._place = place
        self._end: int | None = None
        self._until_interrupted = until_interrupted
        self._waiter: asyncio.Future[None] | None = None

    def restart(self) -> None:
        """Forget what is unread, because a fresher snapshot was taken."""
        self._place, self._end, self.cut_off = self._channel.log.end, None, False

    @property
    def untouched(self) -> bool:
        """There is nothing unread."""
        return self._place == self._channel.log.end and self._end is None

    @property
    def ended(self) -> bool:
        """Nothing is unread, and nothing more will come."""
        return self._end is not None and self._place >= self._end

    def close(self) -> None:
        """Read to here and no further. Safe to call twice."""
        if self._end is None:
            self._end = self._channel.log.end
        self._channel.leave(self)
        self.wake()

    def wake(self) -> None:
        """There may be something to take."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def take(self) -> tuple[Update, ...]:
        """Wait for updates, all of one epoch; an empty tuple is the end."""
        while True:
            batch = self.grab()
            if batch:
                return batch
            if self.ended:
                self._channel.leave(self)
                return ()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def grab(self) -> tuple[Update, ...]:
        """What is unread, all of one epoch, without waiting."""
        log = self._channel.log
        if self.ended:
            return ()
        if self._place < log.start:
            self._place = self._end = log.end
            self.cut_off = True
            return ()
        self.mark, batch = log.position_of(self._place), log.read(self._place, self._end)
        for count, update in enumerate(batch, 1):
            if isinstance(update, StatusUpdate) and self._is_last(update):
                batch, self._end = batch[:count], self._place + count
                break
        self._place += len(batch)
        return batch

    def _is_last(self, update: StatusUpdate) -> bool:
        state = update.status.state
        return state.terminal or (self._until_interrupted and state.interrupted)


class Tap(Subscription):
    """A reader that nobody waits at."""

    __slots__ = ("_told",)

    def __init__(self, channel: Source, told: Callable[[], None]) -> None:
        super().__init__(channel, channel.log.end, until_interrupted=False)
        self._told = told

    def wake(self) -> None:
        """Tell whoever it belongs to."""
        self._told()
