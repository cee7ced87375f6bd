"""Files below a folder as documents."""

import asyncio
import errno
import os
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from hector.config.sources import DirectorySource
from hector.core.retrieval import Change, Content, Item, Omitted
from hector.rag.errors import Gone, SourceError, Unreadable, Unsettled
from hector.rag.sources import sensitive
from hector.rag.sources.choice import Choice
from hector.rag.sources.paths import beginnings, id_of, path_of, shown
from hector.rag.sources.tree import Found, Tally, Tree

PAGE: Final = 500
"""Files that are listed at once, in a thread; the loop runs between pages."""
_TRIES: Final = 3
_PAUSE: Final = 0.1
"""Seconds before a file that changed while it was read is read again."""
_FRESH: Final = 50_000_000
"""Nanoseconds in which a file may change twice and keep its time and size."""


class Directory:
    """The source. Ids are paths from its root, with `/`; they stay when the folder as a whole moves."""

    def __init__(self, section: DirectorySource, own: Sequence[str] = ()) -> None:
        self._section = section
        choice = Choice(section.include, section.exclude, section.max_file_size)
        self._tree = Tree(os.path.expanduser(section.path), choice, own, ignore_files=section.ignore_files)
        self._omitted = Omitted()

    @property
    def omitted(self) -> Omitted:
        """Of the last listing that came to its end."""
        return self._omitted

    async def items(self, ids: Sequence[str] = ()) -> AsyncGenerator[Item]:
        """Every document, or those of `ids`. Raises SourceError where the folder itself cannot be opened."""
        if ids:
            for start in range(0, len(ids), PAGE):
                for item in await asyncio.to_thread(self._looked, ids[start : start + PAGE]):
                    yield item
            return
        tally = Tally()
        found = self._tree.walk(tally)
        try:
            while page := await asyncio.to_thread(self._page, found):
                for item in page:
                    yield item
        finally:
            with suppress(ValueError):  # whoever is cancelled leaves a thread behind that still walks
                found.close()
        folders = Counter(f"folders that cannot be opened: {why}" for why in tally.unseen.values())
        self._omitted = Omitted({**tally.counts, **folders}, beginnings(tally.unseen))

    async def read(self, item: Item) -> Content:
        """The bytes of a file, all from the same moment. Raises Unreadable, Gone or Unsettled."""
        for attempt in range(_TRIES):
            content = await asyncio.to_thread(self._read, item)
            if content is not None:
                return content
            await asyncio.sleep(_PAUSE * (attempt + 1))
        raise Unsettled(f"{item.name} changes while it is read")

    def watch(self) -> AsyncIterator[Change]:
        """Changes as they happen; see watching.py."""
        from hector.rag.sources.watching import changes  # noqa: PLC0415 - only where somebody watches

        return changes(self._tree)

    async def aclose(self) -> None:
        """Nothing stays open."""

    def _page(self, found: Generator[Found]) -> list[Item]:
        try:
            return [self._item(one) for one in islice(found, PAGE)]
        except OSError as error:
            raise SourceError(f"the folder {self._section.path} cannot be opened: {error.strerror}") from None

    def _looked(self, ids: Sequence[str]) -> list[Item]:
        try:
            found = [self._tree.look(path_of(one)) for one in ids]
        except OSError as error:
            raise SourceError(f"a file of {self._section.path} cannot be looked at: {error.strerror}") from None
        return [self._item(one) for one in found if one is not None]

    def _read(self, item: Item) -> Content | None:
        """None: it changed meanwhile."""
        path, most = path_of(item.id), self._section.max_file_size
        try:
            before, data, after = self._tree.read(path, most + 1)
        except OSError as error:
            raise _failed(item, error) from None
        if before != after:
            return None
        if len(data) > most:
            raise Unreadable(f"it has more than {most} bytes, which is as much as max_file_size allows")
        self._check(before.name, data, is_named=self._tree.choice.names(path))
        return Content(self._item(before), data, os.path.join(os.path.abspath(self._tree.root), path))

    def _check(self, name: str, data: bytes, *, is_named: bool) -> None:
        if not is_named and sensitive.holds_key(data[:200]):
            raise Unreadable("it holds a private key; name the file in `include` to have it read all the same")
        if not self._tree.choice.is_certain(name) and sensitive.looks_binary(data[:4096]):
            raise Unreadable("it is no text")

    def _item(self, found: Found) -> Item:
        identity = f"{found.size}-{found.changed}-{found.inode}"
        is_fresh = 0 <= time.time_ns() - found.changed < _FRESH
        path = shown(found.path)
        folder, _, name = path.rpartition("/")
        metadata: dict[str, Any] = {
            "path": path, "folder": folder, "name": name, "extension": sensitive.ending(name), "size": found.size,
            "modified": datetime.fromtimestamp(found.changed // 1_000_000_000, UTC).isoformat(),
        }  # fmt: skip
        return Item(
            id_of(found.path), name, f"{identity}-fresh" if is_fresh else identity, self._uri(path), found.size,
            metadata=metadata,
        )  # fmt: skip

    def _uri(self, path: str) -> str:
        root = self._section.path.removeprefix("./").rstrip("/")
        return path if root in {"", "."} else f"{root}/{path}"


def _failed(item: Item, error: OSError) -> Gone | Unreadable:
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return Gone(f"{item.name} is not there any more")
    if error.errno == errno.ELOOP:
        return Gone(f"{item.name} is a link now")
    return Unreadable(f"it cannot be opened: {error.strerror or error}")
