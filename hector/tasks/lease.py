"""The lease of this process: renewed by a heartbeat, lost when it falls silent, and watched in all others."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence
from typing import Final

from hector.core.clock import Clock
from hector.core.errors import StoreError
from hector.core.ids import new_id
from hector.core.job import Instance
from hector.store import Store
from hector.store.instances import Takeover
from hector.version import __version__

log = logging.getLogger("hector.tasks")

BEATS: Final = 3
"""Heartbeats within the time after which a process counts as dead."""
_NAMED: Final = 10
"""Processes, and tasks, that a line of the log names."""
_HAIR: Final = 0.01
"""Seconds beyond the end of a lease, so that it is over by any rounding."""
_EVER: Final = 1e9
"""Longer than any process has been silent, in seconds: on a database of one process all others are gone."""


class Lease:
    """Says to the others that this process is alive, and takes over from those that are not. `id` is its name there.

    `lost` is called when the others have declared it dead: whatever it works on belongs to them now. `returned` is
    called when the database has come back.
    """

    def __init__(
        self, store: Store, clock: Clock, seconds: float, lost: Callable[[], None], returned: Callable[[], None]
    ) -> None:
        self.id = new_id()
        self._store = store
        self._clock = clock
        self._seconds = seconds
        self._lost = lost
        self._returned = returned
        self._away = False
        self._patient_until = 0.0
        self._due: float | None = None

    async def begin(self) -> None:
        """Register, and free what this database's only process left behind when it died."""
        await self._register()
        alone = self._store.database.dialect == "sqlite"
        taken = await self._store.instances.reap(self.id, -_EVER if alone else self._seconds)
        if taken.subjects:
            log.info("work of a process that is gone goes on", extra=_facts(taken))

    async def keep(self) -> None:
        """Beat until cancelled, and once more when somebody else's lease ends."""
        while True:
            await asyncio.sleep(pause(self._seconds, self._due))
            self._due = None
            try:
                await self._beat()
            except StoreError as error:
                if not self._away:
                    log.warning("the lease cannot be renewed", extra={"error": str(error)})
                self._away = True
            except Exception:
                log.exception("the lease cannot be renewed")

    async def end(self) -> None:
        """Take leave, so that nobody has to wait for this process."""
        try:
            async with asyncio.timeout(self._seconds):
                await self._store.instances.leave(self.id)
        except (StoreError, TimeoutError) as error:
            log.warning("could not take leave; others notice by themselves", extra={"error": str(error)})

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        alive = await self._store.instances.beat(self.id)
        if self._away or loop.time() - began > self._seconds / BEATS:
            self._patient_until = loop.time() + self._seconds  # the others could not beat either: they live, perhaps
        if not alive:
            log.warning("this process fell silent for too long; others have taken over its work")
            self._lost()
            self.id = new_id()  # what was claimed under the old one belongs to nobody, and is freed below
            await self._register()
        if self._away:
            self._away = False
            self._returned()
        if loop.time() < self._patient_until:
            return
        taken = await self._store.instances.reap(self.id, self._seconds)
        self._due = taken.due
        if taken.subjects:
            log.warning("took over the work of a process that stopped answering", extra=_facts(taken))
        elif taken.processes:
            log.info("a process stopped answering; it had no work", extra={"processes": listed(taken.processes)})

    async def _register(self) -> None:
        now = self._clock.now()
        this = Instance(self.id, socket.gethostname(), os.getpid(), __version__, now, now)
        await self._store.instances.register(this)


def pause(lease: float, due: float | None) -> float:
    """Seconds until the next beat: regular, unless the lease of another process, silent so far, ends before."""
    regular = lease / BEATS
    return regular if due is None else min(regular, due + _HAIR)


def listed(names: Sequence[str]) -> str:
    """The first of them for a line of the log, and how many there are beyond."""
    more = len(names) - _NAMED
    return "; ".join(names[:_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _facts(taken: Takeover) -> dict[str, object]:
    return {
        "count": len(taken.subjects),
        "processes": listed(taken.processes) or "no longer listed",
        "tasks": listed(tuple(dict.fromkeys(taken.subjects))),
    }
