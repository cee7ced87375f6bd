"""Files below a folder, opened step by step and never through a link (openat with O_NOFOLLOW).

Whoever may write to the folder cannot make us read anything outside of it, whatever they do meanwhile. Nothing is
opened that is no plain file once it is open: fifos and devices do not block (O_NONBLOCK) and are given back at once.
Needs a POSIX system.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_PIECE: Final = 1 << 20


class NotPlain(OSError):  # noqa: N818
    """What was opened is no plain file."""


@contextmanager
def folder(root: str, steps: Sequence[str]) -> Iterator[int]:
    """The descriptor of a folder. Only the root itself may be reached through a link. Raises OSError."""
    current = os.open(root, _FOLDER)
    try:
        for step in steps:
            following = os.open(step, _FOLDER | os.O_NOFOLLOW, dir_fd=current)
            os.close(current)
            current = following
        yield current
    finally:
        os.close(current)


@contextmanager
def file(within: int, name: str) -> Iterator[int]:
    """The descriptor of a plain file of a folder. Raises OSError, NotPlain being one."""
    opened = os.open(name, _FILE, dir_fd=within)
    try:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise NotPlain(f"{name} is no plain file")
        yield opened
    finally:
        os.close(opened)


def read(opened: int, most: int) -> bytes:
    """From where it stands, `most` bytes at most."""
    pieces: list[bytes] = []
    while most > 0 and (piece := os.read(opened, min(most, _PIECE))):
        pieces.append(piece)
        most -= len(piece)
    return b"".join(pieces)


def start(within: int, name: str, most: int) -> bytes:
    """The first bytes of a file; none of what cannot be opened."""
    with suppress(OSError), file(within, name) as opened:
        return read(opened, most)
    return b""
