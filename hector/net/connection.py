"""One TCP or TLS connection that carries one HTTP/1.1 exchange at a time.

A bare asyncio.Protocol: no stream reader, no lock, no task. A single watchdog timer per connection is moved lazily, so
that a read costs no timer of its own.
"""

import asyncio
from typing import Final, cast

from hector.net.errors import ConnectionLost, NetError, NetTimeout, Phase, ProtocolViolation
from hector.net.http1 import Head, ResponseParser

HIGH_WATER: Final = 1024 * 1024
"""Undelivered body bytes at which reading from the socket stops until the consumer has caught up."""

_TICK: Final = 0.001


class Connection(asyncio.Protocol):
    """Use: `write`, then `read_head`, then `read` until b"". `usable` says whether it may carry another exchange."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.used = False
        self.idle_since = 0.0
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = ResponseParser()
        self._busy = False
        self._body: list[bytes] = []
        self._buffered = 0
        self._paused = False
        self._failure: NetError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._read_timeout = self._write_timeout = 0.0
        self._writing = False
        self._unsent = 0
        self._lost: asyncio.Future[None] = self._loop.create_future()

    @property
    def usable(self) -> bool:
        """Open, between two exchanges, and nothing against another one."""
        return self._transport is not None and self._failure is None and not self._busy

    # -- asyncio.Protocol --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(0)  # so that pause and resume mean: not all sent, all sent

    def data_received(self, data: bytes) -> None:
        if not self._busy:  # bytes that nobody asked for: this connection can no longer be trusted
            self._fail(ProtocolViolation(f"{self.peer} sent data without a request"))
            self.abort()
            return
        try:
            body = self._parser.feed(data)
        except ProtocolViolation as error:
            self._fail(ProtocolViolation(f"{self.peer}: {error}", answered=True))
            self.abort()
            return
        if body:
            self._body.append(body)
            self._buffered += len(body)
            if self._buffered > HIGH_WATER and not self._paused and self._transport is not None:
                self._paused = True
                self._transport.pause_reading()
        self._wake()

    def pause_writing(self) -> None:
        self._writing = True

    def resume_writing(self) -> None:
        self._writing = False
        if self._waiter is not None:
            self._expect(self._read_timeout)

    def eof_received(self) -> None:
        self._ended(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        self._ended(exc)
        if not self._lost.done():
            self._lost.set_result(None)

    # -- one exchange ------------------------------------------------------------------------------------------------

    def write(self, request: bytes, *, bodyless: bool, read_timeout: float, write_timeout: float) -> None:
        """Send a whole request. `bodyless`: the response will have no body whatever its head says (HEAD)."""
        if self._transport is None:
            raise self._failure or ConnectionLost(f"{self.peer} closed the connection")
        self._parser.expect(bodyless=bodyless)
        self._busy = True
        self._read_timeout, self._write_timeout = read_timeout, write_timeout
        self._transport.write(request)
        self._unsent = self._pending()

    async def read_head(self) -> Head:
        """The final response head. Raises NetError; the connection is closed then, and when the caller is cancelled."""
        while self._parser.head is None:
            await self._wait()
        return self._parser.head

    async def read(self) -> bytes:
        """All body bytes that have arrived since the last call, at least one; b"" at the end. Raises as read_head."""
        while not self._body:
            if self._parser.done:
                return b""
            await self._wait()
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        self._buffered = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return body

    def finish(self) -> bool:
        """End the exchange: True when the connection may be used again; otherwise it is closed."""
        complete = self._parser.done and not self._body
        self._busy = False
        if complete and self._parser.reusable and self._failure is None and not self._pending():
            self.used = True
            return True
        self.abort()
        return False

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()
        self._fail(ConnectionLost(f"the connection to {self.peer} was closed"))

    async def lost(self) -> None:
        """Wait until the socket is gone."""
        await self._lost

    # -- inside ------------------------------------------------------------------------------------------------------

    def _pending(self) -> int:
        """Bytes of the request that the kernel has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def _ended(self, exc: Exception | None) -> None:
        """No more bytes will come."""
        if self._busy and self._parser.eof():
            self._fail(ConnectionLost(f"{self.peer} closed the connection", answered=True))
            self._wake()
            return
        if not self._busy:
            text = f"{self.peer} closed the connection"
        elif self._parser.started:
            text = f"{self.peer} closed the connection in the middle of its response"
        else:
            text = f"{self.peer} closed the connection without a response"
        reason = f" ({exc})" if exc is not None and str(exc) else ""
        self._fail(ConnectionLost(text + reason, answered=self._parser.started))

    def _fail(self, error: NetError) -> None:
        if self._failure is None:
            self._failure = error
        self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    async def _wait(self) -> None:
        """Wait for the next change. Raises the failure, if there is one."""
        if self._failure is not None:
            raise self._failure
        self._waiter = self._loop.create_future()
        self._expect(self._write_timeout if self._writing else self._read_timeout)
        try:
            await self._waiter
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            self._waiter = None

    def _expect(self, seconds: float) -> None:
        """Something must happen within so many seconds."""
        self._deadline = self._loop.time() + seconds
        watchdog = self._watchdog
        if watchdog is not None and watchdog.when() > self._deadline:
            watchdog.cancel()
            watchdog = None
        if watchdog is None:
            self._watchdog = self._loop.call_at(self._deadline, self._check)

    def _check(self) -> None:
        """The watchdog: fail an overdue wait, or look again when it could be overdue."""
        self._watchdog = None
        if self._waiter is None:
            return
        if self._loop.time() < self._deadline - _TICK:
            self._watchdog = self._loop.call_at(self._deadline, self._check)
            return
        unsent, self._unsent = self._unsent, self._pending()
        if self._unsent < unsent:  # the request is still on its way out, and moving
            self._expect(self._write_timeout)
        else:
            self._time_out("write" if self._unsent else "read")

    def _time_out(self, phase: Phase) -> None:
        if phase == "write":
            text = f"{self.peer} took no data for {self._write_timeout:g} seconds"
        else:
            text = f"{self.peer} sent nothing for {self._read_timeout:g} seconds"
        self._fail(NetTimeout(text, phase=phase, answered=self._parser.started))
        self.abort()
