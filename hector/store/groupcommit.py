"""Threads that run units of work: one that writes many units per commit, some that read."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Protocol, TypeAlias

from hector.core.errors import StoreUnavailable

Work: TypeAlias = Callable[[Any], Any]
Unit: TypeAlias = tuple[Work, "asyncio.Future[Any]"]
Outcome: TypeAlias = tuple["asyncio.Future[Any]", Any, Exception | None]

BATCH = 256
"""At most so many units per commit, so that the first of them does not wait for a flood behind it."""


class Engine(Protocol):
    """What a thread needs of its connection. No method raises; failures are outcomes."""

    def run(self, batch: Sequence[Unit]) -> list[Outcome]:
        """Run the units and say how each ended."""

    def close(self) -> None:
        """Give the connection back."""


class Worker:
    """A thread with its own connection; several may share one queue."""

    def __init__(self, name: str, queue: "SimpleQueue[Unit | None]", engine: Engine, batch: int) -> None:
        self._queue = queue
        self._engine = engine
        self._batch = batch
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._thread.start()

    async def join(self) -> None:
        """Wait until the thread has met the None that ends it."""
        await self._ended.wait()
        self._thread.join()

    def _main(self) -> None:
        while (batch := self._take()) is not None:
            self._tell(_settle, self._engine.run(batch))
        self._engine.close()
        self._tell(self._ended.set)

    def _take(self) -> list[Unit] | None:
        """Wait for a unit, then take what else is there; None at the end."""
        unit = self._queue.get()
        if unit is None:
            return None
        batch = [unit]
        for _ in range(min(self._queue.qsize(), self._batch - 1)):
            unit = self._queue.get()
            if unit is None:
                self._queue.put(None)  # the next round ends
                break
            batch.append(unit)
        return batch

    def _tell(self, callback: Callable[..., object], *args: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(callback, *args)


def _settle(outcomes: Sequence[Outcome]) -> None:
    """One wake-up of the event loop for the whole batch."""
    for future, value, error in outcomes:
        if future.done():
            continue  # its caller was cancelled
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)


class Pool:
    """Workers behind one queue."""

    def __init__(self, name: str, engines: Sequence[Engine], batch: int) -> None:
        self._queue: SimpleQueue[Unit | None] = SimpleQueue()
        self._workers = [Worker(name, self._queue, engine, batch) for engine in engines]
        self._create_future = asyncio.get_running_loop().create_future
        self._closed = False

    def submit(self, work: Work) -> "asyncio.Future[Any]":
        """Hand a unit over; the future is settled on the event loop."""
        if self._closed:
            raise StoreUnavailable("the database is closed: this process is shutting down")
        future = self._create_future()
        self._queue.put((work, future))
        return future

    async def aclose(self) -> None:
        """Finish what was handed over, then end the threads."""
        if not self._closed:
            self._closed = True
            for _ in self._workers:
                self._queue.put(None)
        for worker in self._workers:
            await worker.join()
