"""The relay's table, on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hector.core.content import Data, Media, Message, Text, Thinking, ToolCall, ToolResult
from hector.core.event import Artifact, TextDelta, ThinkingDelta
from hector.core.task import (
    AnswerDelta,
    ArtifactUpdate,
    ClientMessage,
    Status,
    StatusUpdate,
    Task,
    TaskState,
    ToolProgress,
    Update,
)
from hector.store import Store, open_store
from hector.store.relay import FOLLOW, MOST_PAYLOAD, RELAY, Entry, Relays, Standing, Stretch, lines

NASTY = 'half \ud800 nul \x00 line \u2028 quote " back \\ 漢'
SAID = ClientMessage("m", Message("assistant", (Text(NASTY), Thinking("t"))), "c", "t", {"k": [1]}, ("x",), ("r",))
UPDATES: tuple[Update, ...] = (
    StatusUpdate(Status(TaskState.WORKING, 1.5)),
    StatusUpdate(Status(TaskState.INPUT_REQUIRED, 1.75, SAID)),
    AnswerDelta("answer-1", (TextDelta(NASTY),), first=True),
    AnswerDelta("answer-1", (ThinkingDelta(NASTY), TextDelta("")), first=False),
    AnswerDelta("answer-1", (), first=False),
    ToolProgress(ToolCall("c", "search", {"q": NASTY}, raw="{")),
    ToolProgress(None, ToolResult("c", "search", (Text("a"), Data({"b": None}), Media("image/png", "AAAA")), True)),
    ArtifactUpdate(Artifact("f", (Text(NASTY, media_type="text/csv", name="f.csv"),), "n", "d", {"m": 1})),
    ArtifactUpdate(Artifact("answer-1", (Text(""),), "response"), append=True, last=True),
)
TASK = Task("t", "c", "helper", Status(TaskState.WORKING, 2.0, SAID), (Artifact("f", (Text("x"),)),), (SAID,), {"k": 1})


@pytest.fixture
async def store(postgres_ready: Any) -> AsyncIterator[Store]:
    found = await open_store(str(postgres_ready))
    yield found
    await found.aclose()


async def test_entries_are_read_as_they_were_written_behind_what_is_known_of_each_task(store: Store) -> None:
    relays = Relays(store.database)
    first: list[Entry] = [
        Standing("t", 7, 1, 0, TASK),
        Stretch("t", 7, 1, 1, UPDATES),
        Stretch("u", 8, 1, 4, UPDATES[:1]),
    ]
    await relays.write(first)
    found = await relays.read({"t": 0, "u": 0, "nobody": 0})
    assert [entry for _, _, entry in found] == first
    assert [task_id for _, task_id, _ in found] == ["t", "t", "u"]
    await relays.write([Stretch("t", 7, 2, 1, UPDATES[2:3])])
    later = await relays.read({"t": found[1][0], "u": found[2][0]})
    assert [entry for _, _, entry in later] == [Stretch("t", 7, 2, 1, UPDATES[2:3])]
    assert await relays.announce("x", ["t", "nobody"]) == {"t": later[0][0]}


async def test_an_entry_that_cannot_be_read_is_told_apart_from_none(store: Store, postgres: Any) -> None:
    relays = Relays(store.database)
    await relays.write([Stretch("t", 7, 1, 1, UPDATES), Stretch("t", 7, 1, 10, UPDATES)])
    database = store.dsn.rpartition("/")[2]
    postgres.psql('UPDATE relay SET body = \'{"first": 1, "updates": [{"type": "new"}]}\' WHERE key = 1', database)
    (_, _, damaged), (_, _, whole) = await relays.read({"t": 0})
    assert damaged is None
    assert whole == Stretch("t", 7, 1, 10, UPDATES)


async def test_what_is_written_or_announced_is_heard(store: Store) -> None:
    relays, heard = Relays(store.database), asyncio.Queue[tuple[str, str]]()
    store.database.listen(RELAY, lambda payload: heard.put_nowait((RELAY, payload)))
    store.database.listen(FOLLOW, lambda payload: heard.put_nowait((FOLLOW, payload)))
    async with asyncio.timeout(60):
        while heard.empty():  # connected?
            await relays.announce("hello")
            await asyncio.sleep(0.05)
        await relays.write([Stretch("t", 7, 1, 1, UPDATES)])
        while (found := await heard.get())[0] != RELAY:
            assert found == (FOLLOW, "hello")
        assert found == (RELAY, "t")


async def test_rows_go_by_age(store: Store) -> None:
    relays = Relays(store.database)
    await relays.write([Stretch("t", 7, 1, 1, UPDATES)])
    assert await relays.sweep(60.0) == 0
    assert await relays.sweep(0.0) == 1
    assert await relays.read({"t": 0}) == []


@pytest.mark.parametrize("count", [0, 1, 205, 1000])
def test_any_number_of_ids_fits_into_notifications(count: int) -> None:
    ids = [f"01a20328-e0ef-7efb-8116-{number:012d}" for number in range(count)]
    payloads = lines(ids)
    assert "\n".join(payloads).split("\n") == (ids or [""])
    assert all(len(payload) <= MOST_PAYLOAD for payload in payloads)
    assert len(payloads) <= count // 200 + 1
