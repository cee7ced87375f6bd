"""Versions of artifacts: written with their event, once, and reached by their own session and user alone."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from hector.core.clock import SystemClock
from hector.core.content import Data, Media, Message, Text, ToolResult
from hector.core.errors import ArtifactsFull, NotFound, StoreError, ToolError
from hector.core.event import Artifact
from hector.core.task import Caller
from hector.store import Record, Store, open_store
from hector.store.artifacts import MOST_VERSIONS, fit_name
from hector.store.shelf import Bounds, Shelf
from hector.tasks.journal import Journal
from tests.store.turns import answer, begin

ANA, BO = Caller("app", "ana"), Caller("app", "bo")


async def save(store: Store, task: str, *artifacts: Artifact, caller: Caller = ANA, context: str = "c") -> None:
    """Store an event that brings artifacts."""
    event = replace(answer("kept"), artifacts=artifacts)
    assert await store.tasks.record(Record(caller, task, context, (event,)))


def note(name: str, text: str) -> Artifact:
    """An artifact of one text."""
    return Artifact(f"id-{name}", (Text(text),), name)


@pytest.mark.proves("artifacts.versions", "state.artifacts")
async def test_each_save_is_a_version_and_the_newest_is_read(store: Store) -> None:
    task = (await begin(store, caller=ANA)).task.id
    await save(store, task, note("plan.md", "one"), note("user:profile.md", "Ana"))
    await save(store, task, note("plan.md", "two"))
    found = await store.artifacts.newest(ANA, "c", {"plan.md", "user:profile.md", "absent"})
    assert {name: one.parts for name, one in found.items()} == {
        "plan.md": (Text("two"),),
        "user:profile.md": (Text("Ana"),),
    }
    assert [one.version for one in await store.artifacts.versions(ANA, "c", "plan.md")] == [2, 1]
    first = await store.artifacts.load(ANA, "c", "plan.md", 1)
    assert first is not None
    assert first[1].parts == (Text("one"),)
    assert await store.artifacts.load(ANA, "c", "plan.md", 3) is None
    heads = await store.artifacts.heads(ANA, "c")
    assert [(one.name, one.version, one.media_type, one.size) for one in heads] == [("plan.md", 2, "text/plain", 3)]
    assert [one.name for one in await store.artifacts.heads(ANA, None)] == ["user:profile.md"]
    assert await store.artifacts.total(ANA) == 9


@pytest.mark.proves("artifacts.scope")
async def test_those_of_a_user_are_in_all_of_his_sessions_and_in_nobody_elses(store: Store) -> None:
    task = (await begin(store, caller=ANA)).task.id
    await save(store, task, note("plan.md", "one"), note("user:profile.md", "Ana"))
    await begin(store, caller=ANA, context="d", task="t-d")
    await begin(store, caller=BO, context="c", task="t-bo")
    assert set(await store.artifacts.newest(ANA, "d", {"plan.md", "user:profile.md"})) == {"user:profile.md"}
    assert await store.artifacts.newest(BO, "c", {"plan.md", "user:profile.md"}) == {}
    with pytest.raises(NotFound):
        await store.artifacts.newest(BO, "d", {"plan.md"})
    assert await store.sessions.delete(ANA, "c")
    assert await store.artifacts.total(ANA) == 3, "those of the user stay"
    assert await store.artifacts.delete(ANA, None, "user:profile.md") == 1
    assert await store.artifacts.total(ANA) == 0


@pytest.mark.proves("artifacts.versions")
async def test_only_so_many_versions_are_kept(store: Store) -> None:
    task = (await begin(store, caller=ANA)).task.id
    many = [replace(note("log", str(at)), id=str(at)) for at in range(MOST_VERSIONS + 2)]
    await save(store, task, *many)
    versions = await store.artifacts.versions(ANA, "c", "log")
    assert (versions[0].version, versions[-1].version, len(versions)) == (MOST_VERSIONS + 2, 3, MOST_VERSIONS)


@pytest.mark.proves("artifacts.bounds")
async def test_what_is_too_large_or_has_no_proper_name_is_refused(store: Store) -> None:
    task = (await begin(store, caller=ANA)).task.id
    shelf = Shelf(store.artifacts, ANA, "c", Bounds(10, 25))
    await shelf.admit([note("a", "x" * 10)])
    for artifact, said in (
        (note("a", "x" * 11), "max_size"),
        (Artifact("i", (Media("image/png", data="A" * 40),), "pic.png"), "max_size"),
        (Artifact("i", (Data({"k": "x" * 20}),), "d.json"), "max_size"),
        (note("a\nb", "x"), "cannot be named"),
        (note("user:", "x"), "cannot be named"),
        (note("n" * 300, "x"), "cannot be named"),
    ):
        with pytest.raises(ToolError, match=said):
            await shelf.admit([artifact])
    await save(store, task, note("a", "x" * 10), note("user:b", "x" * 10))
    with pytest.raises(ToolError, match="max_total"):
        await shelf.admit([note("c", "x" * 6)])
    await shelf.admit([note("c", "x" * 5)])
    assert [one.name for one in await shelf.names()] == ["a", "user:b"]


@pytest.mark.proves("artifacts.bounds")
async def test_what_a_tool_has_done_counts_while_the_database_is_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone = await open_store(f"sqlite:///{tmp_path}/a.db")
    await gone.aclose()
    shelf = Shelf(gone.artifacts, ANA, "c", Bounds(10, 25))
    await shelf.admit([note("a", "x" * 10)])
    assert "not known now" in caplog.text
    with pytest.raises(ToolError, match="max_size"):
        await shelf.admit([note("a", "x" * 11)])


@pytest.mark.proves("artifacts.bounds")
@pytest.mark.parametrize("name", ["", "user:", " ", "a\0b", "\ud800", "a\u202eb", "x" * 201])
def test_names_that_cannot_be(name: str) -> None:
    assert not fit_name(name)


@pytest.mark.proves("artifacts.versions")
async def test_a_write_that_is_sent_again_makes_no_second_version(store: Store) -> None:
    accepted = await begin(store, caller=ANA)
    event = replace(answer("kept"), artifacts=(note("plan.md", "one"),))
    record = Record(ANA, accepted.task.id, "c", (event,), claim=accepted.claim, step=1)
    assert await store.tasks.record(record)
    assert await store.tasks.record(record)
    assert [one.version for one in await store.artifacts.versions(ANA, "c", "plan.md")] == [1]
    assert (await store.artifacts.versions(ANA, "c", "plan.md"))[0].agent == "helper"


@pytest.mark.proves("artifacts.versions")
async def test_sessions_that_save_for_the_same_user_at_once_lose_nothing(store: Store) -> None:
    tasks = [await begin(store, caller=ANA, context=f"c{at}", task=f"t{at}") for at in range(8)]
    async with asyncio.TaskGroup() as group:
        for at, accepted in enumerate(tasks):
            group.create_task(save(store, accepted.task.id, note("user:log", str(at)), context=f"c{at}"))
    versions = await store.artifacts.versions(ANA, None, "log")
    assert sorted(one.version for one in versions) == list(range(1, 9))


@pytest.mark.proves("artifacts.versions")
async def test_the_number_of_a_deleted_version_is_never_given_out_again(store: Store) -> None:
    task = (await begin(store, caller=ANA)).task.id
    await save(store, task, note("plan.md", "one"), note("user:log", "a"))
    await save(store, task, note("plan.md", "two"))
    assert await store.artifacts.delete(ANA, "c", "plan.md") == 2
    assert await store.artifacts.delete(ANA, "c", "plan.md") == 0
    assert await store.artifacts.delete(ANA, None) == 1
    assert await store.artifacts.heads(ANA, "c") == ()
    assert await store.artifacts.heads(ANA, None) == ()
    assert await store.artifacts.deleted(ANA, "c", {"plan.md", "user:log", "other"}) == {"plan.md", "user:log"}
    await save(store, task, note("plan.md", "three"), note("user:log", "b"), note("new", "n"))
    assert [one.version for one in await store.artifacts.versions(ANA, "c", "plan.md")] == [3]
    assert [one.version for one in await store.artifacts.versions(ANA, None, "log")] == [2]
    assert [one.version for one in await store.artifacts.versions(ANA, "c", "new")] == [1]
    assert await store.artifacts.delete(ANA, "c") == 2
    await save(store, task, note("plan.md", "four"))
    assert [one.version for one in await store.artifacts.versions(ANA, "c", "plan.md")] == [4]


@pytest.mark.proves("artifacts.bounds")
async def test_calls_of_one_turn_share_what_is_left(store: Store) -> None:
    await begin(store, caller=ANA)
    shelf = Shelf(store.artifacts, ANA, "c", Bounds(0, 15))
    ends: list[str] = []

    async def call(name: str) -> None:
        try:
            await shelf.admit([note(name, "x" * 10)])
            ends.append("kept")
        except ToolError as error:
            ends.append("full" if "max_total" in str(error) else str(error))

    async with asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(call(name))
    assert sorted(ends) == ["full", "full", "kept"]


@pytest.mark.proves("artifacts.bounds")
async def test_sessions_that_save_at_once_never_exceed_what_the_user_may_keep(store: Store) -> None:
    tasks = [await begin(store, caller=ANA, context=f"c{at}", task=f"t{at}") for at in range(8)]
    ends: list[str] = []

    async def write(at: int) -> None:
        event = replace(answer("kept"), artifacts=(note("user:log", "x" * 10),))
        try:
            await store.tasks.record(Record(ANA, tasks[at].task.id, f"c{at}", (event,), most_kept=35))
            ends.append("kept")
        except ArtifactsFull as error:
            ends.append("full" if "max_total (35)" in str(error) else str(error))

    async with asyncio.TaskGroup() as group:
        for at in range(8):
            group.create_task(write(at))
    assert sorted(ends) == ["full"] * 5 + ["kept"] * 3
    assert await store.artifacts.total(ANA) == 30


@pytest.mark.proves("artifacts.bounds")
async def test_a_write_that_is_refused_for_its_artifacts_is_made_without_them(store: Store) -> None:
    accepted = await begin(store, caller=ANA)
    journal = Journal(store, SystemClock(), ANA, accepted.task, accepted.claim)
    journal.most_kept = 5
    called = ToolResult("1", "draw", (Text("drawn"),))
    journal.unsaved = [replace(answer("x"), message=Message("tool", (called,)), artifacts=(note("a", "x" * 6),))]
    with pytest.raises(StoreError, match="max_total"):
        await journal.send(await journal.next())
    assert await journal.send(await journal.next())
    stored = (await store.sessions.load(ANA, "c")).events[-1]
    assert stored.artifacts == ()
    said = stored.tool_results[0].content
    assert said[0] == Text("drawn")
    assert "No artifact of this step was kept" in str(said[1])
    assert await store.artifacts.total(ANA) == 0
