"""Vectors in PostgreSQL: on a real one with pgvector, and on one without."""

import asyncio
import json
import math
import os
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from typing import Any
from urllib.parse import quote

import pytest

from hector.apps.knowledge import knowledge_of, servers_of
from hector.config.load import parse_config
from hector.config.vectorservers import PgvectorStore
from hector.core.retrieval import Embedding, Question, VectorIndex, VectorRow
from hector.rag.errors import VectorStoreError, VectorStoreUnavailable
from hector.rag.knowledge import Knowledge
from hector.rag.stores import build
from hector.rag.stores.pgvector import conditions, facts_of, name_of
from hector.rag.stores.removal import left_in, remove
from hector.store.collection import Collection
from hector.store.vectors_pgvector_shape import Extension, shape_of, version_of
from hector.tools.catalog import Catalog
from tests.postgres import Postgres
from tests.rag.ingest.test_killed import kill, start
from tests.rag.ingest.world import EmbeddingServer, configuration, embedding_server, openai, until, write
from tests.rag.stores.test_servers import FOUR, ROWS, conform, indexes, keys, vector

real = pytest.mark.skipif("TEST_PGVECTOR" not in os.environ, reason="TEST_PGVECTOR names no PostgreSQL with pgvector")
LOW = "somebody"
LISTED = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
AT_ONCE = 8 * 4
"""Texts that are on their way at once: batches of 8."""


class WithPgvector(Postgres):
    """The one of PyPI, which was built without ICU."""

    def _run(self, command: list[str], stdin: str = "") -> str:
        return super()._run([one for one in command if "icu" not in one], stdin)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    made = WithPgvector(Path(os.environ["TEST_PGVECTOR"]))
    try:
        made.start()
        made.psql(f"CREATE ROLE {LOW} LOGIN PASSWORD 'low'")
        yield made
    finally:
        made.remove()


@pytest.fixture
def dsn(server: Postgres) -> Iterator[str]:
    name = server.create()
    yield server.dsn(name)
    server.drop(name)


def section_of(url: str, **more: Any) -> PgvectorStore:
    return PgvectorStore.model_validate({"url": url, **more})


def database_of(dsn: str) -> str:
    return dsn.rpartition("/")[2].partition("?")[0]


pytestmark = pytest.mark.proves("vector.pgvector")


@real
@pytest.mark.slow
async def test_vectors_are_kept_found_and_removed(tmp_path: Path, dsn: str) -> None:
    async with indexes(tmp_path, section_of(dsn)) as (one, two):
        await conform(one, two)


@real
@pytest.mark.slow
async def test_vectors_of_two_embeddings_are_never_mixed(tmp_path: Path, dsn: str, server: Postgres) -> None:
    async with indexes(tmp_path, section_of(dsn)) as (one, two):
        await one.open(FOUR)
        await one.add(ROWS)
        with pytest.raises(VectorStoreError, match=r"of test/four \(4 dim.*not of test/other.*--force, or configure"):
            await one.open(Embedding("test", "other", 4))
        with pytest.raises(VectorStoreError, match="not of test/seven"):
            await one.open(Embedding("test", "seven", 7))
        await two.open(Embedding("test", "seven", 7))  # whoever shares a collection has tables of his own
        await one.clear()
        assert await keys(one) == []
    async with indexes(tmp_path, section_of(dsn)) as (one, _):
        await one.clear()
        await one.open(Embedding("test", "seven", 7))
        await one.add([VectorRow(1, vector(*range(1, 8)), "a.md")])
        assert [found.key for found in await one.search(vector(*range(1, 8)), 3)] == [1]
        tables = server.psql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database_of(dsn)).split()
        assert len(tables) == 2
        server.psql(f"COMMENT ON TABLE {tables[0]} IS 'mine'; COMMENT ON TABLE {tables[1]} IS NULL", database_of(dsn))
        with pytest.raises(VectorStoreError, match="made by somebody else: name another collection"):
            await one.open(Embedding("test", "seven", 7))


