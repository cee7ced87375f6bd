"""From the bytes of a request to checked values, and from what is wrong with them to words: field, what, allowed."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

from pydantic import ValidationError

from hector.a2a import wire
from hector.config.translate import suggest
from hector.core.content import JsonObject
from hector.core.errors import InvalidRequest, Violation
from hector.web.asgi import LARGEST, Exchange
from hector.web.endpoints import Body, Input, Query

M = TypeVar("M", bound=Input)
B = TypeVar("B", bound=Body)
Q = TypeVar("Q", bound=Query)
_MOST_FIELDS: Final = 100
"""Query parameters that are looked at."""
_MOST_SAID: Final = 20
"""Wrong fields that are told of."""
_WHOLE: Final = re.compile(r"-?[0-9]{1,18}")
_TRUTH: Final = {"true": True, "false": False}
_KINDS: Final[Mapping[str, str]] = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "a text",
    "array": "a list",
    "object": "an object",
}


def read_query(model: type[Q], text: bytes) -> Q:
    """What stands behind the question mark. Raises InvalidRequest."""
    try:
        pairs = parse_qsl(text.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise InvalidRequest(f"the address has more than {_MOST_FIELDS} parameters") from None
    names = [name for name, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise _refusal([Violation(twice[:80], "is given more than once")])
    fields = schema_of(model)["properties"]
    return _checked(model, {name: _typed(value, fields.get(name, {})) for name, value in pairs})


async def read_body(model: type[B], exchange: Exchange, most: int, setting: str = LARGEST) -> B:
    """The JSON object that a request brings; without a body, the empty one. Raises InvalidRequest, TooLarge."""
    exchange.require_json()
    body = await exchange.body(most, setting)
    value = wire.loads(body) if body else {}
    if not isinstance(value, dict):
        raise InvalidRequest("the body must be a JSON object", [Violation("", "must be an object")])
    return _checked(model, value)


def schema_of(model: type[Input]) -> JsonObject:
    """The JSON Schema of a model, with `properties` also where it has none."""
    found: JsonObject = model.model_json_schema()
    return {"properties": {}, **found}


def _typed(text: str, field: JsonObject) -> Any:
    """A parameter's text as the type that its schema asks for; as it is where it cannot be that."""
    kinds = {part.get("type") for part in (field, *field.get("anyOf", ()))}
    if "integer" in kinds and _WHOLE.fullmatch(text):
        return int(text)
    if "boolean" in kinds:
        return _TRUTH.get(text, text)
    return text


def _checked(model: type[M], value: JsonObject) -> M:
    if wrong := [Violation(path, "holds a NUL character, which not every database can store") for path in _nul(value)]:
        raise _refusal(wrong)
    try:
        return model.model_validate_json(wire.dumps(value))
    except ValidationError as error:
        schema = schema_of(model)
        items = error.errors(include_url=False, include_input=False)
        raise _refusal([_violation(item, schema) for item in items]) from None


def _nul(value: Any, path: str = "") -> list[str]:
    """Where texts with NUL characters are."""
    if isinstance(value, str):
        return [path] if "\0" in value else []
    if isinstance(value, dict):
        below = [(f"{path}.{key}".lstrip("."), item) for key, item in value.items()]
        own = [path or "the body" for key in value if "\0" in key]
    else:
        below = [(f"{path}[{at}]", item) for at, item in enumerate(value)] if isinstance(value, list) else []
        own = []
    return own + [found for where, item in below for found in _nul(item, where)]


def _refusal(wrong: Sequence[Violation]) -> InvalidRequest:
    listed = "; ".join(f"{one.field} {one.description}" for one in wrong[:3])
    more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return InvalidRequest(f"{listed}{more}", wrong[:_MOST_SAID])


def _violation(item: Any, schema: JsonObject) -> Violation:
    where: tuple[int | str, ...] = tuple(item["loc"])
    name = _spelt(where)[:200]
    code: str = item["type"]
    if code == "extra_forbidden":
        known = [str(key) for key in _at(schema, where[:-1]).get("properties", {})]
        hint = suggest(str(where[-1]), known)
        return Violation(name, f"is unknown; allowed: {', '.join(known) or 'nothing'}" + (f" ({hint})" if hint else ""))
    if code == "value_error":
        return Violation(name, str(item["ctx"]["error"]))
    allowed = allowed_by(_at(schema, where), schema)
    return Violation(name, f"is missing; it must be {allowed}" if code == "missing" else f"must be {allowed}")


def _spelt(where: Sequence[int | str]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where)
    return text.removeprefix(".")


def _at(schema: JsonObject, where: Sequence[int | str]) -> JsonObject:
    """The part of a schema that describes a place."""
    found = schema
    for step in where:
        found = _plain(found, schema)
        inner = found.get("items") if isinstance(step, int) else found.get("properties", {}).get(step)
        if inner is None:
            inner = found.get("additionalProperties", {})
        found = inner if isinstance(inner, dict) else {}
    return _plain(found, schema)


def _plain(part: JsonObject, schema: JsonObject) -> JsonObject:
    """A part without references and without the choice of leaving it out."""
    if reference := part.get("$ref"):
        return dict(schema["$defs"][str(reference).rpartition("/")[2]])
    choices = [one for one in part.get("anyOf", ()) if one.get("type") != "null"]
    return _plain(choices[0], schema) if len(choices) == 1 else part


def allowed_by(part: JsonObject, schema: JsonObject) -> str:
    """What a field may be, in words."""
    part = _plain(part, schema)
    if choices := part.get("anyOf"):
        return " or ".join(allowed_by(one, schema) for one in choices)
    if "enum" in part or "const" in part:
        return " or ".join(str(value) for value in part.get("enum", [part.get("const")]))
    kind = str(part.get("type"))
    return " ".join(filter(None, (_KINDS.get(kind, "a value"), _limits(part), _pattern(part))))


def _limits(part: JsonObject) -> str:
    for low, high, unit in (
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " entries"),
    ):
        least, most = part.get(low), part.get(high)
        if least is not None and most is not None:
            return f"from {least} to {most}" if not unit else f"of {least} to {most}{unit}"
        if least is not None or most is not None:
            return f"of at {'most' if least is None else 'least'} {most if least is None else least}{unit}"
    return ""


def _pattern(part: JsonObject) -> str:
    return f"that matches {part['pattern']}" if "pattern" in part else ""
