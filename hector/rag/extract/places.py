"""Whose document is read next, when there are more of them than processes that read.

The turn is that of the app, then of the store, for which the fewest are being read. A store that has none beside those
of others, and an app that has none, get one place more: whatever takes long elsewhere, they go on.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TypeAlias

Owner: TypeAlias = tuple[str, str]
"""An app and one of its document stores."""


def next_owner(waiting: Iterable[Owner], reading: Mapping[Owner, int], count: int) -> Owner | None:
    """Who may begin; None where nobody may. `waiting`: who has had the longest wait since its last turn comes first."""
    apps = Counter[str]()
    for (app, _), number in reading.items():
        apps[app] += number
    first = min(waiting, key=lambda owner: (apps[owner[0]], reading.get(owner, 0)), default=None)
    if first is None:
        return None
    more = (not reading.get(first)) + (not apps[first[0]])
    return first if apps.total() < count + more else None


class Places:
    """Of one event loop; `count` for the usual, two more as told above."""

    def __init__(self, count: int) -> None:
        self.count = max(1, count)
        self._reading: Counter[Owner] = Counter()
        self._waiting: dict[Owner, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def one(self, owner: Owner) -> AsyncIterator[None]:
        """Wait for a place; it is given back at the end of the context."""
        ticket = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(ticket)
        self._admit()
        try:
            await ticket
            yield
        finally:
            self._leave(owner, ticket)
            self._admit()

    def _leave(self, owner: Owner, ticket: "asyncio.Future[None]") -> None:
        if ticket.cancelled():  # it was still waiting
            self._waiting[owner].remove(ticket)
            if not self._waiting[owner]:
                del self._waiting[owner]
            return
        self._reading[owner] -= 1
        if not self._reading[owner]:
            del self._reading[owner]

    def _admit(self) -> None:
        """Let in whoever may begin; the others of the same owner stand behind everybody else then."""
        while (owner := next_owner(self._waiting, self._reading, self.count)) is not None:
            queue = self._waiting.pop(owner)
            self._reading[owner] += 1
            queue.popleft().set_result(None)
            if queue:
                self._waiting[owner] = queue
