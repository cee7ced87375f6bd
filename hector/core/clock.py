"""Time as a dependency, so that tests can own it."""

import asyncio
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """Wall-clock seconds and sleeping."""

    def now(self) -> float:
        """Seconds since the epoch."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class FakeClock:
    """A clock that moves only when told; ships so that agent configurations can be tested without waiting."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start
        self.slept: list[float] = []

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Move on at once and remember how long a caller wished to wait."""
        self.slept.append(seconds)
        self._now += seconds
        await asyncio.sleep(0)


def milliseconds(seconds: float) -> int:
    """Whole milliseconds: what is stored of a time, and shown of it. Those of a time read back are the same again."""
    return round(seconds * 1_000_000) // 1000


def iso(seconds: float) -> str:
    """RFC 3339 in UTC with milliseconds and Z, as A2A wants it: 2025-10-28T10:30:00.000Z."""
    whole, part = divmod(milliseconds(seconds), 1000)
    return f"{_to_the_second(whole)}.{part:03d}Z"


@lru_cache(maxsize=16)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:-6]
