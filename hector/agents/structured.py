"""Structured output: read the answer as JSON, hold it against its schema, say what is wrong."""

import json
import re
from typing import Any, Final

from hector.core.content import JsonObject
from hector.core.errors import AgentError, ConfigError
from hector.core.ports import OutputSchema

_FENCE: Final = re.compile(r"^\s*```[a-zA-Z]*\s*\n(.*?)\n?\s*```\s*$", re.DOTALL)
MOST_FINDINGS: Final = 5
LONGEST: Final = 300
"""Characters of one finding: it may quote the answer."""


class BadSchema(ConfigError):  # noqa: N818 - what it is
    """It is not a JSON Schema; `where` leads to what is wrong in it."""

    def __init__(self, where: tuple[str | int, ...], message: str) -> None:
        self.where = where
        path = ".".join(map(str, where))
        super().__init__(f"it is not a JSON Schema: {path and path + ': '}{message}")


def check(text: str, output: OutputSchema) -> tuple[str, list[str]]:
    """The JSON text of the answer (code fences removed) and what is wrong with it; an empty list means it is valid."""
    fenced = _FENCE.match(text)
    body = fenced[1] if fenced else text.strip()
    try:
        value = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return body, [f"it is not JSON: {error}"]
    return body, _violations(value, output)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def check_schema(schema: JsonObject) -> None:
    """Raises BadSchema when it is not a JSON Schema."""
    from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415 - loaded on first use

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise BadSchema(tuple(error.absolute_path), error.message[:LONGEST]) from None


def _violations(value: Any, output: OutputSchema) -> list[str]:
    """Nothing is fetched: a `$ref` to another document leads nowhere."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - loaded on first use
    from referencing import Registry  # noqa: PLC0415 - comes with it
    from referencing.exceptions import Unresolvable  # noqa: PLC0415

    validator = Draft202012Validator(output.schema, registry=Registry())
    try:
        found = sorted(validator.iter_errors(value), key=lambda item: list(map(str, item.path)))
    except Unresolvable as error:
        raise AgentError(f"structured_output.schema: $ref {error.ref!r} leads nowhere") from None
    return [
        f"{'.'.join(map(str, item.path)) or 'the answer'}: {item.message[:LONGEST]}" for item in found[:MOST_FINDINGS]
    ]


def repair_request(findings: list[str]) -> str:
    """What the model is told when its answer does not fit."""
    return (
        "Your answer does not fit the required JSON schema: "
        + "; ".join(findings)
        + ". Answer again with the corrected JSON and nothing else."
    )
