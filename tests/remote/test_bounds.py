"""What comes from elsewhere is kept within the bounds of this server; a cancel finds its way there from any process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from hector.a2a.render import message
from hector.apps.build import build
from hector.apps.registry import Apps
from hector.cli.chat_pieces import Asked, Reader
from hector.config.root import HectorConfig
from hector.core.clock import SystemClock
from hector.core.task import TaskState
from hector.store import open_store
from hector.tasks.service import TaskService
from hector.tools.catalog import Catalog
from tests.flows.conftest import answer
from tests.remote.elsewhere import elsewhere
from tests.tasks.conftest import QUICK
from tests.together.conftest import ANA, Company
from tests.together.test_kills import front
from tests.web.live import helper, live


@asynccontextmanager
async def bounded(folder: Path, url: str, **bounds: int) -> AsyncIterator[Company]:
    """A company of one agent elsewhere, with bounds on its artifacts."""
    config = HectorConfig.model_validate(
        {"agents": {"chief": {"type": "remote", "url": url}}, "storage": {"artifacts": bounds}}
    )
    store = await open_store(f"sqlite://{folder / 'hector.db'}")
    apps = Apps(build(config, Catalog()))
    try:
        async with TaskService(apps, store, SystemClock(), QUICK) as service:
            yield Company(service, store)
    finally:
        await apps.aclose()
        await store.aclose()


@pytest.mark.proves("agents.remote", "artifacts.bounds")
@pytest.mark.parametrize("streaming", [True, False])
async def test_artifacts_from_elsewhere_have_the_same_bounds(tmp_path: Path, streaming: bool) -> None:
    async with elsewhere() as there:
        async with bounded(tmp_path, there.url, max_size=2) as it:
            task = await it.say("hello")
            assert task.status.state is TaskState.FAILED
            said = task.status.message.message.text if task.status.message else ""
            assert "artifact 'x.bin' has 3 bytes, more than storage.artifacts.max_size (2)" in said
            assert await it.store.artifacts.total(ANA) == 0
        async with bounded(tmp_path, there.url, max_total=5) as it:
            assert answer(await it.say("hello")) == "hello there"
            task = await it.say("hello")
            assert "more would exceed storage.artifacts.max_total (5)" in str(task.status.message)
            assert await it.store.artifacts.total(ANA) == 3


@pytest.mark.proves("agents.remote", "artifacts.bounds")
async def test_elsewhere_has_no_say_over_what_a_user_has_in_all_sessions(tmp_path: Path) -> None:
    async with elsewhere() as there, bounded(tmp_path, there.url) as it:
        there.file = "user:user:x.bin"
        task = await it.say("hello")
        assert [one.name for one in task.artifacts if one.name != "response"] == ["x.bin"]
        assert not await it.store.artifacts.heads(ANA, None)


@pytest.mark.slow
@pytest.mark.proves("agents.remote", "agents.cancel")
@pytest.mark.timeout(120)
async def test_a_cancel_in_another_process_reaches_the_other_server(tmp_path: Path, postgres_ready: str) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    async with elsewhere() as there:
        agents: dict[str, Any] = {"chief": {"type": "remote", "url": there.url}}
        async with (
            front(folders[0], postgres_ready, {}, agents) as first,
            front(folders[1], postgres_ready, {}, agents) as second,
            asyncio.timeout(60),
            httpx.AsyncClient() as client,
        ):
            await first.start()
            await second.start()
            task = await first.send("wait")
            await there.waiting.wait()
            where = f"{second.url}/agents/chief/tasks/{task['id']}:cancel"
            done = await client.post(where, json={}, headers={"A2A-Version": "1.0"})
            assert done.json()["status"]["state"] == "TASK_STATE_CANCELED", done.text
            await there.canceled.wait()


@pytest.mark.slow
@pytest.mark.proves("agents.remote")
@pytest.mark.timeout(120)
async def test_a_run_that_is_taken_over_cancels_nothing_elsewhere(tmp_path: Path, postgres_ready: str) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    async with elsewhere() as there:
        agents: dict[str, Any] = {"chief": {"type": "remote", "url": there.url}}
        async with (
            front(folders[0], postgres_ready, {}, agents) as first,
            front(folders[1], postgres_ready, {}, agents) as second,
            asyncio.timeout(60),
        ):
            await first.start()
            task = await first.send("wait")
            await there.waiting.wait()
            await second.start()
            await first.stop()
            there.go_on.set()
            done = await second.rest(task)
            assert done["status"]["state"] == "TASK_STATE_COMPLETED"
            assert not there.canceled.is_set()
            assert there.runs == {"wait": 1}


@pytest.mark.proves("agents.remote", "approval.chat")
async def test_an_approval_that_is_wanted_elsewhere_says_what_is_an_answer(tmp_path: Path) -> None:
    rules: list[dict[str, Any]] = [
        {"turn": 0, "tool_calls": [{"name": "save_artifact", "args": {"name": "x", "text": "y"}}]},
        {"text": "Done."},
    ]
    config = helper(*rules) | {"tools": {"save_artifact": {"handler": "save_artifact", "require_approval": True}}}
    (tmp_path / "there").mkdir()
    with live(config, tmp_path / "there") as there:
        async with bounded(tmp_path, f"{there.client.base_url}/agents/helper") as it:
            task = await it.say("save it")
            assert task.status.message is not None
            status = {"state": "TASK_STATE_INPUT_REQUIRED", "message": message(task.status.message)}
            (asked,) = Reader().read({"statusUpdate": {"taskId": task.id, "status": status}})
            assert isinstance(asked, Asked)
            assert asked.choices == ("approve", "deny")
            assert answer(await it.say("approve", task=task)).endswith("Done.")
