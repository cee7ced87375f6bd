"""What an app that is deleted has outside of the database: indexes on this machine, and their vectors on servers."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hector.apps.knowledge import delete_folders, folders_of, servers_of
from hector.config.root import HectorConfig
from hector.core.clock import Clock, SystemClock
from hector.core.errors import StartupError
from hector.rag.stores.removal import Progress, left_in, note, progress_of, remove
from hector.store.lock import FileLock

if TYPE_CHECKING:
    from hector.rag.stores.index import Keeping
    from hector.rag.stores.traces import Trace

log = logging.getLogger("hector.apps")


class Configurations(Protocol):
    """What an app was configured to be."""

    def past(self, app_id: str) -> AsyncGenerator[HectorConfig, None]:
        """Every configuration that still holds, the newest first. Raises StoreError."""


class Removal:
    """Of one app on this machine. `file` is the operator's configuration."""

    def __init__(
        self, app: str, file: HectorConfig | None, configurations: Configurations | None, clock: Clock | None = None
    ) -> None:
        self._app, self._file, self._configurations = app, file, configurations
        self._clock = clock or SystemClock()

    async def __call__(self, seconds: float) -> tuple[bool, Sequence[str]]:
        """Whether it is done, and what stays on servers for good, since it was tried for too long.

        `seconds` bounds what is done on servers; 0: others may still write there, so that it is too early for that.
        """
        stays: list[str] = []
        for folder in folders_of(self._app, self._file):
            if await asyncio.to_thread(left_in, folder):
                if not seconds:
                    return False, ()
                done, left = await self._alone(folder, seconds)
                if not done:
                    return False, ()
                stays += left
        await asyncio.to_thread(delete_folders, self._app, self._file)
        return True, stays

    async def _alone(self, folder: Path, seconds: float) -> tuple[bool, Sequence[str]]:
        try:
            lock = FileLock(folder / ".removal")
        except (StartupError, FileNotFoundError):  # another process does it, or has done it just now
            return False, ()
        try:
            return await self._on_servers(folder, seconds)
        finally:
            lock.release()

    async def _on_servers(self, folder: Path, seconds: float) -> tuple[bool, Sequence[str]]:
        progress = progress_of(folder, self._clock.now())
        if self._clock.now() < progress.due:
            return False, ()
        servers = await self._servers({place for _, (place, _) in left_in(folder)})
        left = await remove(folder, servers, seconds)
        now = self._clock.now()
        if not left:
            return True, ()
        if progress.is_over(now):
            return True, self._give_up(left)
        note(folder, following := progress.failed(now))
        self._tell(left, following, now)
        return False, ()

    async def _servers(self, places: set[str]) -> "Mapping[str, Callable[[], Keeping]]":
        """As the newest configuration that names a place reaches it."""
        servers: dict[str, Callable[[], Keeping]] = {}
        if self._configurations is None:
            return servers
        async with aclosing(self._configurations.past(self._app)) as past:
            async for config in past:
                servers = servers_of(config, self._app) | servers
                if servers.keys() >= places:
                    break
        return servers

    def _tell(self, left: "Mapping[Trace, str]", progress: Progress, now: float) -> None:
        log.warning(
            "vectors of a deleted app stay on a server for now; trying again",
            extra={"app": self._app, "left": _told(left), "seconds": round(progress.due - now)},
        )

    def _give_up(self, left: "Mapping[Trace, str]") -> Sequence[str]:
        told = _told(left)
        log.error(
            "vectors of a deleted app stay on a server, which could not be reached for a day: remove them there",
            extra={"app": self._app, "left": told},
        )
        return told


def _told(left: "Mapping[Trace, str]") -> list[str]:
    """Where something stays, the identity of the index that it is of, and why."""
    return [f"{place}: index {identity} ({reason})" for (place, identity), reason in left.items()]
