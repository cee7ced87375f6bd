"""Passes the updates of runs of this process on to processes that follow them.

A process that follows tasks says so again and again; who falls silent is no longer served. What is passed on is read
from the log of the run's channel, like by any other reader: a database that is slow or away delays those who follow
from elsewhere, and nobody else.
"""

import asyncio
import json
import logging
from contextlib import suppress
from dataclasses import field
from typing import Final

from hector.core.errors import StoreError
from hector.core.ids import new_id
from hector.core.record import dataclass
from hector.core.task import Task
from hector.store.relay import Entry, Relays, Standing, Stretch
from hector.tasks.channel import Channel, Channels
from hector.tasks.positions import NOWHERE, Epoch, Position
from hector.tasks.subscription import Subscription

log = logging.getLogger("hector.tasks")
BEAT: Final = 0.05
"""Seconds between two writes: what comes meanwhile goes together."""
INTEREST: Final = 15.0
"""Seconds for which a process counts as following what it named last."""
AGAIN: Final = 1.0
"""Seconds until the next try when the database refuses."""
MOST_UNSENT: Final = 200
"""Entries that wait for the database; with more, followers get the whole state instead of what they missed."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a process says on FOLLOW: who it is, what it goes on following, and what it begins to follow.

    `begins` holds the position that it has already, if any.
    """

    by: str
    keeps: tuple[str, ...] = ()
    begins: tuple[tuple[str, Position | None], ...] = ()

    def to_text(self) -> str:
        """As JSON."""
        begins = {task_id: None if behind is None else str(behind) for task_id, behind in self.begins}
        return json.dumps({"by": self.by, "keeps": self.keeps, "begins": begins}, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> "Call | None":
        """None for what no version of Hector says."""
        try:
            value = json.loads(text)
            begins = tuple((task_id, Position.parse(behind)) for task_id, behind in value["begins"].items())
            return cls(value["by"], tuple(value["keeps"]), begins)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


@dataclass(slots=True)
class _Feed:
    """One run that is passed on. `begun` holds what a claim began with, `asked` what followers want to begin with."""

    channel: Channel
    tap: Subscription
    begun: dict[Epoch, Task] = field(default_factory=dict)
    asked: list[Position | None] = field(default_factory=list)


class Relay:
    """The giving side. `keep` does the work; it ends when it is cancelled."""

    def __init__(self, relays: Relays, channels: Channels) -> None:
        self.id = new_id()
        self._relays = relays
        self._channels = channels
        self._interest: dict[str, float] = {}
        self._forget_at = 0.0
        self._feeds: dict[str, _Feed] = {}
        self._unsent: list[Entry] = []
        self._away = False
        self._ready = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def heard(self, payload: str) -> None:
        """Somebody follows tasks."""
        call = Call.parse(payload)
        if call is None or call.by == self.id:
            return
        self._forget()
        until = self._loop.time() + INTEREST
        for task_id in call.keeps:
            self._interest[task_id] = until
            if self._channels.fed(task_id) and task_id not in self._feeds:
                self._serve(task_id, None)
        for task_id, behind in call.begins:
            self._interest[task_id] = until
            if self._channels.fed(task_id):
                self._serve(task_id, behind)

    def _forget(self) -> None:
        """Tasks that nobody follows any more: most of those that are named here run elsewhere."""
        now = self._loop.time()
        if now >= self._forget_at:
            self._forget_at = now + INTEREST
            self._interest = {task_id: until for task_id, until in self._interest.items() if until >= now}

    def begun(self, task_id: str) -> None:
        """A claim of a task begins to be worked on in this process; nothing of it has been published yet."""
        if self._interest.get(task_id, 0.0) < self._loop.time():
            return
        feed = self._feed(task_id)
        if feed is not None and feed.channel.shown is not None:
            feed.begun[feed.channel.position.epoch] = feed.channel.shown.snapshot()
            self._ready.set()

    async def keep(self) -> None:
        """Write what there is, at most once per BEAT, and what is left when it is over."""
        try:
            await self._keep()
        finally:
            with suppress(StoreError, TimeoutError):
                async with asyncio.timeout(AGAIN):
                    await self._flush()

    async def _keep(self) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            pause = AGAIN
            try:
                await self._flush()
                pause = BEAT
                self._away = False
            except StoreError as error:
                if not self._away:
                    log.warning("updates cannot be passed on to other processes for now", extra={"error": str(error)})
                self._away = True
                self._ready.set()
            except Exception:
                log.exception("updates could not be passed on to other processes")
            await asyncio.sleep(pause)

    def _serve(self, task_id: str, behind: Position | None) -> None:
        feed = self._feed(task_id)
        if feed is not None:
            feed.asked.append(behind)
            self._ready.set()

    def _feed(self, task_id: str) -> _Feed | None:
        feed = self._feeds.get(task_id)
        if feed is None:
            channel = self._channels.of(task_id)
            if channel.shown is None:
                return None
            feed = self._feeds[task_id] = _Feed(channel, channel.tap(self._ready.set))
        return feed

    async def _flush(self) -> None:
        for task_id, feed in tuple(self._feeds.items()):
            self._unsent += _entries(task_id, feed)
            if not self._goes_on(task_id, feed):
                del self._feeds[task_id]
                feed.tap.close()
        if len(self._unsent) > MOST_UNSENT:
            self._unsent.clear()
            for feed in self._feeds.values():
                feed.asked.append(None)
        if self._unsent:
            sending, self._unsent = self._unsent, []
            try:
                await self._relays.write(sending)
            except BaseException:
                self._unsent = sending + self._unsent
                raise

    def _goes_on(self, task_id: str, feed: _Feed) -> bool:
        now = self._loop.time()
        if self._interest.get(task_id, 0.0) < now:
            self._interest.pop(task_id, None)
            return False
        return not feed.tap.ended and self._channels.fed(task_id)


def _entries(task_id: str, feed: _Feed) -> list[Entry]:
    """What is to be passed on now: what was said since the last time, and what those get who have just come."""
    asked, feed.asked = feed.asked, []
    found = [entry for behind in asked for entry in _since(task_id, feed.channel, behind)]
    while batch := feed.tap.grab():
        mark = feed.tap.mark
        if mark.epoch in feed.begun:
            found.append(_standing(task_id, Position(mark.epoch, 0), feed.begun.pop(mark.epoch)))
        if mark.epoch != NOWHERE:
            found.append(Stretch(task_id, *mark.epoch, mark.number + 1, batch))
    for epoch, task in feed.begun.items():
        found.append(_standing(task_id, Position(epoch, 0), task))
    feed.begun.clear()
    if feed.tap.cut_off:
        feed.tap.restart()
        asked.append(None)
    position, shown = feed.channel.position, feed.channel.shown
    if asked and shown is not None and position.epoch != NOWHERE:
        found.append(_standing(task_id, position, shown.snapshot()))
    return found


def _since(task_id: str, channel: Channel, behind: Position | None) -> list[Entry]:
    """All updates behind a position, as long as the log holds them."""
    place = None if behind is None else channel.log.place_of(behind)
    found: list[Entry] = []
    while place is not None and place < channel.log.end:
        mark, batch = channel.log.position_of(place), channel.log.read(place)
        if mark.epoch != NOWHERE:
            found.append(Stretch(task_id, *mark.epoch, mark.number + 1, batch))
        place += len(batch)
    return found


def _standing(task_id: str, at: Position, task: Task) -> Standing:
    return Standing(task_id, *at.epoch, at.number, task)
