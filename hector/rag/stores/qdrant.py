"""Qdrant over its REST interface. Source: its API reference, versions 1.10 to 1.20 (api.qdrant.tech)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from hector.core.content import JsonObject
from hector.core.retrieval import Scored
from hector.rag.errors import VectorStoreError
from hector.rag.stores.wire import Ask, Call, Point, Wanted, plain, with_numbers

_FIELDS: Final = ("index", "tags")


class Qdrant:
    """`wire.Wire`."""

    service: Final = "Qdrant"
    batch: Final = 128
    merges: Final = False

    def __init__(self, collection: str) -> None:
        self._collection = collection
        self._path = f"/collections/{quote(collection, safe='')}"

    def authorization(self, key: str) -> Mapping[str, str]:
        """Its own header."""
        return {"api-key": key} if key else {}

    async def prepare(self, ask: Ask, dimension: int) -> str:
        """Make the collection, and indexes of what is filtered by."""
        found = await ask(Call("GET", self._path, missing=True))
        if found is None:
            shape = {"vectors": {"size": dimension, "distance": "Cosine"}}
            await ask(Call("PUT", self._path, plain(shape), taken=True))
            for field in _FIELDS:
                await ask(Call("PUT", f"{self._path}/index?wait=true", plain(_keyword(field))))
            found = await ask(Call("GET", self._path))
        vectors = found["result"]["config"]["params"]["vectors"]
        if (vectors.get("size"), vectors.get("distance")) != (dimension, "Cosine"):
            raise VectorStoreError(
                f"Qdrant's collection {self._collection!r} holds vectors of {vectors.get('size')} numbers, compared by "
                f"{vectors.get('distance')}; these have {dimension} and are compared by Cosine: name another collection"
            )
        return ""

    async def find(self, ask: Ask) -> str | None:
        """By its name."""
        return None if await ask(Call("GET", self._path, missing=True)) is None else ""

    def add(self, index: str, points: Sequence[Point]) -> Call:
        """Upsert, and wait until it can be found."""
        rows = [
            with_numbers(
                {"id": one.id, "payload": {"index": index, "key": one.key, "tags": one.tags}}, "vector", one.numbers
            )
            for one in points
        ]
        return Call("PUT", f"{self._path}/points?wait=true", f'{{"points":[{",".join(rows)}]}}')

    def describe(self, index: str, tags: Sequence[str], ids: Sequence[str]) -> Sequence[Call]:
        """Set a part of the payload."""
        body = {"payload": {"tags": tags}, "points": ids}
        return (Call("POST", f"{self._path}/points/payload?wait=true", plain(body)),)

    def remove(self, index: str, ids: Sequence[str]) -> Call:
        """By id."""
        return Call("POST", f"{self._path}/points/delete?wait=true", plain({"points": ids}))

    def clear(self, index: str) -> Call:
        """By whose they are."""
        return Call("POST", f"{self._path}/points/delete?wait=true", plain({"filter": {"must": [_is(index)]}}))

    def search(self, index: str, wanted: Wanted) -> Call:
        """The universal query."""
        must = [_is(index), *({"key": "tags", "match": {"any": tags}} for tags in wanted.tags)]
        body = {"limit": wanted.limit, "filter": {"must": must}, "with_payload": ["key"], "with_vector": False}
        return Call("POST", f"{self._path}/points/query", with_numbers(body, "query", wanted.numbers))

    def found(self, answer: Any) -> list[Scored]:
        """Points with their payload."""
        return [Scored(int(one["payload"]["key"]), float(one["score"])) for one in answer["result"]["points"]]

    def more(self, answer: Any) -> bool:
        """All at once."""
        return False

    def problem(self, answer: Any) -> str:
        """Its status says it."""
        status = answer.get("status", "ok") if isinstance(answer, dict) else "no JSON object"
        return "" if status == "ok" else plain(status)


def _is(index: str) -> JsonObject:
    return {"key": "index", "match": {"value": index}}


def _keyword(field: str) -> JsonObject:
    return {"field_name": field, "field_schema": "keyword"}
