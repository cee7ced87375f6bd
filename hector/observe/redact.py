"""Secrets that were configured never reach a log line, an error text, or what is stored and shown of a run."""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

MASK: Final = "***"
SHORTEST: Final = 6
"""Values shorter than this are too common in ordinary text to be replaced."""
_SHORTEST_ENCODED: Final = 12
"""The same for what a secret becomes in base64, of which the ends depend on what stands around it."""

_secrets: list[str] = []
"""The longest first: a secret may begin with another one."""
_begins: set[str] = set()
"""All beginnings of all."""


def remember(*values: str) -> None:
    """Treat these values as secret from now on, for the life of the process, as they are and in JSON, URLs, base64."""
    found = set(_secrets)
    for value in values:
        if len(value) >= SHORTEST:
            found |= {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], quote(value, "")}
        if len(value) >= _SHORTEST_ENCODED:
            found |= _encoded(value)
    _secrets[:] = sorted(found, key=len, reverse=True)
    _begins.update(secret[:length] for secret in found for length in range(1, len(secret)))


def _encoded(value: str) -> set[str]:
    """What is the same of it in every base64 text that holds it: one form for each place within three bytes."""
    found: set[str] = set()
    octets = value.encode("utf-8", "replace")
    for before in range(3):
        text = base64.b64encode(b"\0" * before + octets).decode("ascii")
        text = text[before and before + 1 : len(text) // 4 * 4 - 4 if text.endswith("=") else None]
        found |= {text, text.replace("+", "-").replace("/", "_")}
    return found


def holds_secret(text: str) -> bool:
    """Whether there is anything to replace: a few searches, and nothing else in nearly all cases."""
    for secret in _secrets:  # a loop, for this is asked of everything that is stored  # noqa: SIM110
        if secret in text:
            return True
    return False


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


def undecided(text: str) -> int:
    """How many of the last characters may be the beginning of a secret whose rest is still to come."""
    if not _secrets:
        return 0
    tail = text[1 - len(_secrets[0]) :]
    for at, character in enumerate(tail):
        if character in _begins and tail[at:] in _begins:
            return len(tail) - at
    return 0
