"""Feeds the channels of tasks that this process follows while other processes run them.

A mirror announces its task; whoever runs it answers with the state as it stands and from then on with every update
(`relay`). Behind that the stored state is looked at, so that an end that nobody relayed is noticed, too.
"""

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from typing import Final

from hector.core.errors import NotFound, StoreError, StoreUnavailable
from hector.core.task import Caller, Task
from hector.store import Store
from hector.store.relay import MOST_ROWS, Relays, Stored
from hector.tasks.channel import Channels
from hector.tasks.live import LiveTask
from hector.tasks.mirror import ALL, Mirror, is_end
from hector.tasks.polling import vanished
from hector.tasks.positions import NOWHERE, Position, unknown
from hector.tasks.relay import Call

log = logging.getLogger("hector.tasks")
LOOK: Final = 0.5
"""Seconds between two looks at what is stored."""
RENEW: Final = 5.0
"""Seconds between two announcements."""
ASK: Final = 1.0
"""Seconds until a question that was not answered is asked again."""
LINGER: Final = 15.0
"""Seconds for which a task is followed after its last reader has left: readers that are cut off come back."""
SWEEP: Final = 30.0
AGE: Final = 60.0
"""Seconds after which a row of the relay is deleted."""
MOST_NAMED: Final = 100
"""Tasks of one announcement, so that it fits into a notification."""


