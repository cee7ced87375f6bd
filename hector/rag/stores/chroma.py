"""Chroma over version 2 of its HTTP interface. Source: the OpenAPI document of its server, version 1.5.

Its filters know no lists, so that each tag is a key of its own.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from hector.core.content import JsonObject
from hector.core.retrieval import Scored
from hector.rag.errors import VectorStoreError
from hector.rag.stores.wire import Ask, Call, Point, Wanted, plain, with_numbers


class Chroma:
    """`wire.Wire`."""

    service: Final = "Chroma"
    batch: Final = 128
    merges: Final = True

    def __init__(self, collection: str, tenant: str, database: str) -> None:
        self._collection = name_of(collection)
        self._base = f"/api/v2/tenants/{quote(tenant, safe='')}/databases/{quote(database, safe='')}/collections"
        self._path = ""

    def authorization(self, key: str) -> Mapping[str, str]:
        """Its own header, which its cloud takes as well."""
        return {"x-chroma-token": key} if key else {}

    async def prepare(self, ask: Ask, dimension: int) -> str:
        """Make the collection; the server knows it by an id, and its dimension from the first vector."""
        shape = {"name": self._collection, "get_or_create": True, "configuration": {"hnsw": {"space": "cosine"}}}
        found = await ask(Call("POST", self._base, plain(shape)))
        there, space = found.get("dimension"), _space(found)
        if there not in {None, dimension} or space not in {None, "cosine"}:
            raise VectorStoreError(
                f"Chroma's collection {self._collection!r} holds vectors of {there} numbers, compared by {space}; "
                f"these have {dimension} and are compared by cosine: name another `collection`"
            )
        self._path = f"{self._base}/{quote(str(found['id']), safe='')}"
        return ""

    async def find(self, ask: Ask) -> str | None:
        """By its name, which stands where its id stands elsewhere."""
        found = await ask(Call("GET", f"{self._base}/{quote(self._collection, safe='')}", missing=True))
        if found is None:
            return None
        self._path = f"{self._base}/{quote(str(found['id']), safe='')}"
        return ""

    def add(self, index: str, points: Sequence[Point]) -> Call:
        """Upsert."""
        known = [{"index": index, "key": one.key, **{f"has {tag}": True for tag in one.tags}} for one in points]
        fields = {"ids": [one.id for one in points], "metadatas": known}
        return Call(
            "POST",
            f"{self._path}/upsert",
            with_numbers(fields, "embeddings", f"[{','.join(p.numbers for p in points)}]"),
        )

    def describe(self, index: str, tags: Sequence[str], ids: Sequence[str]) -> Sequence[Call]:
        """It would add them to those that are there."""
        return ()

    def remove(self, index: str, ids: Sequence[str]) -> Call:
        """By id."""
        return Call("POST", f"{self._path}/delete", plain({"ids": ids}))

    def clear(self, index: str) -> Call:
        """By whose they are."""
        return Call("POST", f"{self._path}/delete", plain({"where": {"index": {"$eq": index}}}))

    def search(self, index: str, wanted: Wanted) -> Call:
        """The nearest; all conditions at once."""
        every: list[JsonObject] = [{"index": {"$eq": index}}]
        for tags in wanted.tags:
            any_of: list[JsonObject] = [{f"has {tag}": {"$eq": True}} for tag in tags]
            every.append(any_of[0] if len(any_of) == 1 else {"$or": any_of})
        where = every[0] if len(every) == 1 else {"$and": every}
        body = {"n_results": wanted.limit, "where": where, "include": ["metadatas", "distances"]}
        return Call("POST", f"{self._path}/query", with_numbers(body, "query_embeddings", f"[{wanted.numbers}]"))

    def found(self, answer: Any) -> list[Scored]:
        """A distance is one less the cosine."""
        rows = zip(answer["metadatas"][0], answer["distances"][0], strict=True)
        return [Scored(int(known["key"]), 1.0 - float(distance)) for known, distance in rows]

    def more(self, answer: Any) -> bool:
        """All at once."""
        return False

    def problem(self, answer: Any) -> str:
        """It says so by the status of its answers."""
        return str(answer["error"]) if isinstance(answer, dict) and answer.get("error") else ""


def name_of(collection: str) -> str:
    """A name that Chroma takes: 3 to 512 letters, digits, dots, underscores and dashes, no sign at either end."""
    name = re.sub(r"[^0-9A-Za-z._-]", "_", collection)[:500].strip("._-")
    return name if len(name) > 2 else f"docs-{name or 0}"


def _space(found: Any) -> str | None:
    configuration = found.get("configuration_json") or {}
    for kind in ("hnsw", "spann"):
        if isinstance(configuration.get(kind), dict):
            return str(configuration[kind].get("space") or "cosine")
    return None
