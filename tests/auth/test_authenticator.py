"""What the authenticator does when others are slow, away, or many at once."""

import asyncio
from pathlib import Path

import pytest

from hector.auth.attempts import MOST
from hector.auth.authenticator import Authenticator
from hector.auth.keys import Wish, new_api_key
from hector.auth.opening import first_secret, keys_folder, open_authenticator
from hector.auth.tokens import Tokens
from hector.config.auth import Auth
from hector.config.server import Server
from hector.core.clock import FakeClock, SystemClock
from hector.core.errors import HectorError, StoreUnavailable, Throttled, Unauthenticated
from hector.store import open_store
from hector.store.apps import Draft


@pytest.mark.proves("auth.attempts")
async def test_a_crowd_of_guesses_at_once_is_counted(tmp_path: Path) -> None:
    store = await open_store(f"sqlite://{tmp_path}/hector.db")
    auth = open_authenticator(Server(), store, SystemClock())

    async def guess(number: int) -> type[HectorError] | None:
        try:
            await auth.check(f"guess-{number}", "10.0.0.1")
        except HectorError as error:
            return type(error)
        return None

    async with asyncio.TaskGroup() as group:
        tries = [group.create_task(guess(number)) for number in range(200)]
    found = [one.result() for one in tries]
    assert found.count(Unauthenticated) == MOST
    assert found.count(Throttled) == 200 - MOST
    await store.aclose()


@pytest.mark.proves("auth.attempts")
async def test_who_was_let_in_before_is_not_shut_out_by_guesses_from_the_same_address(tmp_path: Path) -> None:
    clock = FakeClock(SystemClock().now())
    store = await open_store(f"sqlite://{tmp_path}/hector.db")
    auth = open_authenticator(Server(), store, clock)
    row, key = new_api_key(Wish("k"), "test", clock.now())
    await store.credentials.add(row)
    await auth.check(key, "10.0.0.1")
    for number in range(MOST):
        with pytest.raises(Unauthenticated):
            await auth.check(f"guess-{number}", "10.0.0.1")
    clock._now += 6.0
    assert auth.known(key) is None
    assert (await auth.check(key, "10.0.0.1")).credential == row.id
    with pytest.raises(Throttled):
        await auth.check("another guess", "10.0.0.1")
    await store.credentials.revoke(row.id)
    with pytest.raises(Unauthenticated):
        await auth.check(key, "10.0.0.1")
    await store.aclose()


@pytest.mark.proves("auth.attempts")
async def test_a_program_with_an_old_secret_shuts_nobody_out(tmp_path: Path) -> None:
    clock = SystemClock()
    store = await open_store(f"sqlite://{tmp_path}/hector.db")
    auth = open_authenticator(Server(), store, clock)
    row, key = new_api_key(Wish("k"), "test", clock.now())
    await store.credentials.add(row)
    for _ in range(3 * MOST):
        with pytest.raises(Unauthenticated):
            await auth.check("the old secret", "10.0.0.1")
    assert (await auth.check(key, "10.0.0.1")).credential == row.id
    auth.aclose()
    await store.aclose()


@pytest.mark.proves("auth.revoked")
async def test_a_token_that_is_revoked_while_it_is_checked_is_not_remembered(tmp_path: Path) -> None:
    clock = SystemClock()
    store = await open_store(f"sqlite://{tmp_path}/hector.db")
    made = await store.apps.create("a", "A", Draft("yaml", "llms: {}", "tests"))

    async def epoch_of(app: str) -> int:
        """As it was read, while somebody else revokes it."""
        found = await store.apps.get(app)
        await store.apps.revoke(app)
        return found.epoch

    tokens = Tokens(Auth(), tmp_path / "keys", None, epoch_of, clock)
    auth = Authenticator(Auth(), store.database, store.credentials, tokens, clock)
    token = tokens.issue("a", made.epoch)
    assert (await auth.check(token, "10.0.0.1")).app == "a"
    assert auth.known(token) is None
    with pytest.raises(Unauthenticated):
        await auth.check(token, "10.0.0.1")
    auth.aclose()
    await store.aclose()


@pytest.mark.proves("auth.first-start")
async def test_of_many_first_starts_one_makes_the_secret(postgres_ready: str) -> None:
    stores = [await open_store(str(postgres_ready)) for _ in range(3)]
    async with asyncio.TaskGroup() as group:
        tries = [group.create_task(first_secret(Auth(), store.credentials, SystemClock())) for store in stores]
    made = [one.result() for one in tries if one.result() is not None]
    assert len(made) == 1
    assert await first_secret(Auth(), stores[0].credentials, SystemClock()) is None
    assert await first_secret(Auth(secret="given"), stores[0].credentials, SystemClock()) is None
    for store in stores:
        await store.aclose()


@pytest.mark.proves("auth.revoked")
async def test_what_another_process_revoked_is_refused_here_within_seconds(tmp_path: Path) -> None:
    clock = FakeClock(SystemClock().now())
    store = await open_store(f"sqlite://{tmp_path}/hector.db")
    auth = open_authenticator(Server(), store, clock)
    row, key = new_api_key(Wish("k"), "test", clock.now())
    await store.credentials.add(row)
    await auth.check(key, "10.0.0.1")
    visitor = await open_store(f"sqlite://{tmp_path}/hector.db", visitor=True)
    await visitor.credentials.revoke(row.id)
    await visitor.aclose()
    assert auth.known(key) is not None
    clock._now += 5.0
    assert auth.known(key) is None
    with pytest.raises(Unauthenticated):
        await auth.check(key, "10.0.0.1")
    await store.aclose()


async def test_while_the_database_is_away_nobody_waits_for_it_twice(tmp_path: Path) -> None:
    clock = FakeClock(SystemClock().now())
    store = await open_store(f"sqlite://{tmp_path}/hector.db")
    auth = open_authenticator(Server(), store, clock)
    await store.aclose()
    with pytest.raises(StoreUnavailable):
        await auth.check("somebody's", "10.0.0.1")
    with pytest.raises(StoreUnavailable, match="knows credentials is away"):
        await auth.check("somebody else's", "10.0.0.1")


@pytest.mark.proves("auth.key-files")
@pytest.mark.parametrize(
    ("dsn", "folder"),
    [
        ("sqlite:///var/lib/hector/hector.db", "/var/lib/hector/keys"),
        ("sqlite://data/x.db?synchronous=full", "data/keys"),
        ("sqlite://:memory:", ".hector/keys"),
        ("postgres://u:p@db/hector", ".hector/keys"),
    ],
)
def test_keys_lie_beside_the_database(dsn: str, folder: str) -> None:
    assert keys_folder(Auth(), dsn) == Path(folder)
    assert keys_folder(Auth(keys_folder="/etc/keys"), dsn) == Path("/etc/keys")
