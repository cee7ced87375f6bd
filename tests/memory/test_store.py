"""Memories: found by their words on both engines, and by nobody but their own user."""

import re

import asyncpg
import pytest

from hector.core.clock import FakeClock
from hector.core.task import Caller
from hector.store import Store, open_store
from hector.store.memories import NewMemory, _match
from hector.store.queries import load
from hector.store.retention import Policy, Retention
from hector.store.terms import MOST_READ, asked_for, owner_of, terms_of
from tests.store.turns import begin

ANA, BO = Caller("app", "ana"), Caller("app", "bo")
TEXTS = {
    "zurich": "Ana lives in Zürich and likes cafés",
    "hotpot": "我喜欢吃四川火锅",
    "tower": "東京タワーに行きたい",
    "korean": "한국어로 대답해 주세요",
    "cat": "ฉันชอบแมว",
    "hindi": "मुझे हिन्दी पसंद है",
    "fridays": "deploys go out on Fridays",
    "tea": "she drinks tea on Fridays and on Mondays",
}


def fact(name: str, text: str, *, created: float = 1.0, expires: float | None = None, kind: str = "fact") -> NewMemory:
    """One memory."""
    return NewMemory(name, text, kind, "c", "", "helper", created, expires)


async def furnish(store: Store) -> None:
    """Ana's memories, and one of somebody else."""
    await store.memories.add(ANA, [fact(name, text) for name, text in TEXTS.items()], 100)
    await store.memories.add(BO, [fact("bo", "Bo lives in Zürich, too")], 100)


@pytest.mark.proves("memory.found", "tools.memorytool")
async def test_memories_are_found_by_their_words_in_any_script(store: Store) -> None:
    await furnish(store)
    expected = {
        "where is the ZURICH cafe": ["zurich"],
        "火锅": ["hotpot"],
        "東京": ["tower"],
        "대답": ["korean"],
        "แมว": ["cat"],
        "हिन्दी": ["hindi"],
        "deploy on friday": ["fridays", "tea"],
        "what about the": [],
        "submarine": [],
        "a'b\"c * : ( OR": [],
        "": [],
    }
    found = {query: [one.id for one in await store.memories.search(ANA, query, 5, 2.0)] for query in expected}
    assert found == expected


@pytest.mark.proves("memory.scope", "tenant.purge")
async def test_nobody_else_finds_or_forgets_them(store: Store) -> None:
    await furnish(store)
    assert [one.id for one in await store.memories.search(BO, "zurich", 5, 2.0)] == ["bo"]
    for stranger in (Caller("other", "ana"), Caller("app", "ana2"), Caller("app/ana", "")):
        assert await store.memories.search(stranger, "zurich", 5, 2.0) == ()
        assert not await store.memories.forget(stranger, "zurich")
        assert await store.memories.get(stranger, "zurich") is None
        assert await store.memories.forget_user(stranger) == 0
    assert await store.memories.forget(ANA, "zurich")
    assert await store.memories.search(ANA, "zurich", 5, 2.0) == ()
    assert await store.memories.forget_user(ANA) == len(TEXTS) - 1
    assert await store.memories.page(ANA) == ((), "")
    assert [one.id for one in (await store.memories.page(BO))[0]] == ["bo"]


@pytest.mark.proves("memory.expiry")
async def test_what_has_expired_is_neither_found_nor_kept(store: Store) -> None:
    await store.memories.add(ANA, [fact("short", "the code word is plum", expires=10.0)], 100)
    assert [one.expires for one in await store.memories.search(ANA, "plum", 5, 9.0)] == [10.0]
    assert await store.memories.search(ANA, "plum", 5, 10.5) == ()
    assert await store.memories.forget_expired(10.5) == 1
    assert await store.memories.get(ANA, "short") is None


