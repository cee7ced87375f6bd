"""Files of the server itself: tools that agents are given for other files leave these alone."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hector.config import sqlite
from hector.config.load import Loaded
from hector.core.record import dataclass

_BESIDE: Final = ("", "-wal", "-shm", "-journal", ".lock")
"""What stands beside a database under its name."""


@dataclass(frozen=True, slots=True)
class OwnFiles:
    """Whole paths. `sealed`: neither shown nor changed, folders with all that is in them; `fixed`: not changed."""

    sealed: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()


def own_files(loaded: Loaded, dsn: str) -> OwnFiles:
    """Those of a server: what it was configured by, and where it keeps what it knows."""
    sealed = [*((loaded.path,) if loaded.path else ()), *_database(dsn), *_folders(loaded)]
    return OwnFiles(_whole(sealed), _whole(loaded.files))


def _database(dsn: str) -> list[Path]:
    scheme, _, rest = dsn.partition("://")
    if scheme != "sqlite" or rest.startswith(":"):
        return []
    path = sqlite.parse(rest)[0]
    return [Path(path + end) for end in _BESIDE]


def _folders(loaded: Loaded) -> Iterator[Path]:
    """Indexes of documents, and what files were before they were changed."""
    for tool in loaded.config.tools.values():
        if undo := getattr(getattr(tool, "files", None), "undo", None):
            yield Path(undo).expanduser()
    for section in (getattr(loaded.config, "vector_stores", None) or {}).values():
        if path := getattr(section, "persist_path", None):
            yield Path(path).expanduser()


def _whole(paths: list[Path] | tuple[Path, ...]) -> tuple[str, ...]:
    """Both where a link stands and where it leads."""
    found = {os.path.realpath(path) for path in paths}
    found |= {os.path.join(os.path.realpath(path.parent), path.name) for path in paths}
    return tuple(sorted(found))
