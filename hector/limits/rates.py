"""Rate limits: which rules a request or a message falls under, and what the client is told of them."""

from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from math import ceil
from typing import Any, Final, NamedTuple

from hector.config.limits import RateRule, Scope, Window
from hector.core.clock import Clock, iso
from hector.core.errors import RateLimited
from hector.core.quota import Answer, Ask, Verdict, Want
from hector.core.task import Caller
from hector.limits.ledger import Ledger
from hector.limits.windows import counter, subject, subject_of

REQUESTS: Final = frozenset(("user", "app", "address"))
"""Scopes that are known as soon as a request has come in; the others wait until its message has been read."""
_MOST_ASKS: Final = 1024
_NOTHING: Final = (Ask(()), 0, 0)
_WORDS: Final = {"count": "requests", "token": "tokens"}


class Rule(NamedTuple):
    """A rule with its scope settled."""

    type: str
    window: Window
    limit: int
    scope: Scope


class Reading(NamedTuple):
    """How far a rule has been used; `resets`: milliseconds since the epoch."""

    rule: Rule
    current: int
    resets: int

    @property
    def remaining(self) -> int:
        """What is left of it."""
        return max(0, self.rule.limit - self.current)

    def as_json(self) -> dict[str, Any]:
        """As clients are told."""
        return {
            "type": self.rule.type,
            "scope": self.rule.scope,
            "window": self.rule.window,
            "current": self.current,
            "limit": self.rule.limit,
            "remaining": self.remaining,
            "percentage": round(100 * self.current / self.rule.limit, 1),
            "resets_at": iso(self.resets / 1000),
        }


class Tally:
    """What one request has been counted for."""

    __slots__ = ("readings",)

    def __init__(self) -> None:
        self.readings: list[Reading] = []

    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """The rule of which the smallest share is left; the reset as seconds since the epoch."""
        if not self.readings:
            return ()
        tightest = self.readings[0]
        if len(self.readings) > 1:
            tightest = min(self.readings, key=lambda one: (one.remaining / one.rule.limit, -one.resets))
        return (
            (b"x-ratelimit-limit", b"%d" % tightest.rule.limit),
            (b"x-ratelimit-remaining", b"%d" % tightest.remaining),
            (b"x-ratelimit-reset", b"%d" % ceil(tightest.resets / 1000)),
        )


CURRENT: Final[ContextVar[Tally | None]] = ContextVar("tally", default=None)
"""That of the request that is being answered."""


def settled(rules: Iterable[RateRule], scope: Scope) -> list[Rule]:
    """The rules of a block with this scope for those that name none."""
    return [Rule(rule.type, rule.window, rule.limit, rule.scope or scope) for rule in rules]


class Rates:
    """All rules of a server over one ledger.

    `on_requests`: whether any counts requests, rather than messages; `by_address`: whether any goes by addresses.
    """

    def __init__(self, rules: Sequence[Rule], ledger: Ledger, clock: Clock) -> None:
        counts = [rule for rule in rules if rule.type == "count"]
        self.tokens = tuple(rule for rule in rules if rule.type == "token")
        self.ledger = ledger
        self._of_requests = tuple(rule for rule in counts if rule.scope in REQUESTS)
        self._of_messages = (*(rule for rule in counts if rule.scope not in REQUESTS), *self.tokens)
        self._clock = clock
        self._asks: dict[tuple[tuple[Rule, ...], tuple[str, ...]], tuple[Ask, int, int]] = {}

        self.on_requests = bool(self._of_requests)
        self.by_address = any(rule.scope == "address" for rule in self._of_requests)

    def begin(self) -> Tally:
        """What the request that is being answered will have been counted for."""
        tally = Tally()
        CURRENT.set(tally)
        return tally

    async def request(self, caller: Caller, address: str) -> None:
        """Count a request. Raises RateLimited."""
        now = self._clock.now()
        subjects = [
            subject("address", address) if rule.scope == "address" else subject_of(rule.scope, caller)
            for rule in self._of_requests
        ]
        await self._count(self._of_requests, subjects, now)

    async def message(self, caller: Caller, agent: str, session: str | None) -> None:
        """Count a message to an agent, and look whether tokens are left for it. Raises RateLimited."""
        if not self._of_messages:
            return
        now = self._clock.now()
        subjects = [_subject(rule, caller, agent, session) for rule in self._of_messages]
        await self._count(self._of_messages, subjects, now)

    async def _count(self, rules: tuple[Rule, ...], subjects: Sequence[str], now: float) -> None:
        ask = self._asked(rules, tuple(subjects), now)
        answer = await self.ledger.ask(ask)
        readings = [
            Reading(rule, used, want.counter.ends)
            for rule, want, (used, _) in zip(rules, ask.wants, answer.standings, strict=True)
        ]
        if (tally := CURRENT.get()) is not None:
            tally.readings += readings
        refused = _refused(readings, answer)
        if refused is not None:
            raise _error(refused, readings, now)

    def _asked(self, rules: tuple[Rule, ...], subjects: tuple[str, ...], now: float) -> Ask:
        """What is asked for these subjects: the same until the first of its windows is over."""
        ask, begins, ends = self._asks.get((rules, subjects), _NOTHING)
        if not begins <= now * 1000 < ends:
            wants = tuple(_want(rule, name, now) for rule, name in zip(rules, subjects, strict=True))
            ask = Ask(wants)
            begins, ends = max(one.counter.period for one in wants), min(one.counter.ends for one in wants)
            if len(self._asks) >= _MOST_ASKS:
                self._asks.clear()
            self._asks[rules, subjects] = ask, begins, ends
        return ask


def _subject(rule: Rule, caller: Caller, agent: str, session: str | None) -> str:
    if rule.scope == "session" and not session:
        return subject("new-sessions", caller.app, caller.user)
    return subject_of(rule.scope, caller, agent, session or "")


def _want(rule: Rule, name: str, now: float) -> Want:
    """A request counts at once; tokens are held and paid by the run, and only looked at here."""
    if rule.type == "count":
        return Want(counter(name, "requests", rule.window, now), 1, rule.limit)
    return Want(counter(name, "tokens", rule.window, now), 0)


def _refused(readings: Sequence[Reading], answer: Answer) -> Reading | None:
    if answer.verdict is not Verdict.GRANTED:
        return readings[answer.at]
    return next((one for one in readings if one.rule.type == "token" and not one.remaining), None)


def _error(refused: Reading, readings: Sequence[Reading], now: float) -> RateLimited:
    rule, wait = refused.rule, max(1.0, refused.resets / 1000 - now)
    text = (
        f"rate limit exceeded: {refused.current} of {rule.limit} {_WORDS[rule.type]} per {rule.window} and {rule.scope}"
        f" are used; try again in {ceil(wait)} s"
    )
    return RateLimited(text, wait, [one.as_json() for one in readings])
