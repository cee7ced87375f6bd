"""What a vector server loses while we run is noticed by the next search or the next vector, and sent again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hector.rag.ingest import Keeper
from hector.rag.knowledge import Knowledge
from tests.rag.ingest.world import EmbeddingServer, embedding_server, found, knowledge, openai, until, write
from tests.rag.stores.servers import KEY, QdrantServer, Server


@asynccontextmanager
async def kept(folder: Path, embedder: EmbeddingServer) -> AsyncIterator[tuple[Server, Knowledge, Keeper]]:
    """Two documents, whose vectors are on the server."""
    write(folder, one="the first of them", two="and another text")
    async with QdrantServer().running() as server, asyncio.timeout(60):
        there = {"type": "qdrant", "host": server.url, "api_key": KEY, "enable_tls": False}
        known = knowledge(folder, **openai(embedder), vectors=there)
        keeper = await known.store("docs").keeper()
        running = asyncio.create_task(keeper.run())
        try:
            await until(keeper, "ready", scans=1)
            yield server, known, keeper
        finally:
            running.cancel()
            await asyncio.wait([running])
            await known.aclose()


def count(server: Server) -> int:
    return sum(map(len, server.held.values()))


async def lose(server: Server, how: str) -> None:
    """Nothing is there any more: no collection, or an empty one."""
    assert count(server) == 2
    for held in server.held.values():
        held.clear()
    if how == "dropped":
        server.held.clear()
        server.dimension.clear()


async def back(server: Server, number: int) -> None:
    while count(server) < number:  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0.02)


@pytest.mark.proves("vector.servers")
@pytest.mark.parametrize("how", ["dropped", "emptied"])
async def test_a_search_notices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.chdir(tmp_path)
    with embedding_server() as embedder:
        async with kept(tmp_path, embedder) as (server, known, _):
            await lose(server, how)
            for _ in range(2):  # one fails, or finds nothing, and the next one looks for the reason
                assert "one.txt" in await found(known, "the first of them")
            await back(server, 2)
            assert (await found(known, "the first of them"))[0] == "one.txt"
    assert embedder.texts["and another text"] == 1, "what was embedded is kept"


@pytest.mark.proves("vector.servers")
async def test_the_next_vector_notices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with embedding_server() as embedder:
        async with kept(tmp_path, embedder) as (server, _, keeper):
            await lose(server, "dropped")
            write(tmp_path, three="something new")
            keeper.ask()
            await back(server, 3)
            assert (await until(keeper, "ready", scans=2)).trouble == ""
