"""The streams that are open: bounded in all, and for each user if the configuration says so."""

from collections import Counter
from typing import Final

from hector.a2a.errors import TOO_MANY_STREAMS, ProtocolError
from hector.core.identity import Principal
from hector.limits.limits import Limits

MOST: Final = 2_000
"""Streams that may be open at once; each holds a socket and up to its share of unread updates."""


class Opened:
    """Counts them, from when they are asked for. Who cannot be told apart from others shares one bound with them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._count = 0
        self._of: Counter[tuple[str, ...]] = Counter()

    def enter(self, who: Principal) -> None:
        """One more; `leave` must follow. Raises ProtocolError."""
        most = self._limits.streams
        if self._count >= MOST:
            raise ProtocolError(TOO_MANY_STREAMS, f"{MOST} streams are open already; close some, or poll the task")
        if most and self._of[_key(who)] >= most:
            raise ProtocolError(
                TOO_MANY_STREAMS,
                f"{most} streams of yours are open already (limits.streams_per_user); close some, or poll the task",
            )
        self._count += 1
        self._of[_key(who)] += 1

    def leave(self, who: Principal) -> None:
        """One less."""
        self._count -= 1
        self._of[_key(who)] -= 1
        if not self._of[_key(who)]:
            del self._of[_key(who)]


def _key(who: Principal) -> tuple[str, ...]:
    return who.app or "", who.user, who.subject
