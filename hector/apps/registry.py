"""Which app serves requests now. A swap is whole: new work takes the new app, running work keeps its own."""

import asyncio
import logging
from collections.abc import Callable

from hector.apps.app import App

log = logging.getLogger("hector.apps")


class Lease:
    """The right to use an app until released; the app is not closed before."""

    def __init__(self, app: App, on_release: Callable[[App], None]) -> None:
        self.app = app
        self._on_release: Callable[[App], None] | None = on_release

    def release(self) -> None:
        """Give it back. Safe to call twice."""
        if self._on_release is not None:
            give_back, self._on_release = self._on_release, None
            give_back(self.app)


class Apps:
    """The current app, and the replaced ones that still have work."""

    def __init__(self, app: App) -> None:
        self._current = app
        self._leases: dict[int, int] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def current(self) -> App:
        """The app that new work goes to."""
        return self._current

    def lease(self) -> Lease:
        """Use the current app."""
        app = self._current
        self._leases[id(app)] = self._leases.get(id(app), 0) + 1
        return Lease(app, self._released)

    def swap(self, app: App) -> None:
        """Put a new app in place; the old one is closed when its last lease is released."""
        old, self._current = self._current, app
        if not self._leases.get(id(old)):
            self._close(old)

    def _released(self, app: App) -> None:
        self._leases[id(app)] -= 1
        if self._leases[id(app)] == 0:
            del self._leases[id(app)]
            if app is not self._current:
                self._close(app)

    def _close(self, app: App) -> None:
        closing = asyncio.get_running_loop().create_task(app.models.aclose())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def aclose(self) -> None:
        """Close the current app and wait for replaced ones that are being closed."""
        await self._current.models.aclose()
        if self._closing:
            await asyncio.wait(tuple(self._closing))
