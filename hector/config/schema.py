"""The configuration format as JSON Schema (draft-07), for editors and for GET /schema."""

import json
from typing import Any, Final

from hector.config.root import HectorConfig

ID: Final = "https://hector.dev/schemas/config.json"
_DRAFT: Final = "http://json-schema.org/draft-07/schema#"
_DROPPED: Final = ("discriminator", "$defs")


def json_schema() -> dict[str, Any]:
    """One self-contained document: every object closed, every reference inlined."""
    raw = HectorConfig.model_json_schema(by_alias=True)
    inlined: dict[str, Any] = _inline(raw, raw.get("$defs", {}))
    extensions = {"^x-": {"description": "A place for anchors; says nothing by itself."}}
    return {"$schema": _DRAFT, "$id": ID, **inlined, "patternProperties": extensions, "title": "Hector configuration"}


def schema_text(*, compact: bool = False) -> str:
    """The document as text, on one line or indented."""
    separators, indent = ((",", ":"), None) if compact else ((",", ": "), 2)
    return json.dumps(json_schema(), ensure_ascii=False, separators=separators, indent=indent)


def _inline(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inline(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(reference := node.get("$ref"), str):
        target = definitions[reference.rpartition("/")[2]]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    node = {key: _inline(value, definitions) for key, value in node.items() if key not in _DROPPED}
    return _draft7(_without_null(node))


def _without_null(node: dict[str, Any]) -> dict[str, Any]:
    """An optional key is one that may be left out; writing null is possible anywhere and needs no mention."""
    branches = node.get("anyOf")
    if not isinstance(branches, list) or {"type": "null"} not in branches:
        return node
    kept = [branch for branch in branches if branch != {"type": "null"}]
    rest = {key: value for key, value in node.items() if key not in {"anyOf", "default"}}
    return {**(kept[0] if len(kept) == 1 else {"anyOf": kept}), **rest}


def _draft7(node: dict[str, Any]) -> dict[str, Any]:
    if "oneOf" in node:  # a block may leave out `provider`, and then fits several branches
        node["anyOf"] = node.pop("oneOf")
    if "patternProperties" in node:
        node["additionalProperties"] = False
    return node
