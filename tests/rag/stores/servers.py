"""Strict stand-ins for vector servers, written from their published interfaces: what is not in those is refused.

They compare vectors for real and understand the filters that the interfaces describe, as far as the published grammar
of those is used here; an unknown key, path or header is an error as it would be there.
"""

import asyncio
import json
import math
import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

KEY = "key-of-the-store"


class Refusal(Exception):  # noqa: N818 - an answer
    """What the server would answer."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(body)
        self.status, self.body = status, body


@dataclass
class Held:
    """One stored vector."""

    vector: list[float]
    known: dict[str, Any]


@dataclass
class Server:
    """What every kind keeps: collections with their vectors; `troubles` are answered before anything is done."""

    url: str = ""
    dimension: dict[str, int] = field(default_factory=dict)
    held: dict[str, dict[str, Held]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    troubles: list[tuple[int, dict[str, str], str]] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        raise NotImplementedError

    async def _answer(self, request: Request) -> Response:
        self.calls.append(f"{request.method} {request.url.path}")
        if self.troubles:
            status, headers, text = self.troubles.pop(0)
            return Response(text, status, headers)
        try:
            return await self.answer(request)
        except Refusal as refusal:
            return JSONResponse(refusal.body, refusal.status)

    def best(self, name: str, vector: list[float], limit: int, fits: Callable[[Held], bool]) -> list[tuple[str, float]]:
        """Ids and cosines, the best first."""
        if len(vector) != self.dimension.get(name, len(vector)):
            raise Refusal(400, {"error": "wrong dimension"})
        rows = [(one, cosine(vector, held.vector)) for one, held in self.held[name].items() if fits(held)]
        return sorted(rows, key=lambda row: -row[1])[:limit]

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Server"]:
        """On loopback."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        methods = ["GET", "POST", "PUT", "DELETE", "PATCH"]
        app = Starlette(routes=[Route("/{path:path}", self._answer, methods=methods)])
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield self
        finally:
            server.should_exit = True
            await serving


def cosine(one: list[float], other: list[float]) -> float:
    size = math.sqrt(sum(a * a for a in one) * sum(b * b for b in other))
    return sum(a * b for a, b in zip(one, other, strict=True)) / size


def only(body: Any, needed: set[str], allowed: set[str] = frozenset()) -> Any:  # type: ignore[assignment]
    """The body, if it has these keys and no others."""
    if not isinstance(body, dict) or not needed <= body.keys() or body.keys() - needed - allowed:
        raise Refusal(400, {"error": f"keys {sorted(body) if isinstance(body, dict) else body}, wanted {needed}"})
    return body


async def body_of(request: Request) -> Any:
    if request.headers.get("content-type") != "application/json":
        raise Refusal(415, {"error": "no JSON"})
    return json.loads(await request.body())


UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class QdrantServer(Server):
    """Collections, points and payload indexes of Qdrant's REST interface."""

    indexed: set[str]

    async def answer(self, request: Request) -> Response:
        if request.headers.get("api-key") != KEY:
            raise Refusal(403, {"status": {"error": "Must provide an API key"}})
        parts = request.url.path.strip("/").split("/")
        if parts[0] != "collections":
            raise Refusal(404, {"status": {"error": "Not found"}})
        name, rest = parts[1], "/".join(parts[2:])
        result = await self._do(request, name, f"{request.method} {rest}".strip())
        return JSONResponse({"result": result, "status": "ok", "time": 0.001})

    async def _do(self, request: Request, name: str, what: str) -> Any:
        if what == "PUT":
            vectors = only((await body_of(request))["vectors"], {"size", "distance"})
            if name in self.held:
                raise Refusal(409, {"status": {"error": "already exists"}})
            self.held[name], self.dimension[name] = {}, vectors["size"]
            return True
        if name not in self.held:
            raise Refusal(404, {"status": {"error": f"Not found: Collection `{name}` doesn't exist!"}})
        return await self._points(request, name, what)

    async def _points(self, request: Request, name: str, what: str) -> Any:
        if what == "GET":
            return {"config": {"params": {"vectors": {"size": self.dimension[name], "distance": "Cosine"}}}}
        body = await body_of(request)
        if what == "PUT index":
            only(body, {"field_name", "field_schema"})
            return {"operation_id": 1, "status": "completed"}
        if what == "PUT points":
            for point in only(body, {"points"})["points"]:
                only(point, {"id", "vector", "payload"})
                if not UUID.fullmatch(point["id"]) or len(point["vector"]) != self.dimension[name]:
                    raise Refusal(400, {"status": {"error": "bad point"}})
                self.held[name][point["id"]] = Held(point["vector"], point["payload"])
            return {"operation_id": 2, "status": "completed"}
        if what == "POST points/query":
            return self._query(name, body)
        return self._change(name, what, body)

    def _change(self, name: str, what: str, body: Any) -> Any:
        if what == "POST points/payload":
            only(body, {"payload", "points"})
            for one in set(body["points"]) & self.held[name].keys():
                self.held[name][one].known.update(body["payload"])
            return {"operation_id": 4, "status": "completed"}
        if what == "POST points/delete":
            ids = body.get("points")
            fits = (lambda held: False) if ids is not None else _qdrant(only(body, {"filter"})["filter"])
            for one in [one for one, held in self.held[name].items() if one in (ids or ()) or fits(held)]:
                del self.held[name][one]
            return {"operation_id": 3, "status": "completed"}
        raise Refusal(404, {"status": {"error": what}})

    def _query(self, name: str, body: Any) -> Any:
        only(body, {"query", "limit"}, {"filter", "with_payload", "with_vector"})
        found = self.best(name, body["query"], body["limit"], _qdrant(body.get("filter") or {"must": []}))
        pick = body.get("with_payload") or []
        return {
            "points": [
                {
                    "id": one,
                    "version": 1,
                    "score": score,
                    "payload": {k: self.held[name][one].known[k] for k in pick},
                }
                for one, score in found
            ]
        }


