"""Sends a task's updates as server-sent events: one write per batch, and no way to hang on forever."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from hector.a2a.errors import UNAVAILABLE, ProtocolError
from hector.a2a.stream import PING, EventStream
from hector.core.errors import HectorError, Unauthenticated
from hector.tasks.follow import TaskStream
from hector.tasks.positions import prefix
from hector.web.asgi import Exchange
from hector.web.identity import is_revoked, was_admitted_by_credential

PING_SECONDS: Final = 15.0
"""Silence after which a comment keeps proxies from closing the connection."""
SLOW_SECONDS: Final = 60.0
"""How long one write may wait for a client that does not read."""
LOOK_SECONDS: Final = 5.0
"""Time between two looks at whether the credential of a stream was revoked."""

_HEADERS: Final = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))


class Follower:
    """One client that follows a task. Its leaving, or its slowness, ends nothing but this stream."""

    def __init__(self, exchange: Exchange, stream: TaskStream, events: EventStream) -> None:
        self._exchange = exchange
        self._stream = stream
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._last_write = self._loop.time()
        self._writing = False

    async def run(self, fail: Callable[[HectorError], bytes], *, until_interrupted: bool) -> None:
        """Send until the task has ended, or has been interrupted; `fail` words what cuts the stream short."""
        await self._exchange.begin(b"text/event-stream", _HEADERS)
        leash = asyncio.timeout(None)
        try:
            async with leash:
                watcher = self._loop.create_task(self._watch(leash, fail))
                try:
                    await self._pump(fail, until_interrupted=until_interrupted)
                finally:
                    watcher.cancel()
                    with suppress(asyncio.CancelledError):
                        await watcher
        except TimeoutError:
            if not leash.expired():
                raise
        finally:
            await self._stream.aclose()

    async def _pump(self, fail: Callable[[HectorError], bytes], *, until_interrupted: bool) -> None:
        over = self._is_over(until_interrupted=until_interrupted)
        await self._write(self._events.begin(), last=over)
        if over:
            return
        try:
            async for batch in self._stream:
                mark = self._stream.mark
                blob = self._events.encode(batch, prefix(mark.epoch), mark.number + 1)
                last = self._is_over(until_interrupted=until_interrupted)
                await self._write(blob, last=last)
                if last:
                    return
        except HectorError as error:
            await self._write(fail(error), last=True)
            return
        cut = ProtocolError(UNAVAILABLE, "the stream was cut before the task had ended; subscribe to it again")
        await self._write(fail(cut), last=True)

    def _is_over(self, *, until_interrupted: bool) -> bool:
        """Whether the client has now been told all that this stream is for."""
        state = self._events.state
        return state is None or state.terminal or (until_interrupted and state.interrupted)

    async def _write(self, blob: bytes, *, last: bool = False) -> None:
        self._last_write, self._writing = self._loop.time(), True
        await self._exchange.write(blob, last=last)
        self._writing = False

    async def _said(self, blob: bytes, *, last: bool = False) -> bool:
        """Write beside the pump; whether that was possible. What was sent before may still wait for the client."""
        try:
            async with asyncio.timeout(SLOW_SECONDS):
                await self._write(blob, last=last)
        except TimeoutError:
            return False
        return True

    async def _watch(self, leash: asyncio.Timeout, fail: Callable[[HectorError], bytes]) -> None:
        """Pull the leash when the client has gone, does not read or has no right any more; keep silence alive."""
        looks = was_admitted_by_credential(self._exchange.scope)
        longest = LOOK_SECONDS if looks else PING_SECONDS
        while True:
            silent = self._loop.time() - self._last_write
            if self._writing and silent > SLOW_SECONDS:
                break
            if not self._writing and silent >= PING_SECONDS:
                if await self._said(PING):
                    continue
                break
            try:
                async with asyncio.timeout(min(longest, PING_SECONDS if self._writing else PING_SECONDS - silent)):
                    await self._exchange.disconnected()
            except TimeoutError:
                if not looks or not await is_revoked(self._exchange.scope):
                    continue
                if not self._writing:
                    await self._said(fail(Unauthenticated("the credential of this stream was revoked")), last=True)
            break
        leash.reschedule(self._loop.time())
