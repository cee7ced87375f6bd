"""The OpenAPI document says what the table says, is valid, and holds for the answers."""

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.web.live import AS_ADMIN, helper, live


@pytest.mark.proves("openapi.served")
def test_the_document_is_public_and_complete(folder: Path) -> None:
    with live(helper({"text": "hi"}), folder) as server:
        answer = server.client.get("/openapi.json")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        found = answer.json()
    assert found["openapi"].startswith("3.1")
    operations = [operation for path in found["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names)) > 20
    for path in ("/admin/sessions/{id}", "/admin/queue/dlq/{id}/requeue", "/admin/audit", "/openapi.json"):
        assert path in found["paths"]
    assert "/agents/{agent}/message:send" in found["paths"]
    assert {"/v1/models", "/v1/models/{model}", "/v1/chat/completions", "/v1/responses", "/mcp"} <= found[
        "paths"
    ].keys()
    for schema in found["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    references = set(_references(found))
    assert {f"#/components/schemas/{name}" for name in found["components"]["schemas"]} >= references


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for item in value.values() for found in _references(item)]
    return [found for item in value for found in _references(item)] if isinstance(value, list) else []


@pytest.mark.proves("openapi.served")
def test_a_wrong_method_names_the_right_ones(folder: Path) -> None:
    with live(helper({"text": "hi"}), folder) as server:
        answer = server.client.put("/admin/sessions/x", headers=AS_ADMIN)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, DELETE")
        assert server.client.get("/admin/nothing", headers=AS_ADMIN).status_code == 404
        assert server.client.get("/admin", headers=AS_ADMIN).status_code == 404
