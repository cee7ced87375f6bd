"""Changes of the files below a folder, as they happen: told by the system on Linux, looked for elsewhere.

What is told is only where to look. So a notice too many does no harm, and where notices may be missing (too many at
once, folders that moved, a root that was replaced) everything is looked at. The first change is always such a one: it
comes as soon as everything is watched, so that nothing is missed between a listing and the watching.
"""

import asyncio
import logging
import os
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from hector.core.record import dataclass
from hector.core.retrieval import Change
from hector.rag.sources import ignores, inotify
from hector.rag.sources.inotify import Inotify, Notice
from hector.rag.sources.paths import id_of
from hector.rag.sources.tree import Found, Tally, Tree

_log = logging.getLogger(__name__)

QUIET: Final = 0.3
"""Seconds without a further notice before a change is told: programs write in several steps."""
LATEST: Final = 3.0
"""Seconds after which it is told all the same."""
MOST: Final = 1000
"""Changed files that are named; of more, everything is looked at."""
REGULAR: Final = 600.0
"""Seconds after which everything is looked at even without a notice: network folders tell of no others' changes."""
CHECK: Final = 2.0
"""Seconds between two looks whether the root is still the folder that is watched; also the shortest for polling."""
_SHARE: Final = 10
"""Polling takes at most this part of the time."""
ALL: Final = Change()


async def changes(tree: Tree, *, regular: float = REGULAR, check: float = CHECK) -> AsyncGenerator[Change]:
    """Never ends by itself. Files that are read while they change come again."""
    while True:
        try:
            async with aclosing(_told(tree, regular, check)) as told:
                async for change in told:
                    yield change
        except (_Lost, FileNotFoundError, NotADirectoryError):
            yield ALL
            await _there(tree, check)
        except OSError as error:
            _log.warning("changes of %s are looked for every few seconds: %s", tree.root, error.strerror or error)
            break
    async with aclosing(polled(tree)) as looked:
        async for change in looked:
            yield change


class _Lost(Exception):  # noqa: N818 - leads to a new beginning
    """The root is another folder now, or none."""


