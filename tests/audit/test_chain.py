"""The chain: built by several at once without loss, and every kind of damage is found at its first row."""

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Any

import pytest

from hector.core.audit import Entry
from hector.core.clock import FakeClock, SystemClock
from hector.core.errors import StoreError
from hector.observe.log import JsonFormatter
from hector.store import Store, open_store
from hector.store.audit import MOST_NOTED, MOST_NOTED_OF_ONE, AuditLog, Filter
from hector.store.audit_chain import BATCH, CUT, Chain
from hector.store.audit_keeper import ChainKeeper
from hector.store.audit_proof import GENESIS, Anchor, anchors_in, digest
from hector.store.codec import loads
from hector.store.database import Connection


async def fill(store: Store, chain: Chain, count: int) -> None:
    for at in range(count):
        await store.audit.note(Entry("tool.call", f"task:t-{at}", app="a", detail={"at": at}))
    await chain.settle()


async def change(store: Store, *statements: str) -> None:
    async def unit(con: Connection) -> None:
        for sql in statements:
            await con.execute(sql)

    await store.database.write(unit)


@pytest.mark.proves("audit.chain")
async def test_entries_become_a_chain_in_their_order(store: Store, chain: Chain) -> None:
    await fill(store, chain, 5)
    assert await store.audit.waiting() == 0
    rows = [row async for _, row in chain.rows()]
    assert [row[0] for row in rows] == [1, 2, 3, 4, 5]
    assert [row[6] for row in rows] == [f"task:t-{at}" for at in range(5)]
    previous = GENESIS
    for row in rows:
        previous = digest(previous, row[:-1])
        assert row[-1] == previous
    verdict = await chain.verify()
    assert (verdict.flaw, verdict.rows, verdict.first) == (None, 5, 1)
    assert verdict.head == await chain.head() == Anchor(5, previous)


@pytest.mark.proves("audit.chain")
async def test_an_empty_chain_holds(chain: Chain) -> None:
    verdict = await chain.verify()
    assert (verdict.rows, verdict.flaw, verdict.head) == (0, None, Anchor(0, GENESIS))


@pytest.mark.proves("audit.chain")
async def test_several_chainers_lose_and_double_nothing(dsn: str, store: Store) -> None:
    others = [await open_store(dsn, visitor=True) for _ in range(2)]
    stores = [store, *others]
    try:

        async def write(one: Store, name: str) -> None:
            for at in range(60):
                await one.audit.note(Entry("tool.call", f"{name}-{at}"))

        async def chain(one: Store) -> None:
            for _ in range(30):
                await Chain(one.database, SystemClock()).extend(7)

        async with asyncio.TaskGroup() as group:
            for at, one in enumerate(stores):
                group.create_task(write(one, str(at)))
                group.create_task(chain(one))
        whole = Chain(store.database, SystemClock())
        await whole.settle()
        verdict = await whole.verify()
        assert (verdict.rows, verdict.flaw) == (180, None)
        assert len({row[6] async for _, row in whole.rows()}) == 180
    finally:
        for one in others:
            await one.aclose()


@pytest.mark.proves("audit.chain")
async def test_more_than_a_batch_is_chained(store: Store, chain: Chain) -> None:
    async def unit(con: Connection) -> None:
        for at in range(2 * BATCH + 3):
            await store.audit.write(con, Entry("tool.call", str(at)))

    await store.database.write(unit)
    await chain.settle()
    assert (await chain.verify()).rows == 2 * BATCH + 3


@pytest.mark.proves("audit.atomic")
async def test_an_entry_stands_and_falls_with_its_change(store: Store, chain: Chain) -> None:
    async def unit(con: Connection) -> None:
        await store.audit.write(con, Entry("app.create", "app:x"))
        raise ValueError("the change failed")

    with pytest.raises(Exception, match="change failed"):
        await store.database.write(unit)
    await chain.settle()
    assert (await chain.head()).seq == 0


