"""A connection that is made when it is needed, and made again when it is lost.

Once PostgreSQL has been away for PATIENCE seconds, nobody waits for it any longer until it is back.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeAlias, TypeVar

import asyncpg

from hector.config.postgres import PostgresAddress
from hector.core.errors import StoreError, StoreUnavailable
from hector.store.postgres_connection import connect
from hector.store.postgres_faults import PERMANENT, STARTING, translate

T = TypeVar("T")
RawConnection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

PATIENCE: Final = 5.0
START_PATIENCE: Final = 30.0
FIRST_DELAY: Final = 0.05
LONGEST_DELAY: Final = 1.0
RERUNS: Final = 6
"""How often something is run in all when others undo it, or its connection breaks, again and again."""


class Door:
    """Makes connections, and knows since when nobody could, and `why`."""

    def __init__(self, address: PostgresAddress) -> None:
        self.address = address
        self.why: Exception | None = None
        self._away: float | None = None

    def fault(self, error: Exception) -> Exception:
        """What went wrong, in words."""
        return translate(error, self.address.place)

    async def open(self, *, starting: bool = False) -> "RawConnection":
        """A new connection. Waits while PostgreSQL is away, but not for ever: then StoreError.

        `starting`: whoever starts us is told at once that nobody answers, but waits for a server that starts, too.
        """
        delay = FIRST_DELAY
        while True:
            try:
                raw = await connect(self.address)
            except Exception as error:  # noqa: BLE001 - whatever it is, a unit waits for an answer
                if not self._worth_waiting(error, starting=starting):
                    raise self.fault(error) from None
                await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - spreads attempts, hides nothing
                delay = min(2 * delay, LONGEST_DELAY)
                continue
            self._away = self.why = None
            return raw

    def _worth_waiting(self, error: Exception, *, starting: bool) -> bool:
        now = asyncio.get_running_loop().time()
        self._away = now if self._away is None else self._away
        self.why = fault = self.fault(error)
        state = getattr(error, "sqlstate", None)
        if starting:
            return state == STARTING and now - self._away < START_PATIENCE
        passing = isinstance(fault, StoreUnavailable) and state not in PERMANENT
        return passing and now - self._away < PATIENCE


class Link:
    """A connection that is made when it is needed, and made again when it is lost."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self._raw: RawConnection | None = None
        self.committing = False

    @property
    def raw(self) -> "RawConnection":
        """The connection, while a batch runs."""
        assert self._raw is not None  # noqa: S101 - `run` has made it
        return self._raw

    async def run(self, attempt: Callable[[bool], Awaitable[T]], *, again: bool) -> T:
        """Make an attempt, and once more on a new connection when this one breaks.

        It is told whether an earlier one may have been committed.
        """
        for left in reversed(range(RERUNS)):
            if self._raw is None or self._raw.is_closed():
                self._raw = await self.door.open()
            self.committing = False
            try:
                return await attempt(again)
            except Exception as error:
                if not left or not is_lost(self.raw, error):
                    raise
                again = again or self.committing
                await self.aclose()
        raise StoreError("no attempt was made")

    async def aclose(self) -> None:
        """Give the connection back."""
        raw, self._raw = self._raw, None
        if raw is not None:
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await raw.close(timeout=2.0)


def is_lost(raw: "RawConnection", error: Exception) -> bool:
    """Whether the connection is of no more use, and an open transaction gone with it."""
    if isinstance(error, asyncpg.PostgresError):
        return raw.is_closed() or (error.sqlstate or "").startswith(("08", "57P", "25P03"))
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)  # those are about arguments
    return isinstance(error, OSError | TimeoutError | asyncpg.InternalClientError) or raw.is_closed()
