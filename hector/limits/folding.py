"""Moves what was paid, and what was given back, to where it counts: soon after it was written, and once."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from hector.core.errors import StoreError
from hector.store.counters import FOLDED, Counters

log = logging.getLogger("hector.limits")
_SHORTEST: Final = 0.02
"""Seconds that are waited even where somebody waits for it, so that payments are moved together."""
_PAUSES: Final = (0.2, 0.5, 2.0)
"""When, after a payment, it is looked for: first it has to be written."""
_EVER: Final = 5.0
"""Seconds between two looks without any payment of this process: others may have died over theirs."""


class Folding:
    """`active` says whether there may be anything at all."""

    def __init__(self, counters: Counters, active: Callable[[], bool]) -> None:
        self._counters = counters
        self._active = active
        self._paid = asyncio.Event()
        self._wanted = asyncio.Event()

    def note(self) -> None:
        """Something was paid or given back."""
        self._paid.set()

    def hurry(self) -> None:
        """Somebody waits for what others give back."""
        self._paid.set()
        self._wanted.set()

    async def keep(self) -> None:
        """Go on until cancelled."""
        while True:
            if not await _within(_EVER, self._paid):
                if self._active():
                    await self.fold()
                continue
            for pause in _PAUSES:
                self._paid.clear()
                if await _within(pause, self._wanted):
                    self._wanted.clear()
                    await asyncio.sleep(_SHORTEST)
                if await self.fold() or self._paid.is_set():
                    break

    async def fold(self) -> bool:
        """All there is now; whether there was anything."""
        moved = False
        try:
            while count := await self._counters.fold():
                moved = True
                if count < FOLDED:
                    break
        except StoreError as error:
            log.warning("payments could not be moved", extra={"error": str(error)})
        except Exception:
            log.exception("payments could not be moved")
        return moved


async def _within(seconds: float, event: asyncio.Event) -> bool:
    """Whether something happens within this time."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
