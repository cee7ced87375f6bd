"""The meter of one run: holds before each call what it may need, and pays what it did need."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from hector.core.content import ToolCall
from hector.core.errors import BudgetExceeded
from hector.core.event import Delta, Event
from hector.core.ids import new_id
from hector.core.ports import BY_ID, ModelReply, ModelRequest
from hector.core.quota import Ask
from hector.core.record import dataclass
from hector.core.task import Caller
from hector.core.usage import Usage
from hector.limits.ledger import Ledger, MemoryLedger
from hector.limits.prices import Model, cost, dearest
from hector.limits.repeats import refusals
from hector.limits.spending import Spending, Wanted, wants
from hector.limits.told import announced, answered, seconds, since_last_turn
from hector.store.counters import Charge
from hector.store.usage import DAY_MS, Amounts, Place

_OWN: Final = 1_000_000
"""More counters than a run ever has: those of its own are never forgotten."""
_WALL: Final = "time"
_SHORT: Final = 1000
"""Milliseconds that are not worth a write of their own."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose run it is.

    `models` gives provider/model and the longest answer (0: unknown) of the models that an agent may ask, in order; or
    of the one that has answered, if its id is given as well.
    """

    caller: Caller
    agent: str
    session: str
    task: str
    models: Callable[[str, str], Sequence[tuple[str, int]]]


@dataclass(slots=True)
class ModelPermit:
    """`core.ports.Permit`."""

    meter: "RunMeter"
    agent: str
    asked: str
    model: Model
    foreseen: Usage
    began: float
    holdings: "list[Holding]"
    open: bool = True
    heard: int = 0

    def hear(self, deltas: Sequence[Delta]) -> None:
        self.heard += 1 + sum(len(delta.text) for delta in deltas)

    def settle(self, reply: ModelReply | None) -> None:
        if not self.open:
            return
        self.open = False
        now = self.meter.spending.clock.now()
        if reply is not None:
            model = self.meter.model(self.asked, reply.usage.model) if reply.usage.model else self.model
            usage = model.used(reply, self.foreseen, now - self.began)
        elif self.heard:
            model, usage = self.model, self.model.broken_off(self.foreseen, self.heard)
        else:
            self.meter.give_back(self.holdings)
            return
        money = cost(usage, model.rate)
        amounts = {"tokens": usage.total, "money": money, _WALL: self.meter.elapsed(now)}
        kept = Amounts(1, usage.input, usage.output, usage.cache_read, usage.reasoning, 0, money)
        self.meter.pay(self.holdings, amounts, self.agent, model.label, kept, now)


@dataclass(frozen=True, slots=True)
class Holding:
    """What is held in one ledger."""

    ledger: Ledger
    id: str
    wanted: Sequence[Wanted]


class RunMeter:
    """`core.ports.Meter`. `charges` is where payments wait for the next write of the run."""

    def __init__(self, spending: Spending, subject: Subject, charges: list[Charge], spent: Iterable[Event]) -> None:
        self.spending = spending
        self.subject = subject
        self._charges = charges
        self._own = MemoryLedger(_OWN)
        self._given_back: list[str] = []
        self._taken: list[str] = []
        self._open: list[ModelPermit] = []
        self._mark = spending.clock.now()
        self._before = seconds(spent)
        self._recall(spent)

    def _recall(self, spent: Iterable[Event]) -> None:
        """What this run has used before it went on here, as its events tell."""
        now, events = self.spending.clock.now(), list(spent)
        counted = announced(events) | answered(events)
        for event in events:
            if event.usage is None:
                continue
            model = self.model(event.author, event.usage.model)
            money = cost(event.usage, model.rate)
            tools = sum((event.branch, call.id) in counted for call in event.message.tool_calls)
            amounts = {"tokens": event.usage.total, "money": money, "tools": tools}
            self._own.settle("", [one.want for one in self._wants(self._own, amounts, event.author, now)])

    async def before_model(self, agent: str, request: ModelRequest, llm: str = "") -> ModelPermit:
        asked = f"{BY_ID}{llm}" if llm else agent
        models = [self.spending.model(*facts) for facts in self.subject.models(asked, "")]
        model = dearest(models, request)
        foreseen = model.estimate(request)
        amounts = {
            "tokens": foreseen.total,
            "money": cost(foreseen, model.rate),
            _WALL: round(model.seconds * 1000),
        }
        holdings = await self._hold(agent, amounts)
        permit = ModelPermit(self, agent, asked, model, foreseen, self.spending.clock.now(), holdings)
        self._open = [one for one in self._open if one.open] + [permit]
        return permit

    async def before_tools(
        self, agent: str, invocation: str, calls: Sequence[ToolCall], events: Sequence[Event]
    ) -> Mapping[str, str]:
        refused = refusals(self.spending.repeated, calls, events, agent, invocation)
        paid = {call for _, call in announced(since_last_turn(events))}
        count = sum(call.id not in refused and call.id not in paid for call in calls)
        if count and (self.spending.usage or "tools" in self.spending.kinds):
            holdings = await self._hold(agent, {"tools": count})
            label = self.model(agent).label
            now = self.spending.clock.now()
            self.pay(holdings, {"tools": count}, agent, label, Amounts(tools=count), now)
        return refused

    def model(self, agent: str, answered: str = "") -> Model:
        """The model that has answered an agent, by its id; its first one where that is not known."""
        return self.spending.model(*self.subject.models(agent, answered)[0])

    def _wants(self, ledger: Ledger, amounts: dict[str, int], agent: str, now: float) -> list[Wanted]:
        subject = self.subject
        rules = next(rules for one, rules in self.spending.ledgers(self._own) if one is ledger)
        return wants(rules, amounts, subject.caller, agent, subject.session, now)

    async def _hold(self, agent: str, amounts: dict[str, int]) -> list[Holding]:
        now = self.spending.clock.now()
        holdings: list[Holding] = []
        try:
            for ledger, _ in self.spending.ledgers(self._own):
                if wanted := self._wants(ledger, amounts, agent, now):
                    ask = Ask(tuple(one.want for one in wanted), new_id(), self.subject.task)
                    await self.spending.grant(ledger, ask, wanted)
                    holdings.append(Holding(ledger, ask.id, wanted))
                    if self.spending.is_shared(ledger):
                        self._taken.append(ask.id)
        except BaseException:
            self.give_back(holdings)
            raise
        return holdings

    def give_back(self, holdings: Iterable[Holding]) -> None:
        """Nothing of it was used."""
        for holding in holdings:
            if isinstance(holding.ledger, MemoryLedger):
                holding.ledger.settle(holding.id, ())
            else:
                self._given_back.append(holding.id)

    def pay(
        self,
        holdings: Iterable[Holding],
        amounts: Mapping[str, int],
        agent: str,
        label: str,
        kept: Amounts,
        now: float,
    ) -> None:
        """What was used counts in place of what was held, in the database with the next write of the run."""
        shared: Charge | None = None
        for holding in holdings:
            paid = [one.want._replace(amount=amounts.get(one.rule.kind, 0)) for one in holding.wanted]
            if isinstance(holding.ledger, MemoryLedger):
                holding.ledger.settle(holding.id, paid)
            else:
                shared = Charge(holding.id, self.subject.task, now, tuple(paid))
        if shared is None and not self.spending.usage:
            return
        caller = self.subject.caller
        place = Place(caller.app, int(now * 1000) // DAY_MS, agent, caller.user, label)
        charge = shared or Charge(new_id(), self.subject.task, now)
        if self.spending.usage:
            charge = Charge(charge.id, charge.task, charge.at, charge.counts, place, kept)
        self._charges.append(charge)
        if shared is not None:  # what only tells of usage has time
            self.spending.note()

    def elapsed(self, now: float) -> int:
        """Milliseconds that this run took since it was last asked."""
        passed, self._mark = now - self._mark, now
        return max(0, round(passed * 1000))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Around the run: ends it when its time is over, and gives back what it holds. Raises BudgetExceeded."""
        limit = self.spending.seconds_of_run(self.subject.agent, self.subject.caller)
        try:
            if limit is None:
                yield
                return
            timer = asyncio.timeout(max(0.0, limit - self._before))
            try:
                async with timer:
                    yield
            except TimeoutError:
                if not timer.expired():
                    raise
                raise BudgetExceeded(f"the budget of this run is used up: {limit:.1f} s of time (budgets)") from None
        finally:
            for permit in self._open:
                permit.settle(None)
            self._pay_rest()
            self._given_back, given_back = [], self._given_back
            if given_back:
                await asyncio.shield(self.spending.settle((), given_back))

    def _pay_rest(self) -> None:
        """Time that passed since the last model call."""
        now = self.spending.clock.now()
        passed = self.elapsed(now)
        if passed < _SHORT or _WALL not in self.spending.kinds:
            return
        for ledger, _ in self.spending.ledgers(self._own):
            if self.spending.is_shared(ledger):
                wanted = self._wants(ledger, {_WALL: passed}, self.subject.agent, now)
                self._charges.append(Charge(new_id(), self.subject.task, now, tuple(one.want for one in wanted)))

    async def close(self, *, written: bool) -> None:
        """The run is over here. What it has paid and could not write counts all the same."""
        left, self._charges[:] = list(self._charges), []
        if left or not written:
            paid = {charge.id for charge in left}
            await self.spending.settle(left, [] if written else [one for one in self._taken if one not in paid])
        elif self._taken:
            self.spending.note()
