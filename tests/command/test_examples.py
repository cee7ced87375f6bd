"""The examples of commands and the web, run."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from hector.config.load import load_config
from hector.config.root import HectorConfig
from tests.httpserver import HttpServer, Request, write_head
from tests.web.live import live

EXAMPLES = Path(__file__).parents[2] / "examples"


def answer_of(task: Mapping[str, Any]) -> str:
    """What the agent said."""
    return str(task["artifacts"][0]["parts"][0]["text"])


@pytest.mark.proves("tools.commandtool", "command.allowed")
def test_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(EXAMPLES / "commands.yaml").config
    with live(config, tmp_path) as server:
        (tmp_path / ".hector/workspace/found.txt").write_text("x", encoding="utf-8")
        assert "found.txt" in answer_of(server.send("list", "operator"))
        assert "rm may not be run" in answer_of(server.send("remove everything", "operator", messageId="m-2"))
    assert (tmp_path / ".hector/workspace/found.txt").exists()


@pytest.mark.proves("tools.webtool")
async def test_the_web(tmp_path: Path) -> None:
    async def page(request: Request, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        body = b"<title>Here</title><p>It is a page.</p>"
        write_head(writer, 200, {"content-length": str(len(body))}, "text/html")
        writer.write(body)
        return True

    written = yaml.safe_load((EXAMPLES / "web.yaml").read_text(encoding="utf-8"))
    written["tools"]["web"]["private_hosts"] = ["127.0.0.1"]
    async with HttpServer(page) as site:

        def work() -> str:
            with live(HectorConfig.model_validate(written), tmp_path) as server:
                return answer_of(server.send(f"read {site.url}", "reader"))

        said = await asyncio.to_thread(work)
    assert "Title: Here" in said
    assert "It is a page." in said