DAMAGE: dict[str, tuple[list[str], int, str]] = {
    "a changed column": (["UPDATE audit SET actor = 'nobody' WHERE seq = 4"], 4, "changed"),
    "a changed detail": (["UPDATE audit SET detail = '{}' WHERE seq = 4"], 4, "changed"),
    "a changed time": (["UPDATE audit SET at = at + 1 WHERE seq = 10"], 10, "changed"),
    "a changed hash": ([f"UPDATE audit SET hash = '{'1' * 64}' WHERE seq = 4"], 4, "changed"),
    "a missing row": (["DELETE FROM audit WHERE seq = 4"], 4, "missing"),
    "missing rows": (["DELETE FROM audit WHERE seq IN (4, 5, 6)"], 4, "missing"),
    "a missing beginning": (["DELETE FROM audit WHERE seq < 3"], 1, "missing"),
    "a missing row, closed up": (
        ["DELETE FROM audit WHERE seq = 4", "UPDATE audit SET seq = -seq WHERE seq > 4",
         "UPDATE audit SET seq = -seq - 1 WHERE seq < 0"], 4, "missing",
    ),
    "two that changed places": (
        ["UPDATE audit SET seq = -4 WHERE seq = 4", "UPDATE audit SET seq = 4 WHERE seq = 5",
         "UPDATE audit SET seq = 5 WHERE seq = -4"], 4, "reordered",
    ),
    "a row put in": (
        ["UPDATE audit SET seq = -seq WHERE seq >= 4", "UPDATE audit SET seq = -seq + 1 WHERE seq < 0",
         "INSERT INTO audit SELECT 4, at, app, 'mallory', via, action, object, outcome, request, detail, hash "
         "FROM audit WHERE seq = 3"], 4, "inserted",
    ),
}  # fmt: skip


NOTHING: dict[str, str] = {
    "a cut that hides itself": """action = 'audit.cut', detail = '{"first":99,"follows":"00"}'""",
    "a cut without a place": """action = 'audit.cut', detail = '{"first":"x","follows":3}'""",
    "a cut that is no JSON": "action = 'audit.cut', detail = 'nothing'",
    "a cut out of an entry": "action = 'audit.cut'",
    "letters in a hash": "hash = '\u00e9'",
}
NOT_TYPED: dict[str, str] = {
    "bytes as detail": "detail = x'00ff'",
    "bytes as hash": "hash = x'00'",
    "a text as time": "at = 'x'",
}
"""What SQLite takes in any column."""


@pytest.mark.proves("audit.verify")
@pytest.mark.parametrize("kind", NOTHING)
async def test_what_was_never_written_here_is_found(store: Store, chain: Chain, kind: str) -> None:
    await fill(store, chain, 10)
    await change(store, f"UPDATE audit SET {NOTHING[kind]} WHERE seq = 4")
    flaw = (await chain.verify()).flaw
    assert flaw is not None
    assert (flaw.seq, flaw.kind) == (4, "changed")


@pytest.mark.proves("audit.verify")
@pytest.mark.parametrize("kind", NOT_TYPED)
@pytest.mark.parametrize("seq", [4, 10])
async def test_what_is_of_another_type_is_found(tmp_path: Path, kind: str, seq: int) -> None:
    store = await open_store(f"sqlite://{tmp_path}/typed.db")
    chain = Chain(store.database, SystemClock())
    await fill(store, chain, 10)
    await change(store, f"UPDATE audit SET {NOT_TYPED[kind]} WHERE seq = {seq}")
    await store.audit.note(Entry("tool.call", "task:more"))
    await chain.settle()
    flaw = (await chain.verify()).flaw
    if "time" in kind:
        with pytest.raises(StoreError, match=f"row {seq} .*hector audit verify"):
            [row async for row in chain.rows()]
    await store.aclose()
    assert flaw is not None
    assert (flaw.seq, flaw.kind) == (seq, "changed")


@pytest.mark.proves("audit.verify")
@pytest.mark.parametrize("kind", DAMAGE)
async def test_damage_is_found_at_its_first_row(store: Store, chain: Chain, kind: str) -> None:
    statements, seq, word = DAMAGE[kind]
    await fill(store, chain, 10)
    await change(store, *statements)
    verdict = await chain.verify()
    assert verdict.flaw is not None
    assert (verdict.flaw.seq, verdict.flaw.kind) == (seq, word)
    assert str(seq) in verdict.flaw.text
    assert verdict.rows == seq - 1


