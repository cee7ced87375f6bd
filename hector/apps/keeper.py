"""Keeps the loaded apps true: takes in what was changed, here or elsewhere, and lets go of what nobody uses."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from hector.apps.deletion import finish_deletion
from hector.apps.registry import Apps
from hector.core.clock import Clock
from hector.core.errors import StoreError
from hector.core.identity import DEFAULT_APP
from hector.store import Store
from hector.store.apps import CHANNEL, AppStatus

log = logging.getLogger("hector.apps")

LOOK_SECONDS: Final = {"sqlite": 2.0, "postgres": 20.0}
"""How often to look without having been told; nobody tells of what another program does to an SQLite file."""
SWEEP_SECONDS: Final = 30.0
"""How often unfinished deletions are looked for, and how long after its beginning one is nobody else's: by then every
server has heard of it, and nobody writes for that app any more."""
HELD_SWEEPS: Final = 4
"""For how many of them the row of an app stays, so that every server has removed what is on its machine, or has said
that it could not yet."""


class Keeper:
    """`idle` says how long (in seconds) an app may be unused."""

    def __init__(self, apps: Apps, store: Store, clock: Clock, idle: Callable[[], float]) -> None:
        self._apps = apps
        self._store = store
        self._clock = clock
        self._idle = idle
        self._changed: set[str] = set()
        self._tried: dict[str, int] = {}
        self._woken = asyncio.Event()
        self._every = LOOK_SECONDS.get(store.database.dialect, 20.0)

    def hear(self) -> Callable[[], None]:
        """Listen to announcements from now on; call the answer to stop."""
        return self._store.database.listen(CHANNEL, self._heard)

    def _heard(self, app_id: str) -> None:
        self._apps.forget_refusal(app_id)
        self._changed.add(app_id)
        self._woken.set()

    async def keep(self) -> None:
        """Until cancelled."""
        deaf = self.hear()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._sweep())  # which may take long, and must not hold changes up
                while True:
                    await self._rest()
                    await self._round()
        finally:
            deaf()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._every):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    async def _round(self) -> None:
        try:
            if not self._changed:
                self._changed |= await self._missed()
            while self._changed:
                await self._refresh(self._changed.pop())
        except StoreError as error:
            log.warning("changes of apps cannot be read; trying again", extra={"error": str(error)})
        except Exception:
            log.exception("changes of apps cannot be taken in")
        self._apps.unload(self._idle())

    async def _refresh(self, app_id: str) -> None:
        try:
            await self._apps.refresh(app_id)
        except StoreError:
            self._changed.add(app_id)
            raise

    async def _sweep(self) -> None:
        """Go on with deletions that were not finished: too much for one request, or a server was stopped in between."""
        while True:
            await self._clock.sleep(SWEEP_SECONDS)
            try:
                await self._finish()
            except StoreError as error:
                log.warning("a deleted app cannot be removed now; trying again", extra={"error": str(error)})
            except Exception:
                log.exception("a deleted app cannot be removed")

    async def _finish(self) -> None:
        now = self._clock.now()
        everywhere = await self._store.apps.deleting(now - HELD_SWEEPS * SWEEP_SECONDS)
        for app_id in await self._store.apps.deleting(now - SWEEP_SECONDS):
            try:
                await finish_deletion(self._store, self._apps, app_id, swept=True, everywhere=app_id in everywhere)
            except StoreError as error:
                log.warning(
                    "a deleted app cannot be removed now; trying again", extra={"app": app_id, "error": str(error)}
                )

    async def _missed(self) -> set[str]:
        """What has changed without our having been told."""
        loaded = dict(self._apps.loaded())
        self._tried = {app_id: version for app_id, version in self._tried.items() if app_id in loaded}
        standing = await self._store.apps.standing(tuple(loaded))
        missed: set[str] = set()
        for app_id, version in loaded.items():
            record = standing.get(app_id)
            if record is None:
                changed = version > 0 or app_id != DEFAULT_APP
            else:
                seen = self._tried.get(app_id, version)
                self._tried[app_id] = record.version  # one that does not hold is not tried over and over
                changed = record.version != seen or record.status is not AppStatus.ACTIVE
            if changed:
                missed.add(app_id)
        return missed
