"""Vectors of an app that is no more: removed from servers by the traces that its folder has, in one process at a time.

How far that is stands in the folder, so that whoever comes next, after a crash as well, goes on with it.
"""

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from hector.core.errors import HectorError
from hector.rag.errors import VectorStoreUnavailable
from hector.rag.stores.index import Keeping
from hector.rag.stores.traces import SUFFIX, Trace, keep, traces

log = logging.getLogger("hector.rag")

PATIENCE: Final = 24 * 3600.0
"""Seconds for which a server that cannot be reached is tried again."""
FIRST_PAUSE: Final = 15.0
LONGEST_PAUSE: Final = 900.0

Servers = Mapping[str, Callable[[], Keeping]]
"""What keeps vectors, by the places that traces name."""


class Progress(NamedTuple):
    """Of one removal; times are in seconds since the epoch."""

    since: float
    tries: int = 0
    due: float = 0.0

    def failed(self, now: float) -> "Progress":
        """After one more try."""
        pause = min(FIRST_PAUSE * 2.0 ** min(self.tries, 16), LONGEST_PAUSE)
        return Progress(self.since, self.tries + 1, now + pause)

    def is_over(self, now: float) -> bool:
        """Whether it is given up."""
        return now - self.since >= PATIENCE


def left_in(folder: Path) -> list[tuple[Path, Trace]]:
    """What servers may have of the collections in an app's folder, with the folder of each."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.startswith(".") and name.endswith(SUFFIX))
    except OSError:
        return []
    collections = [folder / name[1 : -len(SUFFIX)] for name in names]
    return [(one, trace) for one in collections for trace in traces(one)]


def progress_of(folder: Path, now: float) -> Progress:
    """How far the removal is; it begins now where nothing is known."""
    try:
        since, tries, due = json.loads(_file(folder).read_bytes())
        return Progress(float(since), int(tries), float(due))
    except (OSError, ValueError, TypeError):
        return Progress(now)


def note(folder: Path, progress: Progress) -> None:
    """Write it down."""
    try:
        _file(folder).write_text(json.dumps(progress), encoding="utf-8")
    except OSError as error:
        log.warning("a removal of vectors leaves no note", extra={"folder": str(folder), "error": str(error)})


def _file(folder: Path) -> Path:
    return folder / ".removal"


async def remove(folder: Path, servers: Servers, seconds: float) -> dict[Trace, str]:
    """Remove what can be removed within so many seconds; what stays, and why. May be done again."""
    left: dict[Trace, str] = {}
    until = time.monotonic() + seconds
    for place, found in _by_place(left_in(folder)).items():
        if place not in servers:
            reason = "no configuration of the app that holds says how it is reached"
        else:
            reason = await _dropped(servers[place], found, until - time.monotonic())
        left.update({trace: reason for _, trace in found if reason})
    return left


def _by_place(found: Iterable[tuple[Path, Trace]]) -> dict[str, list[tuple[Path, Trace]]]:
    places: dict[str, list[tuple[Path, Trace]]] = {}
    for collection, trace in found:
        places.setdefault(trace[0], []).append((collection, trace))
    return places


async def _dropped(reached: Callable[[], Keeping], found: Iterable[tuple[Path, Trace]], seconds: float) -> str:
    """Why some of it is still there; empty: all of it went."""
    try:
        keeping = reached()
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                await _drop(keeping, found)
        finally:
            await keeping.aclose()
    except TimeoutError:
        return str(VectorStoreUnavailable("no answer in time"))
    except (HectorError, OSError) as error:
        return str(error)
    return ""


async def _drop(keeping: Keeping, found: Iterable[tuple[Path, Trace]]) -> None:
    there = await keeping.find()
    for collection, trace in found:
        if there:
            await keeping.drop(trace[1])
        await asyncio.to_thread(keep, collection, [one for one in traces(collection) if one != trace])
