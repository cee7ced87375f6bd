"""JSON Schema as providers want it: without meta keys, without references, or in the closed form of strict modes."""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from hector.core.content import JsonObject

_META: Final = frozenset({"$schema", "$id", "$comment"})
_MAPS: Final = ("properties", "$defs", "definitions", "patternProperties")
_LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLES: Final = ("items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else")
_UNBOUNDED: Final = frozenset({
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems",
    "maxItems", "uniqueItems", "minProperties", "maxProperties",
})  # fmt: skip
_NOT_STRICT: Final = frozenset({
    "oneOf", "allOf", "not", "if", "then", "else", "patternProperties", "propertyNames", "contains", "prefixItems",
    "dependentRequired", "dependentSchemas", "unevaluatedProperties", "default",
})  # fmt: skip
REFERENCES: Final = 500
"""How many references are replaced in one schema: a few that refer to each other could fill any memory."""

_EMPTY: Final[JsonObject] = {"type": "object", "properties": {}}

Change: TypeAlias = Callable[[JsonObject], JsonObject]


def parameters(schema: JsonObject) -> JsonObject:
    """A tool's parameters without `$schema` and its kin; an empty schema becomes that of an object without fields."""
    if not schema:
        return _EMPTY
    if "type" in schema and schema.keys().isdisjoint(_META):
        return schema
    return {"type": "object"} | {key: value for key, value in schema.items() if key not in _META}


def has_fields(schema: JsonObject) -> bool:
    """Whether a tool takes any argument at all."""
    return bool(schema.get("properties") or schema.get("$ref") or schema.get("additionalProperties"))


def rewrite(schema: Any, change: Change) -> Any:
    """A copy of `schema` with `change` applied to every subschema, the innermost first. Other values stay."""
    if not isinstance(schema, dict):
        return schema
    return change(_each(schema, lambda part: rewrite(part, change)))


def _each(schema: JsonObject, change: Callable[[Any], Any]) -> JsonObject:
    """A copy of `schema` with `change` applied to its direct subschemas."""
    copy = dict(schema)
    for key in _MAPS:
        if isinstance(copy.get(key), dict):
            copy[key] = {name: change(value) for name, value in copy[key].items()}
    for key in _LISTS:
        if isinstance(copy.get(key), list):
            copy[key] = [change(value) for value in copy[key]]
    for key in _SINGLES:
        if isinstance(copy.get(key), dict):
            copy[key] = change(copy[key])
    return copy


def inline(schema: JsonObject) -> JsonObject:
    """The schema with every local `$ref` replaced by what it names, and without `$defs`.

    A reference inside its own target (a recursive type) becomes a free object there; an unknown one, and any after the
    first REFERENCES of them, a free value.
    """
    left = REFERENCES

    def expand(part: Any, open_refs: tuple[str, ...]) -> Any:
        nonlocal left
        if not isinstance(part, dict):
            return part
        bare = {key: item for key, item in part.items() if key not in {"$defs", "definitions", "$ref"}}
        kept = _each(bare, lambda inner: expand(inner, open_refs))
        ref = part.get("$ref")
        if not isinstance(ref, str):
            return kept
        if ref in open_refs:
            return {"type": "object"} | kept
        left -= 1
        target = expand(_target(ref, schema), (*open_refs, ref)) if left >= 0 else {}
        return (target if isinstance(target, dict) else {}) | kept

    inlined: JsonObject = expand(schema, ())
    return inlined


def _target(ref: str, root: JsonObject) -> Any:
    """What a JSON pointer such as "#/$defs/Point" names, or {}."""
    found: Any = root
    if ref != "#" and not ref.startswith("#/"):
        return {}
    for step in ref.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        found = found.get(step, {}) if isinstance(found, dict) else {}
    return found


def close(schema: JsonObject) -> JsonObject:
    """Every object gets `additionalProperties: false`, bounds that strict decoders refuse are left out.

    The answer is checked against the original schema afterwards, so leaving a bound out only makes a repair likelier.
    """
    closed: JsonObject = rewrite(schema, _close)
    return {key: value for key, value in closed.items() if key not in _META}


def _close(part: JsonObject) -> JsonObject:
    kept = {key: value for key, value in part.items() if key not in _UNBOUNDED}
    return kept | {"additionalProperties": False} if _is_object(part) else kept


def _is_object(part: JsonObject) -> bool:
    kind = part.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in part


def strict_form(schema: JsonObject) -> JsonObject | None:
    """The schema in the closed form of OpenAI's strict mode, or None when it does not qualify.

    It qualifies when every property of every object is required, no object is open, and no keyword is used that the
    mode lacks. Objects that say nothing about further properties are closed. References are replaced, since the mode
    allows nothing beside one; a recursive type therefore does not qualify.
    """
    schema = inline(schema)
    fits = True

    def check(part: JsonObject) -> JsonObject:
        nonlocal fits
        fits = fits and _qualifies(part)
        return part

    rewrite(schema, check)
    return close(schema) if fits and _is_object(schema) else None


def _qualifies(part: JsonObject) -> bool:
    if not part.keys().isdisjoint(_NOT_STRICT) or part.get("additionalProperties", False) is not False:
        return False
    if not _is_object(part):
        return bool(part.keys() & {"type", "anyOf", "$ref", "enum", "const"})
    return "properties" in part and set(part["properties"]) == set(part.get("required", ()))
