"""Sends requests to addresses that clients have chosen: judged, bounded, never redirected.

A connection for each request: receivers are many and notifications to one of them few.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from hector.core.record import dataclass
from hector.net.call import default_headers
from hector.net.connection import Connection
from hector.net.dial import Way, dial
from hector.net.egress import EgressRefused, Policy, Target
from hector.net.errors import ConnectFailed, NetError, NetTimeout, TlsFailed
from hector.net.gate import Resolve, current
from hector.net.http1 import encode_head
from hector.net.tls import context_for

if TYPE_CHECKING:
    from hector.net.policy import Purpose

SECONDS: Final = 20.0
"""How long a request may take in all."""
_BODY_LIMIT: Final = 64 * 1024
"""Bytes of a response that are read, and thrown away; a server that sends more is hung up on."""
_BODY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back: the status, and for how many seconds the receiver asks to be left alone."""

    status: int
    retry_after: float | None = None


class Outbound:
    """A client for destinations of others. `resolve` stands in for the system's resolver, in tests of rebinding."""

    def __init__(
        self,
        policy: Policy,
        *,
        resolve: Resolve | None = None,
        seconds: float = SECONDS,
        ca_bundle: str | None = None,
        purpose: "Purpose" = "push",
    ) -> None:
        self._way = Way(purpose, policy, resolve)
        self._policy = policy
        self._seconds = seconds
        self._ca_bundle = ca_bundle

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """One POST; whatever status comes back is an outcome. Raises NetError, EgressRefused among them."""
        target = judged(self._policy, self._way.purpose, url)
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
        current().traffic(self._way.purpose, target.host, target.port).call(len(request))
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

    async def _connect(self, target: Target) -> Connection:
        """To a judged address; the name is only for TLS and for the receiver."""
        tls = context_for(self._ca_bundle) if target.scheme == "https" else None
        try:
            _, connection = await dial(self._way, target.host, target.port, tls, lambda: Connection(str(target)))
        except ssl.SSLCertVerificationError as error:
            raise TlsFailed(f"the certificate of {target} is not trusted: {error.verify_message}") from None
        except ssl.SSLError as error:
            raise TlsFailed(f"TLS with {target} failed: {error.reason or error}") from None
        except socket.gaierror as error:
            raise ConnectFailed(f"the name of {target} cannot be resolved: {error.strerror or error}") from None
        except OSError as error:
            reason = os.strerror(error.errno).lower() if error.errno else str(error) or "no address of it answers"
            raise ConnectFailed(f"cannot connect to {target}: {reason}") from None
        return connection


def judged(policy: Policy, purpose: "Purpose", url: str) -> Target:
    """A URL that somebody else has written, taken apart and judged as far as that goes without looking a name up.

    Raises EgressRefused.
    """
    try:
        return policy.target(url)
    except EgressRefused as error:
        if error.place is not None:
            current().refuse(purpose, *error.place, str(error))
        raise


async def _drain(connection: Connection) -> None:
    size = 0
    while size <= _BODY_LIMIT and (data := await connection.read()):
        size += len(data)


def _seconds(text: str) -> float | None:
    """Retry-After in its plain form; dates are left alone."""
    return float(text) if text.isdecimal() and len(text) < 8 else None
