"""Keep-alive connections per origin, and one exchange over them."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Final

from hector.core.record import dataclass
from hector.net.connection import Connection
from hector.net.dial import OPERATOR, Way, dial
from hector.net.errors import ConnectFailed, ConnectionLost, NetTimeout, TlsFailed
from hector.net.gate import current
from hector.net.http1 import Head
from hector.net.ledger import Traffic
from hector.net.tls import context_for

IDLE_LIMIT: Final = 64
"""Idle connections kept per origin."""

IDLE_SECONDS: Final = 30.0
"""How long a connection may be idle; below the limits at which common servers and load balancers hang up."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where to connect. `host` is a name or an address without brackets."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `read` is the longest silence, not the length of the call; `write` the longest stand-still."""

    connect: float = 10.0
    read: float = 120.0
    write: float = 60.0


class Exchange:
    """A response whose head has come. `read` until b"", or `close`."""

    __slots__ = ("_connection", "_pool", "_traffic", "head")

    def __init__(self, head: Head, connection: Connection, pool: "Pool", traffic: Traffic) -> None:
        self._traffic = traffic
        self.head = head
        self._connection: Connection | None = connection
        self._pool = pool

    async def read(self) -> bytes:
        """Body bytes that have arrived since the last call; b"" at the end."""
        if self._connection is None:
            return b""
        body = await self._connection.read()
        self._traffic.received += len(body)
        if not body:
            self.close()
        return body

    async def aclose(self) -> None:
        """The same as `close`."""
        self.close()

    def close(self) -> None:
        """Give the connection back if the response is complete; otherwise cut it, so that the other side notices."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.give_back(connection)


class Pool:
    """Connections to one origin. The most recently used one is taken first, so that a quiet time lets the rest go."""

    def __init__(
        self,
        origin: Origin,
        ca_bundle: str | None = None,
        *,
        idle_seconds: float = IDLE_SECONDS,
        way: Way = OPERATOR,
    ) -> None:
        self.origin = origin
        self._way = way
        self._tls = context_for(ca_bundle) if origin.scheme == "https" else None
        self._idle_seconds = idle_seconds
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._reaper: asyncio.TimerHandle | None = None
        self._closed = False

    async def exchange(self, request: bytes, timeouts: Timeouts, *, bodyless: bool = False) -> Exchange:
        """Send `request` and wait for the response head. Raises NetError; cancelling closes the connection.

        A kept connection may have died unnoticed: when it ends before the first byte of a response, the request is
        sent once more over a fresh connection.
        """
        connection = self._take()
        if connection is not None:
            try:
                return await self._converse(connection, request, timeouts, bodyless=bodyless)
            except ConnectionLost as error:
                if error.answered:
                    raise
        connection = await self._connect(timeouts.connect)
        return await self._converse(connection, request, timeouts, bodyless=bodyless)

    def give_back(self, connection: Connection) -> None:
        """End of an exchange: keep the connection if it can be used again."""
        if not connection.finish():
            self._open.discard(connection)
        elif self._closed or len(self._idle) >= IDLE_LIMIT:
            self._open.discard(connection)
            connection.abort()
        else:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
            self._watch()

    async def aclose(self) -> None:
        """Close every connection, the busy ones too."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
        connections = list(self._open)
        self._open.clear()
        self._idle.clear()
        for connection in connections:
            connection.abort()
        for connection in connections:
            await connection.lost()

    async def _converse(
        self, connection: Connection, request: bytes, timeouts: Timeouts, *, bodyless: bool
    ) -> Exchange:
        traffic = current().traffic(self._way.purpose, self.origin.host, self.origin.port)
        traffic.call(len(request))
        try:
            connection.write(request, bodyless=bodyless, read_timeout=timeouts.read, write_timeout=timeouts.write)
            return Exchange(await connection.read_head(), connection, self, traffic)
        except BaseException:
            self._open.discard(connection)
            connection.abort()
            raise

    def _take(self) -> Connection | None:
        """A live idle connection, or None."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            self._open.discard(connection)
        return None

    async def _connect(self, seconds: float) -> Connection:
        origin = self.origin
        if self._closed:
            raise ConnectFailed(f"the client for {origin} is closed")
        factory: Callable[[], Connection] = lambda: Connection(str(origin))  # noqa: E731
        try:
            async with asyncio.timeout(seconds):
                transport, connection = await dial(self._way, origin.host, origin.port, self._tls, factory)
        except TimeoutError as error:
            raise NetTimeout(f"no connection to {origin} within {seconds:g} seconds", phase="connect") from error
        except ssl.SSLCertVerificationError as error:
            raise TlsFailed(_distrust(origin, error)) from error
        except ssl.SSLError as error:
            raise TlsFailed(f"TLS with {origin} failed: {error.reason or error}") from error
        except OSError as error:
            raise ConnectFailed(f"cannot connect to {origin}: {_plain(error)}") from error
        found = transport.get_extra_info("socket")
        if found is not None:  # notice a peer that vanished during a long silence
            found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._open.add(connection)
        return connection

    def _watch(self) -> None:
        """See to it that idle connections are looked at when the oldest one comes of age."""
        if self._reaper is None:
            self._reaper = asyncio.get_running_loop().call_later(self._idle_seconds, self._reap)

    def _reap(self) -> None:
        """Close what has been idle for too long."""
        self._reaper = None
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._idle_seconds
        keep: list[Connection] = []
        for connection in self._idle:
            if connection.usable and connection.idle_since > oldest:
                keep.append(connection)
            else:
                self._open.discard(connection)
                connection.abort()
        self._idle = keep
        if keep:
            self._reaper = loop.call_at(keep[0].idle_since + self._idle_seconds, self._reap)


def _distrust(origin: Origin, error: "ssl.SSLCertVerificationError") -> str:
    return (
        f"the certificate of {origin} is not trusted: {error.verify_message}. If a company proxy or a server of your "
        "own signs it, set ca_bundle (or SSL_CERT_FILE) to a PEM file with that authority's certificate"
    )


def _plain(error: OSError) -> str:
    """The reason without addresses and numbers that asyncio repeats."""
    if isinstance(error, socket.gaierror):
        return "the host name is unknown"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return error.strerror or str(error)
