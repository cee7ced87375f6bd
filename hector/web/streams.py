"""Sends a task's updates as server-sent events: one write per batch, and no way to hang on forever."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from hector.a2a.errors import UNAVAILABLE, ProtocolError
from hector.a2a.stream import PING, EventStream
from hector.core.errors import HectorError
from hector.tasks.follow import TaskStream
from hector.tasks.positions import prefix
from hector.web.asgi import Exchange

PING_SECONDS: Final = 15.0
"""Silence after which a comment keeps proxies from closing the connection."""
SLOW_SECONDS: Final = 60.0
"""How long one write may wait for a client that does not read."""

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
                watcher = self._loop.create_task(self._watch(leash))
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

    async def _watch(self, leash: asyncio.Timeout) -> None:
        """Pull the leash when the client has gone or does not read; keep a silent connection alive."""
        while True:
            silent = self._loop.time() - self._last_write
            if self._writing and silent > SLOW_SECONDS:
                break
            if not self._writing and silent >= PING_SECONDS:
                await self._write(PING)
                continue
            try:
                async with asyncio.timeout(PING_SECONDS if self._writing else PING_SECONDS - silent):
                    await self._exchange.disconnected()
            except TimeoutError:
                continue
            break
        leash.reschedule(self._loop.time())
