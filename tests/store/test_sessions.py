"""Sessions: an append-only log, loaded whole, listed, deleted."""

import asyncio
import time
from functools import partial
from pathlib import Path

import pytest

from hector.core.content import Data, Media, Message, Replay, Text, Thinking, ToolCall, ToolResult
from hector.core.errors import InvalidRequest, NotFound, NotSupported, StoreError
from hector.core.event import Artifact, DirectReply, Event, InputRequired, Rejected
from hector.core.task import Caller
from hector.core.usage import Usage
from hector.store import Store, open_store
from hector.store.database import Connection
from hector.store.keys import SEQ_BITS
from tests.store.turns import ME, NOW, answer, begin, done, step

FULL = Event(
    "e1",
    "run",
    "helper",
    NOW,
    Message(
        "assistant",
        (
            Thinking("hm", Replay("anthropic:x", {"signature": "s"})),
            Text("half a pair: \ud83d", metadata={"k": [1, None]}),
            Media("image/png", data="AAAA", name="dot.png"),
            Media("text/plain", url="https://example.com/a"),
            Data({"a": [1, 2.5, None]}, "application/json"),
            ToolCall("t1", "look", {"at": "it"}, raw="{", replay=Replay("openai:y", {"id": 1})),
        ),
    ),
    "root.child",
    Usage(10, 20, 1, 2, 3),
    {"k": 1, "user:k": [2]},
    (),
    InputRequired("t1", "which?"),
    {"note": "ü"},
)
RESULT = Event(
    "e2", "run", "helper", NOW, Message("tool", (ToolResult("t1", "look", (Text("x"), Data(1)), is_error=True),))
)


class TestSessions:
    @pytest.mark.proves("state.event-log", "durability.sessions")
    async def test_events_come_back_as_they_went_in(self, store: Store) -> None:
        accepted = await begin(store)
        rejected, direct = answer("no", control=Rejected("no")), answer("hi", control=DirectReply("hi"))
        assert await store.tasks.record(step(accepted, FULL, RESULT))
        assert await store.tasks.record(step(accepted, rejected, direct))
        session = await store.sessions.load(ME, "c")
        assert session.events[1:] == (FULL, RESULT, rejected, direct)
        assert session.events[0].author == "user"
        assert (session.id, session.agent, session.created) == ("c", "helper", NOW)

    async def test_a_new_session_needs_no_loading(self, store: Store) -> None:
        first = await begin(store, context=None)
        assert first.session == await store.sessions.load(ME, first.task.context_id)
        again = await begin(store, context=first.task.context_id)
        assert again.session is None

    async def test_the_log_keeps_of_an_artifact_what_it_is_not_its_bytes(self, store: Store) -> None:
        artifact = Artifact("a1", (Text("long"),), "notes.txt", "some notes", {"k": 1})
        accepted = await begin(store)
        event = Event("e", "run", "helper", NOW, Message("assistant", ()), artifacts=(artifact,))
        assert await store.tasks.record(step(accepted, event))
        assert (await store.sessions.load(ME, "c")).events[1].artifacts == (
            Artifact("a1", (), "notes.txt", "some notes", {"k": 1}),
        )
        assert (await store.tasks.get(ME, accepted.task.id)).artifacts == (artifact,)

    async def test_of_one_name_the_newest_artifact_counts(self, store: Store) -> None:
        for text in ("old", "new"):
            accepted = await begin(store)
            named, nameless = Artifact("1", (Text(text),), "notes.txt"), Artifact("2", (Text(text),))
            assert await store.tasks.record(step(accepted, artifacts=(named, nameless)))
        await begin(store, caller=Caller("app", "you"))
        assert await store.sessions.artifacts(ME, "c") == {"notes.txt": Artifact("1", (Text("new"),), "notes.txt")}
        assert await store.sessions.artifacts(Caller("app", "you"), "c") == {}
        with pytest.raises(NotFound):
            await store.sessions.artifacts(ME, "nowhere")

    async def test_an_unknown_session_is_not_found(self, store: Store) -> None:
        with pytest.raises(NotFound, match="session 'nowhere'"):
            await store.sessions.load(ME, "nowhere")

    @pytest.mark.parametrize("other", [Caller("app", "you"), Caller("other", "me")])
    @pytest.mark.proves("state.app-rows")
    async def test_the_same_context_of_another_caller_is_another_session(self, store: Store, other: Caller) -> None:
        await begin(store, "mine")
        theirs = await begin(store, "theirs", caller=other)
        assert theirs.session is not None
        assert [event.message.text for event in (await store.sessions.load(other, "c")).events] == ["theirs"]
        assert await store.sessions.delete(other, "c")
        assert [event.message.text for event in (await store.sessions.load(ME, "c")).events] == ["mine"]

    async def test_two_hundred_at_once_keep_the_order_of_each_session(self, store: Store) -> None:
        async def turn(number: int) -> None:
            accepted = await begin(store, f"q{number}", context=f"c{number % 5}")
            assert await store.tasks.record(done(accepted, answer(f"a{number}"), answer(f"b{number}")))

        async with asyncio.TaskGroup() as group:
            for number in range(200):
                group.create_task(turn(number))
        for context in range(5):
            said = [event.message.text for event in (await store.sessions.load(ME, f"c{context}")).events]
            assert len(said) == 120
            asked = [int(text[1:]) for text in said if text[0] == "q"]
            assert asked == sorted(asked)
            answers = [text for text in said if text[0] != "q"]
            assert answers[1::2] == ["b" + text[1:] for text in answers[::2]]

    async def test_ten_thousand_events_load(self, store: Store) -> None:
        accepted = await begin(store)
        for _ in range(10):
            assert await store.tasks.record(step(accepted, *(answer(str(number)) for number in range(1000))))
        started = time.perf_counter()
        session = await store.sessions.load(ME, "c")
        assert time.perf_counter() - started < 30
        assert [int(event.message.text) for event in session.events[1:]] == list(range(1000)) * 10

    async def test_a_full_session_says_so(self, store: Store) -> None:
        accepted = await begin(store)
        await store.database.write(lambda con: con.execute("UPDATE sessions SET next_seq = ?", ((1 << SEQ_BITS) - 1,)))
        with pytest.raises(NotSupported, match="begin a new one"):
            await store.tasks.record(step(accepted, answer("one too many")))
        with pytest.raises(NotSupported, match="begin a new one"):
            await begin(store)

    async def test_a_damaged_row_is_named(self, store: Store) -> None:
        await begin(store)
        await store.database.write(lambda con: con.execute("UPDATE events SET body = '{\"message\":{}}'"))
        with pytest.raises(StoreError, match=r"row \d+ of table events is damaged .*KeyError.* backup"):
            await store.sessions.load(ME, "c")

    async def test_text_that_is_not_unicode_is_refused(self, store: Store) -> None:
        with pytest.raises(InvalidRequest, match="surrogate"):
            await begin(store, context="\ud83d")