@real
@pytest.mark.slow
@pytest.mark.parametrize(("size", "more"), [(2000, "vector"), (3000, "halfvec"), (4001, ""), (5, "vector")])
async def test_long_vectors_are_found_in_their_order(
    tmp_path: Path, dsn: str, server: Postgres, size: int, more: str
) -> None:
    chance = random.Random(size)
    rows = [
        VectorRow(key, vector(*(chance.gauss(0, 1) for _ in range(size))), "d.md", metadata={"odd": key % 2})
        for key in range(60)
    ]
    asked = vector(*(chance.gauss(0, 1) for _ in range(size)))
    async with indexes(tmp_path, section_of(dsn, schema="public")) as (one, _):
        await one.open(Embedding("test", "long", size))
        await one.add(rows)
        found = await one.search(asked, 10)
        best = sorted(rows, key=lambda row: -cosine(row.vector, asked))
        assert [one.key for one in found] == [row.key for row in best[:10]]
        odd = [row.key for row in best if row.key % 2]
        assert await keys_of(one, asked, {"odd": 1}) == odd
        made = server.psql("SELECT indexdef FROM pg_indexes WHERE indexdef LIKE '%hnsw%'", database_of(dsn))
        assert ("hnsw" in made) == bool(more)
        assert f"{more}_cosine_ops" in made or not more
    exact = section_of(dsn, schema="public", index="none")
    async with await Collection.open(tmp_path / "one", "docs") as collection:
        again = build(exact, "my docs-1", collection)
        await again.open(Embedding("test", "long", size))
        assert [one.key for one in await again.search(asked, 10)] == [row.key for row in best[:10]]
        await again.aclose()
    assert "hnsw" not in server.psql("SELECT indexdef FROM pg_indexes", database_of(dsn))


def cosine(one: bytes, other: bytes) -> float:
    size = len(one) // 4
    pairs = zip(struct.unpack(f"<{size}f", one), struct.unpack(f"<{size}f", other), strict=True)
    return math.fsum(a * b for a, b in pairs)


async def keys_of(index: Any, asked: bytes, where: dict[str, Any]) -> list[int]:
    return [one.key for one in await index.search(asked, 100, where)]


HOSTILE: dict[str, Any] = {
    "a'b\"c": 'x"y\\z\'); DROP TABLE docs; --', "nul\0": "a\0b", "half\ud800": "\udfff end", "": "", "$1": "{}",
    "not a number": float("nan"), "endless": float("inf"), "long": "ä" * 5000, "deep": {"a": 1}, "nothing": None,
    "many": ["a", 1, True, 2.0, None], "large": 10**30, "?": "%s {table} $2",
}  # fmt: skip


@real
@pytest.mark.slow
async def test_hostile_names_and_metadata_are_only_that(tmp_path: Path, dsn: str, server: Postgres) -> None:
    server.psql('CREATE SCHEMA "we""ird; --"', database_of(dsn))
    section = section_of(dsn, schema='we"ird; --')
    name = 'x"; DROP TABLE y; -- ' + "längst" * 30
    async with await Collection.open(tmp_path / "one", "docs") as collection:
        index = build(section, name, collection)
        await index.open(FOUR)
        await index.add([VectorRow(1, vector(1, 0, 0, 0), "a.md", metadata=HOSTILE), ROWS[1]])
        for key, value in HOSTILE.items():
            there = [1] if value not in (None, HOSTILE["deep"]) and value == value and value != float("inf") else []
            assert await keys(index, {key: value}) == there, key
        assert await keys(index, {"many": 2}) == [1]
        assert await keys(index, {"many": "1"}) == []
        assert await keys(index, {"many": []}) == []
        assert await keys(index, {"') OR TRUE --": "x"}) == []
        await index.aclose()
    listed = server.psql("SELECT schemaname, tablename FROM pg_tables WHERE tablename LIKE 'hector%'", database_of(dsn))
    assert listed.startswith('we"ird; --|hector_x___drop_table_y_____l_ngst')


@real
@pytest.mark.slow
async def test_what_a_user_may_not_do_is_said(tmp_path: Path, dsn: str, server: Postgres) -> None:
    name = database_of(dsn)
    low = server.dsn(name, user=LOW, password="low")
    async with indexes(tmp_path, section_of(low)) as (one, _):
        with pytest.raises(VectorStoreError, match=f"may not create it; then have a superuser.*in the database {name}"):
            await one.open(FOUR)
    server.psql("CREATE SCHEMA elsewhere; CREATE EXTENSION vector SCHEMA elsewhere", name)
    async with indexes(tmp_path, section_of(low)) as (one, _):
        with pytest.raises(VectorStoreError, match="GRANT CREATE, USAGE ON SCHEMA"):
            await one.open(FOUR)
    async with indexes(tmp_path, section_of(low, schema="nowhere")) as (one, _):
        with pytest.raises(VectorStoreError, match="there is no schema nowhere: create it"):
            await one.open(FOUR)
    server.psql(f"GRANT USAGE ON SCHEMA elsewhere TO {LOW}; CREATE SCHEMA own AUTHORIZATION {LOW}", name)
    async with indexes(tmp_path, section_of(low, schema="own")) as (one, two):
        await conform(one, two)  # with the types in a schema that is not searched


