"""Fan-out of a task's updates: one log, read by every subscriber at its own pace.

Whoever reads more slowly than the log moves on is cut off, and whoever comes back behind its beginning is given a
snapshot: neither costs the run anything.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from hector.core.task import StatusUpdate, Update
from hector.tasks.live import LiveTask, missing
from hector.tasks.log import Log
from hector.tasks.positions import NOWHERE, Epoch, Position, unknown
from hector.tasks.subscription import Subscription, Tap

MOST_ENDED: Final = 256
MOST_ENDED_BYTES: Final = 16 * 1024 * 1024
"""Logs of tasks that nobody works on or follows any more, for readers that were cut off shortly before the end."""


class Channel:
    """The log of one task and its readers. `on_empty` is called when the last one has left.

    `shown` is the task as those know it who have read everything; it is there while somebody feeds the channel. `epoch`
    is the latest claim that has fed it; nobody can come back to a log that no client ever read (`was_read`). Before the
    first reader, which in most turns there never is, updates are counted and not kept (`_is_kept`).
    """

    __slots__ = ("_is_kept", "_on_empty", "_subscriptions", "_taps", "_told", "epoch", "log", "shown", "was_read")

    def __init__(self, on_empty: Callable[[], None]) -> None:
        self.epoch = NOWHERE
        self.was_read = self._is_kept = False
        self.log = Log()
        self.shown: LiveTask | None = None
        self._told: StatusUpdate | None = None
        self._subscriptions: list[Subscription] = []
        self._taps: list[Tap] = []
        self._on_empty = on_empty

    @property
    def position(self) -> Position:
        """Behind the newest update."""
        return self.log.position_of(self.log.end)

    def subscribe(self, *, until_interrupted: bool) -> Subscription:
        """A new reader that sees everything published from now on."""
        return self._join(self.log.end, until_interrupted=until_interrupted)

    def resume(self, behind: Position, *, until_interrupted: bool) -> Subscription | None:
        """A reader that goes on behind a position; None when the log does not hold that any more."""
        place = self.log.place_of(behind)
        return None if place is None else self._join(place, until_interrupted=until_interrupted)

    def tap(self, told: Callable[[], None]) -> Subscription:
        """A reader that does not count as one who listens. `told` is called when there is something to `grab`."""
        tap = Tap(self, told)
        self._is_kept = True
        self._taps.append(tap)
        return tap

    def _join(self, place: int, *, until_interrupted: bool) -> Subscription:
        subscription = Subscription(self, place, until_interrupted=until_interrupted)
        self.was_read = self._is_kept = True
        self._subscriptions.append(subscription)
        return subscription

    def adopt(self, at: Position, live: LiveTask) -> None:
        """Go on with `live`, which stands at `at`: what is published from now on follows it.

        Readers are first told what they have not seen of it. Where nobody knows what they have seen, what was said
        before is forgotten, so that nobody goes on behind it.
        """
        if self.shown is None:
            self.log.forget()
        else:
            self.tell(missing(self.shown.snapshot(0), live.snapshot(0)))
        self.shown, self._told = live, StatusUpdate(live.status)
        self.go_on(at)

    def go_on(self, at: Position) -> None:
        """What is published from now on follows `at`."""
        self.epoch = max(self.epoch, at.epoch)
        self.log.turn_to(at.epoch, at.number)

    def tell(self, updates: tuple[Update, ...]) -> None:
        """Publish what belongs to no claim."""
        for update in updates:
            self.log.turn_to(*unknown())
            self.publish(update)

    def publish(self, update: Update) -> None:
        """Give it to every reader, without waiting for any. A state that everybody knows is left out."""
        if isinstance(update, StatusUpdate):
            if self._told is not None and _repeats(self._told, update):
                return
            self._told = update
        if not self._is_kept:
            self.log.pass_by()
            return
        self.log.append(update)
        for subscription in self._subscriptions:
            subscription.wake()
        for tap in self._taps:
            tap.wake()

    def leave(self, subscription: Subscription) -> None:
        """Remove a reader."""
        if subscription in self._taps:
            self._taps.remove(subscription)
        elif subscription in self._subscriptions:
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

    @property
    def over(self) -> bool:
        """The log ends with the end of the task."""
        return self._told is not None and self._told.status.state.terminal


class Channels:
    """The channels of all tasks that are worked on or followed, and of a few that no longer are.

    `on_begin` is called with the id of a task whose work begins in this process, before anything is published.
    """

    def __init__(self) -> None:
        self.on_begin: Callable[[str], None] | None = None
        self.closed = False
        self._channels: dict[str, Channel] = {}
        self._held: set[str] = set()
        self._fed: set[str] = set()
        self._kept: set[str] = set()
        self._ended: OrderedDict[str, Channel] = OrderedDict()
        self._ended_weight = 0

    def of(self, task_id: str) -> Channel:
        """The channel of a task, kept for as long as somebody listens or it is held."""
        channel = self._channels.get(task_id)
        if channel is None:
            channel = self._channels[task_id] = self._revive(task_id) or Channel(lambda: self._drop(task_id))
        return channel

    def hold(self, task_id: str, epoch: Epoch = NOWHERE, live: LiveTask | None = None) -> Channel:
        """Keep the channel until `release`, whether or not anybody listens.

        With `live` the claim `epoch` feeds it from now on, and from update 1.
        """
        self._held.add(task_id)
        channel = self.of(task_id)
        if live is not None:
            channel.adopt(Position(epoch, 0), live)
            self._fed.add(task_id)
            if self.on_begin is not None:
                self.on_begin(task_id)
        return channel

    def release(self, task_id: str) -> None:
        """Let go of it."""
        self._held.discard(task_id)
        self._fed.discard(task_id)
        self._drop(task_id)

    def keep(self, task_id: str) -> Channel:
        """Keep the channel until `let_go`, for what comes from another process."""
        self._kept.add(task_id)
        return self.of(task_id)

    def let_go(self, task_id: str) -> None:
        """Nothing comes from another process any more."""
        self._kept.discard(task_id)
        self._drop(task_id)

    def listened_to(self, task_id: str) -> bool:
        """Somebody reads the updates of this task."""
        channel = self._channels.get(task_id)
        return channel is not None and not channel.empty

    def fed(self, task_id: str) -> bool:
        """A claim of this process feeds the channel of this task."""
        return task_id in self._fed

    def publish(self, task_id: str, update: Update) -> None:
        """Tell those who listen, if there are any."""
        channel = self._channels.get(task_id)
        if channel is None:
            return
        if channel.shown is not None:
            channel.shown.apply(update)
        if task_id in self._fed:
            channel.publish(update)
        else:
            channel.tell((update,))

    def close(self) -> None:
        """End every stream, for good."""
        self.closed = True
        for channel in tuple(self._channels.values()):
            channel.close()

    def _drop(self, task_id: str) -> None:
        channel = self._channels.get(task_id)
        if channel is None or not channel.empty or task_id in self._held or task_id in self._kept:
            return
        del self._channels[task_id]
        channel.shown = None
        if channel.was_read and channel.log.end > channel.log.start:
            self._ended[task_id] = channel
            self._ended_weight += channel.log.weight
            while len(self._ended) > MOST_ENDED or self._ended_weight > MOST_ENDED_BYTES:
                self._ended_weight -= self._ended.popitem(last=False)[1].log.weight

    def _revive(self, task_id: str) -> Channel | None:
        channel = self._ended.pop(task_id, None)
        if channel is not None:
            self._ended_weight -= channel.log.weight
        return channel


def _repeats(told: StatusUpdate, update: StatusUpdate) -> bool:
    """The same state, with nothing said: as after a change of hands."""
    before, now = told.status, update.status
    return before.state is now.state and before.message is None and now.message is None