class TestListing:
    async def test_pages_run_from_the_most_recently_used(self, store: Store) -> None:
        for number in range(7):
            await begin(store, context=f"c{number}", at=NOW + number)
        await begin(store, context="c0", at=NOW + 10)
        first = await store.sessions.list(ME, page_size=4)
        rest = await store.sessions.list(ME, page_size=4, page_token=first.next_token)
        assert [session.id for session in first.sessions + rest.sessions] == ["c0", "c6", "c5", "c4", "c3", "c2", "c1"]
        assert (first.sessions[0].events, first.sessions[0].updated, rest.next_token) == (2, NOW + 10, "")
        assert (await store.sessions.list(Caller("app", "you"))).sessions == ()

    async def test_wrong_sizes_are_refused(self, store: Store) -> None:
        with pytest.raises(InvalidRequest, match="between 1 and 100"):
            await store.sessions.list(ME, page_size=0)


async def count(table: str, con: Connection) -> int:
    """How many rows a table has."""
    return len(await con.all(f"SELECT 1 FROM {table}"))


class TestDeletion:
    async def test_nothing_of_a_deleted_session_remains(self, store: Store) -> None:
        accepted = await begin(store)
        assert await store.tasks.record(done(accepted, answer("x", state={"k": 1})))
        kept = await begin(store, context="kept")
        assert await store.sessions.delete(ME, "c")
        assert not await store.sessions.delete(ME, "c")
        with pytest.raises(NotFound):
            await store.tasks.get(ME, accepted.task.id)
        left = {"sessions": 1, "events": 1, "session_state": 0, "tasks": 1, "artifacts": 0}
        for table, rows in left.items():
            assert await store.database.read(partial(count, table)) == rows
        assert (await store.tasks.get(ME, kept.task.id)).context_id == "kept"

    async def test_a_run_whose_session_was_deleted_writes_nothing(self, store: Store) -> None:
        accepted = await begin(store)
        await store.sessions.delete(ME, "c")
        assert not await store.tasks.record(done(accepted, answer("late")))


@pytest.mark.proves("state.restart", "durability.sessions", "durability.tasks", "database.sqlite")
async def test_a_conversation_goes_on_after_a_restart(file: Path) -> None:
    for turn in range(3):
        store = await open_store(f"sqlite://{file}")
        accepted = await begin(store, f"q{turn}")
        assert (accepted.session is not None) == (turn == 0)
        assert await store.tasks.record(done(accepted, answer(f"a{turn}", state={"count": turn})))
        session = await store.sessions.load(ME, "c")
        await store.aclose()
        assert [event.message.text for event in session.events[-2:]] == [f"q{turn}", f"a{turn}"]
        assert (len(session.events), session.state) == (2 * (turn + 1), {"count": turn})
