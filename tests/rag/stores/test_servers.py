"""Vectors on servers: the same must hold on all kinds, and on a real Chroma where there is one."""

import asyncio
import math
import os
import socket
import struct
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from typing import Any

import httpx
import pytest

from hector.config.vectorservers import (
    ChromaStore,
    MilvusStore,
    PineconeStore,
    QdrantStore,
    VectorServer,
    WeaviateStore,
)
from hector.config.vectorstores import VectorStoreBase
from hector.core.clock import SystemClock
from hector.core.retrieval import Chunk, Embedding, Item, Purpose, VectorIndex, VectorRow
from hector.rag.errors import VectorStoreError, VectorStoreUnavailable
from hector.rag.ingest_fill import Filler
from hector.rag.ingest_progress import Tally
from hector.rag.stores import build, reach
from hector.rag.stores.removal import left_in, remove
from hector.rag.stores.traces import file_of, keep
from hector.rag.stores.weaviate import class_of
from hector.store.collection import Collection
from hector.store.collection_rows import Document
from hector.store.database import Connection
from tests.rag.ingest.world import CountingEmbedder
from tests.rag.stores.servers import KEY, MilvusServer, PineconeServer, QdrantServer, Server, WeaviateServer

FOUR = Embedding("test", "four", 4)
KINDS: Mapping[str, tuple[type[Server], type[VectorServer]]] = {
    "qdrant": (QdrantServer, QdrantStore),
    "weaviate": (WeaviateServer, WeaviateStore),
    "milvus": (MilvusServer, MilvusStore),
    "pinecone": (PineconeServer, PineconeStore),
}
PROVED = [
    pytest.param("qdrant", marks=pytest.mark.proves("vector.qdrant")),
    pytest.param("weaviate", marks=pytest.mark.proves("vector.weaviate")),
    pytest.param("milvus", marks=pytest.mark.proves("vector.milvus")),
    pytest.param("pinecone", marks=pytest.mark.proves("vector.pinecone")),
]


def vector(*numbers: float) -> bytes:
    size = math.sqrt(sum(one * one for one in numbers))
    return struct.pack(f"<{len(numbers)}f", *(one / size for one in numbers))


def section_of(kind: str, url: str, **more: Any) -> VectorServer:
    retry = {"max_attempts": 3, "initial_delay": 0.01, "max_delay": 0.05}
    base = {"api_key": KEY, "retry": retry, "enable_tls": False, **more}
    if kind == "pinecone":
        return PineconeStore.model_validate({"control_url": url, **base})
    return KINDS[kind][1].model_validate({"host": url, **base})


@asynccontextmanager
async def indexes(folder: Path, section: VectorStoreBase) -> AsyncIterator[tuple[VectorIndex, VectorIndex]]:
    """Two collections on disk whose vectors are in the same collection of one server."""
    async with (
        await Collection.open(folder / "one", "docs") as one,
        await Collection.open(folder / "two", "docs") as two,
    ):
        made = build(section, "my docs-1", one), build(section, "my docs-1", two)
        try:
            yield made
        finally:
            for index in made:
                await index.aclose()


async def opened(index: VectorIndex) -> None:
    """Once the server is ready: some say that they need a moment."""
    for _ in range(20):
        try:
            await index.open(FOUR)
            return
        except VectorStoreUnavailable:
            await asyncio.sleep(0.01)
    pytest.fail("it was never ready")


async def keys(index: VectorIndex, where: Mapping[str, Any] | None = None, limit: int = 10) -> list[int]:
    return [one.key for one in await index.search(vector(1, 0.1, 0, 0), limit, where)]


ROWS = (
    VectorRow(1, vector(1, 0, 0, 0), "a.md", "one", {"lang": "de", "year": 2020}),
    VectorRow(2, vector(0, 1, 0, 0), "b.md", "two", {"lang": "en", "tags": ["x", 'y"\\and]']}),
    VectorRow(3, vector(1, 1, 0, 0), "c.md", "three", {"lang": "en", "year": 2021, "draft": True}),
)


