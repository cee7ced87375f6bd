"""Child processes whose end is known at once, whoever holds their pipes.

asyncio's own `Process.wait` returns in Python before 3.12.4 only when all pipes are closed, too (cpython issue 119710):
a descendant that has left its group and still holds one keeps everybody waiting for a process that is long gone.
"""

import asyncio
from asyncio.subprocess import Process, SubprocessStreamProtocol
from typing import Any


class _Hearing(SubprocessStreamProtocol):
    """Tells of the end by itself, not with the pipes."""

    def __init__(self, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit, loop)
        self.gone = asyncio.Event()

    def process_exited(self) -> None:
        super().process_exited()
        self.gone.set()


class Child(Process):
    """As asyncio's, but for these two."""

    def __init__(
        self, transport: asyncio.SubprocessTransport, protocol: _Hearing, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(transport, protocol, loop)
        self._pipes = transport
        self._gone = protocol.gone

    async def exited(self) -> int:
        """Its exit code, as soon as it has one; negative for the signal that killed it."""
        while self.returncode is None:
            await self._gone.wait()
        return self.returncode

    def let_go(self) -> None:
        """Close our ends of the pipes; kills a process that still runs. Somebody may hold the others for ever."""
        self._pipes.close()


async def start(*command: str, limit: int, **options: Any) -> Child:
    """Start a program; the options are those of `asyncio.create_subprocess_exec`. Raises OSError."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.subprocess_exec(lambda: _Hearing(limit, loop), *command, **options)
    return Child(transport, protocol, loop)
