"""Killed around a call that keeps something, a run goes on: what it keeps is there once."""

from pathlib import Path
from typing import Any

import pytest

from hector.core.task import Caller
from hector.store import open_store
from tests.together.test_kills import Front, state_of, text_of
from tests.together.world import world

CALLS = [
    {"name": "save_artifact", "args": {"name": "user:plan.md", "text": "the plan"}},
    {"name": "remember", "args": {"text": "tea without sugar"}},
]
CONFIG: dict[str, Any] = {
    "llms": {
        "default": {
            "provider": "scripted",
            "rules": [{"turn": 0, "tool_calls": CALLS}, {"text": "Both are kept."}],
        }
    },
    "agents": {"chief": {"instruction": "Keep.", "tools": ["save_artifact", "remember"]}},
    "server": {"queue": {"stale_threshold": 1, "initial_delay": 0.1}},
    "storage": {"memory": {"backend": "keyword"}},
}
POINTS = [
    "tool.effect:1",
    pytest.param("tool.effect:2", marks=pytest.mark.slow),
    pytest.param("tool.result:1", marks=pytest.mark.slow),
    pytest.param("model.after:2", marks=pytest.mark.slow),
    pytest.param("run.written:1", marks=pytest.mark.slow),
]


@pytest.mark.proves("artifacts.versions", "memory.turns")
@pytest.mark.parametrize("point", POINTS)
async def test_what_is_kept_is_kept_once(point: str, tmp_path: Path) -> None:
    database = f"sqlite://{tmp_path}/h.db"
    async with world({}) as around:
        front = Front(tmp_path, around, database, CONFIG)
        try:
            await front.start(kill_at=point)
            task = await front.send("keep both")
            await front.died()
            await front.start()
            done = await front.rest(task)
            assert (state_of(done), text_of(done)) == ("COMPLETED", "Both are kept.")
        finally:
            await front.kill()
    store = await open_store(database, visitor=True)
    try:
        me = Caller()
        assert [one.version for one in await store.artifacts.versions(me, None, "plan.md")] == [1]
        kept, _ = await store.memories.page(me)
        assert [one.text for one in kept if one.kind == "fact"] == ["tea without sugar"]
        assert len([one for one in kept if one.kind == "turn"]) <= 2
    finally:
        await store.aclose()