async def conform(one: VectorIndex, two: VectorIndex) -> None:
    await one.clear()
    await opened(one)
    await opened(one)
    await opened(two)
    assert await keys(one) == []
    await one.add(ROWS)
    await two.add([VectorRow(1, vector(1, 0, 0, 0), "secret.md", "of another", {"lang": "de"})])
    found = await one.search(vector(1, 0.1, 0, 0), 10)
    assert [one.key for one in found] == [1, 3, 2]
    assert found[0].score == pytest.approx(0.995, abs=0.001)
    assert found[2].score == pytest.approx(0.0995, abs=0.001)
    assert await keys(one, limit=2) == [1, 3]
    assert await keys(one, {"lang": "en"}) == [3, 2]
    assert await keys(one, {"lang": ["en", "de"], "year": [2020, 2021]}) == [1, 3]
    assert await keys(one, {"tags": 'y"\\and]'}) == [2]
    assert await keys(one, {"draft": True}) == [3]
    assert await keys(one, {"lang": 'en" or index != "'}) == []
    await one.add([VectorRow(2, vector(0, 0, 1, 0), "b.md", "two again", {"lang": "fr"})])
    await one.remove([1, 77])
    assert await keys(one) == [3, 2]
    assert await keys(one, {"lang": "fr"}) == [2]
    assert await one.describe([VectorRow(2, vector(0, 0, 1, 0), "b.md", "two again", {"lang": "it"})]) in ([], ())
    assert (await keys(one, {"lang": "fr"}), await keys(one, {"lang": "it"})) == ([], [2])
    if not await one.describe([VectorRow(2, b"", "b.md", "two again", {"lang": ["pt", "es"]})]):
        assert (await keys(one, {"lang": "it"}), await keys(one, {"lang": "es"})) == ([], [2])
        await one.describe([VectorRow(77, b"", "gone.md", "", {"lang": "es"})])
        assert await keys(one) == [3, 2], "the vector is as it was, and there is none that was not"
    await one.add([VectorRow(key, vector(1, key, 0, 1), "d.md") for key in range(10, 300)])
    await one.clear()
    assert await keys(one) == []
    assert await keys(two) == [1], "what others have there stays"


@pytest.mark.parametrize("kind", PROVED)
async def test_vectors_are_kept_found_and_removed(tmp_path: Path, kind: str) -> None:
    async with KINDS[kind][0]().running() as server, indexes(tmp_path, section_of(kind, server.url)) as (one, two):
        await conform(one, two)


@pytest.mark.proves("vector.servers")
@pytest.mark.parametrize(
    ("kind", "cached"),
    [("milvus", True), *((one, False) for one in KINDS)],  # all but Milvus need no vector
)
async def test_other_metadata_of_the_same_text_reaches_the_server(tmp_path: Path, kind: str, *, cached: bool) -> None:
    async with KINDS[kind][0]().running() as server, await Collection.open(tmp_path / "one", "docs") as docs:
        index, embedder = build(section_of(kind, server.url), "docs", docs), CountingEmbedder()
        filler = Filler(docs, embedder, index, Tally(), SystemClock())
        item = Item("a.md", "a.md", "", metadata={})
        for lang in ("de", "en"):
            item = replace(item, metadata={"lang": lang, "mtime": 1})
            await docs.put(Document(item, lang), [Chunk(0, "one"), Chunk(1, "two")])
            await drained(filler)
            if not cached:
                await docs.file.write(forgetting)
        await docs.put(Document(replace(item, metadata={"lang": "en", "mtime": 2}), "later"), [Chunk(0, "one")])
        assert await docs.stale(9) == []
        (asked,) = await embedder.embed(["one"], "query")
        assert [len(await index.search(asked, 9, {"lang": lang})) for lang in ("de", "en")] == [0, 2]
        assert embedder.texts.total() == (4 if kind == "milvus" and not cached else 2)
        await index.aclose()


