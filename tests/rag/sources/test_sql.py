"""Rows of databases as documents: SQLite and PostgreSQL, the same tests for both."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import pytest

from hector.config.egress import Egress
from hector.config.sources import SqlSource
from hector.core.errors import ConfigError, StoreError
from hector.core.retrieval import Item
from hector.net.gate import governed
from hector.rag.errors import Gone, SourceError
from hector.rag.sources.kinds import Around, build
from hector.rag.sources.sql import SqlRows
from hector.store.foreign import open_foreign
from hector.store.foreign_views import relation

Run: TypeAlias = Callable[[str], Awaitable[None]]

TABLE = """
CREATE TABLE "odd ""table" (
    "Id" {key}, title TEXT, "select" TEXT, "updated at" TEXT, year INTEGER, secret TEXT, draft INTEGER
);
INSERT INTO "odd ""table" VALUES
    (1, 'One', 'first text', 'v1', 2020, 'hush', 0),
    (2, 'Two', NULL, 'v1', NULL, 'hush', 0),
    (30, 'Thirty', 'drop table x; --', 'v1', 2022, 'hush', 0),
    (4, 'Draft', 'not yet', 'v1', 2022, 'hush', 1)
"""


class Db:
    """A database to be read, and a way to change it."""

    def __init__(self, dsn: str, run: Run) -> None:
        self.dsn = dsn
        self.run = run


@pytest.fixture(params=["sqlite", "postgres"])
async def db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Db]:
    if request.param == "sqlite":
        path = tmp_path / "it's & odd.db"
        with sqlite3.connect(path, isolation_level=None) as con:

            async def change(text: str) -> None:
                con.executescript(text)

            await change(TABLE.format(key="INTEGER PRIMARY KEY"))
            yield Db(f"sqlite://{path}", change)
        con.close()
        return
    dsn = request.getfixturevalue("postgres_dsn")
    raw = await asyncpg.connect(dsn)

    async def execute(text: str) -> None:
        await raw.execute(text)

    await execute(TABLE.format(key="INTEGER PRIMARY KEY"))
    yield Db(dsn, execute)
    await raw.close()


def rows(db: Db, **keys: Any) -> SqlRows:
    section = {"database": "main", **keys}
    made = build(SqlSource.model_validate({"sql": section}), Around({"main": db.dsn}))
    assert isinstance(made, SqlRows)
    return made


SLOW = """WITH RECURSIVE c(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM c WHERE id < 100000000)
          SELECT max(id) AS id FROM c"""
ODD = {
    "table": '"odd ""table"', "columns": ["title", "select"], "id_column": "Id",
    "where_clause": "draft = 0 -- no drafts", "metadata_columns": ["year"],
}  # fmt: skip


async def listed(found: AsyncIterator[Item]) -> dict[str, Item]:
    return {item.id.rpartition(":")[2]: item async for item in found}


@pytest.mark.proves("rag.sql")
@pytest.mark.parametrize("page_size", [2])
async def test_rows_are_documents(db: Db, page_size: int) -> None:
    source = rows(db, tables=[ODD], page_size=page_size)
    found = await listed(source.items())

    assert list(found) == ["1", "2", "30"]
    content = await source.read(found["30"])
    assert content.data == "title: Thirty\n\nselect: drop table x; --"
    assert content.item.metadata["year"] == 2022
    assert (await source.read(found["2"])).data == "title: Two"
    assert await listed(source.items([found["2"].id, '"odd ""table":4', '"odd ""table":77', "other:1"])) == {
        "2": found["2"]
    }
    await source.aclose()


@pytest.mark.proves("rag.sql")
@pytest.mark.parametrize("updated", ["updated at", ""])
async def test_only_what_changed_looks_changed(db: Db, updated: str) -> None:
    source = rows(db, tables=[{**ODD, "updated_column": updated}])
    before = await listed(source.items())
    await db.run("""UPDATE "odd ""table" SET title = 'Neu', "updated at" = 'v2' WHERE "Id" = 1;
                    DELETE FROM "odd ""table" WHERE "Id" = 2;
                    INSERT INTO "odd ""table" VALUES (5, 'Five', 'five', 'v1', 2024, '', 0)""")
    after = await listed(source.items())

    assert list(after) == ["1", "5", "30"]
    assert after["1"].fingerprint != before["1"].fingerprint
    assert after["30"].fingerprint == before["30"].fingerprint
    with pytest.raises(Gone):
        await source.read(before["2"])
    read = await source.read(after["1"])
    assert read.data == "title: Neu\n\nselect: first text"
    assert read.item.fingerprint == after["1"].fingerprint
    await source.aclose()


@pytest.mark.slow
async def test_other_columns_ask_for_another_reading(db: Db) -> None:
    one = rows(db, tables=[{**ODD, "updated_column": "updated at"}])
    two = rows(db, tables=[{**ODD, "updated_column": "updated at", "columns": ["title"]}])
    first, second = await listed(one.items()), await listed(two.items())

    assert first["1"].fingerprint != second["1"].fingerprint
    await one.aclose()
    await two.aclose()


@pytest.mark.proves("rag.sql")
async def test_a_query_is_read(db: Db) -> None:
    query = """SELECT "Id" AS id, title AS name, "select" AS body, year FROM "odd ""table" WHERE draft = 0 -- end"""
    source = rows(db, query=query, metadata_columns=["year"], page_size=2)
    found = await listed(source.items())

    assert list(found) == ["1", "2", "30"]
    assert found["1"].id == "query:1"
    assert (await source.read(found["1"])).data == "name: One\n\nbody: first text"
    only = rows(db, query=query, content_columns=["body"])
    assert (await only.read(found["1"])).data == "first text"
    for one in (source, only):
        await one.aclose()


@pytest.mark.slow
@pytest.mark.parametrize(
    "key",
    ["TEXT PRIMARY KEY", "UUID PRIMARY KEY", "TIMESTAMP PRIMARY KEY", "NUMERIC PRIMARY KEY", "BIGINT PRIMARY KEY"],
)
async def test_ids_of_every_kind(db: Db, key: str) -> None:
    if db.dsn.startswith("sqlite") and key.startswith("TIMESTAMP"):
        pytest.skip("SQLite has no such type")
    values = {
        "TEXT": ["a:b", "it''s", "ß", "007", "7"],
        "UUID": [f"0000000{n}-0000-4000-8000-000000000000" for n in range(3)],
        "TIMESTAMP": ["2024-01-01 00:00:00", "2024-01-01 00:00:00.5"], "NUMERIC": ["1.5", "2"],
        "BIGINT": ["-5", "9007199254740993"],
    }[key.split(" ", maxsplit=1)[0]]  # fmt: skip
    await db.run(f"CREATE TABLE keyed (id {key}, text TEXT)")
    for value in values:
        await db.run(f"INSERT INTO keyed VALUES ('{value}', 'text of {value}')")
    source = rows(db, tables=[{"table": "keyed", "columns": "text"}], page_size=1)
    found = [item async for item in source.items()]

    assert len(found) == len(values)
    texts = [(await source.read(item)).data for item in found]
    assert sorted(map(str, texts)) == sorted(f"text of {value}".replace("''", "'") for value in values)
    again = [item async for item in source.items([item.id for item in found])]
    assert {item.id: item.fingerprint for item in again} == {item.id: item.fingerprint for item in found}
    await source.aclose()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"tables": [{"table": "none", "columns": ["a"]}]}, "none"),
        ({"tables": [{"table": '"odd ""table"', "columns": ["misspelled"], "id_column": "Id"}]}, "misspelled"),
        ({"query": "SELECT 1 AS other"}, "id"),
        ({"query": 'DELETE FROM "odd ""table"'}, "(?i)syntax"),
        ({"tables": [{**ODD, "where_clause": "1=1); DELETE FROM x; --"}]}, "(?i)syntax|one statement|multiple"),
    ],
)
async def test_what_cannot_be_read_says_so(db: Db, keys: dict[str, Any], said: str) -> None:
    source = rows(db, **keys)
    with pytest.raises(SourceError, match=said):
        await listed(source.items())
    await source.aclose()


async def test_nothing_can_be_changed(db: Db) -> None:
    foreign = open_foreign(db.dsn, timeout=5)
    changing = '(SELECT 1 AS id) AS x; DELETE FROM "odd ""table"; SELECT * FROM (SELECT 2 AS id)'
    with pytest.raises(StoreError):
        await foreign.names(changing)
    await foreign.aclose()
    source = rows(db, tables=[ODD])
    assert len(await listed(source.items())) == 3
    await source.aclose()


@pytest.mark.slow
async def test_a_statement_ends_in_time(db: Db) -> None:
    source = rows(db, query=SLOW, timeout=0.2, content_columns=["id"])
    with pytest.raises(SourceError):
        async with asyncio.timeout(60):
            await listed(source.items())
    await source.aclose()


@pytest.mark.slow
async def test_a_question_that_nobody_waits_for_ends(db: Db) -> None:
    source = rows(db, query=SLOW, timeout=60, content_columns=["id"])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await listed(source.items())
    async with asyncio.timeout(60):
        await source.aclose()


async def test_a_database_that_is_away_is_an_error_and_no_empty_one(tmp_path: Path) -> None:
    for dsn in (f"sqlite://{tmp_path}/none.db", "postgres://u:hush@127.0.0.1:1/x"):
        source = build(SqlSource.model_validate({"sql": {"dsn": dsn, "query": "SELECT 1 AS id"}}))
        with pytest.raises(SourceError) as caught:
            await listed(source.items())
        assert "hush" not in str(caught.value)
    with pytest.raises(ConfigError, match="no database 'x'"):
        build(SqlSource.model_validate({"sql": {"database": "x", "query": "SELECT 1"}}))
    with pytest.raises(ConfigError, match="names of their own"):
        build(SqlSource.model_validate({"sql": {"dsn": "sqlite://x", "tables": [{"table": "a", "columns": "b"}] * 2}}))


async def test_the_egress_policy_holds_for_databases(postgres_dsn: str) -> None:
    source = build(SqlSource.model_validate({"sql": {"dsn": postgres_dsn, "query": "SELECT 1 AS id"}}))
    with governed(Egress(mode="listed")), pytest.raises(SourceError, match="purpose retrieval"):
        await listed(source.items())


async def test_bytes_are_no_text(postgres_dsn: str) -> None:
    raw = await asyncpg.connect(postgres_dsn)
    await raw.execute("CREATE TABLE blobs (id INT, data BYTEA, facts JSONB, tags TEXT[], at TIMESTAMPTZ)")
    await raw.execute("INSERT INTO blobs VALUES (1, 'x', '{\"a\": 1}', '{a,b}', '2024-01-01 12:00:00+02')")
    await raw.close()
    bad, good = (
        build(SqlSource.model_validate({"sql": {"dsn": postgres_dsn, "tables": [{"table": "public.blobs", **keys}]}}))
        for keys in ({"columns": ["data"]}, {"columns": ["facts", "tags", "at"], "metadata_columns": ["tags", "facts"]})
    )
    with pytest.raises(SourceError, match="holds bytes"):
        await listed(bad.items())
    found = await listed(good.items())
    content = await good.read(found["1"])
    assert content.data == 'facts: {"a": 1}\n\ntags: {a,b}\n\nat: 2024-01-01 10:00:00+00'
    assert content.item.metadata["tags"] == ["a", "b"]
    for source in (bad, good):
        await source.aclose()


@pytest.mark.parametrize(
    ("table", "sql"),
    [("a", '"a"'), ("s.a", '"s"."a"'), ('"a.b"', '"a.b"'), ('a"b', '"a""b"'), ('"s"."a.b"', '"s"."a.b"')],
)
def test_names_of_tables(table: str, sql: str) -> None:
    assert relation(table) == sql
