"""What may be spent, compiled from the configuration: which rules a call falls under, and who keeps count."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from hector.config.budgets import Budget, Price
from hector.config.limits import RepeatedCalls
from hector.core.clock import Clock, iso
from hector.core.errors import BudgetExceeded, StoreError
from hector.core.quota import Answer, Ask, Key, Verdict, Want
from hector.core.task import Caller
from hector.limits.folding import Folding
from hector.limits.ledger import Ledger, MemoryLedger, SharedLedger
from hector.limits.prices import Model, rate_of
from hector.limits.rates import Rates
from hector.limits.windows import NEVER, counter, subject_of
from hector.store.counters import Charge, Counters

log = logging.getLogger("hector.limits")
MILLION: Final = 1_000_000
PATIENCE: Final = 60.0
"""Seconds that a call waits for others to give back what they hold."""
_MOST_WARNED: Final = 10_000


class Rule(NamedTuple):
    """A limit of one kind of thing: "tokens", "money" (millionths), "time" (milliseconds) or "tools"."""

    kind: str
    limit: int
    window: str
    per: str
    only: frozenset[str] = frozenset()
    warn: float = 0.0
    rate: bool = False

    def concerns(self, caller: Caller, agent: str) -> bool:
        """Whether it is about this user, app or agent at all."""
        name = {"agent": agent, "user": caller.user, "app": caller.app}.get(self.per, agent)
        return not self.only or name in self.only


def rules_of(budgets: Iterable[Budget]) -> list[Rule]:
    """One rule per kind that a budget names."""
    found: list[Rule] = []
    for budget in budgets:
        limits = {
            "tokens": budget.tokens,
            "money": None if budget.money is None else round(budget.money * MILLION),
            "time": None if budget.time is None else round(budget.time * 1000),
            "tools": budget.tool_calls,
        }
        window = "total" if budget.per == "run" else budget.window
        found += [
            Rule(kind, limit, window, budget.per, frozenset(budget.only), budget.warn)
            for kind, limit in limits.items()
            if limit is not None
        ]
    return found


class Wanted(NamedTuple):
    """A want with the rule behind it."""

    want: Want
    rule: Rule


class Policy(NamedTuple):
    """What the configuration says; `usage`: whether what was used is kept."""

    budgets: Sequence[Budget]
    prices: Sequence[Price]
    usage: bool
    repeated: RepeatedCalls | None = None


class Spending:
    """The rules in force and the ledgers that they are kept in."""

    def __init__(
        self,
        policy: Policy,
        counters: Counters,
        shared: SharedLedger,
        folding: Folding,
        rates: Rates | None,
        clock: Clock,
    ) -> None:
        self.clock = clock
        self.usage = policy.usage
        self.repeated = policy.repeated or RepeatedCalls()
        self.note = folding.note
        self.hurry = folding.hurry
        self._shared = shared
        self._counters = counters
        self._prices = policy.prices
        self._models: dict[tuple[str, int], Model] = {}
        self._warned: dict[Key, None] = {}
        rules = rules_of(policy.budgets)
        tokens = [Rule("tokens", one.limit, one.window, one.scope, rate=True) for one in rates.tokens] if rates else []
        elsewhere = rates is not None and rates.ledger is not shared
        self._times = [rule for rule in rules if rule.per == "run" and rule.kind == "time"]
        self._of_run = [rule for rule in rules if rule.per == "run" and rule.kind != "time"]
        self._of_all = [rule for rule in rules if rule.per != "run"] + ([] if elsewhere else tokens)
        self._of_process = tokens if elsewhere else []
        self._memory = rates.ledger if rates is not None and elsewhere else None

    @property
    def shares(self) -> bool:
        """Whether anything is kept in the database."""
        return bool(self._of_all) or self.usage

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of things that any rule is about."""
        return frozenset(rule.kind for rule in (*self._of_run, *self._of_all, *self._of_process))

    def seconds_of_run(self, agent: str, caller: Caller) -> float | None:
        """How long a run may take."""
        found = [rule.limit for rule in self._times if rule.concerns(caller, agent)]
        return min(found) / 1000 if found else None

    def model(self, label: str, max_tokens: int) -> Model:
        """What is known of a model."""
        found = self._models.get((label, max_tokens))
        if found is None:
            found = self._models[label, max_tokens] = Model(label, rate_of(label, self._prices), max_tokens)
        return found

    def ledgers(self, own: MemoryLedger) -> list[tuple[Ledger, Sequence[Rule]]]:
        """Those that a run has to ask, its own first."""
        found: list[tuple[Ledger, Sequence[Rule]]] = [(own, self._of_run)]
        if self._memory is not None:
            found.append((self._memory, self._of_process))
        return [*found, (self._shared, self._of_all)]

    def is_shared(self, ledger: Ledger) -> bool:
        """Whether what is paid there goes through the database."""
        return ledger is self._shared

    async def grant(self, ledger: Ledger, ask: Ask, wanted: Sequence[Wanted]) -> None:
        """Ask until it is granted. Raises BudgetExceeded."""
        ends, pause = asyncio.get_running_loop().time() + PATIENCE, 0.02
        while True:
            answer = await ledger.ask(ask)
            if answer.verdict is Verdict.GRANTED:
                self._warn(wanted, answer)
                return
            if answer.verdict is Verdict.REFUSED or asyncio.get_running_loop().time() > ends:
                raise exceeded(wanted[answer.at], answer, ask)
            self.hurry()
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.5)

    async def settle(self, charges: Sequence[Charge], given_back: Sequence[str]) -> None:
        """What no write of the run has brought to the database. Never raises: what is lost here costs a warning."""
        try:
            if charges:
                await self._counters.settle(charges)
            if given_back:
                await self._counters.release(given_back)
        except StoreError as error:
            log.warning("what a run has used could not be written", extra={"error": str(error)})
        self.note()

    def _warn(self, wanted: Sequence[Wanted], answer: Answer) -> None:
        for (want, rule), (used, held) in zip(wanted, answer.standings, strict=False):
            if not 0 < rule.warn < 1 or used + held < rule.warn * rule.limit or want.counter.key in self._warned:
                continue
            if len(self._warned) >= _MOST_WARNED:
                self._warned.clear()
            self._warned[want.counter.key] = None
            log.warning("a budget is almost used up", extra={"budget": _name(want, rule), "used": shown(rule, used)})


