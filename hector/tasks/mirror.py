"""One task that this process follows while another one runs it: what comes is told once, in order, or asked for."""

import asyncio
from dataclasses import field
from typing import Final

from hector.core.record import dataclass
from hector.core.task import Caller, Task, TaskState
from hector.store.relay import Entry, Standing, Stretch
from hector.tasks.channel import Channel
from hector.tasks.live import LiveTask
from hector.tasks.positions import NOWHERE, Epoch, Position, unknown

ALL: Final = 1 << 62
"""Stands for the number of an update that comes after all others of its claim."""


@dataclass(slots=True)
class Mirror:
    """A task that is followed.

    `at` is what the channel has, `key` the relay's row that was read last (negative: none yet). `wants` is what its
    first reader has from elsewhere. `lost` asks for the state, or for what is missing. `doubts` counts the looks in a
    row at which the database knew of an end that was not relayed.
    """

    caller: Caller
    task_id: str
    channel: Channel
    used: float
    wants: Position | None = None
    at: Position = Position(NOWHERE, 0)
    key: int = -1
    doubts: int = 0
    lost: bool = True
    asked: float = 0.0
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    async def reached(self, behind: Position | None) -> None:
        """Return when it is known how the task stands, and the channel has come as far as `behind`.

        A reader that comes from another server may be ahead of us.
        """
        await self.answered.wait()
        while behind is not None and self.at < behind and not self.channel.over:
            self.moved.clear()
            await self.moved.wait()

    async def heard_out(self) -> None:
        """Return when the channel knows the end of the task."""
        while not self.channel.over:
            self.moved.clear()
            await self.moved.wait()

    def take(self, key: int, entry: Entry | None) -> None:
        """Pass on what has come, unless it is known already or belongs to a claim that is over."""
        self.key, self.doubts = key, 0
        if entry is None or (self.channel.over and self.at.epoch == NOWHERE):
            return
        epoch = Epoch(entry.job, entry.fence)
        if isinstance(entry, Standing):
            self._turn_to(Position(epoch, entry.number), entry.task)
        else:
            self._grow(epoch, entry)
        self.moved.set()

    def settle(self, task: Task) -> None:
        """Go on with what is stored. What comes late of a claim that has ended is then known already."""
        self.doubts = 0
        self.channel.adopt(unknown(), LiveTask.of(task, task.status))
        if is_end(task.status.state):
            self.at = Position(self.at.epoch, ALL)
        self.answered.set()
        self.moved.set()

    def pass_over(self, epoch: Epoch) -> None:
        """A claim of this process feeds the channel itself."""
        self.at = Position(epoch, ALL)
        self.answered.set()

    def _turn_to(self, at: Position, task: Task) -> None:
        if at > self.at:
            self.channel.adopt(at, LiveTask.of(task, task.status))
            self.at = at
        elif at == self.at and self.channel.shown is None:
            self.channel.shown = LiveTask.of(task, task.status)
        else:
            return
        self.lost = False
        self.answered.set()

    def _grow(self, epoch: Epoch, found: Stretch) -> None:
        if self.wants is not None and self.wants.epoch == epoch and found.first <= self.wants.number + 1:
            self._resume(self.wants)
        if epoch != self.at.epoch:
            self.lost = self.lost or epoch > self.at.epoch
            return
        skipped = self.at.number + 1 - found.first
        if skipped < 0:
            self.lost = True
            return
        for number, update in enumerate(found.updates[skipped:], self.at.number + 1):
            if self.channel.shown is not None:
                self.channel.shown.apply(update)
            self.channel.log.skip_to(number)
            self.channel.publish(update)
            self.at = Position(epoch, number)

    def _resume(self, behind: Position) -> None:
        """Begin in the middle, for a reader that has the rest from elsewhere; the state follows."""
        self.wants = None
        if self.at.epoch == NOWHERE and self.channel.shown is None:
            self.channel.go_on(behind)
            self.at = behind


def is_end(state: TaskState) -> bool:
    """Nothing more is said for now."""
    return state.terminal or state.interrupted
