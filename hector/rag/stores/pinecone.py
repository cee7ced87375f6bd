"""Pinecone over its HTTP interface, version 2025-10. Source: its API reference (docs.pinecone.io).

An index has a host of its own; what belongs to one collection is a namespace there.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from hector.core.retrieval import Scored
from hector.rag.errors import VectorStoreError, VectorStoreUnavailable
from hector.rag.stores.wire import Ask, Call, Point, Wanted, plain, with_numbers

VERSION: Final = "2025-10"


class Pinecone:
    """`wire.Wire`."""

    service: Final = "Pinecone"
    batch: Final = 100
    merges: Final = False

    def __init__(self, index_name: str, environment: str, host: str) -> None:
        self._name = index_name
        self._cloud, _, self._region = environment.rpartition(":")
        self._host = host.partition("://")[2] or host
        self._asked = False

    def authorization(self, key: str) -> Mapping[str, str]:
        """Its own header, and the version that is spoken."""
        return {"api-key": key, "x-pinecone-api-version": VERSION}

    async def prepare(self, ask: Ask, dimension: int) -> str:
        """Find the index, or make one; which host has it."""
        if self._asked:
            return ""
        path = f"/indexes/{quote(self._name, safe='')}"
        found = await ask(Call("GET", path, missing=True))
        if found is None:
            where = {"serverless": {"cloud": self._cloud or "aws", "region": self._region}}
            shape = {"name": self._name, "dimension": dimension, "metric": "cosine", "spec": where}
            found = await ask(Call("POST", "/indexes", plain(shape), taken=True)) or await ask(Call("GET", path))
        if (found.get("dimension"), found.get("metric")) != (dimension, "cosine"):
            raise VectorStoreError(
                f"Pinecone's index {self._name!r} holds vectors of {found.get('dimension')} numbers, compared by "
                f"{found.get('metric')}; these have {dimension} and are compared by cosine: name another `index_name`"
            )
        return self._host_of(found)

    async def find(self, ask: Ask) -> str | None:
        """Which host has the index."""
        found = await ask(Call("GET", f"/indexes/{quote(self._name, safe='')}", missing=True))
        return None if found is None else self._host_of(found)

    def _host_of(self, found: Any) -> str:
        host = self._host or str(found.get("host") or "")
        if not host or (found.get("status") or {}).get("ready") is False:
            raise VectorStoreUnavailable(f"Pinecone's index {self._name!r} is not ready yet")
        self._asked = True
        return host

    def add(self, index: str, points: Sequence[Point]) -> Call:
        """Upsert."""
        rows = [
            with_numbers({"id": one.id, "metadata": {"key": one.key, "tags": one.tags}}, "values", one.numbers)
            for one in points
        ]
        return Call("POST", "/vectors/upsert", with_numbers({"namespace": index}, "vectors", f"[{','.join(rows)}]"))

    def describe(self, index: str, tags: Sequence[str], ids: Sequence[str]) -> Sequence[Call]:
        """Set a part of the metadata, one by one."""
        bodies = [{"id": one, "setMetadata": {"tags": tags}, "namespace": index} for one in ids]
        return [Call("POST", "/vectors/update", plain(body), missing=True) for body in bodies]

    def remove(self, index: str, ids: Sequence[str]) -> Call:
        """By id."""
        return Call("POST", "/vectors/delete", plain({"ids": ids, "namespace": index}), missing=True)

    def clear(self, index: str) -> Call:
        """The namespace; one that nothing was ever added to is not there."""
        return Call("POST", "/vectors/delete", plain({"deleteAll": True, "namespace": index}), missing=True)

    def search(self, index: str, wanted: Wanted) -> Call:
        """The nearest of the namespace."""
        body: dict[str, Any] = {"namespace": index, "topK": max(1, wanted.limit), "includeMetadata": True}
        if wanted.tags:
            body["filter"] = {"$and": [{"tags": {"$in": tags}} for tags in wanted.tags]}
        return Call("POST", "/query", with_numbers(body, "vector", wanted.numbers))

    def found(self, answer: Any) -> list[Scored]:
        """Numbers come back as floating point."""
        return [Scored(int(one["metadata"]["key"]), float(one["score"])) for one in answer.get("matches") or ()]

    def more(self, answer: Any) -> bool:
        """All at once."""
        return False

    def problem(self, answer: Any) -> str:
        """It says so by the status of its answers."""
        return ""
