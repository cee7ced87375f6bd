"""Milvus over version 2 of its RESTful interface. Source: its API reference, versions 2.4 to 2.6 (milvus.io).

Every answer has status 200; `code` says how it went.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hector.core.content import JsonObject
from hector.core.retrieval import Scored
from hector.rag.errors import VectorStoreError
from hector.rag.stores.wire import LONGEST_TAG, MOST_TAGS, Ask, Call, Point, Wanted, plain, with_numbers

_BASE: Final = "/v2/vectordb"
_BYTES: Final = 4 * LONGEST_TAG


class Milvus:
    """`wire.Wire`."""

    service: Final = "Milvus"
    batch: Final = 128
    merges: Final = False

    def __init__(self, collection: str, database: str) -> None:
        self._collection = re.sub(r"\W", "_", collection, flags=re.ASCII)
        if not self._collection[:1].isalpha():
            self._collection = f"c_{self._collection}"
        self._names: JsonObject = {"collectionName": self._collection} | ({"dbName": database} if database else {})

    def authorization(self, key: str) -> Mapping[str, str]:
        """A token, or user:password."""
        return {"authorization": f"Bearer {key}"} if key else {}

    async def prepare(self, ask: Ask, dimension: int) -> str:
        """Make the collection, which is loaded at once, or look whether the one that is there fits, and load it."""
        if not (await self._told(ask, "collections/has", {}))["has"]:
            await self._told(ask, "collections/create", _shape(dimension))
        fields = (await self._told(ask, "collections/describe", {}))["fields"]
        there = {one["name"]: {p["key"]: p["value"] for p in one.get("params") or ()} for one in fields}
        if not there.keys() >= {"id", "vector", "index", "key", "tags"} or str(there["vector"].get("dim")) != str(
            dimension
        ):
            raise VectorStoreError(
                f"Milvus's collection {self._collection!r} does not fit: it needs the fields id, index, key, tags and "
                f"a vector of {dimension} numbers; name another `collection`"
            )
        await self._told(ask, "collections/load", {})
        return ""

    async def find(self, ask: Ask) -> str | None:
        """By its name; nothing is deleted from one that is not loaded."""
        if not (await self._told(ask, "collections/has", {}))["has"]:
            return None
        await self._told(ask, "collections/load", {})
        return ""

    async def _told(self, ask: Ask, what: str, body: JsonObject) -> Any:
        answer = await ask(Call("POST", f"{_BASE}/{what}", plain(self._names | body)))
        if problem := self.problem(answer):
            raise VectorStoreError(f"Milvus: {problem}")
        return answer.get("data")

    def add(self, index: str, points: Sequence[Point]) -> Call:
        """Upsert."""
        rows = [
            with_numbers({"id": one.id, "index": index, "key": one.key, "tags": one.tags}, "vector", one.numbers)
            for one in points
        ]
        return Call("POST", f"{_BASE}/entities/upsert", with_numbers(self._names, "data", f"[{','.join(rows)}]"))

    def describe(self, index: str, tags: Sequence[str], ids: Sequence[str]) -> Sequence[Call]:
        """A row is put as a whole."""
        return ()

    def remove(self, index: str, ids: Sequence[str]) -> Call:
        """By id."""
        return self._delete(f"id in {plain(ids)}")

    def clear(self, index: str) -> Call:
        """By whose they are."""
        return self._delete(f"index == {plain(index)}")

    def _delete(self, which: str) -> Call:
        return Call("POST", f"{_BASE}/entities/delete", plain(self._names | {"filter": which}))

    def search(self, index: str, wanted: Wanted) -> Call:
        """The nearest, of what was added before the search."""
        every = [f"index == {json.dumps(index)}"]
        every += [f"array_contains_any(tags, {json.dumps(tags)})" for tags in wanted.tags]
        body = self._names | {
            "annsField": "vector", "limit": wanted.limit, "filter": " and ".join(every), "outputFields": ["key"],
            "consistencyLevel": "Session",
        }  # fmt: skip
        return Call("POST", f"{_BASE}/entities/search", with_numbers(body, "data", f"[{wanted.numbers}]"))

    def found(self, answer: Any) -> list[Scored]:
        """What it calls a distance is the cosine, with that metric."""
        return [Scored(int(one["key"]), float(one["distance"])) for one in answer.get("data") or ()]

    def more(self, answer: Any) -> bool:
        """All at once."""
        return False

    def problem(self, answer: Any) -> str:
        """0 is good, and 200 in older versions."""
        if not isinstance(answer, dict) or answer.get("code") not in {0, 200}:
            return plain(answer.get("message") or answer) if isinstance(answer, dict) else "no JSON object"
        return ""


def _shape(dimension: int) -> JsonObject:
    text = {"dataType": "VarChar", "elementTypeParams": {"max_length": "64"}}
    tags = {"max_capacity": str(MOST_TAGS), "max_length": str(_BYTES)}
    fields = [
        {"fieldName": "id", "isPrimary": True, **text},
        {"fieldName": "vector", "dataType": "FloatVector", "elementTypeParams": {"dim": str(dimension)}},
        {"fieldName": "index", **text},
        {"fieldName": "key", "dataType": "Int64"},
        {"fieldName": "tags", "dataType": "Array", "elementDataType": "VarChar", "elementTypeParams": tags},
    ]
    found_by = {"fieldName": "vector", "indexName": "vector", "metricType": "COSINE", "indexType": "AUTOINDEX"}
    return {"schema": {"autoId": False, "enableDynamicField": False, "fields": fields}, "indexParams": [found_by]}
