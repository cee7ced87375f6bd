"""Sends requests to addresses that clients have chosen: judged, bounded, never redirected.

A connection for each request: receivers are many and notifications to one of them few.
"""

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

from hector.core.record import dataclass
from hector.net.call import default_headers
from hector.net.connection import Connection
from hector.net.egress import Address, Policy, Target, parse_address
from hector.net.errors import ConnectFailed, NetError, NetTimeout, TlsFailed
from hector.net.http1 import encode_head
from hector.net.resolver import Resolver
from hector.net.tls import context_for

SECONDS: Final = 20.0
"""How long a request may take in all."""
_BODY_LIMIT: Final = 64 * 1024
"""Bytes of a response that are read, and thrown away; a server that sends more is hung up on."""
_BODY_SECONDS: Final = 1.0
_MOST_ADDRESSES: Final = 4
Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a name. Raises OSError."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back: the status, and for how many seconds the receiver asks to be left alone."""

    status: int
    retry_after: float | None = None


class Outbound:
    """A client for destinations of others. `resolve` stands in for the system's resolver, in tests of rebinding."""

    def __init__(
        self, policy: Policy, *, resolve: Resolve | None = None, seconds: float = SECONDS, ca_bundle: str | None = None
    ) -> None:
        self._policy = policy
        self._resolve = resolve or Resolver()
        self._seconds = seconds
        self._ca_bundle = ca_bundle

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """One POST; whatever status comes back is an outcome. Raises NetError, EgressRefused among them."""
        target = self._policy.target(url)
        try:
            async with asyncio.timeout(self._seconds):
                return await self._exchange(target, self._request(target, body, headers))
        except TimeoutError:
            raise NetTimeout(f"{target} has not answered within {self._seconds:g} seconds", phase="read") from None

    def _request(self, target: Target, body: bytes, headers: Mapping[str, str]) -> bytes:
        own = {"host": target.authority, **default_headers(), "connection": "close", "content-length": str(len(body))}
        return encode_head("POST", target.path, {**headers, **own}.items()) + b"\r\n" + body

    async def _exchange(self, target: Target, request: bytes) -> Outcome:
        connection = await self._connect(target)
        try:
            connection.write(request, bodyless=False, read_timeout=self._seconds, write_timeout=self._seconds)
            head = await connection.read_head()
            with suppress(NetError, TimeoutError):  # the status has been said; what becomes of the rest changes nothing
                async with asyncio.timeout(_BODY_SECONDS):
                    await _drain(connection)
        finally:
            connection.abort()
            await connection.lost()
        return Outcome(head.status, _seconds(head.headers.get("retry-after", "")))

    async def _addresses(self, target: Target) -> Sequence[Address]:
        """All addresses of the target, every one of them judged: one that is forbidden spoils the whole answer."""
        if target.address is not None:
            return (target.address,)  # judged with the URL
        try:
            found = await self._resolve(target.host, target.port)
        except OSError as error:
            raise ConnectFailed(f"the name of {target} cannot be resolved: {error.strerror or error}") from None
        addresses = tuple(dict.fromkeys(parse_address(text) for text in found))
        for address in addresses:
            self._policy.check(target.host, address)
        if not addresses:
            raise ConnectFailed(f"the name of {target} has no address")
        return addresses[:_MOST_ADDRESSES]

    async def _connect(self, target: Target) -> Connection:
        """To the first judged address that answers; the name is only for TLS and for the receiver."""
        tls = context_for(self._ca_bundle) if target.scheme == "https" else None
        addresses = await self._addresses(target)
        share = self._seconds / (len(addresses) + 1)
        for address in addresses[:-1]:
            try:
                async with asyncio.timeout(share):
                    return await _open(target, address, tls)
            except (TimeoutError, ConnectFailed):
                continue
        return await _open(target, addresses[-1], tls)


async def _drain(connection: Connection) -> None:
    size = 0
    while size <= _BODY_LIMIT and (data := await connection.read()):
        size += len(data)


async def _open(target: Target, address: Address, tls: ssl.SSLContext | None) -> Connection:
    loop = asyncio.get_running_loop()
    name = target.host if tls is not None else None
    try:
        _, connection = await loop.create_connection(
            lambda: Connection(str(target)), str(address), target.port, ssl=tls, server_hostname=name
        )
    except ssl.SSLCertVerificationError as error:
        raise TlsFailed(f"the certificate of {target} is not trusted: {error.verify_message}") from None
    except ssl.SSLError as error:
        raise TlsFailed(f"TLS with {target} failed: {error.reason or error}") from None
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else "no address of it answers"
        raise ConnectFailed(f"cannot connect to {target}: {reason}") from None
    return connection


def _seconds(text: str) -> float | None:
    """Retry-After in its plain form; dates are left alone."""
    return float(text) if text.isdecimal() and len(text) < 8 else None
