"""Readers that are cut off and come back while called agents work, on the server that runs them and on another one."""

import asyncio
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.smoke.frontdoor import FORMS, ROOT, Hector
from tests.streams.test_processes import clients, words
from tests.together.conftest import ask, calls, configuration, results

LONG = {"text": words(80), "pace": "10ms"}
MODELS: dict[str, Any] = {
    "chief": [calls(ask("one", "go"), ask("two", "go"), turn=0, text="Asking."), {**results(), "pace": "5ms"}],
    "one": [LONG],
    "two": [calls(ask("three", "go"), turn=0, text="Let me see."), {**results(r"three says \g<all>"), "pace": "5ms"}],
    "three": [LONG],
}
AGENTS = {"chief": {"agent_tools": ["one", "two"]}, "two": {"agent_tools": ["three"]}}


@pytest.mark.proves("agents.together.shown", "streams.positions")
@pytest.mark.timeout(120)
async def test_every_word_of_called_agents_comes_once_wherever_readers_are(tmp_path: Path, postgres_ready: Any) -> None:
    (tmp_path / "hector.yaml").write_text(json.dumps(configuration(MODELS, AGENTS)), encoding="utf-8")
    hector = Hector(FORMS["source"], tmp_path, {"PYTHONPATH": str(ROOT)})
    options = ("--config", "hector.yaml", "--database", str(postgres_ready))
    with ExitStack() as stack:
        servers = [stack.enter_context(hector.serve(*options)) for _ in range(2)]
        a, b = (server.url for server in servers)
        async with clients(servers[0], "go", 3) as readers:
            async with asyncio.TaskGroup() as group:
                group.create_task(readers[0].follow(b))
                group.create_task(readers[1].follow(a, period=0.15))
                group.create_task(readers[2].follow(a, b, b, period=0.2))
            for reader in readers:
                assert reader.text.endswith(f"{words(80)}\nthree says {words(80)}"), reader.text
                assert reader.text.startswith("Asking.")
                reader.check_once_in_order()
                assert reader.needless == 0
            assert readers[0].was_told
            assert readers[1].cuts > 3
