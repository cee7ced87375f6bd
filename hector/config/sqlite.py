"""The address of an SQLite file: its path, and how far a commit goes."""

from typing import Final

FLUSHES: Final = ("normal", "full")
"""What `synchronous` may be: outliving the death of the process, or also that of the machine."""
ALLOWED: Final = "synchronous=normal or synchronous=full"


def parse(rest: str) -> tuple[str, str]:
    """Path and mode, from what follows `sqlite://`. Raises ValueError."""
    path, mark, query = rest.partition("?")
    if not path:
        raise ValueError("the address names no file")
    if not mark:
        return path, FLUSHES[0]
    key, _, value = query.partition("=")
    if key != "synchronous" or value.lower() not in FLUSHES:
        raise ValueError(f"behind the ? of an SQLite address stands {ALLOWED}, not {query[:40]!r}")
    return path, value.lower()


def compose(path: str, synchronous: str) -> str:
    """The address."""
    return f"sqlite://{path}" + ("" if synchronous == FLUSHES[0] else f"?synchronous={synchronous}")
