"""Keys that say where a row belongs: events and tasks of a session lie side by side, and its runs have a lane."""

from typing import Final

SEQ_BITS: Final = 24
"""An event's key is `session key << SEQ_BITS | seq`, a task's that of its first event."""


def lane_of(session: int) -> str:
    """The lane of the runs of a session."""
    return f"s{session}"


def bounds(session: int) -> tuple[int, int]:
    """The first key of a session's events and tasks, and the first one after them."""
    return session << SEQ_BITS, (session + 1) << SEQ_BITS
