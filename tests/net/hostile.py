"""A server that does what it is told, byte by byte."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass
class Peer:
    """One accepted connection. `requests` collects (head, body) pairs of the whole server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    requests: list[tuple[bytes, bytes]]
    number: int

    async def request(self) -> bytes:
        """The next request's body; raises IncompleteReadError when the client hangs up."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 : head.index(b"\r\n", at)]) if at >= 0 else 0
        body = await self.reader.readexactly(length)
        self.requests.append((head, body))
        return body

    async def send(self, *pieces: bytes) -> None:
        """Each piece as its own packet, as far as that can be had."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)

    async def reset(self) -> None:
        """End with RST instead of FIN."""
        import socket
        import struct

        link: socket.socket = self.writer.get_extra_info("socket")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the client has hung up."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


Script: TypeAlias = Callable[[Peer], Awaitable[None]]


@dataclass
class Hostile:
    """A running server."""

    port: int
    scheme: str
    requests: list[tuple[bytes, bytes]] = field(default_factory=list)
    connections: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever a script has come to its end."""

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"{self.scheme}://127.0.0.1:{self.port}"


@asynccontextmanager
async def serving(*scripts: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Hostile]:
    """The nth connection runs the nth script, later ones the last; a connection is closed when its script ends."""
    running: set[asyncio.Task[None]] = set()
    hostile = Hostile(0, "https" if tls else "http")

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        hostile.connections += 1
        peer = Peer(reader, writer, hostile.requests, hostile.connections)
        try:
            await pick(scripts, peer.number)(peer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            hostile.left.set()
            running.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    hostile.port = server.sockets[0].getsockname()[1]
    try:
        yield hostile
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        if running:
            _, late = await asyncio.wait(running, timeout=60)
            assert not late


def pick(scripts: Sequence[Script], number: int) -> Script:
    """The script of the connection with this number, from 1."""
    return scripts[min(number, len(scripts)) - 1]


def replies(*pieces: bytes) -> Script:
    """Read a request, send these pieces, close."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(*pieces)

    return script


def echo() -> Script:
    """Answer each request with its own body, for as long as the client wishes."""

    async def script(peer: Peer) -> None:
        while True:
            body = await peer.request()
            await peer.send(HEAD % len(body) + body)

    return script
