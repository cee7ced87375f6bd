"""The OpenAPI document, made from the table of endpoints, the operations of A2A's HTTP+JSON and the pages around them.

Made once, by the first request for it.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pydantic.json_schema import models_json_schema
from starlette.responses import Response

from hector.auth.access import Access
from hector.core.content import JsonObject
from hector.version import __version__
from hector.web.admin_input import schema_of
from hector.web.answers import reply
from hector.web.endpoints import LONGEST_ID, Ask, Endpoint, Input, Shape
from hector.web.routes import OPERATIONS

VERSION: Final = "3.1.0"
_SCHEMAS: Final = "#/components/schemas/"
_ABOUT: Final = (
    "Agents are used through A2A; everything under /admin looks after the server. Credentials go into the header "
    "Authorization (Bearer) or X-API-Key. Errors have one form everywhere: what is wrong, where, and what is allowed."
)
_ERROR: Final[JsonObject] = {
    "type": "object",
    "description": "What went wrong, in the form of AIP-193.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "status", "message", "details"],
            "properties": {
                "code": {"type": "integer", "description": "The HTTP status."},
                "status": {"type": "string", "description": "The name of the status, as google.rpc.Code has it."},
                "message": {"type": "string", "description": "What is wrong and what is allowed, for people."},
                "details": {"type": "array", "items": {"type": "object"}, "description": "The same for programs."},
            },
        }
    },
}
_REASONS: Final = {
    400: "A field, a parameter or an id is wrong; the details name it",
    401: "No credential, or one that is not valid",
    403: "The credential has no right to this",
    404: "There is no such object, or it is not yours",
    405: "The method is not possible here",
    408: "The body did not arrive in time",
    409: "The object is not in the state that this needs",
    413: "The body is too large",
    415: "The body is not JSON",
    429: "Too often; again after Retry-After",
    500: "A defect of the server; its log says more",
    503: "The server cannot do it at the moment",
}
_A2A_ERRORS: Final = (400, 401, 403, 404, 405, 408, 413, 415, 429, 500, 503)
_PAGES: Final = (
    ("/", "What is here", Access.PUBLIC, False),
    ("/health", "That it lives, and how busy it is", Access.PUBLIC, False),
    ("/livez", "That it lives", Access.PUBLIC, False),
    ("/readyz", "Whether it can work; 503 while the database takes no writes", Access.PUBLIC, False),
    ("/schema", "JSON Schema of the configuration", Access.PUBLIC, False),
    ("/agents", "The cards of the agents that one may see", Access.AGENTS, False),
    ("/agents/{agent}", "The card of an agent", Access.PUBLIC, True),
    ("/agents/{agent}/.well-known/agent-card.json", "The same", Access.PUBLIC, True),
    ("/.well-known/agent-card.json", "The card of the default agent", Access.PUBLIC, True),
)
"""Path, what it shows, which right it takes, whether there may be none."""
_DOORS: Final = (
    ("/v1/models", "get", "The agents that one may see, as models of OpenAI's API", "openai"),
    ("/v1/models/{model}", "get", "One of them", "openai"),
    ("/v1/chat/completions", "post", "Ask an agent as OpenAI's chat completions do, whole or streamed", "openai"),
    ("/v1/responses", "post", "Ask an agent as OpenAI's responses do, whole or streamed", "openai"),
    ("/mcp", "post", "A message to the MCP server whose tools are agents (block mcp_server)", "mcp"),
    ("/mcp", "delete", "End a session of the MCP server", "mcp"),
    *(
        (path, method, f"A request to the webhook of an agent of {whose}", "webhooks")
        for path, whose in (
            ("/webhooks/{path}", "the configuration file"),
            ("/apps/{app}/webhooks/{path}", "an app of the Admin API"),
        )
        for method in ("post", "put", "patch", "get", "delete")
    ),
)
"""Path, method, what it does, tag: what speaks other protocols, which say what is in the bodies."""
_SUMMARIES: Final = {
    "SEND": "Send a message to an agent",
    "STREAM": "Send a message and follow the task as server-sent events",
    "GET": "A task",
    "SUBSCRIBE": "Follow a task as server-sent events",
    "CANCEL": "Cancel a task",
    "LIST": "One's own tasks of an agent",
    "CREATE_PUSH": "Have updates of a task sent to an address",
    "LIST_PUSH": "The addresses that updates of a task are sent to",
    "GET_PUSH": "One of them",
    "DELETE_PUSH": "Send no more updates there",
    "EXTENDED_CARD": "The card of an agent for those who are known",
}


class OpenApiEndpoints:
    """The endpoint that shows the document."""

    def __init__(self, rows: Sequence[Endpoint]) -> None:
        self._rows = rows
        self._body: bytes | None = None

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The table."""
        return (Endpoint("GET", "/openapi.json", Access.PUBLIC, "This description", self.show, "server"),)

    async def show(self, ask: Ask) -> Response:
        """The document, the same for everybody."""
        if self._body is None:
            self._body = json.dumps(document((*self._rows, *self.endpoints())), separators=(",", ":")).encode()
        return reply(ask.request, 200, self._body, extra=((b"cache-control", b"public, max-age=60"),))


