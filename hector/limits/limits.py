"""All limits of a server: made from its configuration, asked by the web and by the runs."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from hector.config.root import HectorConfig
from hector.core.clock import Clock
from hector.core.errors import StoreError
from hector.core.event import Event
from hector.core.task import Caller
from hector.limits.ledger import MemoryLedger, SharedLedger
from hector.limits.switches import AGAIN, SOON, Pause, Switchboard
from hector.store import Store
from hector.store.counters import Charge

if TYPE_CHECKING:  # loaded where something is limited
    from hector.config.limits import Limits as Settings
    from hector.config.limits import RateLimiting
    from hector.limits.caps import Caps
    from hector.limits.meter import RunMeter, Subject
    from hector.limits.rates import Rates
    from hector.limits.spending import Spending

log = logging.getLogger("hector.limits")
_ROUND: Final = 5.0
"""Seconds between two looks for what dead processes held."""
_TIDY: Final = 720
"""After so many of those what is old is forgotten: once an hour."""
_DAY: Final = 86_400.0
_LATE: Final = _DAY
"""Seconds that a counter is kept beyond its window, for payments that come late."""


class Limits:
    """What is in force. Where nothing is configured, all parts but the switchboard are None and cost nothing."""

    def __init__(
        self, store: Store, clock: Clock, config: HectorConfig | None = None, flags: "RateLimiting | None" = None
    ) -> None:
        """`flags` are rate limits that stand above those of the configuration."""
        from hector.limits.folding import Folding  # noqa: PLC0415 - its neighbours are loaded on first use

        self.switches = Switchboard(store)
        self.rates: Rates | None = None
        self.spending: Spending | None = None
        self.caps: Caps | None = None
        self.streams = 0
        self.folding = Folding(store.counters, lambda: self._shares)
        self._store = store
        self._clock = clock
        self._owner: Callable[[], str] = str
        self._memory: MemoryLedger | None = None
        self._shared = SharedLedger(store.counters, lambda: self._owner(), clock)
        self._flags = flags
        self._kept = 0.0
        if config is not None:
            self.configure(config)

    def configure(self, config: HectorConfig) -> None:
        """Take up a configuration, perhaps in place of another one; what was counted stays."""
        limits = config.limits
        rating = self._flags or config.rate_limiting
        self._kept = config.storage.retention.usage
        self.streams = limits.streams_per_user if limits else 0
        self.rates = self._rates(rating) if rating is not None and rating.rules else None
        self.caps = self._caps(limits) if limits else None
        self.spending = self._spending(config, limits)

    def _rates(self, settings: "RateLimiting") -> "Rates":
        from hector.limits.rates import Rates, settled  # noqa: PLC0415 - loaded on first use

        rules = settled(settings.rules, settings.scope)
        if settings.backend == "sql":
            return Rates(rules, self._shared, self._clock)
        if self._memory is None:
            self._memory = MemoryLedger(settings.most_subjects)
        self._memory.most = settings.most_subjects
        return Rates(rules, self._memory, self._clock)

    def _caps(self, settings: "Settings") -> "Caps | None":
        runs = settings.runs
        if not (runs.per_app or runs.per_agent or runs.per_user):
            return None
        from hector.limits.caps import Caps  # noqa: PLC0415 - loaded on first use

        if self.caps is not None:
            self.caps.settings = runs
            return self.caps
        return Caps(runs, self._shared, self._store.counters, self.folding)

    def _spending(self, config: HectorConfig, settings: "Settings | None") -> "Spending | None":
        wished, repeated = (settings.usage, settings.repeated_calls) if settings else (None, None)
        usage = bool(config.prices or config.budgets) if wished is None else wished
        tokens = self.rates is not None and bool(self.rates.tokens)
        if not (usage or tokens or config.budgets or (repeated and (repeated.refuse_after or repeated.fail_after))):
            return None
        from hector.limits.spending import Policy, Spending  # noqa: PLC0415 - loaded on first use

        policy = Policy(config.budgets, config.prices, usage, repeated)
        return Spending(policy, self._store.counters, self._shared, self.folding, self.rates, self._clock)

    async def admit(self, caller: Caller, agent: str, session: str | None, task: str) -> None:
        """Let a message to an agent in. Raises SwitchedOff, RateLimited."""
        self.switches.check(caller.app, agent)
        if self.rates is not None:
            await self.rates.message(caller, agent, session)
        if self.caps is not None:
            await self.caps.enter(caller, agent, task)

    def pause(self, app: str, agent: str) -> Pause | None:
        """Why a run of an agent must rest, if it must."""
        switch = self.switches.why(app, agent)
        if switch is None:
            return None
        now = self._clock.now()
        return Pause(switch.reason or "switched off", now + AGAIN, switch.scope, now + SOON)

    async def hold_up(self, caller: Caller, agent: str, task: str) -> Pause | None:
        """Why a run that waited must go on waiting; None: it may run, and has its place. Raises StoreError."""
        pause = self.pause(caller.app, agent)
        if pause is None and self.caps is not None and (full := await self.caps.take(caller, agent, task)):
            pause = Pause(full, self._clock.now() + 1.0)
        return pause

    async def leave(self, task: str) -> None:
        """A run is over here. Never raises."""
        if self.caps is not None:
            await self.caps.leave(task)

    def meter(self, subject: "Subject", charges: list[Charge], spent: Sequence[Event]) -> "RunMeter | None":
        """The meter of a run; None where nothing is metered. `spent` are the events that it has stored already."""
        if self.spending is None:
            return None
        from hector.limits.meter import RunMeter  # noqa: PLC0415 - loaded on first use

        return RunMeter(self.spending, subject, charges, spent)

    async def keep(self, owner: Callable[[], str]) -> None:
        """Keep everything up to date until cancelled. `owner` is the name that this process holds things under."""
        self._owner = owner
        async with asyncio.TaskGroup() as group:
            group.create_task(self.switches.keep())
            group.create_task(self._shared.keep())
            group.create_task(self.folding.keep())
            group.create_task(self._tidy())

    @property
    def _shares(self) -> bool:
        return self.caps is not None or (self.spending is not None and self.spending.shares)

    async def _tidy(self) -> None:
        """Give back what the dead held, and forget what is old."""
        rounds = 0
        while True:
            await asyncio.sleep(_ROUND)
            rounds += 1
            try:
                if self._shares and await self._store.counters.abandon():
                    self.folding.note()
                if self._memory is not None:
                    self._memory.sweep(self._clock.now())
                if rounds % _TIDY == 0:
                    await self._forget()
            except StoreError as error:
                log.debug("counters could not be looked after", extra={"error": str(error)})
            except Exception:
                log.exception("counters could not be looked after")

    async def _forget(self) -> None:
        now = self._clock.now()
        await self._store.counters.remove_before(now - _LATE)
        if self._kept > 0:
            await self._store.usage.remove_before(int((now - self._kept) // _DAY))
