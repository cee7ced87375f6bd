"""Moves what was paid, and what was given back, to where it counts: soon after it was written, and once."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from hector.core.errors import StoreError
from hector.store.counters import FOLDED, Counters

log = logging.getLogger("hector.limits")
_SHORTEST: Final = 0.02
"""Payments of so many seconds are moved together."""
_PAUSES: Final = (0.0, 0.1, 0.5, 2.0)
"""When, after a payment, it is looked for: first it has to be written."""
_EVER: Final = 5.0
"""Seconds between two looks without any payment of this process: others may have died over theirs."""


class Folding:
    """`active` says whether there may be anything at all."""

    def __init__(self, counters: Counters, active: Callable[[], bool]) -> None:
        self._counters = counters
        self._active = active
        self._paid = asyncio.Event()

    def hurry(self) -> None:
        """Something was paid or given back, or somebody waits for that."""
        self._paid.set()

    async def keep(self) -> None:
        """Go on until cancelled."""
        while True:
            try:
                async with asyncio.timeout(_EVER):
                    await self._paid.wait()
            except TimeoutError:
                if self._active():
                    await self.fold()
                continue
            for pause in _PAUSES:
                self._paid.clear()
                await asyncio.sleep(_SHORTEST)
                more = await self._within(pause)
                if await self.fold() or more:
                    break

    async def _within(self, seconds: float) -> bool:
        """Whether there is more within this time."""
        try:
            async with asyncio.timeout(seconds):
                await self._paid.wait()
        except TimeoutError:
            return False
        return True

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
