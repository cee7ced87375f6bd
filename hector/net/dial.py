"""Opens connections: the only place where a socket to elsewhere comes from, behind the gate."""

import asyncio
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from hector.core.record import dataclass
from hector.net.connection import Connection
from hector.net.egress import Policy
from hector.net.gate import Resolve, current
from hector.net.resolver import Resolver

if TYPE_CHECKING:
    from hector.net.policy import Purpose

_HAPPY_EYEBALLS_DELAY: Final = 0.25
_MOST_ADDRESSES: Final = 4
_SHARE: Final = 5.0
"""Seconds that an address may take while there are others."""

_resolvers: "WeakKeyDictionary[asyncio.AbstractEventLoop, Resolver]" = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Way:
    """What a connection is for, and who has chosen where to: the operator, or, with `outside`, a client or a model."""

    purpose: "Purpose" = "other"
    outside: Policy | None = None
    resolve: Resolve | None = None


OPERATOR: Final = Way()


def resolver() -> Resolver:
    """That of the running event loop."""
    loop = asyncio.get_running_loop()
    found = _resolvers.get(loop)
    if found is None:
        found = _resolvers[loop] = Resolver()
    return found


async def dial(
    way: Way, host: str, port: int, tls: "ssl.SSLContext | None", make: Callable[[], Connection]
) -> tuple[asyncio.Transport, Connection]:
    """A connection to a host that the gate admits, at an address that it admits. Raises EgressRefused and OSError.

    Where addresses are judged, the connection is made to one of those: a second look-up cannot lead elsewhere.
    """
    gate = current()
    addresses = await gate.addresses(way.purpose, host, port, outside=way.outside, resolve=way.resolve or resolver())
    traffic = gate.traffic(way.purpose, host, port)
    traffic.attempt()
    name = host if tls is not None else None
    loop = asyncio.get_running_loop()
    try:
        if not addresses:
            return await loop.create_connection(
                make, host, port, ssl=tls, server_hostname=name, happy_eyeballs_delay=_HAPPY_EYEBALLS_DELAY
            )
        for address in addresses[: _MOST_ADDRESSES - 1][: len(addresses) - 1]:
            try:
                async with asyncio.timeout(_SHARE):
                    return await loop.create_connection(make, str(address), port, ssl=tls, server_hostname=name)
            except ssl.SSLError:
                raise
            except (TimeoutError, OSError):
                continue
        last = str(addresses[:_MOST_ADDRESSES][-1])
        return await loop.create_connection(make, last, port, ssl=tls, server_hostname=name)
    except BaseException:
        traffic.failed += 1
        raise
