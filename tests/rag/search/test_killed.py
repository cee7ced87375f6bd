"""Killed between what was found and what is answered: the run that goes on shows the model the very same."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.together.test_kills import PATIENCE, ROOT, Front, front, state_of, text_of
from tests.together.world import Message

BEFORE, AFTER = "Tighten the bolts of the pump to 20 Nm.", "Tighten the bolts of the pump to 35 Nm."


async def indexed(it: Front) -> None:
    """Until the store has read everything since the start."""
    async with asyncio.timeout(PATIENCE), httpx.AsyncClient() as client:
        while True:
            store = (await client.get(f"{it.url}/health")).json()["document_stores"]["docs"]
            if store["state"] == "ready":
                return
            await asyncio.sleep(0.05)


async def index(it: Front) -> None:
    """All of it now, while no server runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hector", "index", "--config", "hector.json", cwd=it.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await process.wait() == 0


@pytest.mark.slow
@pytest.mark.proves("agent.include-context")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("point", ["", "model.before:1", "model.after:1"])
async def test_what_was_shown_is_shown_again(tmp_path: Path, point: str) -> None:
    asked: list[list[Message]] = []

    def answer(messages: list[Message]) -> str:
        asked.append(messages)
        return "20 Nm" if "20 Nm" in json.dumps(messages) else "35 Nm"

    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "guide.md").write_text(BEFORE, encoding="utf-8")
    agents = {"chief": {"include_context": True, "document_stores": ["docs"], "search": {"enabled": False}}}
    async with front(tmp_path, "sqlite://hector.db", {"chief": answer}, agents) as it:
        docs: dict[str, Any] = {"source": {"type": "directory", "path": "docs"}, "embedder": "none"}
        it.config = {**it.config, "document_stores": {"docs": docs}}
        await it.start(point)
        await indexed(it)
        if not point:
            it.world.hold("chief")
        task = await it.send("How tight are the bolts?")
        if point:
            await it.died()
        else:
            await it.world.wait_for("chief")
            await it.kill()
            it.world.let_go()
        (tmp_path / "docs" / "guide.md").write_text(AFTER, encoding="utf-8")
        it.config = {
            key: value for key, value in it.config.items() if key != "tools"
        }  # its functions are the program's
        (tmp_path / "hector.json").write_text(json.dumps(it.config), encoding="utf-8")
        await index(it)
        await it.start()
        done = await it.rest(task)
        assert (state_of(done), text_of(done)) == ("COMPLETED", "20 Nm")
    shown = [[one["content"] for one in messages if "<passages>" in str(one["content"])] for messages in asked]
    assert len(shown[0]) == 1
    assert all(one == shown[0] for one in shown)
