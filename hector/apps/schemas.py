"""The shapes of answers, which the loader cannot judge: whether they are JSON Schemas, and if not, at which line."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hector.config.findings import Finding, InvalidConfig, Where
from hector.config.load import Loaded

if TYPE_CHECKING:
    from hector.config.structured import StructuredOutput


def check_schemas(loaded: Loaded) -> None:
    """Raises InvalidConfig."""
    outputs = {name: getattr(agent, "structured_output", None) for name, agent in loaded.config.agents.items()}
    if asked := {name: output for name, output in outputs.items() if output is not None}:
        _check(loaded, asked)


def _check(loaded: Loaded, asked: "Mapping[str, StructuredOutput]") -> None:
    from hector.agents.structured import BadSchema, check_schema  # noqa: PLC0415 - brings the validator
    from hector.config.masking import masked_source  # noqa: PLC0415 - most configurations ask for no shape
    from hector.config.source import parse  # noqa: PLC0415 - likewise

    findings: list[Finding] = []
    document = None
    for name, output in asked.items():
        try:
            check_schema(output.json_schema)
        except BadSchema as error:
            document = document or parse(loaded.text, str(loaded.path or ""), is_json=loaded.is_json)
            where: Where = ("agents", name, "structured_output", "schema", *error.where)
            findings.append(Finding("type", str(error), where, document.file, document.place(where)))
    if findings and document is not None:
        raise InvalidConfig((*findings, *loaded.warnings), masked_source(document))
