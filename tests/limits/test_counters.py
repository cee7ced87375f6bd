"""Counters, reservations and payments on every engine: exact, whoever asks and whatever dies."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from hector.core.clock import SystemClock
from hector.core.errors import StoreUnavailable
from hector.core.quota import Answer, Ask, Counter, Standing, Verdict, Want, judge
from hector.limits.ledger import SharedLedger
from hector.store import Store, open_store
from hector.store.counters import Charge
from hector.store.usage import Amounts, Place, UsageQuery

DAY = Counter("user:default/ana", "tokens", 0, 1 << 60)
TOTAL = Counter("app:default", "tokens", 0, 1 << 60)


@pytest.fixture(params=["file", "postgres"])
def dsn(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "file":
        return f"sqlite://{tmp_path}/hector.db"
    return str(request.getfixturevalue("postgres_ready"))


@pytest.fixture
async def store(dsn: str) -> AsyncIterator[Store]:
    store = await open_store(dsn)
    yield store
    await store.aclose()


def spend(amount: int, limit: int | None, counter: Counter = DAY) -> Ask:
    return Ask((Want(counter, amount, limit),))


def hold(name: str, amount: int, limit: int | None) -> Ask:
    return Ask((Want(DAY, amount, limit),), name, "t")


@pytest.mark.proves("limits.exact")
@pytest.mark.parametrize(
    ("used", "held", "ask", "verdict"),
    [
        (9, 0, spend(1, 10), Verdict.GRANTED),
        (10, 0, spend(1, 10), Verdict.REFUSED),
        (9, 0, spend(2, 10), Verdict.REFUSED),
        (1 << 40, 0, spend(1, None), Verdict.GRANTED),
        (0, 0, hold("a", 5, 10), Verdict.GRANTED),
        (0, 6, hold("a", 5, 10), Verdict.WAIT),
        (9, 0, hold("a", 5, 10), Verdict.GRANTED),  # the last call: what is left must be of use
        (9, 1, hold("a", 5, 10), Verdict.WAIT),
        (10, 0, hold("a", 5, 10), Verdict.REFUSED),
        (10, 3, hold("a", 5, 10), Verdict.REFUSED),
        (10, 0, hold("a", 0, 10), Verdict.REFUSED),
        (10, 3, Ask((Want(DAY, 5, 10),), "a", forced=True), Verdict.GRANTED),
    ],
)
def test_what_is_granted(used: int, held: int, ask: Ask, verdict: Verdict) -> None:
    standings = {DAY.key: Standing(used, held)}
    amount = ask.wants[0].amount if verdict is Verdict.GRANTED else 0
    after = (used, held + amount) if ask.id else (used + amount, held)
    assert judge(standings, ask) == Answer(verdict, (after,))


@pytest.mark.proves("limits.exact")
def test_of_several_wants_all_are_granted_or_none() -> None:
    standings = {DAY.key: Standing(3), TOTAL.key: Standing(10)}
    answer = judge(standings, Ask((Want(DAY, 1, 5), Want(TOTAL, 1, 10))))
    assert (answer.verdict, answer.at, standings[DAY.key].used) == (Verdict.REFUSED, 1, 3)


@pytest.mark.proves("limits.exact")
async def test_of_many_askers_exactly_as_many_are_served_as_the_limit_says(store: Store) -> None:
    asks = [store.counters.ask([spend(1, 70), spend(1, 70)], "p", 0.0) for _ in range(100)]
    answers = [answer for batch in [await one for one in asks] for answer in batch]
    assert sum(answer.verdict is Verdict.GRANTED for answer in answers) == 70
    assert await store.counters.read([DAY]) == [Standing(70, 0)]


@pytest.mark.proves("limits.exact", "limits.shared")
async def test_processes_on_one_database_share_a_limit(postgres_ready: str) -> None:
    async with AsyncExitStack() as stack:
        stores = [await open_store(postgres_ready) for _ in range(3)]
        for store in stores:
            stack.push_async_callback(store.aclose)
        both = Ask((Want(DAY, 1, 150), Want(TOTAL, 1, 120)))
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(_answers(store, both, number)) for number in range(67) for store in stores]
        granted = sum(task.result() for task in asking)
        assert granted == 120
        assert await stores[0].counters.read([DAY, TOTAL]) == [Standing(120), Standing(120)]


async def _answers(store: Store, ask: Ask, number: int) -> int:
    answers = await store.counters.ask([ask], f"p{number}", 0.0)
    return sum(answer.verdict is Verdict.GRANTED for answer in answers)


@pytest.mark.proves("limits.budget")
async def test_what_is_held_becomes_what_was_paid(store: Store) -> None:
    await store.counters.ask([hold("a", 100, 1000)], "p", 0.0)
    assert await store.counters.read([DAY]) == [Standing(0, 100)]
    place, amounts = Place("default", 3, "helper", "ana", "scripted/x"), Amounts(1, 20, 10, 5, 2, 0, 70)
    charge = Charge("a", "t", 0.0, (Want(DAY, 30),), place, amounts)
    await store.counters.settle([charge])
    await store.counters.settle([charge])  # once more, since the answer got lost
    assert await store.counters.fold() == 1
    assert await store.counters.fold() == 0
    assert await store.counters.read([DAY]) == [Standing(30, 0)]
    (line,) = (await store.usage.report(UsageQuery())).lines
    assert line == (place, amounts)


@pytest.mark.proves("limits.budget")
async def test_what_is_given_back_costs_nothing(store: Store) -> None:
    await store.counters.ask([hold("a", 100, 1000), hold("b", 1, 1000)], "p", 0.0)
    await store.counters.release(["a"])
    await store.counters.fold()
    assert await store.counters.read([DAY]) == [Standing(0, 1)]


@pytest.mark.proves("limits.reservations-released")
async def test_what_a_dead_process_holds_is_given_back_and_what_it_paid_is_kept(store: Store) -> None:
    await store.counters.ask([hold("a", 100, 1000), hold("b", 200, 1000)], "gone", 0.0)
    await store.counters.settle([Charge("a", "t", 0.0, (Want(DAY, 30),))])
    assert await store.counters.abandon() == 1
    assert await store.counters.fold() == 2
    assert await store.counters.read([DAY]) == [Standing(30, 0)]
    await store.counters.settle([Charge("b", "t", 0.0, (Want(DAY, 7),))])  # it was not dead after all
    await store.counters.fold()
    assert await store.counters.read([DAY]) == [Standing(37, 0)]


@pytest.mark.proves("limits.usage")
async def test_usage_is_reported_by_page_and_by_any_of_its_columns(store: Store) -> None:
    charges = [
        Charge(f"{app}{day}{user}", "t", 0.0, (), Place(app, day, "helper", user, "m/1"), Amounts(1, 10, 5))
        for app in ("a", "b")
        for day in (1, 2, 3)
        for user in ("ana", "bo")
    ]
    await store.counters.settle(charges)
    await store.counters.fold()
    page = await store.usage.report(UsageQuery(size=7))
    rest = await store.usage.report(UsageQuery(size=7, token=page.token))
    assert (len(page.lines), len(rest.lines), rest.token) == (7, 5, "")
    assert len({line.place for line in page.lines + rest.lines}) == 12
    by_user = await store.usage.report(UsageQuery(by=("user",), app="a", since=2))
    assert [(line.place.user, line.amounts.calls, line.amounts.input) for line in by_user.lines] == [
        ("ana", 2, 20),
        ("bo", 2, 20),
    ]
    assert await store.usage.remove_before(3) == 8


@pytest.mark.proves("limits.retention")
async def test_counters_of_windows_that_are_over_are_forgotten(store: Store) -> None:
    await store.counters.ask([spend(1, 5, Counter("s", "count", 0, 1000)), spend(1, 5)], "p", 0.0)
    assert await store.counters.remove_before(2.0) == 1
    assert await store.counters.read([DAY]) == [Standing(1, 0)]


@pytest.mark.proves("limits.shared")
async def test_nobody_waits_for_a_server_that_stops(store: Store) -> None:
    ledger = SharedLedger(store.counters, lambda: "p", SystemClock())
    keeping = asyncio.create_task(ledger.keep())
    asked = asyncio.create_task(ledger.ask(spend(1, 5)))
    for _ in range(3):  # until it is being decided
        await asyncio.sleep(0)
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    async with asyncio.timeout(60):
        with pytest.raises(StoreUnavailable, match="stopping"):
            await asked
        with pytest.raises(StoreUnavailable, match="stopping"):
            await ledger.ask(spend(1, 5))
