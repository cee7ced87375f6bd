"""Threads that run units of work: one that writes many units per commit, some that read.

Units are handed over once a turn of the event loop has brought no more of them, and answered with one wake-up per
batch. The thread then works while the loop waits for the network: handing over each unit at once makes the two fight
for the interpreter's lock at every statement, which costs a third more of a core at 16 clients. A unit that comes alone
waits for one turn; those of 16 clients share half as many commits as they would if each turn handed over what it has.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final, Protocol, TypeAlias

from hector.core.errors import StoreUnavailable

Work: TypeAlias = Callable[[Any], Any]
Unit: TypeAlias = tuple[Work, "asyncio.Future[Any]"]
Outcome: TypeAlias = tuple["asyncio.Future[Any]", Any, Exception | None]


MOST_TURNS: Final = 5
"""Turns of the event loop that a unit waits at most for others to come along."""


class Engine(Protocol):
    """What a thread needs of its connection. No method raises; failures are outcomes."""

    def run(self, batch: Sequence[Unit]) -> list[Outcome]:
        """Run the units and say how each ended."""

    def close(self) -> None:
        """Give the connection back."""


class Pool:
    """Threads behind one queue, one per engine. Belongs to the event loop that it was made on."""

    def __init__(self, name: str, engines: Sequence[Engine], limit: int) -> None:
        """`limit`: at most so many units per batch, so that the first does not wait for a flood behind it."""
        self._loop = asyncio.get_running_loop()
        self._limit = limit
        self._turns = MOST_TURNS - 1 if limit > 1 else 0  # what is run one by one gains nothing by company
        self._waiting: list[Unit] = []
        self._queue: SimpleQueue[list[Unit] | None] = SimpleQueue()
        self._closed = False
        self._running = len(engines)
        self._ended = asyncio.Event()
        self._threads = [
            threading.Thread(target=self._main, args=(engine,), name=name, daemon=True) for engine in engines
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Work) -> "asyncio.Future[Any]":
        """Hand a unit over; the future is settled on the event loop."""
        if self._closed:
            raise StoreUnavailable("the database is closed: this process is shutting down")
        future = self._loop.create_future()
        if not self._waiting:
            self._loop.call_soon(self._gather, 1, self._turns)
        self._waiting.append((work, future))
        return future

    async def aclose(self) -> None:
        """Finish what was handed over, then end the threads."""
        if not self._closed:
            self._closed = True
            self._hand_over()
            for _ in self._threads:
                self._queue.put(None)
        await self._ended.wait()
        for thread in self._threads:
            thread.join()

    def _gather(self, count: int, turns: int) -> None:
        """Hand over, unless there are more than `count` by now: then whoever follows them may be close behind."""
        if turns and len(self._waiting) > count:
            self._loop.call_soon(self._gather, len(self._waiting), turns - 1)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        units, self._waiting = self._waiting, []
        for start in range(0, len(units), self._limit):
            self._queue.put(units[start : start + self._limit])

    def _main(self, engine: Engine) -> None:
        while self._round(engine):
            pass
        engine.close()
        self._tell(self._end)

    def _round(self, engine: Engine) -> bool:
        """Run one batch; False at the end. A function of its own, so that a waiting thread holds no results."""
        batch = self._queue.get()
        if batch is None:
            return False
        while self._queue.qsize() and len(batch) < self._limit:
            more = self._queue.get()
            if more is None:
                self._queue.put(None)  # for the next round
                break
            batch += more
        self._tell(settle, engine.run(batch))
        return True

    def _tell(self, callback: Callable[..., object], *args: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(callback, *args)

    def _end(self) -> None:
        self._running -= 1
        if not self._running:
            self._ended.set()


def settle(outcomes: Sequence[Outcome]) -> None:
    """One wake-up of the event loop for the whole batch."""
    for future, value, error in outcomes:
        if future.done():
            continue  # its caller was cancelled
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)
