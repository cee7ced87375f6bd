"""Which indexes a folder has had, as vector servers know them: kept beside the folder, so that it outlives it.

An index that is made anew gets another identity. Without this nobody would ever clear what a server holds of the one
before, when its folder was deleted by hand or because it was damaged.
"""

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

log = logging.getLogger("hector.rag")

SUFFIX: Final = ".indexes"

Trace: TypeAlias = tuple[str, str]
"""Where vectors lie, and the identity of the index that they are of."""


def file_of(folder: Path) -> Path:
    """No collection has a name like that."""
    return folder.parent / f".{folder.name}{SUFFIX}"


def traces(folder: Path) -> list[Trace]:
    """Of all indexes that the folder has had, as far as they are not cleared."""
    try:
        return [(str(place), str(identity)) for place, identity in json.loads(file_of(folder).read_bytes())]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        log.warning("earlier indexes of a folder are not known", extra={"folder": str(folder), "error": str(error)})
        return []


def keep(folder: Path, found: Sequence[Trace]) -> None:
    """Write it down, whole or not at all."""
    path = file_of(folder)
    draft = path.with_name(f"{path.name}.new")
    try:
        draft.write_text(json.dumps(found), encoding="utf-8")
        os.replace(draft, path)
    except OSError as error:
        log.warning("an index leaves no trace", extra={"folder": str(folder), "error": str(error)})