@pytest.mark.proves("vector.servers")
async def test_metadata_that_changes_while_vectors_are_made_reaches_the_server(tmp_path: Path) -> None:
    async with KINDS["qdrant"][0]().running() as server, await Collection.open(tmp_path / "one", "docs") as docs:

        class Interrupted(CountingEmbedder):
            async def embed(self, texts: Sequence[str], purpose: Purpose) -> Sequence[bytes]:
                if purpose == "document":
                    await docs.put(written("en"), [Chunk(0, "one")])
                return await super().embed(texts, purpose)

        def written(lang: str) -> Document:
            return Document(Item("a.md", "a.md", "", metadata={"lang": lang}), lang)

        index, embedder = build(section_of("qdrant", server.url), "docs", docs), Interrupted()
        await docs.put(written("de"), [Chunk(0, "one")])
        await drained(Filler(docs, embedder, index, Tally(), SystemClock()))
        assert await docs.stale(9) == []
        (asked,) = await embedder.embed(["one"], "query")
        assert [len(await index.search(asked, 9, {"lang": lang})) for lang in ("de", "en")] == [0, 1]
        await index.aclose()


@pytest.mark.proves("vector.servers")
@pytest.mark.parametrize("kind", ["qdrant", *(pytest.param(one, marks=pytest.mark.slow) for one in [*KINDS][1:])])
async def test_vectors_of_an_index_that_was_deleted_by_hand_go(tmp_path: Path, kind: str) -> None:
    async with KINDS[kind][0]().running() as server:
        section = section_of(kind, server.url)
        for _ in range(2):
            async with indexes(tmp_path, section) as (one, two):
                await opened(one)
                await opened(two)
                await one.add(ROWS[:2])
                await two.add(ROWS[2:])
                assert (await keys(one), await keys(two)) == ([1, 2], [3])
            assert sum(map(len, server.held.values())) == 3
            rmtree(tmp_path / "one")
            assert sorted(os.listdir(tmp_path)) == [".one.indexes", ".two.indexes", "two"]
        file_of(tmp_path / "one").write_text("[[", encoding="utf-8")
        async with indexes(tmp_path, section) as (one, _):
            await opened(one)
            assert await keys(one) == []


@pytest.mark.proves("vector.servers")
@pytest.mark.parametrize("kind", [*KINDS])
async def test_vectors_that_somebody_dropped_on_the_server_are_sent_again(tmp_path: Path, kind: str) -> None:
    embedder = CountingEmbedder()
    async with KINDS[kind][0]().running() as server:
        for happened in ("", "emptied", "dropped"):
            if happened == "dropped":
                server.held.clear()
                server.dimension.clear()
            for held in server.held.values():
                held.clear()
            async with await Collection.open(tmp_path / "one", "docs") as docs:
                assert docs.lead()
                await docs.put(Document(Item("a.md", "a.md", ""), "a"), [Chunk(0, "one"), Chunk(1, "two")])
                index = build(section_of(kind, server.url), "docs", docs)
                await drained(Filler(docs, embedder, index, Tally(), SystemClock()))
                (asked,) = await embedder.embed(["one"], "query")
                assert len(await index.search(asked, 9)) == 2, happened
                await index.aclose()
    assert embedder.texts.total() == 2, "what was embedded is kept"


async def removed(folder: Path, section: VectorStoreBase) -> None:
    """All that the folder's traces name, as for an app that is deleted; twice, as after a crash."""
    place, _ = reach(section, "my docs-1")
    for _ in range(2):
        assert await remove(folder, {place: lambda: reach(section, "my docs-1")[1]}, 20) == {}
        assert left_in(folder) == []


