"""Vectors in a PostgreSQL database that has the pgvector extension: one table for each index.

A table of its own has vectors of one embedding alone, which its comment names; searches need no condition that says
whose vectors are meant, so that the approximate index of pgvector finds what it should; and clearing is dropping.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from hector.config.postgres import PostgresAddress
from hector.core.errors import StoreError, StoreUnavailable
from hector.core.record import dataclass
from hector.core.retrieval import Embedding, Scored
from hector.store.collection_rows import embedding_of, embedding_text
from hector.store.foreign_views import quoted
from hector.store.queries import load
from hector.store.vectors_pgvector_lines import Lines
from hector.store.vectors_pgvector_shape import Extension, Shape, shape_of, version_of

if TYPE_CHECKING:
    Raw = asyncpg.Connection[asyncpg.Record]

_BUILD: Final = 3600.0
"""Seconds that making an index may take, of a table that is full already."""


@dataclass(frozen=True, slots=True)
class VectorTable:
    """Which table, how long a statement may take (seconds), and whether it gets an approximate index.

    `schema` empty: the first one of the search path.
    """

    address: PostgresAddress
    schema: str
    name: str
    timeout: float
    approximate: bool = True

    @property
    def place(self) -> str:
        """As SQL."""
        return f"{quoted(self.schema)}.{quoted(self.name)}" if self.schema else quoted(self.name)

    @property
    def told(self) -> str:
        """For people: no password in it."""
        return f"table {self.schema and self.schema + '.'}{self.name} of PostgreSQL at {self.address.place}"


class PgVectors:
    """Connects when it is first asked for something. Raises StoreError, StoreUnavailable, StartupError."""

    def __init__(self, table: VectorTable) -> None:
        self.table = table
        self._sql = load("vectors/pgvector", "postgres")
        self._lines = Lines(table.address, table.timeout, table.schema)
        self._shape: Shape | None = None

    async def prepare(self, embedding: Embedding, *, anew: bool, make: bool) -> bool:
        """Make the table where there is none, with `anew` in the place of one that is there; with `make`, is it empty?

        Raises StoreError where the one that is there holds other vectors; without `make`, where there is none.
        """
        await self._with_extension(make=make)

        async def run(raw: "Raw") -> bool:
            return await self._prepare(raw, embedding, anew=anew, make=make)

        return await self._lines.run(run)

    async def _prepare(self, raw: "Raw", embedding: Embedding, *, anew: bool, make: bool) -> bool:
        shape = shape_of(embedding.dimension, self._lines.known(), approximate=self.table.approximate)
        note = await raw.fetchval(self._sql["table"], self.table.place)
        if note is None and not make:
            raise StoreUnavailable(f"the {self.table.told} is not there yet: the process that indexes makes it")
        self._shape = shape
        if note is not None and not anew:
            self._fits(note, embedding)
            if make:
                await self._index(raw, shape)
            return make and bool(await raw.fetchval(self._form("empty")))
        async with raw.transaction():
            await raw.execute(self._form("drop"))
            await raw.execute(self._form("create", type=f"{shape.vector}({embedding.dimension})"))
            await raw.execute(self._form("comment", note=_literal(_note(embedding))))
            await raw.execute(self._form("facts_index"))
            await self._index(raw, shape)
        return True

    async def add(self, rows: Sequence[tuple[int, str, bytes]]) -> None:
        """(key, what filters ask for as JSON, vector); in the place of what was there of these keys."""

        async def run(raw: "Raw") -> None:
            await raw.executemany(self._form("upsert"), rows)

        await self._lines.run(run)

    async def describe(self, rows: Sequence[tuple[int, str]]) -> None:
        """(key, what filters ask for as JSON) of vectors that are there."""

        async def run(raw: "Raw") -> None:
            await raw.executemany(self._form("describe"), rows)

        await self._lines.run(run)

    async def remove(self, keys: Sequence[int]) -> None:
        """Those that are not there are nothing to complain about."""

        async def run(raw: "Raw") -> None:
            await raw.execute(self._form("remove"), list(keys))

        await self._lines.run(run)

    async def search(self, vector: bytes, limit: int, any_of: Sequence[Sequence[str]]) -> list[Scored]:
        """The best first, by the cosine. `any_of`: for each condition JSON, of which the facts must hold one."""
        if not all(any_of):
            return []
        numbers = iter(range(2, 2 + sum(map(len, any_of))))
        each = [" OR ".join(f"facts @> ${next(numbers)}::text::jsonb" for _ in texts) for texts in any_of]
        where = f" WHERE ({') AND ('.join(each)})" if each else ""
        args = [text for texts in any_of for text in texts]

        async def run(raw: "Raw") -> list[Scored]:
            coarse = self._shape is not None and self._shape.half
            text = self._form(
                "search_coarse" if coarse else "search", where=where, limit=str(int(limit)), wide=str(2 * int(limit))
            )
            return [Scored(row[0], row[1]) for row in await raw.fetch(text, vector, *args)]

        return await self._lines.run(run)

    async def clear(self) -> None:
        """Remove all vectors."""

        async def run(raw: "Raw") -> None:
            await raw.execute(self._form("clear"))

        await self._lines.run(run)

    async def drop(self) -> None:
        """Remove the table."""

        async def run(raw: "Raw") -> None:
            await raw.execute(self._form("drop"))

        await self._lines.run(run, plain=True)

    async def aclose(self) -> None:
        """Close connections."""
        await self._lines.aclose()

    # Tables

    async def _index(self, raw: "Raw", shape: Shape) -> None:
        """Have the approximate index that is wanted, and no other."""
        if shape.family:
            await raw.execute(self._form("nearest_index"), timeout=_BUILD)
        else:
            await raw.execute(self._form("drop_index"))

    def _fits(self, note: str, embedding: Embedding) -> None:
        there = _noted(note)
        if there is None:
            raise StoreError(f"the {self.table.told} was made by somebody else: name another collection, or schema")
        if there != embedding:
            raise StoreError(
                f"the {self.table.told} holds vectors of {_told(there)}, not of {_told(embedding)}: index again with "
                "--force, or configure the embedder that made them"
            )

    def _form(self, name: str, **parts: str) -> str:
        """A statement with the names of this table, which are quoted, put in."""
        shape = self._shape
        own = {
            "table": self.table.place, "facts": quoted(f"{self.table.name}_f"),
            "nearest": quoted(f"{self.table.name}_n"), "place": self.table.schema and f"{quoted(self.table.schema)}.",
        }  # fmt: skip
        of_shape = shape.parts() if shape is not None else {}
        return self._sql[name].format(**own, **of_shape, **parts)

    # The extension

    async def _with_extension(self, *, make: bool) -> None:
        if self._lines.extension is None:
            await self._lines.run(lambda raw: self._find(raw, make=make), plain=True)

    async def _find(self, raw: "Raw", *, make: bool) -> None:
        there = await raw.fetchrow(self._sql["extension"])
        if there is None:
            if make:
                await self._create(raw)
            there = await raw.fetchrow(self._sql["extension"])
        if there is None:
            raise StoreUnavailable(self._lacking("it is made by the process that indexes"))
        self._lines.extension = Extension(version_of(there[0]), there[1])

    async def _create(self, raw: "Raw") -> None:
        if await raw.fetchval(self._sql["available"]) is None:
            raise StoreError(
                self._lacking("install pgvector on the server (Debian: postgresql-<version>-pgvector) first")
            )
        try:
            await raw.execute(self._sql["create_extension"])
        except asyncpg.InsufficientPrivilegeError:
            raise StoreError(self._lacking("this user may not create it")) from None
        except (asyncpg.UniqueViolationError, asyncpg.DuplicateObjectError):
            return  # somebody else was faster

    def _lacking(self, why: str) -> str:
        address = self.table.address
        return (
            f"PostgreSQL at {address.place} has no extension vector in this database: {why}; then have a superuser run "
            f"CREATE EXTENSION vector in the database {address.database or ''}".rstrip()
        )


def _note(embedding: Embedding) -> str:
    return json.dumps({"hector": 1, "embedding": embedding_text(embedding)})


def _noted(note: str) -> Embedding | None:
    try:
        found: Mapping[str, Any] = json.loads(note)
        return embedding_of(found["embedding"])
    except (ValueError, LookupError, TypeError):
        return None


def _told(embedding: Embedding) -> str:
    return f"{embedding.provider}/{embedding.model} ({embedding.dimension} dimensions)"


def _literal(text: str) -> str:
    """As SQL; backslashes are none of PostgreSQL's business while standard_conforming_strings is on."""
    return "'" + text.replace("'", "''") + "'"
