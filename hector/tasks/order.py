"""First come, first served within a session; sessions never wait for each other."""

import asyncio
from collections import deque
from collections.abc import Hashable


class Place:
    """A place in the queue of one key, to be left by whoever joined."""

    def __init__(self, queues: dict[Hashable, deque["Place"]], key: Hashable) -> None:
        self._queues = queues
        self._key = key
        self._turn: asyncio.Future[None] | None = None
        queues.setdefault(key, deque()).append(self)

    @property
    def first(self) -> bool:
        """It is our turn."""
        return self._queues[self._key][0] is self

    async def turn(self) -> None:
        """Wait until everybody who came before has left."""
        if not self.first:
            self._turn = asyncio.get_running_loop().create_future()
            await self._turn

    def leave(self) -> None:
        """Hand on the turn, or do without it."""
        queue = self._queues[self._key]
        queue.remove(self)
        if not queue:
            del self._queues[self._key]
        elif (turn := queue[0]._turn) is not None and not turn.done():
            turn.set_result(None)


class Turns:
    """One holder for each key at a time, in the order of arrival."""

    def __init__(self) -> None:
        self._queues: dict[Hashable, deque[Place]] = {}

    def join(self, key: Hashable) -> Place:
        """Stand in line, at once; `await place.turn()` comes later."""
        return Place(self._queues, key)

    def __contains__(self, key: object) -> bool:
        """Somebody stands in this line."""
        return key in self._queues