async def forge(store: Store, chain: Chain, seq: int, actor: str) -> None:
    """What somebody with all rights in the database can do: change a row and make all hashes behind it anew."""
    rows = [row async for _, row in chain.rows()]
    previous = rows[seq - 2][-1]
    for row in rows[seq - 1 :]:
        changed = (*row[:3], actor, *row[4:-1]) if row[0] == seq else row[:-1]
        previous = digest(previous, changed)
        await change(store, f"UPDATE audit SET actor = '{changed[3]}', hash = '{previous}' WHERE seq = {row[0]}")


@pytest.mark.proves("audit.anchors")
async def test_anchors_show_what_the_chain_alone_cannot(store: Store, chain: Chain) -> None:
    await fill(store, chain, 6)
    anchor = await chain.head()
    await fill(store, chain, 4)
    met = await chain.verify([anchor])
    assert (met.flaw, met.anchors) == (None, 1)
    await forge(store, chain, 4, "nobody")
    assert (await chain.verify()).flaw is None, "the chain alone was made anew"
    flaw = (await chain.verify([anchor])).flaw
    assert flaw is not None
    assert (flaw.seq, flaw.kind) == (6, "changed")


@pytest.mark.proves("audit.anchors")
async def test_an_end_that_was_cut_off_shows_by_its_anchor(store: Store, chain: Chain) -> None:
    await fill(store, chain, 6)
    anchor = await chain.head()
    await change(store, "DELETE FROM audit WHERE seq > 4")
    assert (await chain.verify()).flaw is None
    flaw = (await chain.verify([anchor])).flaw
    assert flaw is not None
    assert (flaw.seq, flaw.kind) == (5, "truncated")
    await change(store, "DELETE FROM audit")
    flaw = (await chain.verify([anchor])).flaw
    assert flaw is not None
    assert (flaw.seq, flaw.kind) == (1, "truncated")


@pytest.mark.proves("audit.anchors")
def test_anchors_are_read_from_whatever_holds_them() -> None:
    one = "a" * 64
    text = (
        f"12:{one}\nnothing\n2026-01-01T00:00:00Z INFO    audit log seq=13 hash={one}\n"
        f'{{"message":"audit log","seq": 14, "hash": "{one}"}}\n{{"seq":15,"at":"x","hash":"{one}"}}\n'
    )
    assert list(anchors_in(text.splitlines())) == [Anchor(seq, one) for seq in (12, 13, 14, 15)]


async def aged(store: Store, clock: FakeClock, count: int) -> None:
    audit = AuditLog(store.database, clock)
    for at in range(count):
        await audit.note(Entry("tool.call", f"task:t-{at}"))
        await clock.sleep(1.0)


@pytest.mark.proves("audit.retention")
async def test_a_chain_is_verifiable_behind_a_cut(store: Store) -> None:
    clock = FakeClock(1000.0)
    chain = Chain(store.database, clock)
    await aged(store, clock, 10)
    await chain.settle()
    old = await chain.head()
    assert await chain.cut(1004.0) == 4
    before = await chain.verify()
    assert (before.flaw, before.first) == (None, 5)
    assert await chain.remove() == 4
    await aged(store, clock, 3)
    await chain.settle()
    verdict = await chain.verify([Anchor(2, "b" * 64), old])
    assert (verdict.flaw, verdict.first, verdict.rows, verdict.anchors, verdict.behind_cut) == (None, 5, 10, 1, 1)
    (cut,) = await store.audit.page(Filter(action=CUT))
    assert cut.seq == 11
    await change(store, "DELETE FROM audit WHERE seq = 5")
    flaw = (await chain.verify()).flaw
    assert flaw is not None
    assert (flaw.seq, flaw.kind) == (5, "missing")


@pytest.mark.proves("audit.retention")
async def test_all_rows_may_go_and_cuts_follow_on_cuts(store: Store) -> None:
    clock = FakeClock(1000.0)
    chain = Chain(store.database, clock)
    assert await chain.cut(5000.0) == 0, "there is nothing"
    await aged(store, clock, 4)
    await chain.settle()
    assert await chain.cut(5000.0) == 4
    assert await chain.remove() == 4
    assert ((await chain.verify()).flaw, (await chain.head()).seq) == (None, 5)
    assert await chain.cut(1000.0) == 0, "what is young enough stays"
    await aged(store, clock, 2)
    await chain.settle()
    assert await chain.cut(5000.0) == 3
    await chain.remove()
    verdict = await chain.verify()
    assert (verdict.flaw, verdict.first, verdict.rows) == (None, 8, 1)


