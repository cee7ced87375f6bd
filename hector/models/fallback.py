"""Several models in place of one: the next is asked where one fails, and who failed rests for a while.

What happens after a failure is decided by one pure function, `after`. A rest is of the model, not of the call: all
agents of an app that use it know of it.
"""

import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final, NamedTuple

from hector.core.errors import (
    AccountSpent,
    ConfigError,
    ContextOverflow,
    HectorError,
    ModelAuthError,
    ModelError,
    ModelUnavailable,
    UnsupportedContent,
)
from hector.core.event import Delta
from hector.core.ports import ChatModel, ModelReply, ModelRequest

log = logging.getLogger("hector.models")
_RESTS: Final = (ModelUnavailable, ModelAuthError, AccountSpent, ConfigError)
"""The last: a model that cannot be made, because its key is missing, say."""
_PASSED_ON: Final = (UnsupportedContent, ContextOverflow)


class Choice(NamedTuple):
    """One of the models: its id under `llms`, how it is reached, and how long it rests after a failure, in seconds."""

    id: str
    get: Callable[[], ChatModel]
    cooldown: float = 30.0


class After(NamedTuple):
    """What follows from a failure: how long the model rests (0: not at all), and whether another one is asked."""

    rest: float
    next: bool


def after(error: HectorError, cooldown: float) -> After:
    """What the failure says of the model, and what of the request, which another model would refuse as well."""
    if isinstance(error, _RESTS):
        pause = error.retry_after if isinstance(error, ModelError) else None
        return After(max(cooldown, pause or 0.0), True)
    return After(0.0, isinstance(error, _PASSED_ON))


def in_order(choices: Sequence[Choice], rests: "Rests") -> list[Choice]:
    """As configured, but those that rest come last, the one first whose rest is over soonest."""
    return sorted(choices, key=lambda choice: rests.left(choice.id))


class Rests:
    """Until when which model rests, in memory. `clock` gives seconds that only grow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}
        self._begun: dict[str, int] = {}

    def left(self, name: str) -> float:
        """Seconds that a model still rests; 0: not at all."""
        return max(0.0, self._until.get(name, 0.0) - self._clock()) if self._until else 0.0

    def now(self) -> dict[str, float]:
        """The models that rest, and for how many seconds more."""
        return {name: left for name in sorted(self._until) if (left := self.left(name)) > 0}

    def begin(self, name: str, seconds: float) -> None:
        """A model failed. A rest that is over later than this one stays."""
        if seconds > 0:
            self._until[name] = max(self._until.get(name, 0.0), self._clock() + seconds)
            self._begun[name] = self.count(name) + 1

    def count(self, name: str) -> int:
        """How often a model has begun to rest."""
        return self._begun.get(name, 0)

    def end(self, name: str, count: int) -> None:
        """A model answered a call that was made after its rest had begun so often; a later rest stays."""
        if count == self.count(name):
            self._until.pop(name, None)


class Fallback:
    """A ChatModel over several, which belong to somebody else.

    Raises the first error where all fail: what the model that was meant says counts, and a conversation that is too
    long for it is made shorter for it.
    """

    def __init__(self, choices: Sequence[Choice], rests: Rests) -> None:
        self._choices = tuple(choices)
        self._rests = rests

    async def complete(self, request: ModelRequest) -> ModelReply:
        """As ChatModel says; `usage.model` of the reply is the id of the model that answered."""
        first: HectorError | None = None
        order = in_order(self._choices, self._rests)
        for choice, following in zip(order, [*order[1:], None], strict=False):
            rested = self._rests.count(choice.id)
            try:
                return self._answered(choice, await choice.get().complete(request), rested)
            except (ModelError, ConfigError) as error:
                first = first or error
                if not self._goes_on(choice, error, following):
                    break
        raise first or ModelUnavailable("no model is configured")

    async def stream(self, request: ModelRequest) -> AsyncGenerator[tuple[Delta, ...] | ModelReply, None]:
        """The same. Once a delta was handed on, no other model is asked in this call."""
        first: HectorError | None = None
        order = in_order(self._choices, self._rests)
        for choice, following in zip(order, [*order[1:], None], strict=False):
            shown, rested = False, self._rests.count(choice.id)
            try:
                async with aclosing(choice.get().stream(request)) as items:
                    async for item in items:
                        shown = True
                        yield self._answered(choice, item, rested) if isinstance(item, ModelReply) else item
                return
            except (ModelError, ConfigError) as error:
                goes_on = self._goes_on(choice, error, None if shown else following)
                if shown:
                    raise
                first = first or error
                if not goes_on:
                    break
        raise first or ModelUnavailable("no model is configured")

    async def aclose(self) -> None:
        """The models are closed by whoever made them."""

    def _answered(self, choice: Choice, reply: ModelReply, rested: int) -> ModelReply:
        self._rests.end(choice.id, rested)
        return replace(reply, usage=replace(reply.usage, model=choice.id))

    def _goes_on(self, choice: Choice, error: HectorError, following: Choice | None) -> bool:
        rest, goes_on = after(error, choice.cooldown)
        self._rests.begin(choice.id, rest)
        chosen = following if goes_on else None
        facts = {"model": choice.id, "next": chosen.id if chosen else None, "rest": round(rest, 1), "error": str(error)}
        log.warning("a model failed, another one is asked" if chosen else "a model failed", extra=facts)
        return chosen is not None