class Mirrors:
    """The taking side. `keep` does the work; it ends when it is cancelled."""

    def __init__(self, store: Store, relays: Relays, channels: Channels, name: str) -> None:
        self._store = store
        self._relays = relays
        self._channels = channels
        self._name = name
        self._mirrors: dict[str, Mirror] = {}
        self._news: set[str] = set()
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._look_at = self._renew_at = self._sweep_at = 0.0
        self._away = False

    def heard(self, payload: str) -> None:
        """There is something new of some tasks."""
        for task_id in payload.split("\n"):
            if task_id in self._mirrors:
                self._news.add(task_id)
                self._wake.set()

    def nudge(self, task_id: str) -> None:
        """A task was ended from elsewhere, or taken over."""
        if task_id in self._mirrors:
            self._look_at = 0.0
            self._wake.set()

    def begun(self, task_id: str) -> None:
        """A claim of this process feeds the channel of a task from now on."""
        mirror = self._mirrors.get(task_id)
        if mirror is not None:
            mirror.pass_over(mirror.channel.epoch)

    def of(self, task_id: str) -> Mirror | None:
        """The mirror of a task."""
        return self._mirrors.get(task_id)

    def begin(self, caller: Caller, task: Task, behind: Position | None = None) -> Mirror:
        """Follow a task whose readers were shown `task`, or have everything up to `behind`."""
        now = self._loop.time()
        mirror = self._mirrors.get(task.id)
        if mirror is not None:
            mirror.used = now
            return mirror
        channel = self._channels.keep(task.id)
        mirror = self._mirrors[task.id] = Mirror(caller, task.id, channel, now, behind)
        if behind is not None:
            channel.log.forget()
            channel.shown = None
        elif channel.shown is None:
            channel.adopt(unknown(), LiveTask.of(task, task.status))
        else:
            mirror.at = Position(channel.epoch, ALL)
        self._wake.set()
        return mirror

    async def keep(self) -> None:
        """Read what comes, look at what is stored, and say what is followed."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK if self._mirrors else SWEEP):
                    await self._wake.wait()
            self._wake.clear()
            now = self._loop.time()
            looking = now >= self._look_at
            fine = await self._contained(self._take_up(now, looking=looking))
            if looking:
                self._look_at = now + LOOK
                self._forget(now)
                fine = await self._contained(self._look()) and fine
            if now >= self._sweep_at:
                self._sweep_at = now + SWEEP
                await self._contained(self._relays.sweep(AGE))
            if not fine:
                await asyncio.sleep(LOOK)

    async def _contained(self, work: Awaitable[object]) -> bool:
        """Whether it went well; none of these steps may keep the others from being taken."""
        try:
            await work
        except StoreError as error:
            if not self._away:
                log.warning("tasks of other processes cannot be followed for now", extra={"error": str(error)})
            self._away = True
        except Exception:
            log.exception("tasks of other processes cannot be followed")
        else:
            return True
        return False

    async def _take_up(self, now: float, *, looking: bool) -> None:
        await self._announce(now)
        await self._read(self._mirrors if looking else self._news & self._mirrors.keys())
        self._away = False

    async def _read(self, task_ids: Iterable[str]) -> None:
        known = {task_id: self._mirrors[task_id].key for task_id in task_ids if self._mirrors[task_id].key >= 0}
        self._news.clear()
        while known:
            rows = await self._relays.read(known)
            for key, task_id, entry in rows:
                mirror = self._mirrors.get(task_id)
                if mirror is not None and not self._channels.fed(task_id):
                    mirror.take(key, entry)
                known[task_id] = key
            if len(rows) < MOST_ROWS:
                return

    def _forget(self, now: float) -> None:
        for task_id, mirror in tuple(self._mirrors.items()):
            if not mirror.channel.empty:
                mirror.used = now
            elif mirror.channel.over or now - mirror.used > LINGER:
                del self._mirrors[task_id]
                self._channels.let_go(task_id)

    async def _look(self) -> None:
        """Compare what is stored with what was passed on."""
        watched = [task_id for task_id, found in self._mirrors.items() if _in_doubt(found, self._channels)]
        if not watched:
            return
        stored = await self._relays.stored(watched)
        for task_id in watched:
            mirror = self._mirrors.get(task_id)
            if mirror is None or self._channels.fed(task_id):
                continue
            found = stored.get(task_id)
            if found is None or not found.running:
                mirror.answered.set()
            elif mirror.at.epoch == NOWHERE:
                mirror.lost = True
            mirror.doubts = 0 if _fits(mirror, found) else mirror.doubts + 1
            if mirror.doubts > 1:
                await self._settle(mirror)

    async def _settle(self, mirror: Mirror) -> None:
        """Go on with what is stored of a task; one that cannot be read is given up, and hides no other."""
        try:
            task = await self._store.tasks.get(mirror.caller, mirror.task_id)
        except StoreUnavailable:
            raise
        except StoreError as error:
            log.warning("a followed task cannot be read", extra={"task": mirror.task_id, "error": str(error)})
            self._give_up(mirror)
            return
        except NotFound:
            shown = mirror.channel.shown
            mirror.channel.tell((await vanished(self._store, mirror.caller, shown.status.at if shown else 0.0),))
            return
        if not self._channels.fed(mirror.task_id):
            mirror.settle(task)

    def _give_up(self, mirror: Mirror) -> None:
        """End the streams of its readers, who are told why when they come back."""
        mirror.answered.set()
        mirror.channel.close()
        mirror.moved.set()
        del self._mirrors[mirror.task_id]
        self._channels.let_go(mirror.task_id)

    async def _announce(self, now: float) -> None:
        """Ask for what is missing, and say from time to time what is followed."""
        asking = [mirror for mirror in self._mirrors.values() if mirror.lost and now >= mirror.asked + ASK]
        for some in _portions(asking):
            for mirror in some:
                mirror.asked = now
            begins = tuple((mirror.task_id, mirror.wants or mirror.at) for mirror in some)
            fresh = [mirror for mirror in some if mirror.key < 0]
            call = Call(self._name, begins=begins).to_text()
            keys = await self._relays.announce(call, [mirror.task_id for mirror in fresh])
            for mirror in fresh:
                mirror.key = keys.get(mirror.task_id, 0)
            for mirror in some:
                mirror.lost = False
        if now >= self._renew_at:
            self._renew_at = now + RENEW
            for some in _portions([mirror for mirror in self._mirrors.values() if not mirror.channel.over]):
                await self._relays.announce(Call(self._name, tuple(mirror.task_id for mirror in some)).to_text())


def _portions(mirrors: list[Mirror]) -> list[list[Mirror]]:
    return [mirrors[start : start + MOST_NAMED] for start in range(0, len(mirrors), MOST_NAMED)]


def _in_doubt(mirror: Mirror, channels: Channels) -> bool:
    return not mirror.channel.over and not channels.fed(mirror.task_id)


def _fits(mirror: Mirror, stored: Stored | None) -> bool:
    """Whether what was passed on can be all that there is, judged by what is stored."""
    shown = mirror.channel.shown
    if stored is None or shown is None:
        return stored is not None and stored.running
    return not is_end(stored.state) or stored.state is shown.status.state
