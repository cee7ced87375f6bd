"""Credentials on both engines: kept as hashes, revoked once, one-time codes used once."""

import asyncio
from dataclasses import replace

import pytest

from hector.core.clock import SystemClock
from hector.core.errors import NotFound
from hector.core.identity import Role
from hector.store import Store
from hector.store.credentials import ADMIN_ID, CHANNEL, Credential, Kind

NOW = SystemClock().now()
KEY = Credential("a1", Kind.KEY, "ci", "sha256:1", Role.USER, "default", "robot", "admin", NOW)
CODE = Credential("c1", Kind.UNLOCK, "link", "sha256:2", Role.ADMIN, None, "", "", NOW, NOW + 86_400)
SESSION = Credential("s1", Kind.SESSION, "unlocked", "sha256:3", Role.ADMIN, None, "@admin", "", NOW, NOW + 86_400)


@pytest.mark.proves("auth.keys")
async def test_a_key_is_added_listed_used_and_revoked(store: Store) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    store.database.listen(CHANNEL, heard.put_nowait)
    repository = store.credentials
    assert await repository.add(KEY)
    assert not await repository.add(replace(KEY, hash="sha256:other"))
    found = await repository.find("a1")
    assert found is not None
    assert (found.hash, found.role, found.app, found.user, found.used) == (
        "sha256:1",
        Role.USER,
        "default",
        "robot",
        None,
    )
    await repository.note_use("a1")
    (listed,) = await repository.list(Kind.KEY)
    assert listed.used is not None
    assert listed.valid(NOW)
    with pytest.raises(NotFound):
        await repository.revoke("a1", app="another")
    await repository.revoke("a1", app="default")
    await repository.revoke("a1")
    (revoked,) = await repository.list(Kind.KEY, app="default")
    assert not revoked.valid(NOW)
    assert await repository.list(Kind.KEY, app="another") == ()
    async with asyncio.timeout(60):
        assert [await heard.get(), await heard.get()] == ["default", "default"]


@pytest.mark.proves("auth.unlock")
async def test_a_code_is_good_for_one_of_many_who_bring_it(store: Store) -> None:
    repository = store.credentials
    await repository.add(CODE)
    sessions = [replace(SESSION, id=f"s{number}") for number in range(8)]
    assert not await repository.exchange("c1", "sha256:wrong", SESSION)
    async with asyncio.TaskGroup() as group:
        tries = [group.create_task(_exchange(store, one)) for one in sessions]
    assert sum(one.result() for one in tries) == 1
    assert len(await repository.list(Kind.SESSION)) == 1


async def _exchange(store: Store, session: Credential) -> bool:
    return await store.credentials.exchange("c1", "sha256:2", session)


@pytest.mark.proves("auth.unlock")
async def test_a_code_that_is_too_old_is_no_good(store: Store) -> None:
    await store.credentials.add(replace(CODE, expires=NOW - 1))
    assert not await store.credentials.exchange("c1", "sha256:2", SESSION)


@pytest.mark.proves("auth.secret-rotate")
async def test_a_new_admin_secret_ends_sessions_and_links_of_the_old_one(store: Store) -> None:
    repository = store.credentials
    admin = Credential(ADMIN_ID, Kind.ADMIN, "admin", "sha256:4", Role.ADMIN, None, "", "first start", NOW)
    await repository.add(admin)
    await repository.add(CODE)
    await repository.add(SESSION)
    await repository.replace(replace(admin, hash="sha256:5"))
    found = await repository.find(ADMIN_ID)
    assert found is not None
    assert found.hash == "sha256:5"
    assert await repository.list(Kind.SESSION) == await repository.list(Kind.UNLOCK) == ()
