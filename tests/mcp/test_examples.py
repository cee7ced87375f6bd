"""The example configurations: an agent of one Hector as the MCP tool of another."""

import os
import sys
from pathlib import Path

import pytest

from hector.apps.build import build
from hector.apps.registry import Apps
from hector.config.environment import Environment
from hector.config.load import load_config
from hector.core.clock import SystemClock
from hector.core.content import Message, Text
from hector.core.ids import new_id
from hector.core.task import Caller, ClientMessage, Task
from hector.store import open_store
from hector.tasks.service import SendOptions, TaskService
from hector.tools.catalog import Catalog

ROOT = Path(__file__).parents[2]


@pytest.mark.proves("mcp.server-stdio", "mcp.stdio")
async def test_one_hector_uses_the_agent_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "hector"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m hector "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.chdir(ROOT)
    config = load_config(ROOT / "examples" / "mcp.yaml", Environment(), handlers=Catalog()).config
    store, apps = await open_store("sqlite://:memory:"), Apps(build(config, Catalog()))
    async with TaskService(apps, store, SystemClock()) as service:
        said = ClientMessage(new_id(), Message("user", (Text("what is the weather in Oslo"),)))
        task = await service.send(Caller(), "guide", said, SendOptions())
    await apps.aclose()
    await store.aclose()
    assert isinstance(task, Task)
    assert "I have asked: It rains in Oslo." in str(task.artifacts)