@dataclass(slots=True)
class Pending:
    """What has changed and was not told yet. `all`: everything has to be looked at."""

    ids: set[str]
    all: bool = False

    def __bool__(self) -> bool:
        return self.all or bool(self.ids)

    def add(self, path: str) -> None:
        """Note a file."""
        self.ids.add(id_of(path))
        if len(self.ids) > MOST:
            self.whole()

    def whole(self) -> None:
        """Note that nobody knows which."""
        self.all = True
        self.ids.clear()

    def taken(self) -> Change:
        """All of it, and begin anew."""
        change = ALL if self.all else Change(tuple(sorted(self.ids)))
        self.ids.clear()
        self.all = False
        return change


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a notice asks for: a file, a new folder, or everything to be looked at."""

    file: str = ""
    folder: str = ""
    all: bool = False


def meaning(notice: Notice) -> Meaning:
    """Pure."""
    if notice.mask & inotify.OVERFLOW or notice.folder is None:
        return Meaning(all=True)
    if not notice.name:
        return Meaning()
    path = f"{notice.folder}/{notice.name}" if notice.folder else notice.name
    if notice.mask & inotify.IS_FOLDER:
        if notice.mask & (inotify.CREATE | inotify.MOVED_TO):
            return Meaning(folder=path)
        return Meaning(all=bool(notice.mask & inotify.MOVED_FROM))
    return Meaning(all=True) if notice.name in ignores.NAMES else Meaning(file=path)


async def _told(tree: Tree, regular: float, check: float) -> AsyncGenerator[Change]:
    """By notices. Raises OSError where there are none, or none left, or no root; _Lost where it has moved."""
    loop, came = asyncio.get_running_loop(), asyncio.Event()
    watch = Inotify(tree.root)
    try:
        root = await asyncio.to_thread(_identity, tree.root)
        await asyncio.to_thread(_watch_all, tree, watch)
        loop.add_reader(watch.descriptor, came.set)
        yield ALL
        pending, looked = Pending(set()), time.monotonic()
        while True:
            await _settled(tree, watch, came, pending, check)
            if await asyncio.to_thread(_identity, tree.root) != root:
                raise _Lost
            if time.monotonic() - looked >= regular:
                pending.whole()
            if pending:
                looked = time.monotonic() if pending.all else looked
                yield pending.taken()
    finally:
        loop.remove_reader(watch.descriptor)
        watch.close()


async def _settled(tree: Tree, watch: Inotify, came: asyncio.Event, pending: Pending, check: float) -> None:
    """Take in notices until none has come for a while; where there are none, wait for one for a while."""
    begun = 0.0
    while True:
        try:
            async with asyncio.timeout(QUIET if begun else check):
                await came.wait()
        except TimeoutError:
            return
        came.clear()
        await _take(tree, watch, pending)
        now = time.monotonic()
        begun = begun or now
        if now - begun > LATEST:
            return


async def _take(tree: Tree, watch: Inotify, pending: Pending) -> None:
    folders: list[str] = []
    rebuild = False
    for notice in watch.notices():
        meant = meaning(notice)
        rebuild |= meant.all
        if meant.folder:
            folders.append(meant.folder)
        elif meant.file and not pending.all and not tree.choice.whole(meant.file, 1):
            pending.add(meant.file)
    if rebuild:
        pending.whole()
        await asyncio.to_thread(_watch_all, tree, watch)
    elif folders:
        for found in await asyncio.to_thread(_entered, tree, watch, folders):
            pending.add(found.path)


def _watch_all(tree: Tree, watch: Inotify) -> None:
    """Watch every folder, and none that is gone."""
    seen: set[str] = set()

    def enter(path: str) -> None:
        seen.add(path)
        watch.watch(path)

    for _ in tree.walk(Tally(), entered=enter):
        pass
    watch.keep(seen)


def _entered(tree: Tree, watch: Inotify, folders: list[str]) -> list[Found]:
    """Watch new folders, and find what was made in them before they were watched."""
    found: list[Found] = []
    for folder in folders:
        try:
            if tree.is_meant(folder):
                found += tree.walk(Tally(), folder, watch.watch)
        except FileNotFoundError:
            continue
    return found


def _identity(path: str) -> tuple[int, int] | None:
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


async def _there(tree: Tree, check: float) -> None:
    """Wait until the root can be opened again."""
    while await asyncio.to_thread(_identity, tree.root) is None:  # noqa: ASYNC110 - nobody tells of a missing folder
        await asyncio.sleep(check)


async def polled(tree: Tree, shortest: float = CHECK) -> AsyncGenerator[Change]:
    """The same by looking at everything again and again; takes about 100 bytes for each file."""
    yield ALL
    seen, took = await asyncio.to_thread(_snapshot, tree)
    while True:
        await asyncio.sleep(max(shortest, took * _SHARE))
        now, took = await asyncio.to_thread(_snapshot, tree)
        if change := _difference(seen, now):
            yield change
        seen = now


def _difference(seen: dict[str, int] | None, now: dict[str, int] | None) -> Change | None:
    if now is None or seen is None:
        return None if now is seen else ALL
    changed = [one for one in seen.keys() | now.keys() if seen.get(one) != now.get(one)]
    if len(changed) > MOST:
        return ALL
    return Change(tuple(sorted(changed))) if changed else None


def _snapshot(tree: Tree) -> tuple[dict[str, int] | None, float]:
    """What every file looks like, None where the root is away; and how long that took."""
    begun = time.monotonic()
    try:
        found = {id_of(one.path): hash(one) for one in tree.walk(Tally())}
    except OSError:
        return None, 0.0
    return found, time.monotonic() - begun
