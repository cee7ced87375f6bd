"""The process that computes vectors, as its parent sees it: started, asked, ended."""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from hector.core.retrieval import Purpose
from hector.rag import apart
from hector.rag.errors import EmbeddingError, EmbeddingUnavailable
from hector.rag.minilm.files import ModelFiles

FROZEN_COMMAND: Final = "boxed-embedder"
"""How the one executable is told to be this program."""
_STARTING: Final = 60.0
"""Seconds until the model must be loaded."""
_MODULE: Final = "hector.rag.embedders.worker"


class Child(asyncio.SubprocessProtocol):
    """One such process. Made by `start`."""

    def __init__(self) -> None:
        self._transport: asyncio.SubprocessTransport
        loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._waiting: dict[int, asyncio.Future[bytes]] = {0: loop.create_future()}
        self._number = 0
        self._ended: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio calls it, before anything else."""
        assert isinstance(transport, asyncio.SubprocessTransport)  # noqa: S101 - a fact of asyncio
        self._transport = transport

    @classmethod
    async def start(cls, files: ModelFiles) -> "Child":
        """A process with the model in memory. Raises EmbeddingError, EmbeddingUnavailable."""
        try:
            _, child = await asyncio.get_running_loop().subprocess_exec(
                cls,
                *apart.command(FROZEN_COMMAND, _MODULE),
                stderr=asyncio.subprocess.DEVNULL,
                env=apart.environment(os.environ),
            )
        except OSError as error:
            raise EmbeddingUnavailable(f"no process for the embedding model could be started: {error}") from None
        first = {"folder": str(files.folder.absolute()), "inside": files.inside}
        try:
            child._write(first)
            async with asyncio.timeout(_STARTING):
                await child._waiting[0]
        except TimeoutError:
            await child.kill()
            raise EmbeddingUnavailable(f"the embedding model was not loaded within {_STARTING:.0f} s") from None
        except BaseException:
            await child.kill()
            raise
        return child

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return not self._ended.done() and not self._transport.is_closing()

    @property
    def busy(self) -> int:
        """How many orders it has."""
        return len(self._waiting)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._transport.get_pid()

    async def embed(self, texts: Sequence[str], lane: Purpose) -> bytes:
        """Vectors, one behind the other. Raises EmbeddingError; EmbeddingUnavailable when the process dies."""
        self._number += 1
        number = self._number
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._write({"number": number, "lane": lane, "texts": list(texts)})
            return await answer
        finally:
            self._waiting.pop(number, None)

    async def close(self) -> None:
        """Let it end, by closing its standard input."""
        pipe = self._transport.get_pipe_transport(0)
        if pipe is not None:
            pipe.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                await asyncio.shield(self._ended)
        await self.kill()

    async def kill(self) -> None:
        """End it now, and wait until it is gone."""
        if not self._ended.done():
            with suppress(ProcessLookupError):
                self._transport.kill()
            await asyncio.shield(self._ended)
        self._transport.close()

    def _write(self, order: Mapping[str, object]) -> None:
        pipe = self._transport.get_pipe_transport(0)
        if not self.alive or not isinstance(pipe, asyncio.WriteTransport):
            raise EmbeddingUnavailable(_DIED)
        data = json.dumps(order).encode()
        pipe.write(len(data).to_bytes(4, "little") + data)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Frames of answers."""
        received = self._received
        received += data
        while len(received) >= 4 and len(received) >= 4 + (length := int.from_bytes(received[:4], "little")):
            frame = bytes(received[4 : 4 + length])
            del received[: 4 + length]
            waiting = self._waiting.pop(int.from_bytes(frame[:4], "little"), None)
            if waiting is None or waiting.done():
                continue
            if frame[4:5] == b"v":
                waiting.set_result(frame[5:])
            else:
                waiting.set_exception(EmbeddingError(f"the embedding model: {frame[5:].decode('utf-8', 'replace')}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended, and all that it said has been read: tell everybody who waits."""
        self._transport.close()
        if not self._ended.done():
            self._ended.set_result(None)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(EmbeddingUnavailable(_DIED))


_DIED: Final = "the process of the embedding model has died (is there enough memory?)"
