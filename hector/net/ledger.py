"""Where connections went: one bounded row for each purpose, host and port, counted where they are made."""

from collections.abc import Callable, Iterator
from typing import Final

from hector.core.clock import Clock, SystemClock

MOST: Final = 1000
"""Destinations that are told from each other; what comes beyond is counted together."""
MOST_REFUSED: Final = 300
"""Of these, how many may never have been allowed: clients who try addresses out must not drive out the others."""
OTHERS: Final = "(others)"


class Traffic:
    """One destination. `sent` and `received` are bytes of requests and of bodies, before compression is undone.

    `attempts` are connections that were tried, of which some `failed`; `calls` went over those that were made or kept.
    """

    __slots__ = (
        "_now", "attempts", "calls", "failed", "first_at", "host", "last_at", "port", "purpose", "received", "refusal",
        "refused", "sent", "written",
    )  # fmt: skip

    def __init__(self, purpose: str, host: str, port: int, now: Callable[[], float]) -> None:
        self._now = now
        self.purpose = purpose
        self.host = host
        self.port = port
        self.attempts = self.failed = self.refused = self.calls = self.sent = self.received = 0
        self.first_at = self.last_at = now()
        self.refusal = ""
        self.written: tuple[int, ...] = (0,) * len(self.counts)

    @property
    def counts(self) -> tuple[int, ...]:
        """All numbers: attempts, failed, refused, calls, sent, received. `written` is what of them is stored."""
        return self.attempts, self.failed, self.refused, self.calls, self.sent, self.received

    def attempt(self) -> None:
        """A connection is about to be made."""
        self.attempts += 1
        self.last_at = self._now()

    def refuse(self, why: str) -> None:
        """The policy said no."""
        self.refused += 1
        self.refusal = why
        self.last_at = self._now()

    def call(self, sent: int) -> None:
        """A request goes out."""
        self.calls += 1
        self.sent += sent
        self.last_at = self._now()


class Ledger:
    """All destinations of this process."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._rows: dict[tuple[str, str, int], Traffic] = {}
        self._refused = 0

    def __iter__(self) -> Iterator[Traffic]:
        return iter(list(self._rows.values()))

    def row(self, purpose: str, host: str, port: int, *, refused: bool = False) -> Traffic:
        """The row of a destination, or the one for all that have no room any more."""
        key = (purpose, host, port)
        found = self._rows.get(key)
        if found is None:
            if len(self._rows) >= MOST or (refused and self._refused >= MOST_REFUSED):
                key = (purpose, OTHERS, 0)
                if found := self._rows.get(key):
                    return found
            self._refused += refused
            found = self._rows[key] = Traffic(*key, self._clock.now)
        return found
