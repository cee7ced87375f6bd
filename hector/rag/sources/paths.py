"""Ids of files: paths, in a form that any text can hold. Pure."""

import os
from collections.abc import Iterable
from urllib.parse import quote_from_bytes, unquote_to_bytes


def id_of(path: str) -> str:
    """The id of a path: itself, or, where its names are no UTF-8, a slash and its bytes as in a URL."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return _quoted(path)
    return path


def beginnings(folders: Iterable[str]) -> tuple[str, ...]:
    """How the ids of what is in these folders begin, whether or not their own names are UTF-8."""
    return tuple(form for path in folders for form in dict.fromkeys((id_of(path), _quoted(path))))


def _quoted(path: str) -> str:
    return "/" + quote_from_bytes(os.fsencode(path))


def path_of(item: str) -> str:
    """The path, as the system takes it."""
    return os.fsdecode(unquote_to_bytes(item[1:])) if item.startswith("/") else item


def shown(path: str) -> str:
    """A path for people, and for what holds only Unicode."""
    return os.fsencode(path).decode("utf-8", "replace")