def _qdrant(condition: Any) -> Callable[[Held], bool]:
    rows = [only(row, {"key", "match"}) for row in only(condition, {"must"})["must"]]

    def fits(held: Held) -> bool:
        return all(_matches(held.known.get(row["key"]), row["match"]) for row in rows)

    return fits


def _matches(value: Any, match: Any) -> bool:
    wanted = match["any"] if "any" in match else [only(match, {"value"})["value"]]
    return any(one in wanted for one in (value if isinstance(value, list) else [value]))


class WeaviateServer(Server):
    """Schema, batches and GraphQL of Weaviate; at most `AT_ONCE` objects are deleted by one request."""

    AT_ONCE = 100

    async def answer(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            raise Refusal(401, {"code": 401, "message": "anonymous access not enabled"})
        what = f"{request.method} {request.url.path}"
        if what.startswith("GET /v1/schema/"):
            if (name := what.rpartition("/")[2]) not in self.held:
                return Response(status_code=404)
            return JSONResponse(self._shown(name))
        return self._asked(what, await body_of(request))

    def _asked(self, what: str, body: Any) -> Response:
        if what == "POST /v1/schema":
            only(body, {"class", "vectorizer", "vectorIndexConfig", "properties"})
            for one in body["properties"]:
                only(one, {"name", "dataType"}, {"tokenization", "indexSearchable", "indexFilterable"})
            if not re.fullmatch(r"[A-Z][_0-9A-Za-z]*", body["class"]) or body["class"] in self.held:
                raise Refusal(422, {"error": [{"message": "class name invalid or taken"}]})
            self.held[body["class"]] = {}
            return JSONResponse(self._shown(body["class"]))
        if what == "POST /v1/batch/objects":
            return JSONResponse([self._put(one) for one in only(body, {"objects"})["objects"]])
        if what.startswith("PATCH /v1/objects/"):
            name, _, one = what.removeprefix("PATCH /v1/objects/").partition("/")
            only(body, {"class", "id", "properties"})
            if body["class"] != name or body["id"] != one:
                raise Refusal(422, {"error": [{"message": "invalid merge"}]})
            if one not in self.held[name]:
                return Response(status_code=404)
            self.held[name][one].known.update(body["properties"])
            return Response(status_code=204)
        if what == "DELETE /v1/batch/objects":
            return JSONResponse(self._deleted(only(body, {"match"}, {"output", "dryRun"})))
        if what == "POST /v1/graphql":
            return JSONResponse(self._found(only(body, {"query"})["query"]))
        raise Refusal(404, {"error": what})

    def _shown(self, name: str) -> Any:
        properties = [{"name": one} for one in ("index", "key", "tags")]
        return {"class": name, "vectorIndexConfig": {"distance": "cosine"}, "properties": properties}

    def _put(self, one: Any) -> Any:
        only(one, {"class", "id", "properties", "vector"})
        size = self.dimension.setdefault(one["class"], len(one["vector"]))
        if len(one["vector"]) != size:
            told = {"error": [{"message": f"vector lengths don't match: {size} vs {len(one['vector'])}"}]}
            return {**one, "result": {"status": "FAILED", "errors": told}}
        self.held[one["class"]][one["id"]] = Held(one["vector"], {**one["properties"], "id": one["id"]})
        return {"class": one["class"], "id": one["id"], "result": {"status": "SUCCESS"}}

    def _deleted(self, body: Any) -> Any:
        name, where = body["match"]["class"], body["match"]["where"]
        held = self.held[name]
        found = [one for one, row in held.items() if _weaviate(where, row)]
        for one in found[: self.AT_ONCE]:
            del held[one]
        done = min(len(found), self.AT_ONCE)
        return {"match": body["match"], "results": {"matches": len(found), "limit": self.AT_ONCE, "successful": done}}

    def _found(self, query: str) -> Any:
        asked = re.fullmatch(
            r"\{Get\{(\w+)\(limit:(\d+),nearVector:\{vector:(\[[^\]]*\])\},where:(\{.*\})\)"
            r"\{key _additional\{distance\}\}\}\}",
            query,
        )
        if asked is None:
            return {"data": None, "errors": [{"message": "Syntax Error"}]}
        where = json.loads(re.sub(r"([{,])(\w+):(And|Equal|ContainsAny)?", _as_json, asked[4]))
        found = self.best(asked[1], json.loads(asked[3]), int(asked[2]), lambda held: _weaviate(where, held))
        rows = [
            {"key": self.held[asked[1]][one].known["key"], "_additional": {"distance": 1 - score}}
            for one, score in found
        ]
        return {"data": {"Get": {asked[1]: rows}}}


def _as_json(found: re.Match[str]) -> str:
    return f'{found[1]}"{found[2]}":' + (f'"{found[3]}"' if found[3] else "")


def _weaviate(where: Any, held: Held) -> bool:
    if where["operator"] == "And":
        return all(_weaviate(one, held) for one in where["operands"])
    value = held.known[where["path"][0]]
    wanted = where.get("valueTextArray", where.get("valueText"))
    if where["operator"] == "Equal":
        return bool(value == wanted)
    return any(one in wanted for one in (value if isinstance(value, list) else [value]))


class MilvusServer(Server):
    """The RESTful interface of Milvus, version 2: everything is a POST, everything answers 200."""

    loaded: bool = False

    async def answer(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return JSONResponse({"code": 1800, "message": "user hasn't authenticated"})
        path = request.url.path.removeprefix("/v2/vectordb/")
        if request.method != "POST" or path == request.url.path:
            raise Refusal(404, "404 page not found")
        body = await body_of(request)
        if not re.fullmatch(r"[A-Za-z_]\w*", body.get("collectionName", "")):
            return JSONResponse({"code": 1802, "message": "missing required parameters: collectionName"})
        try:
            return JSONResponse({"code": 0, "data": self._do(path, body["collectionName"], body)})
        except LookupError:
            return JSONResponse({"code": 100, "message": f"can't find collection[{body['collectionName']}]"})

    def _do(self, path: str, name: str, body: Any) -> Any:
        base = {"collectionName"}
        if path == "collections/has":
            return {"has": name in self.held}
        if path == "collections/create":
            fields = only(body, base | {"schema", "indexParams"})["schema"]["fields"]
            by_name = {one["fieldName"]: one for one in fields}
            self.dimension[name] = int(by_name["vector"]["elementTypeParams"]["dim"])
            assert body["indexParams"][0]["metricType"] == "COSINE"
            self.held[name] = {}
            return {}
        held = self.held[name]
        if path == "collections/describe":
            vector = {"name": "vector", "params": [{"key": "dim", "value": str(self.dimension[name])}]}
            return {"fields": [vector, *({"name": one} for one in ("id", "index", "key", "tags"))]}
        if path == "collections/load":
            self.loaded = True
            return {}
        if path == "entities/upsert":
            for row in only(body, base | {"data"})["data"]:
                only(row, {"id", "index", "key", "tags", "vector"})
                assert len(row["tags"]) <= 100
                held[row["id"]] = Held(row.pop("vector"), row)
            return {"upsertCount": len(body["data"]), "upsertIds": [row["id"] for row in body["data"]]}
        if path == "entities/delete":
            fits = _milvus(only(body, base | {"filter"})["filter"])
            for one in [one for one, row in held.items() if fits(row)]:
                del held[one]
            return {}
        if path == "entities/search" and self.loaded:
            only(body, base | {"data", "annsField", "limit"}, {"filter", "outputFields", "consistencyLevel"})
            found = self.best(name, body["data"][0], body["limit"], _milvus(body.get("filter", "")))
            return [{"id": one, "distance": score, "key": held[one].known["key"]} for one, score in found]
        raise LookupError(path)


_CLAUSE = re.compile(
    r'(index) == (".*?(?<!\\)")|(id) in (\[.*?\])(?=$| and )|array_contains_any\((tags), (\[.*?\])\)(?=$| and )'
)


def _milvus(text: str) -> Callable[[Held], bool]:
    clauses = [(m[1] or m[3] or m[5], json.loads(m[2] or m[4] or m[6])) for m in _CLAUSE.finditer(text)]
    assert _CLAUSE.sub("", text).replace(" and ", "") == "", text

    def fits(held: Held) -> bool:
        for name, wanted in clauses:
            value = held.known[name]
            if name == "tags" and not any(one in wanted for one in value):
                return False
            if name != "tags" and value not in (wanted if isinstance(wanted, list) else [wanted]):
                return False
        return True

    return fits


class PineconeServer(Server):
    """Pinecone's control plane and the host of one index, on one address."""

    def __init__(self) -> None:
        super().__init__()
        self.ready = 1
        self.where: Mapping[str, str] = {}

    async def answer(self, request: Request) -> Response:
        if request.headers.get("api-key") != KEY:
            raise Refusal(401, {"error": {"code": "UNAUTHENTICATED", "message": "Invalid API Key"}, "status": 401})
        if not re.fullmatch(r"20\d\d-\d\d", request.headers.get("x-pinecone-api-version", "")):
            raise Refusal(400, {"error": {"message": "no version"}})
        what = f"{request.method} {request.url.path}"
        if what.startswith("GET /indexes/"):
            name = what.rpartition("/")[2]
            if name not in self.dimension:
                raise Refusal(404, {"error": {"code": "NOT_FOUND", "message": f"Resource {name} not found"}})
            return JSONResponse(self._shown(name))
        body = await body_of(request)
        if what == "POST /indexes":
            only(body, {"name", "dimension", "metric", "spec"})
            only(body["spec"], {"serverless"})
            self.dimension[body["name"]] = body["dimension"]
            self.where = body["spec"]["serverless"]
            return JSONResponse(self._shown(body["name"]), 201)
        return self._vectors(what, body)

    def _vectors(self, what: str, body: Any) -> Response:
        (size,) = self.dimension.values()
        space = self.held.setdefault(body["namespace"], {}) if "upsert" in what else self.held.get(body["namespace"])
        if what == "POST /vectors/upsert":
            assert space is not None
            for row in only(body, {"vectors", "namespace"})["vectors"]:
                only(row, {"id", "values", "metadata"})
                if len(row["values"]) != size:
                    raise Refusal(400, {"code": 3, "message": "Vector dimension does not match"})
                space[row["id"]] = Held(row["values"], row["metadata"])
            return JSONResponse({"upsertedCount": len(body["vectors"])})
        if what == "POST /vectors/update":
            only(body, {"id", "setMetadata", "namespace"})
            if space is None or body["id"] not in space:
                raise Refusal(404, {"code": 5, "message": "Vector not found", "details": []})
            space[body["id"]].known.update(body["setMetadata"])
            return JSONResponse({})
        if what == "POST /vectors/delete":
            if space is None:
                raise Refusal(404, {"code": 5, "message": "Namespace not found", "details": []})
            for one in list(space) if only(body, {"namespace"}, {"ids", "deleteAll"}).get("deleteAll") else body["ids"]:
                space.pop(one, None)
            return JSONResponse({})
        if what == "POST /query":
            only(body, {"vector", "topK", "namespace"}, {"filter", "includeMetadata"})
            clauses = (body.get("filter") or {"$and": []})["$and"]
            self.held.setdefault(body["namespace"], {})
            found = self.best(
                body["namespace"], body["vector"], body["topK"],
                lambda held: all(set(one["tags"]["$in"]) & set(held.known["tags"]) for one in clauses),
            )  # fmt: skip
            matches = [{"id": one, "score": score, "metadata": self._as_stored(body, one)} for one, score in found]
            return JSONResponse({"matches": matches, "namespace": body["namespace"], "usage": {"readUnits": 1}})
        raise Refusal(404, {"error": what})

    def _as_stored(self, body: Any, one: str) -> Any:
        known = self.held[body["namespace"]][one].known
        return {"key": float(known["key"]), "tags": known["tags"]}

    def _shown(self, name: str) -> Any:
        self.ready -= 1
        status = {"ready": self.ready < 0, "state": "Ready" if self.ready < 0 else "Initializing"}
        return {
            "name": name, "metric": "cosine", "dimension": self.dimension[name], "status": status,
            "host": self.url.removeprefix("http://"),
        }  # fmt: skip
