"""A word to whoever indexes a folder, from another process of the same machine: look through the source again.

It is a file beside the index: both have the folder, and nothing else needs to be known of each other.
"""

import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from hector.core.record import dataclass

NAME: Final = "asked.json"


@dataclass(frozen=True, slots=True)
class Request:
    """`force`: read, cut and embed everything anew. `id` comes back in the progress once that is done."""

    id: str
    force: bool = False


def ask(folder: Path, *, force: bool = False) -> Request:
    """Leave a request; one that nobody has taken yet is replaced, and its force kept. Raises OSError."""
    before = peek(folder)
    request = Request(secrets.token_hex(8), force or bool(before and before.force))
    draft = folder / f"{NAME}.{request.id}"
    draft.write_text(json.dumps([request.id, request.force]), encoding="utf-8")
    os.replace(draft, folder / NAME)
    return request


def peek(folder: Path) -> Request | None:
    """The request that waits."""
    try:
        found = json.loads((folder / NAME).read_text(encoding="utf-8"))
        return Request(str(found[0]), bool(found[1]))
    except (OSError, ValueError, LookupError, TypeError):
        return None


def take(folder: Path) -> Request | None:
    """Take it away."""
    request = peek(folder)
    if request is not None:
        with suppress(OSError):
            os.unlink(folder / NAME)
    return request