async def test_a_database_without_pgvector_is_said(tmp_path: Path, postgres_dsn: str) -> None:
    async with indexes(tmp_path, section_of(postgres_dsn)) as (one, _):
        with pytest.raises(VectorStoreError, match="install pgvector on the server.*CREATE EXTENSION vector") as caught:
            await one.open(FOUR)
        assert "geheim" not in str(caught.value)
        assert not caught.value.retryable
    wrong = postgres_dsn.replace(quote("p@ss:w/rd-geheim", safe=""), "wrong-secret")
    async with indexes(tmp_path, section_of(wrong)) as (one, _):
        with pytest.raises(VectorStoreError, match="refuses this user and password") as caught:
            await one.open(FOUR)
        assert "wrong-secret" not in str(caught.value)


@real
@pytest.mark.slow
async def test_a_server_that_was_away_is_back(tmp_path: Path) -> None:
    server = WithPgvector(Path(os.environ["TEST_PGVECTOR"]))
    try:
        server.start()
        name = server.create()
        async with indexes(tmp_path, section_of(server.dsn(name))) as (one, _):
            await one.open(FOUR)
            await one.add(ROWS)
            await asyncio.to_thread(server.restart, "immediate")
            assert await keys(one) == [1, 3, 2]
            await asyncio.to_thread(server.stop)
            for _ in range(2):
                with pytest.raises(VectorStoreUnavailable, match="cannot be reached"):
                    await keys(one)
            await asyncio.to_thread(server.start)
            await one.add(ROWS)
        async with indexes(tmp_path, section_of(server.dsn(name))) as (one, _):
            await one.open(FOUR, hurried=True)
            assert await keys(one) == [1, 3, 2]
    finally:
        server.remove()


@real
@pytest.mark.slow
async def test_a_statement_that_takes_too_long_is_given_up(tmp_path: Path, dsn: str, server: Postgres) -> None:
    async with indexes(tmp_path, section_of(dsn, timeout="200ms")) as (one, _):
        await one.open(FOUR)
        (table,) = server.psql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database_of(dsn)).split()
        lock = f"BEGIN; LOCK {table}; SELECT pg_sleep(3); COMMIT"
        locking = asyncio.create_task(asyncio.to_thread(server.psql, lock, database_of(dsn)))
        with pytest.raises(VectorStoreUnavailable, match="took longer than 0.2 s"):
            await until_refused(one)
        assert not locking.done()
        await locking
    async with indexes(tmp_path, section_of(dsn)) as (one, _):
        await one.open(FOUR)
        assert await keys(one) == []


async def until_refused(index: VectorIndex) -> None:
    async with asyncio.timeout(60):
        while True:
            await keys(index)


def configured(folder: Path, server: EmbeddingServer, dsn: str) -> str:
    whole = json.loads(configuration(folder, **openai(server)))
    whole["vector_stores"] = {"default": {"type": "postgres", "database": "main"}}
    whole["databases"] = {"main": {"dsn": dsn}}
    return json.dumps(whole)


def known(text: str, app: str = "default") -> Knowledge:
    return knowledge_of(parse_config(text, "hector.json", {}).config, Catalog(()), app)


async def indexed(knowledge: Knowledge, *, force: bool = False) -> tuple[int, int]:
    keeper = await knowledge.store("docs").keeper()
    await keeper.once(force=force)
    progress = await keeper.progress()
    return progress.documents, progress.pending


async def nearest(knowledge: Knowledge, text: str) -> list[tuple[str, bool]]:
    """What is found, and whether its vector is that of the question."""
    found = await knowledge.retriever(["docs"]).search(Question(text, limit=3))
    assert found.notes == ()
    assert all(one.dense is not None for one in found.passages)
    return [(one.document, (one.dense or 0) > 0.99999) for one in found.passages]


