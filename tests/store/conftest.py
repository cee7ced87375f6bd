"""The engines that every repository must pass on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hector.store import Store, open_store


@pytest.fixture(params=["file", "memory", "postgres"])
def dsn(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database."""
    match request.param:
        case "file":
            return f"sqlite://{tmp_path}/hector.db"
        case "memory":
            return "sqlite://:memory:"
        case _:
            return str(request.getfixturevalue("postgres_ready"))


@pytest.fixture
async def store(dsn: str) -> AsyncIterator[Store]:
    """An open store on it."""
    store = await open_store(dsn)
    yield store
    await store.aclose()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a database file of the test's own goes."""
    return tmp_path / "data" / "hector.db"
