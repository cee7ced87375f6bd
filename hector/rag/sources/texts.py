"""Texts of documents that are made of fields: rows of tables, entries of web services."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any


def joined(fields: Iterable[tuple[str, Any]]) -> str:
    """One field is its text; several are paragraphs of `name: value`. Empty ones are left out."""
    every = list(fields)
    known = [(name, text) for name, value in every if (text := plain(value).strip())]
    if len(every) == 1:
        return known[0][1] if known else ""
    return "\n\n".join(f"{name}: {text}" for name, text in known)


def plain(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and all(isinstance(one, str | int | float) for one in value):
        return ", ".join(map(plain, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)


def digest(*parts: Any) -> str:
    """Of values that JSON can hold: the same for the same."""
    text = json.dumps(parts, ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
