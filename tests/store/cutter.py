"""Cuts connections off between a commit and its answer."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

Meanwhile = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """Nothing happens meanwhile."""


class Cutter:
    """Stands between a store and its server. `cuts` says how many commits to come take without anybody being told."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cuts = 0
        self.place = ""
        self._meanwhile: Meanwhile = nothing
        self._under_way: list[asyncio.Task[None]] = []

    def cut(self, meanwhile: Meanwhile = nothing) -> None:
        """Lose the answer to the next commit, and let something happen before the connection breaks."""
        self.cuts, self._meanwhile = 1, meanwhile

    async def serve(self) -> asyncio.Server:
        """Listen on a port of its own."""
        return await asyncio.start_server(self._pass_on, "127.0.0.1", 0)

    async def quiet(self) -> None:
        """Return when every connection is closed."""
        await asyncio.gather(*self._under_way)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._under_way.append(task)
        above, below = await asyncio.open_connection("127.0.0.1", self.port)
        back = asyncio.ensure_future(self._copy(above, writer))
        while data := await reader.read(65536):
            if self.cuts and b"COMMIT\0" in data:
                self.cuts -= 1
                back.cancel()
                await asyncio.wait([back])
                below.write(data)
                await above.readuntil(b"COMMIT\0")  # it took, and nobody is told
                await self._meanwhile()
                break
            below.write(data)
        for one in (below, writer):
            one.close()
            with suppress(ConnectionError):
                await one.wait_closed()
        await asyncio.wait([back])

    async def _copy(self, above: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await above.read(65536):
                writer.write(data)
        writer.close()