@pytest.mark.proves("audit.redacted")
async def test_an_entry_holds_no_secret(store: Store, chain: Chain) -> None:
    from hector.observe.redact import remember

    remember("s3cr3t-canary")
    nested: dict[str, Any] = {"api_key": "plain", "list": [{"password": "p"}], "note": "it is s3cr3t-canary", "n": 1}
    await store.audit.note(Entry("x.y", "o:s3cr3t-canary", actor="me\0\ud800", detail=nested | {"long": "x" * 5000}))
    await chain.settle()
    (found,) = await store.audit.page(Filter())
    assert "s3cr3t-canary" not in str(found)
    assert '"api_key":"***"' in found.detail
    assert '"password":"***"' in found.detail
    assert '"n":1' in found.detail
    assert len(found.detail) < 1300


@pytest.mark.proves("audit.page")
async def test_the_log_is_filtered_and_paged(store: Store, chain: Chain) -> None:
    for at in range(7):
        await store.audit.note(Entry("a.b" if at % 2 else "c.d", f"o:{at}", app=f"app-{at % 3}", actor=f"u{at}"))
    await chain.settle()
    newest = await store.audit.page(Filter(), limit=3)
    assert [row.seq for row in newest] == [7, 6, 5]
    assert [row.seq for row in await store.audit.page(Filter(), before=5)] == [4, 3, 2, 1]
    assert [row.seq for row in await store.audit.page(Filter(app="app-1"))] == [5, 2]
    assert [row.seq for row in await store.audit.page(Filter(action="a.b", app="app-0"))] == [4]
    assert [row.seq for row in await store.audit.page(Filter(actor="u3"))] == [4]
    assert [row.seq for row in await store.audit.page(Filter(object="o:6"))] == [7]
    assert await store.audit.page(Filter(outcome="failed")) == ()
    now = SystemClock().now()
    assert len(await store.audit.page(Filter(since=now - 60, before=now + 60))) == 7
    assert await store.audit.page(Filter(since=now + 60)) == ()


@pytest.mark.proves("audit.bounded")
async def test_what_happens_all_the_time_is_noted_once_an_hour(store: Store) -> None:
    clock = FakeClock()
    audit = AuditLog(store.database, clock)
    assert [audit.is_new("key-1", "127.0.0.1") for _ in range(3)] == [True, False, False]
    assert audit.is_new("key-1", "::1")
    await clock.sleep(3600.0)
    assert audit.is_new("key-1", "127.0.0.1")
    assert sum(audit.is_new("failed", str(at)) for at in range(10_000)) < 4100, "an attack does not fill the database"
    assert audit.is_new("came", "ana", "127.0.0.1"), "nor does it hide who comes in"


@pytest.mark.proves("audit.bounded")
async def test_nobody_hides_what_others_do(store: Store) -> None:
    audit = AuditLog(store.database, FakeClock())
    assert sum(audit.is_new("session.delete", "mallory", str(at)) for at in range(10_000)) == MOST_NOTED_OF_ONE
    assert audit.is_new("session.delete", "ana", "1")
    assert all(audit.is_new("came", f"user {at}", "127.0.0.1", proven=True) for at in range(MOST_NOTED + 10))


@pytest.mark.proves("audit.anchors", "audit.retention")
async def test_a_keeper_chains_cuts_and_writes_anchors(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock(1000.0)
    await aged(store, clock, 4)
    keeper = ChainKeeper(store.audit, store.database, clock, kept=3600.0)
    caplog.set_level("INFO", "hector.store")
    logging.getLogger("hector.store").propagate = True
    running = asyncio.create_task(keeper.run())
    async with asyncio.timeout(60):
        while not (found := await store.audit.page(Filter(action=CUT))):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert loads(found[0].detail)["first"] == 5
    lines = [JsonFormatter().format(record) for record in caplog.records]
    anchors = list(anchors_in(lines))
    assert anchors[0].seq >= 4
    assert (await Chain(store.database, clock).verify(anchors)).flaw is None
