"""The benchmark's own parts agree: what the mock sends is what the client takes for complete."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bench import mock
from bench.cells import CELLS, Standing, figures
from bench.client import BadTurn, Target, a2a, load, model
from bench.contestants import HECTOR, HELLO, LIMIT, PROXY
from bench.report import DIRECT, as_json, text, verdicts
from bench.servers.limit import App, Model
from hector.net.sse import SseDecoder
from tests.net.hostile import Peer, replies, serving


@asynccontextmanager
async def mocking() -> AsyncIterator[int]:
    """A running mock's port."""
    server = await mock.serve()
    async with server:
        yield mock.port_of(server)
    async with asyncio.timeout(60):
        while mock.Mock.live:  # noqa: ASYNC110 - the mock has no event for it
            await asyncio.sleep(0.005)


@pytest.mark.proves("bench.run")
@pytest.mark.parametrize("kind", ["plain", "stream", "paced"])
async def test_the_client_takes_what_the_mock_sends(kind: str) -> None:
    stream, paced = kind != "plain", kind == "paced"
    async with mocking() as port:
        target = model(port, stream=stream, paced=paced)
        turns = await load(target, 3, 0.01, stream=stream, paced=paced)
    assert len(turns.latencies) >= 3
    assert len(turns.first_tokens) == (len(turns.latencies) if stream else 0)
    assert len(turns.token_delays) == (mock.TOKENS * len(turns.latencies) if paced else 0)
    measured = figures(turns, 0.1)
    assert measured.rate > 0
    assert measured.p99 >= measured.p50 > 0


@pytest.mark.proves("bench.run")
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_with_a_token_missing_does_not_count(stream: bool) -> None:
    async def script(peer: Peer) -> None:
        body = await peer.request()
        found = re.search(rb"nonce-[0-9a-z]+", body)
        assert found is not None
        whole = mock.OPENAI.burst(found[0]) if stream else mock.OPENAI.plain(found[0])
        await peer.send(whole.replace(b" word07", b" word7x"))

    async with serving(script) as server:
        with pytest.raises(ExceptionGroup) as caught:
            await load(model(server.port, stream=stream), 1, 0.01, stream=stream)
        assert caught.value.subgroup(BadTurn) is not None


async def test_a_failure_does_not_count() -> None:
    async with serving(replies(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n")) as server:
        with pytest.raises(ExceptionGroup) as caught:
            await load(a2a(server.port, "/agents/plain", stream=False), 1, 0.01)
        assert caught.value.subgroup(BadTurn) is not None


@pytest.mark.parametrize("wire", [mock.OPENAI, mock.ANTHROPIC], ids=["openai", "anthropic"])
def test_bursts_hold_every_token(wire: mock.Format) -> None:
    raw = wire.burst(b"nonce-1")
    body = re.sub(rb"\r\n[0-9a-f]+\r\n", b"", raw.partition(b"\r\n\r\n")[2])
    found = "".join(
        token for event in SseDecoder().feed(body) for token in re.findall(r'"(?:content|text)":"([^"]+)"', event.data)
    )
    assert found == mock.answer_text("nonce-1")


@pytest.mark.proves("bench.run")
@pytest.mark.parametrize("stream", [False, True])
async def test_the_limit_answers_over_a2a(stream: bool, tmp_path: Path) -> None:
    import uvicorn

    async with mocking() as upstream:
        client = Model("127.0.0.1", upstream, "/v1")
        app = App(client, str(tmp_path / "limit.db"))
        config = uvicorn.Config(app, port=0, log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        config.load()
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve())
            async with asyncio.timeout(60):
                while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
                    await asyncio.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            turns = await load(a2a(port, "/agents/x", stream=stream), 2, 0.05, stream=stream)
            server.should_exit = True
        client.close()
    assert len(turns.latencies) >= 2


@pytest.mark.proves("bench.run")
async def test_the_report_judges_every_goal() -> None:
    async with mocking() as port:
        target: Target = model(port, stream=False)
        turns = await load(target, 1, 0.02)
    parties = (HECTOR, PROXY, LIMIT, HELLO)
    standings = {one.name: Standing(one.about, startup=[0.2], rss_ready=30, rss_loaded=40) for one in parties}
    standings[DIRECT] = Standing("mock")
    for number, standing in enumerate(standings.values()):
        measured = replace(figures(turns, 0.1), p50=9.0 - number)
        standing.cells.update({cell.name: [measured] * 3 for cell in CELLS})
    judged = list(verdicts(standings))
    assert len(judged) == 9
    report = text(standings, ["conditions"])
    assert all(one.goal in report for one in judged)
    assert as_json(standings, [])["goals"]


def test_the_mock_speaks_http_with_a_length() -> None:
    raw = mock.ANTHROPIC.plain(b"nonce-9")
    head, _, body = raw.partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head
