"""Answers of a given shape."""

from typing import Any

from pydantic import Field

from hector.config.base import Section


class StructuredOutput(Section):
    """The answer is JSON of a given shape."""

    json_schema: dict[str, Any] = Field(alias="schema", min_length=1, description="JSON Schema of the answer.")
    strict: bool = Field(True, description="Ask the provider to enforce the schema, where it can.")
    name: str = Field(
        "response", pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Name of the shape, as the provider is told."
    )
