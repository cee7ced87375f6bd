"""Feeds the channel of a task that this process follows but does not run: looks at what is stored, now and then."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from hector.core.errors import NotFound, StoreError, StoreUnavailable
from hector.core.identity import DEFAULT_APP
from hector.core.task import Caller, Status, StatusUpdate, Task, TaskState
from hector.store import Store
from hector.store.apps import AppStatus
from hector.tasks.channel import Channels
from hector.tasks.live import missing

log = logging.getLogger("hector.tasks")
LOOK_SECONDS: Final = 0.5
"""Between two looks at a task that is worked on, or waits to be."""
IDLE_SECONDS: Final = 2.0
"""Between two looks at one that waits for its user."""


class Polling:
    """At most one look-out for each task, for as long as somebody listens and nobody here works on it."""

    def __init__(self, store: Store, channels: Channels, is_here: Callable[[str], bool]) -> None:
        self._store = store
        self._channels = channels
        self._is_here = is_here
        self._looking: dict[str, asyncio.Event] = {}

    def wanted(self, task_id: str) -> bool:
        """Somebody listens to a task that nobody here works on and that is not looked out for yet."""
        return task_id not in self._looking and self._listened_to(task_id)

    def nudge(self, task_id: str) -> None:
        """Something has happened to a task: look now."""
        if task_id in self._looking:
            self._looking[task_id].set()

    def follow(self, caller: Caller, shown: Task) -> Coroutine[Any, Any, None]:
        """Tell the listeners of a task, who were `shown` one state of it, about every later one.

        It counts as looked out for from this call on: of two who ask in the same turn, only the first is to begin.
        """
        nudged = self._looking[shown.id] = asyncio.Event()
        return self._follow(caller, shown, nudged)

    async def _follow(self, caller: Caller, shown: Task, nudged: asyncio.Event) -> None:
        try:
            await self._tell(caller, shown, nudged)
        except Exception:  # it must not end all others
            log.exception("a task cannot be followed any further", extra={"task": shown.id})
            self._channels.of(shown.id).close()
        finally:
            del self._looking[shown.id]

    async def _tell(self, caller: Caller, shown: Task, nudged: asyncio.Event) -> None:
        while self._listened_to(shown.id):
            nudged.clear()
            actual = await self._look(caller, shown)
            if not self._listened_to(shown.id):
                break
            for update in missing(shown, actual):
                self._channels.publish(shown.id, update)
            shown = actual
            if actual.status.state.terminal:
                break
            await _wait(nudged, IDLE_SECONDS if actual.status.state.interrupted else LOOK_SECONDS)

    async def _look(self, caller: Caller, shown: Task) -> Task:
        """What is stored now; while the database is away, what was."""
        try:
            return await self._stored(caller, shown)
        except StoreUnavailable as error:
            log.debug("cannot look at a task", extra={"task": shown.id, "error": str(error)})
        except StoreError as error:  # its readers are told why when they come back
            log.warning("a followed task cannot be read", extra={"task": shown.id, "error": str(error)})
            self._channels.of(shown.id).close()
        return shown

    async def _stored(self, caller: Caller, shown: Task) -> Task:
        try:
            return await self._store.tasks.get(caller, shown.id, history_length=0)
        except NotFound:
            self._channels.publish(shown.id, await vanished(self._store, caller, shown.status.at))
            return shown

    def _listened_to(self, task_id: str) -> bool:
        return self._channels.listened_to(task_id) and not self._is_here(task_id)


async def vanished(store: Store, caller: Caller, at: float) -> StatusUpdate:
    """How a task has ended that is not stored any more: with its app, else by being answered with a message.

    Raises StoreUnavailable.
    """
    found = (await store.apps.standing((caller.app,))).get(caller.app)
    gone = caller.app != DEFAULT_APP and (found is None or found.status is AppStatus.DELETING)
    return StatusUpdate(Status(TaskState.CANCELED if gone else TaskState.COMPLETED, at))


async def _wait(nudged: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await nudged.wait()
    except TimeoutError:
        pass
