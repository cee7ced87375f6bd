"""pgvector: `index.Keeping` over tables of a PostgreSQL database."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from hector.core.errors import HectorError, StoreUnavailable
from hector.core.retrieval import Embedding, Metadata, Scored, VectorRow
from hector.rag.errors import RagError, VectorStoreError, VectorStoreUnavailable
from hector.store.collection_rows import clean
from hector.store.vectors_pgvector import PgVectors, VectorTable

BATCH: Final = 128
LONGEST_VALUE: Final = 1000
"""Characters of a text that filters can ask for."""
_LONGEST_NAME: Final = 36
"""Of a table's name the part that tells the collection: with the rest, and what indexes add, 63 are not exceeded."""


class Pgvector:
    """One collection's tables: one for each index that is kept there."""

    def __init__(self, table: VectorTable) -> None:
        """`table.name` is what the collection is called."""
        self._table = table
        self._open: dict[str, PgVectors] = {}

    async def prepare(self, index: str, embedding: Embedding, *, anew: bool, make: bool, hurried: bool) -> bool:
        """Make the table of the index, if there is none."""
        try:
            return await self._of(index).prepare(embedding, anew=anew, make=make)
        except HectorError as error:
            raise _said(error) from None

    async def find(self) -> bool:
        """A table that is not there is none that cannot be dropped."""
        return True

    async def add(self, index: str, rows: Sequence[VectorRow]) -> None:
        """Upsert, a batch in each transaction."""
        for at in range(0, len(rows), BATCH):
            part = [(row.key, facts_of(row.metadata), row.vector) for row in rows[at : at + BATCH]]
            try:
                await self._of(index).add(part)
            except HectorError as error:
                raise _said(error) from None

    async def describe(self, index: str, rows: Sequence[VectorRow]) -> Sequence[int]:
        """Vectors stay as they are."""
        try:
            await self._of(index).describe([(row.key, facts_of(row.metadata)) for row in rows])
        except HectorError as error:
            raise _said(error) from None
        return ()

    async def remove(self, index: str, keys: Sequence[int]) -> None:
        """By key."""
        try:
            await self._of(index).remove(keys)
        except HectorError as error:
            raise _said(error) from None

    async def search(self, index: str, vector: bytes, limit: int, where: Metadata | None) -> Sequence[Scored]:
        """The nearest of those that fulfil all conditions."""
        try:
            return await self._of(index).search(vector, limit, conditions(where))
        except HectorError as error:
            raise _said(error) from None

    async def clear(self, index: str) -> None:
        """Empty the table."""
        try:
            await self._of(index).clear()
        except HectorError as error:
            raise _said(error) from None

    async def drop(self, index: str) -> None:
        """Its table goes."""
        tables = self._of(index)
        try:
            await tables.drop()
        except HectorError as error:
            raise _said(error) from None
        finally:
            await self._open.pop(index).aclose()

    async def aclose(self) -> None:
        """Hang up."""
        while self._open:
            await self._open.popitem()[1].aclose()

    def _of(self, index: str) -> PgVectors:
        if index not in self._open:
            name = f"hector_{name_of(self._table.name)}_{index}"
            self._open[index] = PgVectors(replace(self._table, name=name))
        return self._open[index]


def name_of(collection: str) -> str:
    """What tells people the collection of a table; the identity of the index behind it tells tables apart."""
    return re.sub(r"\W", "_", collection, flags=re.ASCII).lower()[:_LONGEST_NAME].strip("_") or "docs"


def facts_of(metadata: Metadata) -> str:
    """What filters ask for as a JSON object: a list of values for each name."""
    return json.dumps({clean(name): _values(value) for name, value in metadata.items()}, ensure_ascii=False)


def conditions(where: Metadata | None) -> list[list[str]]:
    """For each name in a filter the JSON objects of which the facts must hold one."""
    return [
        [json.dumps({clean(name): [one]}, ensure_ascii=False) for one in _values(value)]
        for name, value in (where or {}).items()
    ]


def _values(value: Any) -> list[str | int | float | bool]:
    """Those that JSON in PostgreSQL has; longer texts are cut."""
    found: list[str | int | float | bool] = []
    for one in value if isinstance(value, list | tuple | set | frozenset) else (value,):
        if isinstance(one, str):
            found.append(clean(one)[:LONGEST_VALUE])
        elif isinstance(one, bool | int) or (isinstance(one, float) and math.isfinite(one)):
            found.append(one)
    return found


def _said(error: HectorError) -> RagError:
    if isinstance(error, RagError):
        return error
    return VectorStoreUnavailable(str(error)) if isinstance(error, StoreUnavailable) else VectorStoreError(str(error))
