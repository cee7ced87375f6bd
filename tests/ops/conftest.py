"""Databases of both engines, with something in them."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from hector.core.clock import FakeClock
from hector.store import Store, open_store
from tests.store.turns import NOW

ENGINES = ("sqlite", "postgres")
EmptyDatabase = Callable[[str], str]


@pytest.fixture
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> EmptyDatabase:
    """The address of an empty database of an engine: "sqlite" or "postgres"."""

    def make(engine: str) -> str:
        if engine == "sqlite":
            return f"sqlite://{tmp_path}/data/hector.db"
        return str(request.getfixturevalue("postgres_dsn"))

    return make


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine."""
    return str(request.param)


@pytest.fixture
def dsn(engine: str, empty: EmptyDatabase) -> str:
    """The address of an empty database."""
    return empty(engine)


@pytest.fixture
async def store(dsn: str) -> AsyncIterator[Store]:
    """An open store on it."""
    store = await open_store(dsn)
    yield store
    await store.aclose()


@pytest.fixture
def clock() -> FakeClock:
    """A day after everything that `turns` makes."""
    return FakeClock(NOW + 86_400)
