"""The MCP server under /mcp: streamable HTTP, each request for itself."""

import asyncio
from contextlib import suppress
from typing import Any, Final

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from hector.a2a import wire
from hector.a2a.errors import ProtocolError
from hector.core.content import JsonObject
from hector.core.ids import new_id
from hector.mcp import serving
from hector.web.answers import JSON, NO_CACHE
from hector.web.asgi import Exchange
from hector.web.identity import is_revoked, principal_of, was_admitted_by_credential
from hector.web.mcp_door import Door
from hector.web.opened import Opened
from hector.web.streams import LOOK_SECONDS

PING_SECONDS: Final = 15.0
WRITE_SECONDS: Final = 60.0
"""How long one write may wait for a client that does not read."""
_STREAM: Final = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))


class McpEndpoint:
    """The endpoint. Sessions are only names, under which a client cancels its own calls."""

    def __init__(self, door: Door, opened: Opened, most: int) -> None:
        self._door = door
        self._opened = opened
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, unless the client has gone. Raises HectorError."""
        with suppress(ClientDisconnect):
            await self._serve(Exchange(scope, receive, send))

    async def _serve(self, exchange: Exchange) -> None:
        if exchange.method == "DELETE":
            await exchange.reply(200, b"{}")  # there is nothing to forget
            return
        exchange.require_json()
        spoken = exchange.header(b"mcp-protocol-version")
        if spoken and spoken not in serving.VERSIONS:
            said = f"version {spoken[:40]!r} is not spoken here; these are: {', '.join(serving.VERSIONS)}"
            await self._reply(exchange, serving.fault(None, serving.INVALID_REQUEST, said), 400)
            return
        body = await exchange.body(self._most)
        try:
            message = wire.loads(body)
        except ProtocolError as error:
            await self._reply(exchange, serving.fault(None, serving.PARSE_ERROR, str(error)), 400)
            return
        if _is_call(message) and b"text/event-stream" in exchange.headers.get(b"accept", b""):
            await self._stream(exchange, message)
            return
        answer = await self._door.handle(principal_of(exchange.scope), _session(exchange), message, _nobody)
        await self._reply(exchange, answer, 200 if answer is None or "result" in answer else _status(answer))

    async def _reply(self, exchange: Exchange, answer: JsonObject | None, status: int) -> None:
        if answer is None:
            await exchange.reply(202, b"")
            return
        begun = "protocolVersion" in answer.get("result", {})
        extra = ((b"mcp-session-id", new_id().encode()),) if begun else ()
        await exchange.reply(status, wire.dumps(answer).encode("ascii"), JSON, (*NO_CACHE, *extra))

    async def _stream(self, exchange: Exchange, message: JsonObject) -> None:
        """A call whose progress is told; its client's leaving ends nothing but the answer."""
        who = principal_of(exchange.scope)
        self._opened.enter(who)
        try:
            writing = _Writing(exchange)
            call = asyncio.create_task(self._door.handle(who, _session(exchange), message, writing.tell))
            gone = asyncio.create_task(exchange.disconnected())
            try:
                await _while_entitled(exchange, writing, (call, gone))
                if call.done():
                    answer = call.result()
                elif gone.done():
                    answer = None
                else:
                    answer = serving.fault(message["id"], serving.DEFECT, "the credential of this stream was revoked")
                if answer is not None:
                    await writing.end(answer)
            finally:
                call.cancel()
                gone.cancel()
                await asyncio.wait((call, gone))
        finally:
            self._opened.leave(who)


async def _while_entitled(exchange: Exchange, writing: "_Writing", waiting: "tuple[asyncio.Task[Any], ...]") -> None:
    """Keep the stream alive until one of those has ended, or until its credential was revoked."""
    looks, silent = was_admitted_by_credential(exchange.scope), 0.0
    while True:
        pause = min(LOOK_SECONDS, PING_SECONDS - silent) if looks else PING_SECONDS
        done, _ = await asyncio.wait(waiting, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
        if done or (looks and await is_revoked(exchange.scope)):
            return
        silent += pause
        if silent >= PING_SECONDS:
            await writing.ping()
            silent = 0.0


class _Writing:
    """An answer that becomes a stream with its first piece; one that fails before that has a status of its own."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._begun = False
        self._one = asyncio.Lock()

    async def tell(self, message: JsonObject) -> None:
        await self._write(_event(message))

    async def ping(self) -> None:
        await self._write(b": ping\n\n")

    async def end(self, message: JsonObject) -> None:
        await self._write(_event(message), last=True)

    async def _write(self, blob: bytes, *, last: bool = False) -> None:
        async with self._one, asyncio.timeout(WRITE_SECONDS):
            if not self._begun:
                self._begun = True
                await self._exchange.begin(b"text/event-stream", _STREAM)
            await self._exchange.write(blob, last=last)


def _event(message: JsonObject) -> bytes:
    return b"event: message\ndata: " + wire.dumps(message).encode("ascii") + b"\n\n"


async def _nobody(_: JsonObject) -> None:
    """Nobody is told."""


def _session(exchange: Exchange) -> str:
    return exchange.header(b"mcp-session-id") or ""


def _is_call(message: object) -> bool:
    return isinstance(message, dict) and message.get("method") == "tools/call" and "id" in message


def _status(answer: JsonObject) -> int:
    return 400 if answer["error"]["code"] == serving.INVALID_REQUEST else 200