@pytest.mark.proves("memory.bounds")
async def test_the_same_id_counts_once_and_the_oldest_go_first(store: Store) -> None:
    await begin(store, caller=ANA)
    facts = [fact("f", "a fact", created=0.5)]
    turns = [fact(f"t{at}", f"turn number {at}", created=float(at), kind="turn") for at in range(1, 4)]
    assert await store.memories.add(ANA, [*facts, *turns], 3) == 4
    assert await store.memories.add(ANA, [*facts, *turns[1:]], 3) == 0
    assert [one.id for one in (await store.memories.page(ANA))[0]] == ["t3", "t2", "f"]


@pytest.mark.proves("memory.session")
async def test_what_was_said_goes_with_its_session_and_facts_stay(store: Store) -> None:
    await begin(store, caller=ANA)
    await store.memories.add(ANA, [fact("said", "blue paint", kind="turn"), fact("told", "green paint")], 100)
    assert [one.id for one in await store.memories.search(ANA, "paint", 5, 2.0, without="c")] == ["told"]
    assert await store.sessions.delete(ANA, "c")
    assert [one.id for one in await store.memories.search(ANA, "paint", 5, 2.0)] == ["told"]
    assert await store.memories.add(ANA, [fact("late", "red paint", kind="turn")], 100) == 0


@pytest.mark.proves("memory.found")
@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Zürich, CAFÉ!", "zurich cafe"),
        ("ｆｕｌｌ width", "full width"),
        ("四川火锅", "四川 川火 火锅"),
        ("火", "火"),
        ("한국", "한국"),
        ("v2.0-beta_1", "v2 0 beta 1"),
        ("...", ""),
    ],
)
def test_words(text: str, terms: str) -> None:
    assert terms_of(text) == terms


@pytest.mark.proves("memory.found")
def test_words_that_say_nothing_are_not_looked_for_unless_there_are_no_others() -> None:
    assert asked_for("What is the code?") == ("code",)
    assert asked_for("to be or not to be") == ("to", "be", "or", "not")


def test_of_a_text_of_any_length_only_so_much_is_looked_at() -> None:
    text = "berlin, " * 10_000 + "needle"
    assert asked_for(text) == ("berlin",)
    assert set(terms_of(text).split()) == {"berlin"}
    assert len(terms_of("x" * 10_000_000)) <= MOST_READ


@pytest.mark.proves("memory.expiry")
async def test_a_round_of_retention_removes_what_has_expired(store: Store) -> None:
    clock = FakeClock(100.0)
    await store.memories.add(ANA, [fact("old", "plum", expires=50.0), fact("new", "pear", expires=150.0)], 100)
    await Retention(store.database, clock, Policy(0, 0, 0))._round()
    assert [one.id for one in (await store.memories.page(ANA))[0]] == ["new"]


@pytest.mark.proves("memory.found")
async def test_on_a_server_an_index_leads_to_one_users_words(postgres_fresh: str) -> None:
    store = await open_store(postgres_fresh)
    con = await asyncpg.connect(postgres_fresh)
    try:
        many = (
            'INSERT INTO memories (app, "user", id, kind, session, context, event, agent, text, owner, terms, created) '
            "SELECT 'app', $1, n, 'fact', 0, '', '', '', 'x', $2, 'coffee number' || n || ' ' || md5(n), 1 "
            "FROM (SELECT CAST(n AS TEXT) AS n FROM generate_series(1, 2000) n) made"
        )
        for who in (ANA, BO):
            await con.execute(many, who.user, owner_of(who))
        await store.memories.add(ANA, [fact(name, text) for name, text in TEXTS.items()], 5000)
        await con.execute("ANALYZE memories")
        asked = asked_for("lemon teapot tea mondays")
        sql = re.sub(r"\?(\d)", r"$\1", load("memories", "postgres")["search"])
        args = (_match("postgres", ANA, asked), "app", "ana", 1, "", 100)
        plan = "\n".join(row[0] for row in await con.fetch(f"EXPLAIN (ANALYZE, TIMING off) {sql}", *args))
        assert "memories_words" in plan
        assert "Seq Scan" not in plan
        found = await store.memories.search(ANA, "tea with lemon", 5, 1.0)
        assert [one.id for one in found] == ["tea"]
    finally:
        await con.close()
        await store.aclose()
