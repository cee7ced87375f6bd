"""How fast a service is asked for vectors of documents: several calls at once, fewer when it has had enough.

What one call is told holds for all: none begins before the time that the service asks for, and half as many go on from
there. Each answer makes room for a little more again.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from hector.core.clock import Clock

AT_ONCE: Final = 4
"""Calls to one service at once: enough to keep it busy while the last answers are stored."""


class Pace:
    """One per embedder and event loop."""

    def __init__(self, clock: Clock, most: int = AT_ONCE) -> None:
        self._clock, self._most = clock, most
        self._allowed = float(most)
        self._busy = 0
        self._until = 0.0
        self._changed = asyncio.Event()

    @property
    def allowed(self) -> int:
        """How many calls there may be at once just now."""
        return int(self._allowed)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until one more call is welcome; it counts as one for as long as the context is open."""
        while (rest := self._until - self._clock.now()) > 0 or self._busy >= self.allowed:
            if rest > 0:
                await self._clock.sleep(rest)
            else:
                self._changed.clear()
                await self._changed.wait()
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._changed.set()

    def slow_down(self, delay: float) -> None:
        """The service has had enough: nothing for so many seconds, and less from there on."""
        now = self._clock.now()
        if self._until <= now:  # several calls that are refused at the same time are one refusal
            self._allowed = max(1.0, self._allowed / 2)
        self._until = max(self._until, now + delay)

    def answered(self) -> None:
        """A call went well."""
        if self._allowed < self._most:
            self._allowed = min(self._most, self._allowed + 1 / self._allowed)
            self._changed.set()
