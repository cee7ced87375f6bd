"""The example of an agent elsewhere runs against the other example that it is about."""

import asyncio
from pathlib import Path

import pytest

from hector.apps.build import build
from hector.apps.registry import Apps
from hector.config.load import load_config
from hector.core.clock import SystemClock
from hector.core.task import TaskState
from hector.store import open_store
from hector.tasks.service import TaskService
from hector.tools.catalog import Catalog
from tests.config.sample import surroundings
from tests.flows.conftest import answer
from tests.tasks.conftest import QUICK
from tests.together.conftest import Company, question
from tests.web.live import live

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.proves("agents.examples", "agents.remote")
async def test_the_desk_asks_the_desk_of_another_server(tmp_path: Path) -> None:
    around = surroundings(tmp_path, {})
    there = load_config(EXAMPLES / "together.yaml", around).config
    (tmp_path / "far").mkdir()
    manager = live(there, tmp_path / "far")
    server = await asyncio.to_thread(manager.__enter__)
    try:
        text = (EXAMPLES / "remote.yaml").read_text(encoding="utf-8")
        assert text.count("http://127.0.0.1:9090/") == 1
        (tmp_path / "remote.yaml").write_text(text.replace("http://127.0.0.1:9090", server.url), encoding="utf-8")
        config = load_config(tmp_path / "remote.yaml", around).config
        store = await open_store(f"sqlite://{tmp_path / 'near.db'}")
        apps = Apps(build(config, Catalog(())))
        try:
            async with TaskService(apps, store, SystemClock(), QUICK) as service:
                it = Company(service, store)
                task = await it.say("my invoice is wrong", to="desk")
                expected = "They say: That is for billing.\n\nBilling here. Which number does the invoice have?"
                assert (task.status.state, answer(task)) == (TaskState.COMPLETED, expected)
                task = await it.say("plan a trip to Oslo", to="desk")
                assert "Museums or mountains?" in question(task)
        finally:
            await apps.aclose()
            await store.aclose()
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)