@pytest.mark.proves("vector.servers", "tenant.vectors")
@pytest.mark.parametrize("kind", ["qdrant", *(pytest.param(one, marks=pytest.mark.slow) for one in [*KINDS][1:])])
async def test_vectors_of_a_deleted_app_go_and_nothing_is_made_for_that(tmp_path: Path, kind: str) -> None:
    async with KINDS[kind][0]().running() as server:
        section = section_of(kind, server.url)
        async with indexes(tmp_path / "gone", section) as (one, two), indexes(tmp_path / "kept", section) as (kept, _):
            for index in (one, two, kept):
                await opened(index)
                await index.add(ROWS)
            assert sum(map(len, server.held.values())) == 9
            await removed(tmp_path / "gone", section)
            assert sum(map(len, server.held.values())) == 3
            assert sorted(await keys(kept)) == [1, 2, 3]
    async with KINDS[kind][0]().running() as empty:
        section = section_of(kind, empty.url)
        place, _ = reach(section, "my docs-1")
        keep(tmp_path / "gone" / "one", [(place, "0" * 16)])
        await removed(tmp_path / "gone", section)
        assert empty.held == {}
    assert await remove(tmp_path / "kept", {}, 20) != {}


async def drained(filler: Filler) -> None:
    for _ in range(20):
        try:
            await filler.drain()
            return
        except VectorStoreUnavailable:
            await asyncio.sleep(0.01)
    pytest.fail("it was never ready")


async def forgetting(con: Connection) -> None:
    """As if so much else had been embedded since that vectors are not kept any more."""
    await con.execute("DELETE FROM vectors")


async def sent_again_to_chroma(folder: Path, url: str) -> None:
    """Once into a new collection, once after somebody deleted that."""
    embedder, section = CountingEmbedder(), ChromaStore.model_validate({"host": url})
    for _ in range(2):
        async with await Collection.open(folder / "three", "docs") as docs, httpx.AsyncClient() as client:
            assert docs.lead()
            await docs.put(Document(Item("a.md", "a.md", ""), "a"), [Chunk(0, "one"), Chunk(1, "two")])
            index = build(section, "again", docs)
            await drained(Filler(docs, embedder, index, Tally(), SystemClock()))
            (asked,) = await embedder.embed(["one"], "query")
            assert len(await index.search(asked, 9)) == 2
            await index.aclose()
            path = "/api/v2/tenants/default_tenant/databases/default_database/collections/again"
            assert (await client.delete(f"{url}{path}")).is_success
    assert embedder.texts.total() == 2


async def removed_from_nothing(folder: Path, section: VectorStoreBase) -> None:
    """Where there is no such collection."""
    place, keeping = reach(section, "never made")
    assert not await keeping.find()
    await keeping.aclose()
    keep(folder / "one", [(place, "0" * 16)])
    assert await remove(folder, {place: lambda: reach(section, "never made")[1]}, 20) == {}


@pytest.mark.slow
@pytest.mark.proves("vector.chroma")
@pytest.mark.skipif("TEST_CHROMA" not in os.environ, reason="TEST_CHROMA names no program of a Chroma server")
async def test_a_real_chroma(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = [
        os.environ["TEST_CHROMA"],
        "run",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--path",
        str(tmp_path / "db"),
    ]
    process = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL, stderr=DEVNULL)
    try:
        async with asyncio.timeout(60), httpx.AsyncClient() as client:
            while True:
                try:
                    await client.get(f"http://127.0.0.1:{port}/api/v2/heartbeat")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
        section = ChromaStore.model_validate({"host": "127.0.0.1", "port": port})
        async with indexes(tmp_path, section) as (one, two):
            await conform(one, two)
            with pytest.raises(VectorStoreError, match="of 4 numbers.*these have 7"):
                await one.open(Embedding("test", "seven", 7))
            await removed(tmp_path, section)
            assert await keys(one) == []
        await sent_again_to_chroma(tmp_path / "again", f"http://127.0.0.1:{port}")
        await removed_from_nothing(tmp_path, ChromaStore.model_validate({"host": "127.0.0.1", "port": port}))
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.proves("vector.servers")
@pytest.mark.parametrize("kind", ["qdrant", "milvus", "pinecone"])
async def test_a_collection_of_other_vectors_is_refused(tmp_path: Path, kind: str) -> None:
    async with KINDS[kind][0]().running() as server, indexes(tmp_path, section_of(kind, server.url)) as (one, two):
        await opened(one)
        with pytest.raises(VectorStoreError, match="7 numbers|have 7"):
            await two.open(Embedding("test", "seven", 7))


