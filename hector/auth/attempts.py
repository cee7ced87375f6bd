"""How often an address may be wrong: guessing is slowed down, and a crowd of guesses is never worked on at once."""

import ipaddress
from typing import Final

from hector.core.clock import Clock
from hector.core.errors import Throttled

MOST: Final = 10
"""Wrong credentials that an address may send within WINDOW seconds."""
WINDOW: Final = 60.0
_ADDRESSES: Final = 10_000
"""Addresses that are remembered; when there are more, the oldest window is forgotten."""


class Attempts:
    """The wrong ones of the last minute, by address.

    The same one again is no further guess: a program that goes on with a secret that has ended shuts nobody out.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failed: dict[str, tuple[float, set[bytes]]] = {}

    def require(self, address: str) -> None:
        """Raises Throttled for an address that was wrong too often."""
        since, wrong = self._failed.get(_block(address), (0.0, ()))
        left = since + WINDOW - self._clock.now()
        if len(wrong) >= MOST and left > 0:
            raise Throttled("too many wrong credentials from this address; wait before the next one", left)

    def was_wrong(self, address: str, name: bytes) -> bool:
        """Whether this one was wrong a moment ago: it need not be looked at again."""
        since, wrong = self._failed.get(_block(address), (0.0, ()))
        return name in wrong and self._clock.now() < since + WINDOW

    def fail(self, address: str, name: bytes) -> None:
        """Note that it was wrong with the credential of this name, a digest of it."""
        block, now = _block(address), self._clock.now()
        since, wrong = self._failed.get(block, (now, set[bytes]()))
        if now >= since + WINDOW:
            since, wrong = now, set()
        if block not in self._failed and len(self._failed) >= _ADDRESSES:
            del self._failed[next(iter(self._failed))]
        wrong.add(name)
        self._failed[block] = (since, wrong)


def _block(address: str) -> str:
    """Of IPv6, a caller has whole networks of addresses: what counts is the network."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
