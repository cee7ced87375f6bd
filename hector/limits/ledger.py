"""Where counters are kept: in this process, or in the database for all of them. Both decide alike."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final, Protocol

from hector.core.clock import Clock
from hector.core.errors import StoreError, StoreUnavailable
from hector.core.quota import Answer, Ask, Key, Standing, Verdict, Want, judge
from hector.store.counters import Counters

_LOOKED_AT: Final = 8
"""Of so many old counters the least used one makes room."""
MOST_AT_ONCE: Final = 500
"""Asks that one transaction decides."""


class Ledger(Protocol):
    """Decides about counters."""

    async def ask(self, ask: Ask) -> Answer:
        """Decide. Raises StoreError when nobody can say."""


class MemoryLedger:
    """Counters of this process, at most so many: those of few uses are forgotten first."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._standings: dict[Key, Standing] = {}
        self._ends: dict[Key, int] = {}
        self._held: dict[str, tuple[Want, ...]] = {}

    def __len__(self) -> int:
        return len(self._standings)

    def decide(self, ask: Ask) -> Answer:
        """The same without waiting."""
        answer = judge(self._standings, ask)
        for want in ask.wants:
            self._ends[want.counter.key] = want.counter.ends
        if ask.id and answer.verdict is Verdict.GRANTED:
            self._held[ask.id] = ask.wants
        while len(self._standings) > self.most:
            self._make_room()
        return answer

    async def ask(self, ask: Ask) -> Answer:
        return self.decide(ask)

    def settle(self, name: str, paid: Iterable[Want]) -> None:
        """What was held is no longer, what was paid counts; also without anything held."""
        for want in self._held.pop(name, ()):
            standing = self._standings.get(want.counter.key)
            if standing is not None:
                standing.held = max(0, standing.held - want.amount)
        for want in paid:
            self._standings.setdefault(want.counter.key, Standing()).used += want.amount
            self._ends[want.counter.key] = want.counter.ends

    def sweep(self, now: float) -> None:
        """Forget what is over."""
        for key in [key for key, ends in self._ends.items() if ends < now * 1000]:
            self._forget(key)

    def _make_room(self) -> None:
        oldest = list(islice(self._standings, _LOOKED_AT))
        least = min(oldest, key=lambda key: self._standings[key].used + self._standings[key].held)
        for key in oldest:  # to the end of the line
            self._standings[key] = self._standings.pop(key)
        self._forget(least)

    def _forget(self, key: Key) -> None:
        self._standings.pop(key, None)
        self._ends.pop(key, None)


class SharedLedger:
    """Counters in the database: those who ask while a transaction is under way share the next one."""

    def __init__(self, counters: Counters, owner: Callable[[], str], clock: Clock) -> None:
        self._counters = counters
        self._owner = owner
        self._clock = clock
        self._waiting: list[tuple[Ask, asyncio.Future[Answer]]] = []
        self._woken = asyncio.Event()
        self._over = False

    async def ask(self, ask: Ask) -> Answer:
        if self._over:
            raise _stopping()
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((ask, answer))
        self._woken.set()
        try:
            return await answer
        except asyncio.CancelledError:
            if ask.id and not answer.cancelled() and answer.done() and answer.exception() is None:
                await self._counters.release([ask.id])
            raise

    async def keep(self) -> None:
        """Decide until cancelled; whoever asks after that, or has no answer by then, is refused."""
        self._over = False
        batch: list[tuple[Ask, asyncio.Future[Answer]]] = []
        try:
            while True:
                await self._woken.wait()
                self._woken.clear()
                while self._waiting:
                    batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                    await self._decide(batch)
        finally:
            self._over = True
            for _, answer in (*batch, *self._waiting):
                if not answer.done():
                    answer.set_exception(_stopping())
            self._waiting.clear()

    async def _decide(self, batch: Sequence[tuple[Ask, "asyncio.Future[Answer]"]]) -> None:
        live = [(ask, answer) for ask, answer in batch if not answer.done()]
        try:
            found = await self._counters.ask([ask for ask, _ in live], self._owner(), self._clock.now())
        except StoreError as error:
            for _, answer in live:
                if not answer.done():
                    answer.set_exception(error)
            return
        lost = [
            ask.id
            for (ask, future), decided in zip(live, found, strict=True)
            if ask.id and future.done() and decided.verdict is Verdict.GRANTED
        ]
        for (_, future), decided in zip(live, found, strict=True):
            if not future.done():
                future.set_result(decided)
        if lost:  # nobody waits for them any more
            await self._counters.release(lost)


def _stopping() -> StoreUnavailable:
    return StoreUnavailable("the server is stopping and takes no more work")
