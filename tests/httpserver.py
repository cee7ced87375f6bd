"""A small HTTP/1.1 server on loopback for tests: it reads whole requests; whoever answers writes what they like.

Faults are part of what tests need, so an answer may also be half of one, or none at all.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

_REASONS: Final = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}
END: Final = b"0\r\n\r\n"
"""The last chunk of an answer in chunks."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came in. Header names are lower-case; `query` is the text after "?"."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: Any
    connection: int = 0
    """Number of the connection that carried it."""


Answer: TypeAlias = Callable[[Request, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bool]]
"""Writes an answer; whether the connection stays open."""


class HttpServer:
    """Use as an async context manager; leaving it ends whatever is still being answered."""

    def __init__(self, answer: Answer, port: int = 0) -> None:
        self.port = port
        self.connections = 0
        """How many were ever accepted."""
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._handlers: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=2**26, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._handlers:
            task.cancel()
        while self._handlers:
            await asyncio.wait(self._handlers)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:<port>`."""
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        self.connections += 1
        number = self.connections
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while (request := await _read(reader, number)) and await self._answer(request, reader, writer):
                    await writer.drain()
        finally:
            self._handlers.discard(task)
            writer.close()


async def _read(reader: asyncio.StreamReader, number: int) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    path, _, query = re.sub(r"^http://[^/]+", "", target).partition("?")  # a whole address: we are taken for a proxy
    return Request(method, path, query, headers, _json(body), number)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode("utf-8", errors="replace")


def write_head(writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str], content_type: str) -> None:
    """Status line and headers."""
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Whatever')}", f"content-type: {content_type}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())


def write_whole(
    writer: asyncio.StreamWriter,
    status: int,
    body: bytes,
    headers: Mapping[str, str] | None = None,
    content_type: str = "application/json",
    cut: int | None = None,
) -> None:
    """An answer in one piece, of which only the first `cut` bytes are sent."""
    write_head(writer, status, {**(headers or {}), "content-length": str(len(body))}, content_type)
    writer.write(body[:cut])


def write_chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    """A piece of an answer in chunks; END is the last one."""
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