@pytest.mark.proves("vector.servers")
async def test_weaviate_says_which_vectors_it_refuses(tmp_path: Path) -> None:
    async with WeaviateServer().running() as server, indexes(tmp_path, section_of("weaviate", server.url)) as (one, _):
        await opened(one)
        await one.add(ROWS)
        with pytest.raises(VectorStoreError, match="vector lengths don't match"):
            await one.add([VectorRow(9, vector(1, 2, 3), "d.md")])


@pytest.mark.proves("vector.servers")
@pytest.mark.parametrize("kind", [*KINDS])
async def test_a_wrong_key_is_said_and_never_shown(tmp_path: Path, kind: str) -> None:
    async with KINDS[kind][0]().running() as server:
        section = section_of(kind, server.url, api_key="wrong-key-0123456789")
        async with indexes(tmp_path, section) as (one, _):
            with pytest.raises(VectorStoreError) as caught:
                await one.open(FOUR)
            assert "wrong-key" not in str(caught.value)
            assert server.url in str(caught.value) or kind == "milvus"
            assert not caught.value.retryable


@pytest.mark.proves("vector.pinecone")
async def test_the_index_is_the_one_that_is_named(tmp_path: Path) -> None:
    made = PineconeServer()
    async with made.running() as server:
        section = section_of("pinecone", server.url, index_name="own-index", environment="gcp:europe-west4")
        async with indexes(tmp_path, section) as (one, _):
            await opened(one)
        assert list(made.dimension) == ["own-index"]
        assert made.where == {"cloud": "gcp", "region": "europe-west4"}


@pytest.mark.proves("vector.servers")
async def test_what_passes_is_waited_for_and_what_does_not_is_said(tmp_path: Path) -> None:
    async with QdrantServer().running() as server, indexes(tmp_path, section_of("qdrant", server.url)) as (one, _):
        server.troubles = [(503, {}, "starting"), (429, {"retry-after": "0"}, "slow down")]
        await one.open(FOUR)
        server.troubles = [(500, {}, "a defect")] * 3
        with pytest.raises(VectorStoreUnavailable, match="it answers 500: a defect"):
            await one.add(ROWS)
        server.troubles = [(400, {}, "no such thing")]
        with pytest.raises(VectorStoreError, match="it answers 400: no such thing") as caught:
            await one.add(ROWS)
        assert not caught.value.retryable
        server.troubles = [(200, {}, "<html>"), (200, {}, '{"result": {"points": [{}]}, "status": "ok"}')]
        with pytest.raises(VectorStoreError, match="something else than JSON"):
            await keys(one)
        with pytest.raises(VectorStoreError, match="answers a search oddly"):
            await keys(one)


@pytest.mark.proves("vector.servers")
async def test_a_server_that_is_away_may_come_back(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    retry = {"max_attempts": 10, "initial_delay": 60.0}
    async with indexes(tmp_path, section_of("qdrant", f"http://127.0.0.1:{port}", retry=retry)) as (one, _):
        async with asyncio.timeout(60):  # nobody who waits for an answer waits for the server
            for _ in range(3):
                with pytest.raises(VectorStoreUnavailable, match="connection refused"):
                    await one.open(FOUR, hurried=True)


def test_names_that_servers_take() -> None:
    assert [class_of(one) for one in ("docs", "my docs-1", "1st", "_x", "Größe")] == [
        "Docs", "My_docs_1", "C1st", "C_x", "Gr__e",
    ]  # fmt: skip


def test_hosts_and_addresses() -> None:
    def url(**more: Any) -> str:
        return QdrantStore.model_validate({"host": "db", **more}).base_url()

    assert url() == "http://db:6333"
    assert url(enable_tls=True, port=443) == "https://db:443"
    assert url(host="::1") == "http://[::1]:6333"
    assert url(host="https://x.cloud.example:6333/") == "https://x.cloud.example:6333"
