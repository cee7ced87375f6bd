"""Rate limits without a server: windows, whose counters, the memory of a process, the addresses of clients."""

from datetime import UTC, datetime
from typing import Any

import pytest

from hector.config.limits import RateLimiting, RateRule, TrustedProxies
from hector.core.clock import FakeClock
from hector.core.errors import RateLimited
from hector.core.quota import Ask, Counter, Verdict, Want
from hector.core.task import Caller
from hector.limits.ledger import MemoryLedger
from hector.limits.rates import CURRENT, Rates, Tally, settled
from hector.limits.windows import span, subject
from hector.web.limiting import Limiter

ANA, BO = Caller("one", "ana"), Caller("one", "bo")


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.proves("limits.windows")
@pytest.mark.parametrize(
    ("window", "now", "start", "end"),
    [
        ("minute", "2026-11-22 14:26:59.9", "2026-11-22 14:26", "2026-11-22 14:27"),
        ("hour", "2026-11-22 14:00", "2026-11-22 14:00", "2026-11-22 15:00"),
        ("day", "2026-11-22 23:59:59", "2026-11-22", "2026-11-23"),
        ("week", "2026-11-22 12:00", "2026-11-16", "2026-11-23"),
        ("week", "2026-11-23 00:00", "2026-11-23", "2026-11-30"),
        ("month", "2026-02-28 23:00", "2026-02-01", "2026-03-01"),
        ("month", "2026-12-31 23:59:59", "2026-12-01", "2027-01-01"),
    ],
)
def test_windows_are_those_of_the_calendar(window: str, now: str, start: str, end: str) -> None:
    assert span(window, at(now)) == (at(start) * 1000, at(end) * 1000)


@pytest.mark.proves("limits.subjects")
def test_no_two_subjects_share_a_name() -> None:
    names = [("a", "b/c"), ("a/b", "c"), ("a", "b", "c"), ("a%2Fb", "c"), ("x" * 300,), ("x" * 301,)]
    assert len({subject("user", *parts) for parts in names}) == len(names)
    assert all(len(subject("user", *parts)) < 220 for parts in names)


def rates(*rules: RateRule, scope: Any = "user", most: int = 1000) -> tuple[Rates, FakeClock]:
    clock = FakeClock(at("2026-11-22 12:00:30"))
    return Rates(settled(rules, scope), MemoryLedger(most), clock), clock


@pytest.mark.proves("limits.exact", "limits.scopes")
async def test_the_last_one_is_served_and_the_next_one_is_not() -> None:
    limits, clock = rates(RateRule(limit=2))
    for _ in range(2):
        await limits.request(ANA, "192.0.2.1")
    with pytest.raises(RateLimited) as refused:
        await limits.request(ANA, "192.0.2.1")
    assert refused.value.retry_after == 30
    assert refused.value.usage[0] == {
        "type": "count",
        "scope": "user",
        "window": "minute",
        "current": 2,
        "limit": 2,
        "remaining": 0,
        "percentage": 100.0,
        "resets_at": "2026-11-22T12:01:00.000Z",
    }
    await limits.request(BO, "192.0.2.1")
    clock._now += 30
    await limits.request(ANA, "192.0.2.1")


@pytest.mark.proves("limits.scopes")
@pytest.mark.parametrize(
    ("scope", "first", "same", "other"),
    [
        ("session", (ANA, "a", "s1"), (ANA, "b", "s1"), (ANA, "a", "s2")),
        ("session", (ANA, "a", None), (ANA, "b", None), (BO, "a", None)),
        ("session", (ANA, "a", "s1"), (ANA, "a", "s1"), (BO, "a", "s1")),
        ("agent", (ANA, "a", "s1"), (BO, "a", "s2"), (ANA, "b", "s1")),
        ("agent", (ANA, "a", "s1"), (BO, "a", "s2"), (Caller("two", "ana"), "a", "s1")),
    ],
)
async def test_messages_count_for_their_conversation_or_agent(scope: Any, first: Any, same: Any, other: Any) -> None:
    limits, _ = rates(RateRule(limit=1), scope=scope)
    await limits.message(*first)
    await limits.message(*other)
    with pytest.raises(RateLimited):
        await limits.message(*same)


