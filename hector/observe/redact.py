"""Secrets that were configured never reach a log line or an error text."""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

MASK: Final = "***"
SHORTEST: Final = 6
"""Values shorter than this are too common in ordinary text to be replaced."""

_secrets: list[str] = []
"""The longest first: a secret may begin with another one."""


def remember(*values: str) -> None:
    """Treat these values as secret from now on, for the life of the process; also as they stand in JSON and in URLs."""
    found = set(_secrets)
    for value in values:
        if len(value) >= SHORTEST:
            found |= {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], quote(value, "")}
    _secrets[:] = sorted(found, key=len, reverse=True)


def redact(text: str) -> str:
    """The text with every known secret replaced by ***."""
    for secret in _secrets:
        if secret in text:
            text = text.replace(secret, MASK)
    return text


def redact_values(value: Any) -> Any:
    """A JSON value with every known secret in its texts replaced; the names in it stay."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: redact_values(item) for key, item in value.items()}
    return [redact_values(item) for item in value] if isinstance(value, list | tuple) else value