def document(rows: Sequence[Endpoint]) -> JsonObject:
    """The whole description."""
    paths: dict[str, JsonObject] = {}
    for row in rows:
        paths.setdefault(row.shown_path, {})[row.method.lower()] = _operation(row)
    for path, method, found in (*_a2a(), *_rpc(), *_doors(), *_pages()):
        paths.setdefault(path, {})[method] = found
    return {
        "openapi": VERSION,
        "info": {"title": "Hector", "version": __version__, "description": _ABOUT, "license": {"name": "MIT"}},
        "servers": [{"url": "/"}],
        "tags": [
            {"name": tag}
            for tag in dict.fromkeys((*(row.tag for row in rows), "agents", "openai", "mcp", "webhooks", "pages"))
        ],
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR, **_schemas(rows)},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "Admin secret, API key or token."},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _schemas(rows: Sequence[Endpoint]) -> JsonObject:
    """All shapes of answers and bodies by name; what stands within them, too."""
    answers = dict.fromkeys(row.answer for row in rows if row.answer is not None)
    bodies = dict.fromkeys(row.body for row in rows if row.body is not None)
    found: JsonObject = {}
    for models, mode in ((answers, "serialization"), (bodies, "validation")):
        _, made = models_json_schema([(one, mode) for one in models], ref_template=_SCHEMAS + "{model}")  # type: ignore[misc]
        found |= made.get("$defs", {})
    if lost := {model.__name__ for model in (*answers, *bodies)} - found.keys():
        raise ValueError(f"several shapes of endpoints have the same name: {', '.join(sorted(lost))}")
    return found


def _operation(row: Endpoint) -> JsonObject:
    found: JsonObject = {
        "operationId": row.id,
        "summary": row.summary,
        "tags": [row.tag],
        "parameters": [*_path_parameters(row), *_query_parameters(row.query)],
        "responses": _responses(row),
        "security": [{"bearer": []}, {"key": []}] if row.access is not Access.PUBLIC else [],
        "x-access": row.access.value,
    }
    if row.description:
        found["description"] = row.description
    if row.body is not None:
        required = bool(schema_of(row.body).get("required"))
        content = {"application/json": {"schema": _reference(row.body)}}
        found["requestBody"] = {"required": required, "content": content}
    return found


def _path_parameters(row: Endpoint) -> Iterator[JsonObject]:
    for name, kind in row.ids.items():
        schema = {"type": "string", "minLength": 1, "maxLength": LONGEST_ID}
        about = {"description": f"The id of the {kind}.", "schema": schema, "x-object": kind}
        yield {"name": name, "in": "path", "required": True, **about}


def _query_parameters(query: type[Input] | None) -> Iterator[JsonObject]:
    schema = schema_of(query) if query is not None else {"properties": {}}
    for name, part in schema["properties"].items():
        plain = {key: value for key, value in part.items() if key not in ("title", "description")}
        choices = [one for one in plain.pop("anyOf", ()) if one.get("type") != "null"]
        for one in choices[:1]:
            plain |= one
        if plain.get("default", ...) is None:
            del plain["default"]
        required = name in schema.get("required", ())
        yield {"name": name, "in": "query", "required": required, "schema": plain} | _described(part)


def _described(part: JsonObject) -> JsonObject:
    return {"description": part["description"]} if "description" in part else {}


def statuses(row: Endpoint) -> tuple[int, ...]:
    """With which statuses an endpoint may refuse, or fail."""
    found = {400, 429, 500, 503, *row.errors}
    if row.access is not Access.PUBLIC:
        found |= {401, 403}
    if row.ids or (row.query is not None and "app_id" in row.query.model_fields):
        found.add(404)
    if row.body is not None:
        found |= {408, 413, 415}
    return tuple(sorted(found))


def _responses(row: Endpoint) -> JsonObject:
    success: JsonObject = {"description": "Done"}
    if row.answer is not None:
        success["content"] = {"application/json": {"schema": _reference(row.answer)}}
    elif row.status != 204:
        success["content"] = {"application/json": {"schema": {"type": "object"}}}
    kinds = ("application/json",) if row.path.startswith("/admin") else ("application/json", "application/a2a+json")
    return {str(row.status): success} | _errors(statuses(row), *kinds)


def _errors(codes: Sequence[int], *types: str) -> JsonObject:
    content = {kind: {"schema": {"$ref": f"{_SCHEMAS}Error"}} for kind in types}
    return {str(code): {"description": _REASONS[code], "content": content} for code in codes}


def _reference(model: type[Shape | Input]) -> JsonObject:
    return {"$ref": _SCHEMAS + model.__name__}


