"""Named SQL statements: `sql/<file>.sql`, one per `-- name` or `-- name @dialect` header."""

import os.path
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from importlib.abc import ResourceLoader

FILES: Final = (
    "sessions",
    "deletion",
    "tasks",
    "jobs",
    "instances",
    "queue",
    "push",
    "approvals",
    "retention",
    "figures",
    "backup",
    "relay",
    "counters",
    "usage",
    "switches",
    "apps",
    "credentials",
    "audit",
    "inspection",
    "artifacts",
    "mcp_pins",
    "memories",
    "memory_vectors",
    "egress",
)
_HEADER: Final = re.compile(r"^-- (\w+)(?: @(\w+))?\n", re.MULTILINE)
_REMARK: Final = re.compile(r"^--.*\n", re.MULTILINE)


def text(path: str) -> str:
    """A file of `sql/`, from a folder, a zip archive or an executable alike."""
    loader = cast("ResourceLoader", __spec__.loader)
    return loader.get_data(os.path.join(os.path.dirname(__file__), "sql", *path.split("/"))).decode()


def load(file: str, dialect: str) -> Mapping[str, str]:
    """Statements of one file by name; a dialect's own version wins over the shared one."""
    _, *parts = _HEADER.split(text(f"{file}.sql"))
    shared: dict[str, str] = {}
    special: dict[str, str] = {}
    for name, only, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        if only is None or only == dialect:  # split() yields None for the absent group
            (special if only else shared)[name] = _REMARK.sub("", body).strip().rstrip(";")
    return shared | special
