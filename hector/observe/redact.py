"""Secrets that were configured never reach a log line or an error text."""

from typing import Final

MASK: Final = "***"
SHORTEST: Final = 6
"""Values shorter than this are too common in ordinary text to be replaced."""

_secrets: set[str] = set()


def remember(*values: str) -> None:
    """Treat these values as secret from now on, for the life of the process."""
    _secrets.update(value for value in values if len(value) >= SHORTEST)


def redact(text: str) -> str:
    """The text with every known secret replaced by ***."""
    for secret in _secrets:
        if secret in text:
            text = text.replace(secret, MASK)
    return text
