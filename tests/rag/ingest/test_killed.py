"""kill -9 at any moment of indexing: nothing is embedded twice, nothing is stale, nothing is lost."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hector.rag.embedders.pace import AT_ONCE
from tests.rag.ingest.world import EmbeddingServer, asked, configuration, embedding_server, once, openai
from tests.smoke.frontdoor import ROOT, free_port

DOCUMENTS = 300
BATCH = 8
PATIENCE = 60.0


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with embedding_server() as made:
        yield made


def fill(folder: Path, version: str = "first", count: int = DOCUMENTS) -> None:
    (folder / "docs").mkdir(exist_ok=True)
    for number in range(count):
        text = f"document number{number} in its {version} state\n" * (1 + number % 3)
        (folder / "docs" / f"d{number}.txt").write_text(text, encoding="utf-8")


def start(folder: Path, *words: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "hector", *words, "--config", str(folder / "hector.json")]
    return subprocess.Popen(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip


def kill(process: "subprocess.Popen[bytes]", after: float) -> bool:
    """Kill it in so many seconds; whether it had not ended before."""
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    return False


async def whole(folder: Path, settings: dict[str, Any], version: str, count: int) -> None:
    """Everything is found in its latest state, and nothing else."""
    progress = await once(folder, **settings)
    assert (progress.documents, progress.failed, progress.pending) == (count, 0, 0)
    for number in random.sample(range(count), 5):
        (found, *_) = await asked(folder, f"number{number} {version}", embedder="none")
        assert found == f"d{number}.txt"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.proves("rag.incremental")
async def test_indexing_that_is_killed_again_and_again_goes_on(tmp_path: Path, server: EmbeddingServer) -> None:
    settings = openai(server)
    fill(tmp_path)
    server.slow = 1.0  # longer than any of them lives
    (tmp_path / "hector.json").write_text(configuration(tmp_path, **dict(settings)), encoding="utf-8")
    kills = 0
    for _ in range(8):
        process = start(tmp_path, "index")
        kills += await asyncio.to_thread(kill, process, random.uniform(0.4, 2.0))
    await asyncio.to_thread(server.hurry)
    before = sum(server.texts.values())
    await whole(tmp_path, settings, "first", DOCUMENTS)
    twice = sum(times - 1 for text, times in server.texts.items() if text.startswith("document"))
    assert kills
    assert twice <= kills * BATCH * AT_ONCE, (
        f"{twice} chunks twice after {kills} kills, {before} embedded before the last start"
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_server_that_is_killed_while_everything_changes_keeps_nothing_stale(
    tmp_path: Path, server: EmbeddingServer
) -> None:
    settings = openai(server)
    port = free_port()
    (tmp_path / "hector.json").write_text(
        json.dumps(
            json.loads(configuration(tmp_path, watch=True, **dict(settings))) | {"server": {"port": port}}
        ),
        encoding="utf-8",
    )  # fmt: skip
    fill(tmp_path, count=100)
    for version in ("second", "third", "fourth"):
        process = start(tmp_path, "serve")
        await asyncio.to_thread(state_of, port)
        fill(tmp_path, version, 100)
        (tmp_path / "docs" / "gone.txt").write_text("about vanishing", encoding="utf-8")
        await asyncio.to_thread(kill, process, random.uniform(0.1, 1.5))
        (tmp_path / "docs" / "gone.txt").unlink()
    await whole(tmp_path, settings, "fourth", 100)
    assert "gone.txt" not in await asked(tmp_path, "vanishing", **settings)
    for stale in ("second", "third"):
        assert await words_only(tmp_path, stale) == []


async def words_only(folder: Path, text: str) -> list[str]:
    """What still holds a word."""
    return await asked(folder, text, embedder="none")


def state_of(port: int) -> dict[str, Any]:
    """Of the store, once the server answers."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                return dict(json.load(answer).get("document_stores", {}))
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def batches(server: EmbeddingServer, count: int) -> None:
    until = time.monotonic() + PATIENCE
    while len(server.batches) < count and time.monotonic() < until:
        time.sleep(0.01)


async def test_one_kill_costs_the_batches_that_were_on_their_way_at_most(
    tmp_path: Path, server: EmbeddingServer
) -> None:
    settings = openai(server)
    fill(tmp_path, count=60)
    (tmp_path / "hector.json").write_text(configuration(tmp_path, **dict(settings)), encoding="utf-8")
    server.slow = 0.1
    process = start(tmp_path, "index")
    await asyncio.to_thread(batches, server, 4)
    process.send_signal(signal.SIGKILL)
    process.wait()
    await asyncio.to_thread(server.hurry)
    await whole(tmp_path, settings, "first", 60)
    assert sum(times - 1 for times in server.texts.values()) <= AT_ONCE * BATCH + 10  # and the questions of this test
