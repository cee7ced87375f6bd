"""Weaviate over REST and, for searches, GraphQL. Source: its API reference, versions 1.25 to 1.34."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from hector.core.content import JsonObject
from hector.core.retrieval import Scored
from hector.rag.errors import VectorStoreError
from hector.rag.stores.wire import Ask, Call, Point, Wanted, plain, with_numbers

_PROPERTIES: Final = (
    {"name": "index", "dataType": ["text"], "tokenization": "field", "indexSearchable": False},
    {"name": "key", "dataType": ["int"]},
    {"name": "tags", "dataType": ["text[]"], "tokenization": "field", "indexSearchable": False},
)


class Weaviate:
    """`wire.Wire`."""

    service: Final = "Weaviate"
    batch: Final = 128
    merges: Final = False

    def __init__(self, collection: str) -> None:
        self._class = class_of(collection)

    def authorization(self, key: str) -> Mapping[str, str]:
        """A bearer token."""
        return {"authorization": f"Bearer {key}"} if key else {}

    async def prepare(self, ask: Ask, dimension: int) -> str:
        """Make the collection; its dimension is that of the first vector, and the server refuses any other."""
        path = f"/v1/schema/{quote(self._class, safe='')}"
        found = await ask(Call("GET", path, missing=True))
        if found is None:
            shape = {
                "class": self._class, "vectorizer": "none", "vectorIndexConfig": {"distance": "cosine"},
                "properties": _PROPERTIES,
            }  # fmt: skip
            found = await ask(Call("POST", "/v1/schema", plain(shape), taken=True)) or await ask(Call("GET", path))
        distance = (found.get("vectorIndexConfig") or {}).get("distance")
        names = {one.get("name") for one in found.get("properties") or ()}
        if distance != "cosine" or not names.issuperset(one["name"] for one in _PROPERTIES):
            raise VectorStoreError(
                f"Weaviate's collection {self._class!r} was made by somebody else (distance {distance}, without the "
                "properties index, key and tags): name another `collection`"
            )
        return ""

    async def find(self, ask: Ask) -> str | None:
        """By its name."""
        path = f"/v1/schema/{quote(self._class, safe='')}"
        return None if await ask(Call("GET", path, missing=True)) is None else ""

    def add(self, index: str, points: Sequence[Point]) -> Call:
        """A batch of objects."""
        rows = [
            with_numbers(
                {
                    "class": self._class,
                    "id": one.id,
                    "properties": {"index": index, "key": one.key, "tags": one.tags},
                },
                "vector",
                one.numbers,
            )
            for one in points
        ]
        return Call("POST", "/v1/batch/objects", f'{{"objects":[{",".join(rows)}]}}')

    def describe(self, index: str, tags: Sequence[str], ids: Sequence[str]) -> Sequence[Call]:
        """Merge properties, one by one."""
        path = f"/v1/objects/{quote(self._class, safe='')}"
        body = {"class": self._class, "properties": {"tags": tags}}
        return [Call("PATCH", f"{path}/{one}", plain({**body, "id": one}), missing=True) for one in ids]

    def remove(self, index: str, ids: Sequence[str]) -> Call:
        """By id."""
        return self._delete({"path": ["id"], "operator": "ContainsAny", "valueTextArray": ids})

    def clear(self, index: str) -> Call:
        """By whose they are."""
        return self._delete(_is(index))

    def _delete(self, where: JsonObject) -> Call:
        body = {"match": {"class": self._class, "where": where}, "output": "minimal"}
        return Call("DELETE", "/v1/batch/objects", plain(body))

    def search(self, index: str, wanted: Wanted) -> Call:
        """The nearest, as GraphQL: strings are quoted as JSON quotes them, names of keys are not."""
        operands = [_is(index), *(
            {"path": ["tags"], "operator": "ContainsAny", "valueText": tags} for tags in wanted.tags
        )]  # fmt: skip
        where = _graphql({"operator": "And", "operands": operands})
        query = (
            f"{{Get{{{self._class}(limit:{wanted.limit},nearVector:{{vector:{wanted.numbers}}},where:{where})"
            "{key _additional{distance}}}}"
        )
        return Call("POST", "/v1/graphql", plain({"query": query}))

    def found(self, answer: Any) -> list[Scored]:
        """A distance is one less the cosine."""
        rows = answer["data"]["Get"][self._class] or ()
        return [Scored(int(one["key"]), 1.0 - float(one["_additional"]["distance"])) for one in rows]

    def more(self, answer: Any) -> bool:
        """A server deletes so many at once, ten thousand if nobody set it otherwise."""
        results = answer.get("results") if isinstance(answer, dict) else None
        return results is not None and int(results.get("matches") or 0) > int(results.get("successful") or 0) > 0

    def problem(self, answer: Any) -> str:
        """Of a search, or of single objects of a batch."""
        if isinstance(answer, list):
            told = [one.get("result", {}).get("errors") for one in answer if isinstance(one, dict)]
            return next((plain(one) for one in told if one), "")
        return plain(answer["errors"]) if isinstance(answer, dict) and answer.get("errors") else ""


def class_of(collection: str) -> str:
    """A name that Weaviate takes: a capital letter first, then letters, digits and underscores."""
    name = re.sub(r"[^0-9A-Za-z_]", "_", collection)
    return name[:1].upper() + name[1:] if name[:1].isalpha() else f"C{name}"


def _is(index: str) -> JsonObject:
    return {"path": ["index"], "operator": "Equal", "valueText": index}


_OPERATORS: Final = frozenset(("And", "Equal", "ContainsAny"))


def _graphql(value: Any, name: str = "") -> str:
    """A value as GraphQL writes it: keys and the values of enumerations without quotes."""
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{_graphql(one, key)}' for key, one in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(_graphql(one) for one in value)}]"
    if name == "operator" and value in _OPERATORS:
        return str(value)
    return json.dumps(value)
