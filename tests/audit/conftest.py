"""The engines that the log must hold on, and a chain to work with."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hector.core.clock import SystemClock
from hector.store import Store, open_store
from hector.store.audit_chain import Chain


@pytest.fixture(params=["file", "postgres"])
def dsn(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database."""
    if request.param == "file":
        return f"sqlite://{tmp_path}/hector.db"
    return str(request.getfixturevalue("postgres_ready"))


@pytest.fixture
async def store(dsn: str) -> AsyncIterator[Store]:
    """An open store on it."""
    store = await open_store(dsn)
    yield store
    await store.aclose()


@pytest.fixture
def chain(store: Store) -> Chain:
    """The chain of that store."""
    return Chain(store.database, SystemClock())
