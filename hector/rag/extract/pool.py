"""Reads documents in processes of their own, so that a hostile one costs nothing but itself."""

import asyncio
import json
import os
import signal
from contextlib import suppress
from typing import Any, Final

from hector.core.record import dataclass
from hector.core.retrieval import Chunk, Content, Extracted
from hector.rag import apart
from hector.rag.chunking import Rules
from hector.rag.errors import RagError, Unreadable
from hector.rag.extract import wire
from hector.rag.extract.limits import Limits
from hector.rag.extract.places import Owner, Places

FROZEN_COMMAND: Final = "boxed-extractor"
"""How the one executable is told to be the program that reads documents."""
_MODULE: Final = "hector.rag.extract.process"
_PIECE: Final = 64 * 1024
_MOST_DOCUMENTS: Final = 500
_MOST_BYTES: Final = 256 * 2**20
"""What one process reads before a fresh one takes its place."""
_MOST_ANSWERED: Final = 512 * 2**20
_SLACK: Final = 5
"""How much longer than its processor time a document may take, on a machine that has other things to do."""
_STARTING: Final = 30.0
_USUAL: Final = Limits()


class Readers:
    """Up to `count` reading processes, and two more where some would otherwise wait for the documents of others.

    They are started when they are needed and stopped after `idle` seconds without work.
    """

    def __init__(self, count: int = 1, limits: Limits = _USUAL, *, idle: float = 30.0) -> None:
        self._limits, self._idle_time = limits, idle
        self._places = Places(count)
        self._idle: list[_Reader] = []
        self._all: set[_Reader] = set()
        self._stopping: asyncio.TimerHandle | None = None
        self._closed = False

    async def read(self, content: Content, rules: Rules, owner: Owner = ("", "")) -> tuple[Extracted, list[Chunk]]:
        """What is known of a document, without its text, and its chunks. Raises Unreadable with the reason."""
        async with self._places.one(owner):
            reader = await self._taken()
            try:
                async with asyncio.timeout(_STARTING + _SLACK * self._limits.seconds):
                    return await reader.read(content, rules, self._limits)
            except TimeoutError:
                reader.worn = True
                raise Unreadable(f"it takes more than {self._limits.seconds} s to be read") from None
            except asyncio.CancelledError:
                reader.worn = True
                raise
            finally:
                await self._given_back(reader)

    @property
    def processes(self) -> tuple[int, ...]:
        """The ids of those that run."""
        return tuple(reader.process.pid for reader in self._all if reader.process.returncode is None)

    async def _taken(self) -> "_Reader":
        if self._closed:
            raise RagError("documents are not read any more: the server stops")
        while self._idle:
            reader = self._idle.pop()
            if reader.process.returncode is None:
                return reader
        self._all = {reader for reader in self._all if reader.process.returncode is None}
        reader = _Reader(await _started())
        self._all.add(reader)
        return reader

    async def _given_back(self, reader: "_Reader") -> None:
        if reader.worn or self._closed:
            await self._end(reader)
            return
        self._idle.append(reader)
        if self._stopping:
            self._stopping.cancel()
        self._stopping = asyncio.get_running_loop().call_later(self._idle_time, self._stop)

    def _stop(self) -> None:
        """Nobody needs them now: they end when their orders do."""
        for reader in self._idle:
            if reader.process.stdin:
                reader.process.stdin.close()
        self._idle.clear()

    async def _end(self, reader: "_Reader") -> None:
        self._all.discard(reader)
        with suppress(ProcessLookupError):
            reader.process.kill()
        await reader.process.wait()

    async def aclose(self) -> None:
        """End all of them. A document that is being read is not."""
        self._closed = True
        if self._stopping:
            self._stopping.cancel()
        for reader in list(self._all):
            await self._end(reader)
        self._idle.clear()


async def _started() -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *apart.command(FROZEN_COMMAND, _MODULE), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL, env=apart.environment(os.environ), limit=2 * _PIECE,
        )  # fmt: skip
    except OSError as error:
        raise RagError(f"the process that reads documents cannot be started: {error}") from None


@dataclass(slots=True)
class _Counted:
    """What a process has read, and what it answers now."""

    documents: int = 0
    taken: int = 0
    answered: int = 0


class _Reader:
    """One process. `worn`: it takes no further document."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.worn = False
        self._counted = _Counted()

    async def read(self, content: Content, rules: Rules, limits: Limits) -> tuple[Extracted, list[Chunk]]:
        """Have it read a document."""
        head, data = wire.ordered(content, rules, limits)
        self._counted.documents += 1
        self._counted.taken += len(data)
        self._counted.answered = 0
        try:
            await self._send(head, data)
            return await self._answer()
        except (BrokenPipeError, ConnectionResetError, asyncio.IncompleteReadError):
            self.worn = True
            raise Unreadable(await self._how_it_ended(limits)) from None
        except (ValueError, KeyError, TypeError, IndexError):
            self.worn = True
            raise Unreadable("the process that read it answered nonsense") from None
        finally:
            self.worn = self.worn or self._counted.documents >= _MOST_DOCUMENTS or self._counted.taken >= _MOST_BYTES

    async def _send(self, head: bytes, data: bytes) -> None:
        pipe = self.process.stdin
        if pipe is None:
            raise BrokenPipeError
        pipe.write(head)
        view = memoryview(data)
        for at in range(0, len(view), _PIECE):
            pipe.write(view[at : at + _PIECE])
            await pipe.drain()
        await pipe.drain()

    async def _answer(self) -> tuple[Extracted, list[Chunk]]:
        chunks: list[Chunk] = []
        said = await self._message()
        while "chunks" in said:
            chunks += wire.chunks_of(said, len(chunks))
            said = await self._message()
        self.worn = bool((await self._message())["worn"])
        if "problem" in said:
            raise Unreadable(str(said["problem"])[:500])
        return wire.document_of(said), chunks

    async def _message(self) -> dict[str, Any]:
        pipe = self.process.stdout
        if pipe is None:
            raise BrokenPipeError
        size = int.from_bytes(await pipe.readexactly(wire.LENGTH), "big")
        self._counted.answered += size
        if size > wire.MOST or self._counted.answered > _MOST_ANSWERED:
            raise ValueError(size)
        found = json.loads(await pipe.readexactly(size))
        if not isinstance(found, dict):
            raise TypeError(found)
        return found

    async def _how_it_ended(self, limits: Limits) -> str:
        """Why there is no answer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await self.process.wait()
        if self.process.returncode == -signal.SIGXCPU:
            return f"it takes more than {limits.seconds} s of processor time to be read"
        if self.process.returncode in {-signal.SIGKILL, -signal.SIGABRT, 1}:
            return "it takes too much memory to be read, or its reader was killed"
        return f"its reader crashed (exit code {self.process.returncode})"