def wants(
    rules: Sequence[Rule], amounts: dict[str, int], caller: Caller, agent: str, session: str, now: float
) -> list[Wanted]:
    """What a call wants of which counters; where several rules limit the same one, the lowest limit counts."""
    found: dict[Key, Wanted] = {}
    for rule in rules:
        if rule.kind not in amounts or not rule.concerns(caller, agent):
            continue
        subject = "run" if rule.per == "run" else subject_of(rule.per, caller, agent, session)
        one = Wanted(Want(counter(subject, rule.kind, rule.window, now), amounts[rule.kind], rule.limit), rule)
        other = found.get(one.want.counter.key)
        if other is None or other.rule.limit > rule.limit:
            found[one.want.counter.key] = one
    return list(found.values())


def exceeded(wanted: Wanted, answer: Answer, ask: Ask) -> BudgetExceeded:
    """What the task says when it fails."""
    want, rule = wanted
    used, held = answer.standings[answer.at]
    until = "" if want.counter.ends >= NEVER else f"; it begins anew at {iso(want.counter.ends / 1000)}"
    waited = f", and calls under way hold {shown(rule, held)} more" if answer.verdict is Verdict.WAIT else ""
    where = "rate_limiting" if rule.rate else "budgets"
    return BudgetExceeded(
        f"{_name(want, rule)} is used up: {shown(rule, used)} of {shown(rule, rule.limit)}{waited}{until} ({where})"
    )


def _name(want: Want, rule: Rule) -> str:
    word = "the rate limit" if rule.rate else "the budget"
    if rule.per == "run":
        return f"{word} of this run"
    window = "" if rule.window == "total" else f" for this {rule.window}"
    return f"{word} of {want.counter.subject}{window}"


def shown(rule: Rule, amount: int) -> str:
    """An amount for people."""
    match rule.kind:
        case "money":
            return f"{amount / MILLION:.4f} in money"
        case "time":
            return f"{amount / 1000:.1f} s"
        case "tools":
            return f"{amount} tool calls"
        case _:
            return f"{amount} tokens"
