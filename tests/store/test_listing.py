"""Listing tasks: filters, order, pages."""

from dataclasses import replace

import pytest

from hector.core.errors import InvalidRequest
from hector.core.task import Caller, Task, TaskQuery, TaskState
from hector.store import Store
from tests.store.turns import ME, NOW, answer, begin, done, request


async def pages(store: Store, query: TaskQuery, agent: str | None = None) -> list[Task]:
    """All pages in order; checks what each one says of the whole."""
    found: list[Task] = []
    while True:
        page = await store.tasks.list(ME, agent, query)
        assert len(page.tasks) <= query.page_size
        found += page.tasks
        if not page.next_token:
            assert len(found) == page.total
            return found
        query = replace(query, page_token=page.next_token)


@pytest.mark.proves("a2a.tasks")
@pytest.mark.parametrize("size", [1, 50, 83, 100])
async def test_equal_times_neither_hide_nor_repeat_a_task(store: Store, size: int) -> None:
    made = {(await begin(store, context=f"c{number % 7}")).task.id for number in range(250 if size > 1 else 20)}
    found = [task.id for task in await pages(store, TaskQuery(page_size=size))]
    assert len(found) == len(made)
    assert set(found) == made


async def test_the_newest_status_comes_first(store: Store) -> None:
    first = await begin(store, at=NOW)
    second = await begin(store, at=NOW + 1)
    assert await store.tasks.record(done(first, at=NOW + 2))
    assert [task.id for task in await pages(store, TaskQuery())] == [first.task.id, second.task.id]


async def test_filters_are_joined_by_and(store: Store) -> None:
    mine = await begin(store, context="a", at=NOW)
    ended = await begin(store, context="a", at=NOW)
    assert await store.tasks.record(done(ended, at=NOW + 5))
    other = await store.tasks.accept(replace(request(context="b", at=NOW + 1), agent="other"))
    await begin(store, caller=Caller("app", "you"), context="a")
    await begin(store, caller=Caller("elsewhere", "me"), context="a")
    expected = {
        TaskQuery(): [ended, other, mine],
        TaskQuery(context_id="a"): [ended, mine],
        TaskQuery(context_id="a", page_size=1): [ended, mine],
        TaskQuery(context_id="nowhere"): [],
        TaskQuery(state=TaskState.WORKING): [other, mine],
        TaskQuery(context_id="a", state=TaskState.WORKING): [mine],
        TaskQuery(updated_after=NOW + 1): [ended, other],
        TaskQuery(updated_after=NOW + 1.001): [ended],
        TaskQuery(context_id="b", state=TaskState.COMPLETED): [],
    }
    for query, accepted in expected.items():
        assert [task.id for task in await pages(store, query)] == [found.task.id for found in accepted]
    assert [task.id for task in await pages(store, TaskQuery(), "other")] == [other.task.id]
    assert await pages(store, TaskQuery(context_id="a"), "other") == []


async def test_history_and_artifacts_only_when_asked_for(store: Store) -> None:
    accepted = await begin(store)
    assert await store.tasks.record(done(accepted, answer("x")))
    (plain,) = (await store.tasks.list(ME, None, TaskQuery())).tasks
    assert (plain.history, plain.artifacts) == (None, ())
    (full,) = (await store.tasks.list(ME, None, TaskQuery(history_length=None, include_artifacts=True))).tasks
    assert full == await store.tasks.get(ME, accepted.task.id)


@pytest.mark.parametrize("size", [-1, 0, 101])
async def test_wrong_page_sizes_are_refused(store: Store, size: int) -> None:
    with pytest.raises(InvalidRequest, match="between 1 and 100") as caught:
        await store.tasks.list(ME, None, TaskQuery(page_size=size))
    assert [violation.field for violation in caught.value.violations] == ["pageSize"]


@pytest.mark.parametrize("token", ["x", "!!!!", "ä", "e30", "WzEsMl0x", "WzEsImEiXQ", "WzFlOTk5LDFd", "W1t" * 999])
async def test_foreign_tokens_are_refused(store: Store, token: str) -> None:
    with pytest.raises(InvalidRequest, match="pageToken") as caught:
        await store.tasks.list(ME, None, TaskQuery(page_token=token))
    assert [violation.field for violation in caught.value.violations] == ["pageToken"]