def _a2a() -> Iterator[tuple[str, str, JsonObject]]:
    """The operations of A2A 1.0 on one agent; their bodies are described by A2A itself."""
    for path, operation, methods in OPERATIONS:
        shown = "/agents/{agent}/" + path.replace(":task}", "}")
        names = {"agent": "agent", "id": "task", "config": "push config"}
        for method in methods:
            found: JsonObject = {
                "operationId": f"a2a_{operation.name.lower()}_{method.lower()}",
                "summary": _SUMMARIES[operation.name],
                "tags": ["agents"],
                "externalDocs": {"url": "https://a2a-protocol.org/v1.0.0/specification/"},
                "parameters": [
                    {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "x-object": kind}
                    for name, kind in names.items()
                    if f"{{{name}}}" in shown
                ],
                "responses": {"200": _a2a_answer(operation.name)}
                | _errors(_A2A_ERRORS, "application/json", "application/a2a+json"),
                "security": [{"bearer": []}, {"key": []}, {}],
                "x-access": Access.AGENTS.value,
            }
            if method == "POST":
                found["requestBody"] = {"content": {"application/json": {"schema": {"type": "object"}}}}
            yield shown, method.lower(), found


def _a2a_answer(operation: str) -> JsonObject:
    streamed = operation in ("STREAM", "SUBSCRIBE")
    kinds = ("text/event-stream",) if streamed else ("application/json", "application/a2a+json")
    schema = {"type": "string"} if streamed else {"type": "object"}
    return {"description": "Done", "content": {kind: {"schema": schema} for kind in kinds}}


def _rpc() -> Iterator[tuple[str, str, JsonObject]]:
    """JSON-RPC, which answers with 200 whatever it says."""
    for path, names in (("/agents/{agent}", ["agent"]), ("/", [])):
        content: JsonObject = {kind: {"schema": {}} for kind in ("application/json", "text/event-stream")}
        found: JsonObject = {
            "operationId": f"a2a_rpc{'_agent' * len(names)}",
            "summary": "All operations of A2A as JSON-RPC 2.0" + ("" if names else ", on the default agent"),
            "tags": ["agents"],
            "parameters": [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
            ],
            "requestBody": {"content": {"application/json": {"schema": {}}}},
            "responses": {"200": {"description": "An answer or an error of JSON-RPC", "content": content}}
            | _errors(_A2A_ERRORS, "application/json", "application/a2a+json"),
            "security": [{"bearer": []}, {"key": []}, {}],
            "x-access": Access.AGENTS.value,
        }
        yield path, "post", found


def _doors() -> Iterator[tuple[str, str, JsonObject]]:
    for path, method, summary, tag in _DOORS:
        streams = ("application/json", "text/event-stream") if method == "post" else ("application/json",)
        names = re.findall(r"\{(\w+)\}", path)
        codes = sorted((*_A2A_ERRORS, 409)) if path.startswith("/v1") and method == "post" else _A2A_ERRORS
        found: JsonObject = {
            "operationId": f"{tag}_{method}" + re.sub(r"\W+", "_", path).rstrip("_"),
            "summary": summary,
            "tags": [tag],
            "parameters": [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
            ],
            "responses": {"200": {"description": "Done", "content": {kind: {"schema": {}} for kind in streams}}}
            | {str(code): {"description": _REASONS[code]} for code in codes},
            "security": [{"bearer": []}, {"key": []}, {}],
            "x-access": (Access.PUBLIC if tag == "webhooks" else Access.AGENTS).value,
        }
        if tag == "webhooks":
            found["description"] = "Who may come in is a matter of the webhook: by a signature, or by a credential."
            late = {"504": {"description": "The run takes longer than response.timeout, and goes on"}}
            done = {"200": found["responses"]["200"], "202": {"description": "Taken; the result follows"}}
            found["responses"] = {**done, **found["responses"], **late}
        if method == "post":
            found["requestBody"] = {"content": {"application/json": {"schema": {}}}}
        if path == "/mcp" and method == "post":
            found["responses"] = {"202": {"description": "Taken; it wants no answer"}, **found["responses"]}
        yield path, method, found


def _pages() -> Iterator[tuple[str, str, JsonObject]]:
    for path, summary, access, absent in _PAGES:
        parameters: list[Any] = []
        if "{agent}" in path:
            parameters = [{"name": "agent", "in": "path", "required": True, "schema": {"type": "string"}}]
        page = {"description": "Done", "content": {"application/json": {"schema": {"type": "object"}}}}
        codes = (401, 403, 429) if access is Access.AGENTS else (429,)
        responses: JsonObject = {"200": page} | _errors((*codes, 500), "application/json", "application/a2a+json")
        if absent:
            responses |= {"304": {"description": "Not changed"}}
            responses |= _errors((404,), "application/json", "application/a2a+json")
        if path == "/readyz":
            responses["503"] = page
        found = {
            "operationId": "page_" + (re.sub(r"\W+", "_", path).strip("_") or "index"),
            "summary": summary,
            "tags": ["pages"],
            "parameters": parameters,
            "responses": responses,
            "security": [],
            "x-access": access.value,
        }
        yield path, "get", found
