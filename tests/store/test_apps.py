"""Apps in the database: versions, conflicts, revocation, deletion in two stages, announcements."""

import asyncio

import pytest

from hector.core.errors import Conflict, InvalidRequest, NotFound
from hector.core.job import JobState, NewJob
from hector.core.task import Caller
from hector.store import Store
from hector.store.apps import CHANNEL, AppStatus, Draft
from tests.store.turns import add

FIRST, SECOND = Draft("yaml", "name: one", "ana"), Draft("json", '{"name": "two"}', "bob", "a new name")
PATIENCE = 40.0


@pytest.mark.proves("tenant.versions")
async def test_every_change_of_a_configuration_is_a_version(store: Store) -> None:
    made = await store.apps.create("support", "Support", FIRST)
    assert (made.version, made.status) == (1, AppStatus.ACTIVE)
    changed = await store.apps.update("support", draft=SECOND, if_version=1)
    assert changed.version == 2
    record, config = await store.apps.load("support")
    assert (record, config.body, config.author, config.note) == (changed, SECOND.body, "bob", "a new name")
    renamed = await store.apps.update("support", name="Help")
    assert (renamed.name, renamed.version) == ("Help", 2)
    assert [one.version for one in await store.apps.versions("support")] == [2, 1]
    assert [one.version for one in await store.apps.versions("support", before=2)] == [1]
    assert (await store.apps.version("support", 1)).body == "name: one"
    with pytest.raises(NotFound):
        await store.apps.version("support", 3)


async def test_a_change_of_something_older_is_refused(store: Store) -> None:
    await store.apps.create("support", "Support", FIRST)
    await store.apps.update("support", draft=SECOND)
    with pytest.raises(Conflict, match="version 2, not 1"):
        await store.apps.update("support", draft=FIRST, if_version=1)
    with pytest.raises(Conflict, match="already"):
        await store.apps.create("support", "Another", FIRST)
    assert (await store.apps.get("support")).version == 2


async def test_of_two_that_change_the_same_version_one_wins(store: Store) -> None:
    await store.apps.create("support", "Support", FIRST)
    both = [asyncio.ensure_future(store.apps.update("support", draft=SECOND, if_version=1)) for _ in range(2)]
    await asyncio.wait(both)
    assert sorted(type(one.exception()).__name__ for one in both) == ["Conflict", "NoneType"]
    assert len(await store.apps.versions("support")) == 2


async def test_apps_come_in_pages(store: Store) -> None:
    for name in ("c", "a", "b"):
        await store.apps.create(name, name, FIRST)
    page = await store.apps.list(page_size=2)
    assert [app.id for app in page.apps] == ["a", "b"]
    rest = await store.apps.list(page_size=2, page_token=page.next_token)
    assert ([app.id for app in rest.apps], rest.next_token) == (["c"], "")
    with pytest.raises(InvalidRequest):
        await store.apps.list(page_token="nonsense")


async def test_revoking_raises_the_epoch_and_nothing_else(store: Store) -> None:
    made = await store.apps.create("support", "Support", FIRST)
    revoked = await store.apps.revoke("support")
    assert (revoked.epoch, revoked.version) == (made.epoch + 1, 1)


async def test_an_app_with_the_id_of_one_that_is_gone_honours_none_of_its_tokens(store: Store) -> None:
    first = await store.apps.create("support", "Support", FIRST)
    await store.apps.revoke("support")
    await store.apps.remove("support")
    await asyncio.sleep(0.005)
    assert (await store.apps.create("support", "Support", FIRST)).epoch > first.epoch + 1


async def test_what_is_being_deleted_takes_no_changes(store: Store) -> None:
    await store.apps.create("support", "Support", FIRST)
    await store.apps.set_status("support", AppStatus.DELETING)
    for change in (store.apps.update("support", name="x"), store.apps.revoke("support")):
        with pytest.raises(Conflict, match="deleted"):
            await change
    with pytest.raises(Conflict, match="deleted"):
        await store.apps.set_status("support", AppStatus.ACTIVE)
    await store.apps.set_status("support", AppStatus.DELETING)
    await store.apps.remove("support")
    for look in (store.apps.get("support"), store.apps.versions("support"), store.apps.load("support")):
        with pytest.raises(NotFound):
            await look
    assert await store.apps.standing(("support",)) == {}


async def test_changes_are_announced(store: Store) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    stop = store.database.listen(CHANNEL, heard.put_nowait)
    await store.ping()
    await store.apps.create("support", "Support", FIRST)
    await store.apps.revoke("support")
    async with asyncio.timeout(PATIENCE):
        assert [await heard.get() for _ in range(2)] == ["support"] * 2
    stop()


async def test_what_is_written_aside_goes_with_the_change(store: Store) -> None:
    """Both or neither."""

    async def broken(_: object) -> None:
        raise InvalidRequest("no")

    with pytest.raises(InvalidRequest):
        await store.apps.create("support", "Support", FIRST, broken)
    with pytest.raises(NotFound):
        await store.apps.get("support")


async def test_jobs_of_an_app_that_rests_are_held_without_an_attempt(store: Store) -> None:
    mine, other = Caller("support"), Caller("sales")
    keys = [await add(store, NewJob("x", caller, "s", {})) for caller in (mine, mine, other)]
    first, *_ = await store.jobs.claim("me", 1, now=1.0)
    assert first.claim.key == keys[0]
    await store.jobs.hold(first.claim, 5.0)
    assert [job.claim.key for job in await store.jobs.claim("me", 9, now=2.0)] == [keys[2]]
    later = await store.jobs.claim("me", 9, now=6.0)
    assert [(job.claim.key, job.attempts) for job in later] == [(keys[0], 1), (keys[1], 1)]
    assert (await store.jobs.get(keys[0])).state is JobState.RUNNING
