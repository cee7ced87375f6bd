"""The MCP server of `hector mcp`: lines of JSON-RPC on standard input and output.

Nothing a client does holds up the loop, whose tasks have heartbeats: a thread writes, so that a client that does not
read stops its own answers only, and what is no message is answered or passed over.
"""

import asyncio
import json
import os
import select
import shutil
import stat
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING, Any, Final, TextIO

from hector.a2a import wire
from hector.a2a.errors import ProtocolError
from hector.core.content import JsonObject
from hector.core.errors import HectorError
from hector.core.identity import Principal, Role, Via
from hector.mcp import serving

if TYPE_CHECKING:
    from hector.web.mcp_door import Door

WHO: Final = Principal("mcp", Role.USER, Via.SECRET)
"""Whoever has started this process: it reads their configuration."""
MOST_CALLS: Final = 256
"""Requests that are answered at a time; nothing more is read before one of them has its answer."""
_LOOK: Final = 0.5
"""Seconds between two looks at whether somebody still reads."""


async def talk(door: "Door", most: int) -> None:
    """Until standard input ends and what it asked for is answered, or until nobody reads. `most`: bytes of a line."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=most)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), _pipe_of(sys.stdin))
    speaker, free = Speaker(sys.stdout.fileno()), asyncio.Semaphore(MOST_CALLS)
    async with asyncio.TaskGroup() as group:
        answering: set[asyncio.Task[None]] = set()
        async for line in lines(reader):
            await free.acquire()
            task = group.create_task(_answer(door, speaker, line, most))
            answering.add(task)
            task.add_done_callback(answering.discard)
            task.add_done_callback(lambda _: free.release())
        while answering and not speaker.is_alone():
            await asyncio.wait(answering, timeout=_LOOK)
        for task in tuple(answering):
            task.cancel()


def _pipe_of(given: TextIO) -> IO[Any]:
    """Something that a loop can wait for: standard input, unless that is a file."""
    if not stat.S_ISREG(os.fstat(given.fileno()).st_mode):
        return given
    reading, writing = os.pipe()

    def copy() -> None:
        with open(writing, "wb") as pipe, suppress(BrokenPipeError):
            shutil.copyfileobj(given.buffer, pipe)

    threading.Thread(target=copy, name="mcp-stdin", daemon=True).start()
    return open(reading, "rb", buffering=0)


async def lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes | None]:
    """Those that are not empty; None for one that is longer than the reader's limit."""
    skipping = False
    while True:
        try:
            line = await reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as last:
            if last.partial.strip() and not skipping:
                yield last.partial
            return
        except asyncio.LimitOverrunError as error:
            await reader.readexactly(error.consumed)
            if not skipping:
                yield None
            skipping = True
            continue
        if not skipping and line.strip():
            yield line
        skipping = False


class Speaker:
    """Writes lines, whole and one after the other, in a thread that nobody waits for at the end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._lines: SimpleQueue[tuple[bytes, asyncio.Future[None]]] = SimpleQueue()
        threading.Thread(target=self._work, name="mcp-stdout", daemon=True).start()

    async def tell(self, message: JsonObject) -> None:
        """Return when it is written, or when nobody can read any more."""
        written = self._loop.create_future()
        self._lines.put((json.dumps(message).encode("ascii") + b"\n", written))
        await written

    def is_alone(self) -> bool:
        """Whether nobody can read what is written any more."""
        if not hasattr(select, "poll"):
            return True
        looking = select.poll()
        looking.register(self._descriptor, 0)
        return bool(looking.poll(0))

    def _work(self) -> None:
        broken = False
        while True:
            line, written = self._lines.get()
            try:
                while line and not broken:
                    line = line[os.write(self._descriptor, line) :]
            except OSError:  # the client has gone; its end of our input says so, too
                broken = True
            try:
                self._loop.call_soon_threadsafe(_settle, written)
            except RuntimeError:  # the loop has ended
                return


def _settle(written: "asyncio.Future[None]") -> None:
    if not written.done():
        written.set_result(None)


async def _answer(door: "Door", speaker: Speaker, line: bytes | None, most: int) -> None:
    answer = await _answer_to(door, speaker, line, most)
    if answer is not None:
        await speaker.tell(answer)


async def _answer_to(door: "Door", speaker: Speaker, line: bytes | None, most: int) -> JsonObject | None:
    if line is None:
        return serving.fault(None, serving.INVALID_REQUEST, f"a line is longer than {most} bytes (max_body_bytes)")
    try:
        message: Any = wire.loads(line)
    except ProtocolError as error:
        return serving.fault(None, serving.PARSE_ERROR, str(error))
    number = message.get("id") if isinstance(message, dict) else None
    try:
        return await door.handle(WHO, "stdio", message, speaker.tell)
    except HectorError as error:
        return serving.fault(number, serving.DEFECT, str(error))
