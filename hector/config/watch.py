"""Notices that configuration files have changed, by looking at them a few times per second.

Looking works where notification does not: network folders, bind mounts, editors that replace the file, maps that an
orchestrator swaps by a symbolic link.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

INTERVAL: Final = 0.25
"""Seconds between two looks."""
SETTLE: Final = 0.2
"""Seconds without a further change before a change counts: editors write in several steps."""
GRACE: Final = 5.0
"""Seconds that a file may be away before its absence counts: replacing it by rename leaves a gap."""

_Stamp: TypeAlias = tuple[int, int, int] | None


def _stamps(paths: Iterable[Path]) -> dict[Path, _Stamp]:
    return {path: _stamp(path) for path in paths}


def _stamp(path: Path) -> _Stamp:
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino


async def changes(
    files: Callable[[], Iterable[Path]],
    *,
    interval: float = INTERVAL,
    settle: float = SETTLE,
    grace: float = GRACE,
) -> AsyncGenerator[frozenset[Path], None]:
    """Sets of files that have changed, appeared or gone for good. `files` is asked anew before each look.

    Several changes in a row, and changes while the consumer is busy, arrive as one. Never ends by itself.
    """
    seen = _stamps(files())
    while True:
        await asyncio.sleep(interval)
        now = _stamps(files())
        seen = {path: seen.get(path, stamp) for path, stamp in now.items()}
        if now == seen:
            continue
        now = await _settled(now, seen, settle, grace)
        changed = frozenset(path for path in now if now[path] != seen[path])
        seen = now
        if changed:
            yield changed


async def _settled(
    now: Mapping[Path, _Stamp], before: Mapping[Path, _Stamp], settle: float, grace: float
) -> dict[Path, _Stamp]:
    """Wait until nothing moves any more, and until what is away is back or has been away for long."""
    away = 0.0
    while True:
        await asyncio.sleep(settle)
        later = _stamps(now)
        is_away = any(stamp is None and before[path] is not None for path, stamp in later.items())
        if later == now and (not is_away or away >= grace):
            return later
        away = away + settle if is_away else 0.0
        now = later
