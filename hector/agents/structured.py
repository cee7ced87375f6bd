"""Structured output: read the answer as JSON, hold it against its schema, say what is wrong."""

import json
import re
from typing import Any, Final

from hector.core.errors import AgentError
from hector.core.ports import OutputSchema

_FENCE: Final = re.compile(r"^\s*```[a-zA-Z]*\s*\n(.*?)\n?\s*```\s*$", re.DOTALL)
MOST_FINDINGS: Final = 5


def check(text: str, output: OutputSchema) -> tuple[str, list[str]]:
    """The JSON text of the answer (code fences removed) and what is wrong with it; an empty list means it is valid."""
    fenced = _FENCE.match(text)
    body = fenced[1] if fenced else text.strip()
    try:
        value = json.loads(body)
    except ValueError as error:
        return body, [f"it is not JSON: {error}"]
    return body, _violations(value, output)


def check_schema(output: OutputSchema) -> None:
    """Raises AgentError when the schema itself is not a JSON Schema."""
    from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415 - loaded on first use

    try:
        Draft202012Validator.check_schema(output.schema)
    except SchemaError as error:
        raise AgentError(f"structured_output.schema is not a JSON Schema: {error.message}") from None


def _violations(value: Any, output: OutputSchema) -> list[str]:
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - loaded on first use

    found = sorted(Draft202012Validator(output.schema).iter_errors(value), key=lambda item: list(map(str, item.path)))
    return [f"{'.'.join(map(str, item.path)) or 'the answer'}: {item.message}" for item in found[:MOST_FINDINGS]]


def repair_request(findings: list[str]) -> str:
    """What the model is told when its answer does not fit."""
    return (
        "Your answer does not fit the required JSON schema: "
        + "; ".join(findings)
        + ". Answer again with the corrected JSON and nothing else."
    )
