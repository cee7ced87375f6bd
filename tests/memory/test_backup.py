"""What is kept comes back from a backup, on either engine, and is found there."""

from pathlib import Path

import pytest

from hector.core.clock import FakeClock
from hector.core.content import Text
from hector.store import open_store
from hector.store.archive import Archive
from hector.store.backup import save
from hector.store.restore import restore
from tests.artifacts.test_store import note
from tests.artifacts.test_store import save as keep
from tests.memory.test_store import ANA, furnish
from tests.ops.watcher import Watcher
from tests.store.turns import begin


@pytest.fixture(params=["sqlite", "replaced", "postgres"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the backup goes: the source itself, another file, or the other engine."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_ready"))
    return f"sqlite://{tmp_path}/{'a' if request.param == 'replaced' else 'b'}.db"


@pytest.mark.proves("ops.backup", "ops.restore", "memory.found")
async def test_memories_are_found_after_a_restoration(target: str, tmp_path: Path) -> None:
    source, clock, path = f"sqlite://{tmp_path}/a.db", FakeClock(), tmp_path / "a.hbk"
    store = await open_store(source)
    await furnish(store)
    await keep(store, (await begin(store, caller=ANA)).task.id, note("user:plan.md", "one"))
    await save(store.database, path, clock, Watcher())
    await store.aclose()
    with Archive(path) as archive:
        await restore(target, archive, clock, Watcher(), replace=True)
    store = await open_store(target)
    try:
        assert [one.id for one in await store.memories.search(ANA, "火锅", 5, 2.0)] == ["hotpot"]
        assert await store.memories.forget(ANA, "hotpot")
        assert await store.memories.search(ANA, "火锅", 5, 2.0) == ()
        assert [one.id for one in await store.memories.search(ANA, "zurich", 5, 2.0)] == ["zurich"]
        found = await store.artifacts.newest(ANA, "c", ["user:plan.md"])
        assert found["user:plan.md"].parts == (Text("one"),)
    finally:
        await store.aclose()
