"""Following across real processes: two servers on one PostgreSQL, clients over HTTP that are cut off at any byte."""

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.smoke.frontdoor import FORMS, ROOT, Hector, Server
from tests.streams.client import Client

PATIENCE = 60.0
pytestmark = pytest.mark.usefixtures("postgres_ready")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def servers(folder: Path, postgres_ready: Any) -> Iterator[list[Server]]:
    """Two servers with a scripted agent. The text's length, pace and word size are said in the message."""
    texts = {
        "short": {"text": " ".join(f"w{number}" for number in range(150)), "pace": "10ms"},
        "long": {"text": " ".join(f"w{number}" for number in range(800)), "pace": "10ms"},
        "large": {"text": " ".join(f"{number}{'x' * 20_000}" for number in range(400)), "pace": "5ms"},
    }
    config = {
        "llms": {"default": {"provider": "scripted", "rules": [{"user": key, **rule} for key, rule in texts.items()]}},
        "agents": {"helper": {"instruction": "Help."}},
    }
    (folder / "hector.yaml").write_text(json.dumps(config), encoding="utf-8")
    hector = Hector(FORMS["source"], folder, {"PYTHONPATH": str(ROOT)})
    options = ("--config", "hector.yaml", "--database", str(postgres_ready), "--queue-stale-threshold", "2s")
    with ExitStack() as stack:
        yield [stack.enter_context(hector.serve(*options)) for _ in range(2)]


@asynccontextmanager
async def clients(server: Server, text: str, count: int) -> AsyncIterator[list[Client]]:
    """Clients of a task that `server` has just begun."""
    limits = httpx.Limits(max_connections=None)
    async with asyncio.timeout(PATIENCE), httpx.AsyncClient(timeout=PATIENCE, limits=limits) as http:
        message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}]}
        body = {"message": message, "configuration": {"returnImmediately": True}}
        answer = await http.post(f"{server.url}/message:send", json=body)
        assert answer.status_code == 200, answer.text
        yield [Client(http, answer.json()["task"]["id"]) for _ in range(count)]


def words(count: int) -> str:
    return " ".join(f"w{number}" for number in range(count))


@pytest.mark.proves("streams.elsewhere", "streams.positions")
@pytest.mark.timeout(120)
async def test_readers_on_both_servers_see_every_event_once(servers: list[Server]) -> None:
    a, b = (server.url for server in servers)
    async with clients(servers[0], "short", 4) as (on_a, on_b, cut, wanders):
        async with asyncio.TaskGroup() as group:
            group.create_task(on_a.follow(a))
            group.create_task(on_b.follow(b))
            group.create_task(cut.follow(b, period=0.15))
            group.create_task(wanders.follow(a, b, b, period=0.1))
        for client in (on_a, on_b, cut, wanders):
            assert client.text == words(150)
            # A server that is asked out of the blue begins with a snapshot where the other one is slow to tell it more.
            assert client.snapshots == 1 or client is wanders
            client.check_once_in_order()
            assert client.was_told
        assert min(cut.cuts, wanders.cuts) > 3


@pytest.mark.slow
@pytest.mark.proves("streams.takeover")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
async def test_readers_outlive_the_server_that_runs_their_task(servers: list[Server], ending: signal.Signals) -> None:
    async with clients(servers[0], "long", 20) as readers:
        async with asyncio.TaskGroup() as group:
            for reader in readers:
                group.create_task(reader.follow(servers[1].url))
            while not all("w100 " in reader.text for reader in readers):  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.02)
            servers[0].process.send_signal(ending)
        for reader in readers:
            assert reader.text == words(800)
            assert reader.states == ["TASK_STATE_WORKING", "TASK_STATE_COMPLETED"]
            assert reader.snapshots == 1
            reader.check_once_in_order()


@pytest.mark.slow
@pytest.mark.proves("streams.positions")
@pytest.mark.timeout(120)
async def test_a_hundred_readers_that_are_cut_off_all_the_time(servers: list[Server]) -> None:
    urls = [server.url for server in servers]
    async with clients(servers[0], "long", 100) as readers:
        async with asyncio.TaskGroup() as group:
            for number, reader in enumerate(readers):
                order = urls if number % 2 else urls[::-1]
                group.create_task(reader.follow(*order, period=0.5 + number / 50))
        for reader in readers:
            assert reader.text == words(800)
            reader.check_once_in_order()
            assert reader.needless == 0


@pytest.mark.slow
@pytest.mark.proves("streams.slow-readers")
@pytest.mark.timeout(120)
async def test_readers_that_do_not_read_hold_up_nobody(servers: list[Server]) -> None:
    async with clients(servers[0], "large", 1) as (reader,):
        with ExitStack() as stack:
            for _ in range(10):
                host, port = servers[1].url.removeprefix("http://").split(":")
                wire = stack.enter_context(socket.create_connection((host, int(port))))
                wire.sendall(f"GET /tasks/{reader.task_id}:subscribe HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            await reader.follow(servers[1].url)
            assert len(reader.text) > 400 * 20_000
            used = max(_resident(server) for server in servers)
    assert used < 256, f"{used} MiB"


def _resident(server: Server) -> float:
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20
