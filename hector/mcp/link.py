"""What every transport has in common: two streams of messages, and the fate of the connection between them."""

import asyncio
import logging
from typing import Final

import anyio
from mcp.shared.message import SessionMessage
from mcp.types import ErrorData, JSONRPCError, JSONRPCMessage, JSONRPCRequest
from pydantic import ValidationError

from hector.mcp.errors import ServerFault

log = logging.getLogger("hector.mcp")
NOT_SENT: Final = -32090
"""Code of an answer that we give ourselves: the request never reached the server."""
NO_ANSWER: Final = -32091
"""Code of an answer that we give ourselves: the server has the request, and its answer will not come."""
NOTE_SECONDS: Final = 5.0
"""How long a server may take to accept what it has not to answer."""
MESSAGE_LIMIT: Final = 16 * 1024 * 1024
"""Bytes of one message."""
MOST_VALUES: Final = 100_000
"""Values in one message. Reading one takes some microseconds, in which nothing else runs: not even in other threads."""
_SMALL: Final = 64 * 1024


def exceeds(blob: bytes, most: int) -> bool:
    """Whether a JSON text holds more values than that; quick, and without reading it."""
    if _marks(blob) <= most:
        return False
    plain = blob.replace(b"\\\\", b"").replace(b'\\"', b"")
    return plain.count(b'"') > 4 * most or _marks(b"".join(plain.split(b'"')[::2])) > most


def _marks(blob: bytes) -> int:
    return blob.count(b",") + blob.count(b"[") + blob.count(b"{")


class Fate:
    """Whether a connection has ended, and why. The first reason counts."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.reason = ""

    def end(self, reason: str) -> None:
        """The connection is of no use any more."""
        if not self.ended.is_set():
            self.reason = reason
            self.ended.set()


class Ends:
    """Both ends of the streams: the session's `inbox` and `outbox`, the transport's `arrived` and `leaving`."""

    def __init__(self) -> None:
        self.arrived, self.inbox = anyio.create_memory_object_stream[SessionMessage | Exception](16)
        self.outbox, self.leaving = anyio.create_memory_object_stream[SessionMessage](0)

    async def take(self, text: bytes | str) -> JSONRPCMessage | None:
        """Hand a message of the server to the session; None for what is none. Raises ServerFault for one that would
        hold up everything else.
        """
        if len(text) > _SMALL and exceeds(text.encode() if isinstance(text, str) else text, MOST_VALUES):
            raise ServerFault(f"one message of the server has more than {MOST_VALUES} values", sent=True)
        try:
            message = JSONRPCMessage.model_validate_json(text)
        except ValidationError:
            return None
        await self.deliver(message)
        return message

    async def deliver(self, message: JSONRPCMessage) -> None:
        """Hand it over, unless nobody listens any more."""
        try:
            await self.arrived.send(SessionMessage(message))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            log.debug("a message came after the end of its connection")

    async def refuse(self, message: JSONRPCMessage, code: int, reason: str) -> None:
        """Answer a request of our own that the server will not answer."""
        if isinstance(message.root, JSONRPCRequest):
            error = JSONRPCError(jsonrpc="2.0", id=message.root.id, error=ErrorData(code=code, message=reason))
            await self.deliver(JSONRPCMessage(error))

    def close(self) -> None:
        """The session notices at its next look."""
        for stream in (self.arrived, self.inbox, self.outbox, self.leaving):
            stream.close()


def encode(message: SessionMessage) -> bytes:
    """A message as it travels."""
    return message.message.model_dump_json(by_alias=True, exclude_none=True).encode()