@pytest.mark.proves("limits.scopes")
@pytest.mark.parametrize(
    ("scope", "first", "same", "other"),
    [
        ("app", (ANA, "x"), (BO, "y"), (Caller("two", "ana"), "x")),
        ("address", (ANA, "192.0.2.1"), (BO, "192.0.2.1"), (ANA, "192.0.2.2")),
    ],
)
async def test_requests_count_for_their_app_or_address(scope: Any, first: Any, same: Any, other: Any) -> None:
    limits, _ = rates(RateRule(limit=1), scope=scope)
    await limits.request(*first)
    await limits.request(*other)
    with pytest.raises(RateLimited):
        await limits.request(*same)


@pytest.mark.proves("limits.exact", "limits.headers")
async def test_several_rules_hold_at_once_and_the_tightest_is_told() -> None:
    limits, _ = rates(RateRule(limit=10, window="hour"), RateRule(limit=3), RateRule(limit=2, scope="address"))
    tally = Tally()
    CURRENT.set(tally)
    await limits.request(ANA, "192.0.2.1")
    assert dict(tally.headers()) == {
        b"x-ratelimit-limit": b"2",
        b"x-ratelimit-remaining": b"1",
        b"x-ratelimit-reset": str(int(at("2026-11-22 12:01"))).encode(),
    }
    await limits.request(ANA, "192.0.2.2")
    await limits.request(ANA, "192.0.2.3")
    with pytest.raises(RateLimited, match="3 of 3 requests per minute and user"):
        await limits.request(ANA, "192.0.2.4")
    await limits.request(BO, "192.0.2.4")  # what was refused was counted nowhere else


@pytest.mark.proves("limits.memory-bounded")
def test_the_memory_of_a_process_is_bounded_and_forgets_the_least_used_first() -> None:
    ledger = MemoryLedger(1000)

    def use(name: str, end: int = 1 << 60) -> Verdict:
        return ledger.decide(Ask((Want(Counter(name, "requests", 0, end), 1, 5),))).verdict

    for _ in range(6):
        use("heavy")
    for number in range(20_000):
        use(f"flood {number}")
    assert len(ledger) == 1000
    assert use("heavy") is Verdict.REFUSED
    use("old", 1000)
    ledger.sweep(2.0)
    assert len(ledger) == 999


def scope(peer: str, **headers: str) -> dict[str, Any]:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"client": (peer, 5000), "headers": named}


@pytest.mark.proves("limits.address")
@pytest.mark.parametrize(
    ("request_", "address"),
    [
        (scope("192.0.2.1", x_forwarded_for="203.0.113.9"), "192.0.2.1"),  # nobody's word but a proxy's
        (scope("192.0.2.1", x_session_id="1", x_user_id="2", forwarded="for=9.9.9.9"), "192.0.2.1"),
        (scope("10.0.0.1", x_forwarded_for="203.0.113.9"), "203.0.113.9"),
        (scope("10.0.0.1", x_forwarded_for="6.6.6.6, 203.0.113.9"), "203.0.113.9"),  # what the client wrote itself
        (scope("10.0.0.1", x_forwarded_for="6.6.6.6, 203.0.113.9, 10.2.3.4"), "203.0.113.9"),
        (scope("10.0.0.1", x_forwarded_for="203.0.113.9:4711"), "203.0.113.9"),
        (scope("10.0.0.1", x_real_ip="203.0.113.9"), "203.0.113.9"),
        (scope("10.0.0.1", x_forwarded_for="nonsense"), "10.0.0.1"),
        (scope("10.0.0.1", x_forwarded_for="6.6.6.6, nonsense, 10.9.9.9"), "10.9.9.9"),
        (scope("10.0.0.1"), "10.0.0.1"),
        (scope("::ffff:192.0.2.1"), "192.0.2.1"),
        (scope("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64"),
        (scope("10.0.0.1", x_forwarded_for="[2001:db8:1:2::9]:80"), "2001:db8:1:2::/64"),
        ({"client": None, "headers": []}, "local"),
    ],
)
def test_whose_address_it_is(request_: dict[str, Any], address: str) -> None:
    limiter = Limiter(None, TrustedProxies(networks=("10.0.0.0/8",)))  # type: ignore[arg-type]
    assert limiter.address(request_) == address


@pytest.mark.proves("limits.exact")
def test_the_default_rules_are_those_of_the_format() -> None:
    block = RateLimiting(enabled=True)
    assert [(rule.type, rule.window, rule.limit) for rule in block.rules] == [
        ("token", "day", 100_000),
        ("count", "minute", 60),
    ]
    assert RateLimiting().rules == ()
