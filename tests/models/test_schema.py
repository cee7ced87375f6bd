"""JSON Schema for providers."""

import json
from typing import Any

import pytest

from hector.core.content import JsonObject
from hector.models import schema

POINT: JsonObject = {
    "type": "object",
    "properties": {"x": {"type": "number", "minimum": 0}, "y": {"type": "number"}},
    "required": ["x", "y"],
}


def test_meta_keys_go_and_an_empty_schema_is_an_object() -> None:
    assert schema.parameters({"$schema": "s", "$id": "i", "properties": {}}) == {"type": "object", "properties": {}}
    assert schema.parameters({}) == {"type": "object", "properties": {}}
    assert schema.parameters(POINT) is POINT


def test_references_are_replaced() -> None:
    given = {
        "type": "object",
        "properties": {"at": {"$ref": "#/$defs/Point", "description": "where"}, "odd": {"$ref": "#/$defs/a~1b"}},
        "$defs": {"Point": POINT, "a/b": {"type": "string"}},
    }
    assert schema.inline(given) == {
        "type": "object",
        "properties": {"at": {**POINT, "description": "where"}, "odd": {"type": "string"}},
    }


@pytest.mark.parametrize("ref", ["#/$defs/None", "http://elsewhere/x", "#"])
def test_references_that_lead_nowhere_or_home(ref: str) -> None:
    found = schema.inline({"type": "object", "properties": {"a": {"$ref": ref}}})
    assert "$ref" not in str(found)


def test_a_recursive_type_ends_in_a_free_object() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}
    found = schema.inline({"$ref": "#/$defs/Node", "$defs": {"Node": node}})
    assert found["properties"]["next"] == {"type": "object"}


def test_a_property_may_have_any_name() -> None:
    given = {"type": "object", "properties": {"definitions": {"type": "string"}, "$defs": {"$ref": "#/$defs/P"}}}
    found = schema.inline({**given, "$defs": {"P": POINT}})
    assert found == {"type": "object", "properties": {"definitions": {"type": "string"}, "$defs": POINT}}


def test_references_that_multiply_have_an_end() -> None:
    doubled = {
        f"d{at}": {"type": "object", "properties": {side: {"$ref": f"#/$defs/d{at + 1}"} for side in "ab"}}
        for at in range(40)
    }
    found = schema.inline({"$ref": "#/$defs/d0", "$defs": doubled})
    assert len(json.dumps(found)) < 100_000


def test_strict_modes_take_nothing_beside_a_reference() -> None:
    point = {"$ref": "#/$defs/P", "description": "where"}
    given = {"type": "object", "properties": {"p": point}, "required": ["p"], "$defs": {"P": POINT}}
    form = schema.strict_form(given)
    assert form is not None
    assert form["properties"]["p"] == {**schema.close(POINT), "description": "where"}
    assert "$defs" not in form
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}, "required": ["next"]}
    assert schema.strict_form({"$ref": "#/$defs/N", "$defs": {"N": node}}) is None


def test_closing_goes_to_the_bottom_and_leaves_the_original() -> None:
    given = {
        "type": "object",
        "properties": {"all": {"type": "array", "maxItems": 3, "items": POINT}, "minimum": POINT},
    }
    closed = schema.close(given)
    assert closed["additionalProperties"] is False
    assert closed["properties"]["all"] == {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"x": {"type": "number"}, "y": {"type": "number"}},
            "required": ["x", "y"],
            "additionalProperties": False,
        },
    }
    assert closed["properties"]["minimum"]["additionalProperties"] is False
    assert "additionalProperties" not in POINT


@pytest.mark.parametrize(
    ("given", "qualifies"),
    [
        (POINT, True),
        ({**POINT, "additionalProperties": False}, True),
        ({**POINT, "additionalProperties": True}, False),
        ({**POINT, "required": ["x"]}, False),
        ({"type": "object", "properties": {"p": {**POINT, "required": []}}, "required": ["p"]}, False),
        ({"type": "object", "properties": {"p": {"oneOf": [POINT]}}, "required": ["p"]}, False),
        ({"type": "object", "properties": {"p": {"anyOf": [POINT, {"type": "null"}]}}, "required": ["p"]}, True),
        ({"type": "object", "properties": {"p": {}}, "required": ["p"]}, False),
        ({"type": "object"}, False),
        ({"type": "array", "items": POINT}, False),
    ],
)
def test_what_qualifies_for_strict_modes(given: Any, qualifies: bool) -> None:
    form = schema.strict_form(given)
    assert (form is not None) is qualifies
    if form:
        assert form["additionalProperties"] is False
