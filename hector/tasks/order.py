"""First come, first served within a session; sessions never wait for each other."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class Turns:
    """One holder for each key at a time, in the order of arrival."""

    def __init__(self) -> None:
        self._queues: dict[Hashable, deque[asyncio.Future[None]]] = {}

    def busy(self, key: Hashable) -> bool:
        """Somebody holds the key."""
        return key in self._queues

    @asynccontextmanager
    async def hold(self, key: Hashable) -> AsyncIterator[None]:
        """Wait for the turn, keep it, hand it on."""
        waiting = self._queues.get(key)
        if waiting is None:
            waiting = self._queues[key] = deque()
        else:
            turn = asyncio.get_running_loop().create_future()
            waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._give_up(key, turn)
                raise
        try:
            yield
        finally:
            self._hand_on(key)

    def _give_up(self, key: Hashable, turn: asyncio.Future[None]) -> None:
        """A waiter that was cancelled leaves the queue, or hands on the turn that it had just been given."""
        if turn.done() and not turn.cancelled():
            self._hand_on(key)
            return
        waiting = self._queues.get(key, deque())
        if turn in waiting:
            waiting.remove(turn)

    def _hand_on(self, key: Hashable) -> None:
        waiting = self._queues[key]
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._queues[key]