@real
@pytest.mark.slow
@pytest.mark.proves("tenant.vectors")
async def test_two_apps_share_a_database_and_never_a_document(
    tmp_path: Path, dsn: str, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with embedding_server() as embeddings:
        for app in ("default", "other"):
            (tmp_path / app).mkdir()
            write(tmp_path / app, facts=f"what the app {app} knows")
        both = {app: known(configured(tmp_path / app, embeddings, dsn), app) for app in ("default", "other")}
        for app, knowledge in both.items():
            assert await indexed(knowledge) == (1, 0)
            assert "hector_docs" in server.psql("SELECT tablename FROM pg_tables", database_of(dsn)), app
        for app, knowledge in both.items():
            assert await nearest(knowledge, "what the app other knows") == [("facts.txt", app == "other")]
        for knowledge in both.values():
            await knowledge.aclose()
        config = parse_config(configured(tmp_path / "other", embeddings, dsn), "hector.json", {}).config
        folder = both["other"].plans["docs"].folder.parent
        assert len(left_in(folder)) == 1
        tables = "SELECT tablename FROM pg_tables WHERE tablename LIKE 'hector_%'"
        before = server.psql(tables, database_of(dsn)).split()
        assert await remove(folder, servers_of(config, "other"), 20) == {}
        (gone,) = set(before) - set(server.psql(tables, database_of(dsn)).split())
        assert "other" in gone


@real
@pytest.mark.slow
@pytest.mark.parametrize("loss", ["DROP TABLE", "TRUNCATE"])
async def test_what_is_lost_while_we_run_is_sent_again(
    tmp_path: Path, dsn: str, server: Postgres, monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, facts="what there is to know")
    with embedding_server() as embeddings:
        knowledge = known(configured(tmp_path, embeddings, dsn))
        keeper = await knowledge.store("docs").keeper()
        running = asyncio.create_task(keeper.run())
        await until(keeper, "ready", scans=1)
        assert await nearest(knowledge, "what there is to know") == [("facts.txt", True)]
        (table,) = server.psql(f"{LISTED} AND tablename LIKE 'hector_%'", database_of(dsn)).split()
        server.psql(f"{loss} {table}", database_of(dsn))
        retriever = knowledge.retriever(["docs"])
        async with asyncio.timeout(60):
            while not [one for one in await passages(retriever, "what there is to know") if one.dense is not None]:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.wait([running])
        await knowledge.aclose()


async def passages(retriever: Any, text: str) -> Any:
    return (await retriever.search(Question(text, limit=3))).passages


@real
@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_indexing_that_is_killed_goes_on(
    tmp_path: Path, dsn: str, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with embedding_server() as embeddings:
        write(tmp_path, **{f"d{number}": f"document number {number}" for number in range(150)})
        text = configured(tmp_path, embeddings, dsn)
        (tmp_path / "hector.json").write_text(text, encoding="utf-8")
        embeddings.slow, kills = 1.0, 0  # longer than any of them lives
        for _ in range(4):
            kills += await asyncio.to_thread(kill, start(tmp_path, "index"), random.uniform(0.4, 2.0))
        await asyncio.to_thread(embeddings.hurry)
        knowledge = known(text)
        assert await indexed(knowledge) == (150, 0)
        assert kills
        assert sum(times - 1 for times in embeddings.texts.values()) <= AT_ONCE * kills
        (table,) = server.psql(LISTED, database_of(dsn)).split()
        assert server.psql(f"SELECT count(*) FROM {table}", database_of(dsn)) == "150"
        assert ("d77.txt", True) in await nearest(knowledge, "document number 77")
        await knowledge.aclose()
        server.psql(f"DROP TABLE {table}", database_of(dsn))  # a database that was set up anew
        before = sum(embeddings.texts.values())
        knowledge = known(text)
        assert await indexed(knowledge) == (150, 0)
        assert sum(embeddings.texts.values()) == before, "vectors that are known are not made again"
        assert ("d77.txt", True) in await nearest(knowledge, "document number 77")
        await knowledge.aclose()
        rmtree(tmp_path / ".hector" / "vectors" / "default" / "docs@default")  # deleted by hand
        knowledge = known(text)
        assert await indexed(knowledge) == (150, 0)
        await knowledge.aclose()
        (another,) = server.psql(LISTED, database_of(dsn)).split()
        assert another != table


def test_what_each_version_of_pgvector_can_do() -> None:
    def family(size: int, version: str, *, approximate: bool = True) -> str:
        return shape_of(size, Extension(version_of(version), "a b"), approximate=approximate).family

    assert family(384, "0.8.1") == '"a b".vector_cosine_ops'
    assert family(384, "0.4.4") == family(384, "0.8.0", approximate=False) == family(4001, "0.8.0") == ""
    assert family(3072, "0.7.0") == '"a b".halfvec_cosine_ops'
    assert family(3072, "0.6.2") == ""
    assert shape_of(3072, Extension((0, 8), "public"), approximate=True).column == '(embedding::"public".halfvec(3072))'
    assert [Extension(version_of(one), "").iterates for one in ("0.7.4", "0.8.0", "0.10", "1.0")] == [
        False,
        *[True] * 3,
    ]


def test_names_and_facts() -> None:
    assert [name_of(one) for one in ("docs", "My docs-1", "Größe", "__", "a" * 99)] == [
        "docs", "my_docs_1", "gr__e", "docs", "a" * 36,
    ]  # fmt: skip
    assert facts_of({"a": "b", "c": [1, None], "d": float("nan")}) == '{"a": ["b"], "c": [1], "d": []}'
    assert conditions({"a": ["b", 1], "d": float("nan")}) == [['{"a": ["b"]}', '{"a": [1]}'], []]
