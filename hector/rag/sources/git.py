"""Files of a git repository as documents: those of one commit, by their paths."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, Final
from urllib.parse import quote

from hector.config.sources_remote import GitSource
from hector.core.errors import ConfigError
from hector.core.record import dataclass
from hector.core.retrieval import Content, Item, Omitted
from hector.rag.errors import Gone, Unreadable
from hector.rag.sources import sensitive
from hector.rag.sources.choice import NOT_MEANT, Choice
from hector.rag.sources.git_local import Local
from hector.rag.sources.git_pack import BLOB, Pack, TooLarge
from hector.rag.sources.git_tree import File, Objects, Walk, root_of, texts_of_ignores
from hector.rag.sources.git_wire import Remote, Tip
from hector.rag.sources.ignores import LARGEST
from hector.rag.sources.paths import id_of, shown

PAGE: Final = 500
"""Files that are listed at once, in a thread."""
_AHEAD: Final = 4096
"""Files whose ids are known ahead of their being read."""
_AT_ONCE: Final = 256
"""Files that are fetched at once, at most."""
_PACKS: Final = 4
"""Packs of files that are kept."""
_POINTER: Final = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit that can be looked at. `tip` leads to it, by a tag perhaps; `notes`: what ignore files say, by ids."""

    tip: Tip
    identity: str
    objects: Objects
    root: str
    notes: Mapping[str, bytes]


class GitFiles:
    """The source. Ids are paths; the fingerprint of a file is the id of its content, so that only changes are read."""

    def __init__(self, section: GitSource, environment: Mapping[str, str]) -> None:
        self._section, self._largest = section, section.max_file_size
        self._choice = Choice(section.include, section.exclude, section.max_file_size)
        git = section.git
        self._reach: Shelf | Local = Local(git.folder) if git.folder else Shelf(section, _token(section, environment))
        self._current: Commit | None = None
        self._turn = asyncio.Lock()
        self._omitted = Omitted()

    @property
    def omitted(self) -> Omitted:
        """Of the last listing that came to its end."""
        return self._omitted

    async def items(self, ids: Sequence[str] = ()) -> AsyncGenerator[Item]:
        """Every document of the commit that the branch or tag leads to now, or those of `ids`. Raises SourceError."""
        async with self._turn:
            commit = await self._opened()
        wanted = frozenset(ids)
        walk = Walk(commit.objects, self._choice, commit.notes.get)
        files = walk.files(commit.root)
        try:
            while page := await asyncio.to_thread(_page, files):
                found = [self._item(file, commit) for file in page]
                chosen = [item for item in found if item.id in wanted] if wanted else found
                if isinstance(self._reach, Shelf):
                    self._reach.expect([item.fingerprint for item in chosen])
                for item in chosen:
                    yield item
        finally:
            with suppress(ValueError):  # whoever is cancelled leaves a thread behind that still walks
                files.close()
        if not wanted:
            self._omitted = Omitted(_told(walk.counts))

    async def read(self, item: Item) -> Content:
        """The bytes of a file. Raises Unreadable, Gone, SourceError."""
        try:
            if isinstance(self._reach, Local):
                kind, data = await asyncio.to_thread(self._reach.content, item.fingerprint, self._largest)
            else:
                kind, data = await self._reach.content(item.fingerprint)
        except TooLarge:
            raise Unreadable(f"it has more than {self._largest} bytes, which is what max_file_size allows") from None
        if kind != BLOB:
            raise Gone(f"{item.name} is no file")
        path = item.metadata["path"]
        if not self._choice.names(path) and sensitive.holds_key(data[:200]):
            raise Unreadable("it holds a private key; name the file in `include` to have it read all the same")
        if data.startswith(_POINTER) and len(data) < 1024:
            raise Unreadable("it is kept in Git LFS, which is not read")
        if not self._choice.is_certain(item.name) and sensitive.looks_binary(data[:4096]):
            raise Unreadable("it is no text")
        return Content(item, data)

    def watch(self) -> None:
        """Repositories tell of nothing; `indexing.interval` looks again."""
        return

    async def aclose(self) -> None:
        """Close every connection and file."""
        if isinstance(self._reach, Shelf):
            await self._reach.aclose()
        else:
            await asyncio.to_thread(self._reach.close)

    async def _opened(self) -> Commit:
        """The commit that is meant, at once if it is the one that was looked at before."""
        ref = self._section.git.ref
        reach = self._reach
        tip = await (asyncio.to_thread(reach.tip, ref) if isinstance(reach, Local) else reach.remote.tip(ref))
        if self._current is not None and self._current.tip == tip:
            return self._current
        objects: Objects = reach if isinstance(reach, Local) else await reach.folders(tip.commit)
        identity, root = await asyncio.to_thread(root_of, objects, tip.commit)
        notes: Mapping[str, bytes] = {}
        if self._section.ignore_files and (ids := await asyncio.to_thread(texts_of_ignores, objects, root)):
            notes = await self._notes(ids)
        self._current = Commit(tip, identity, objects, root, notes)
        return self._current

    async def _notes(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        found: dict[str, bytes] = {}
        reach = self._reach
        if isinstance(reach, Shelf):
            reach.expect(ids)
        for one in ids:
            with suppress(TooLarge):
                if isinstance(reach, Local):
                    found[one] = (await asyncio.to_thread(reach.content, one, LARGEST))[1]
                else:
                    found[one] = (await reach.content(one))[1][:LARGEST]
        return found

    def _item(self, file: File, commit: Commit) -> Item:
        git, path = self._section.git, shown(file.path)
        folder, _, name = path.rpartition("/")
        metadata: dict[str, Any] = {
            "path": path, "folder": folder, "name": name, "extension": sensitive.ending(name),
            "git_repo_url": git.url, "git_commit": commit.identity, "git_ref": git.ref or commit.tip.name,
        }  # fmt: skip
        if file.size is not None:
            metadata["size"] = file.size
        uri = f"{git.url}#{commit.identity}:{path}"
        if git.link:
            uri = git.link.replace("{commit}", commit.identity).replace("{path}", quote(path))
        return Item(id_of(file.path), name, file.identity, uri, file.size, metadata=metadata)


class Shelf:
    """What was fetched of a repository elsewhere: the folders of a commit, and the files that are about to be read.

    Files are asked for some at once, the more of them are indeed read: a new index fetches hundreds with one request, a
    look at a few changes fetches those few.
    """

    def __init__(self, section: GitSource, token: str) -> None:
        self._largest = section.max_file_size
        self.remote = Remote(section.git, token, section.max_file_size)
        self._whole: Pack | None = None
        self._packs: deque[Pack] = deque(maxlen=_PACKS)
        self._ahead: deque[str] = deque(maxlen=_AHEAD)
        self._turn = asyncio.Lock()
        self._window, self._served, self._fetched = 1, 1, 1

    def expect(self, ids: Sequence[str]) -> None:
        """These may be read next, in this order."""
        self._ahead.extend(ids)

    async def folders(self, commit: str) -> Objects:
        """A commit with its folders. Raises SourceError."""
        pack = await self.remote.folders(commit)
        self._whole = None if self.remote.is_piecewise else pack
        self._ahead.clear()  # what only an earlier commit has may be gone
        return _Held(pack)

    async def content(self, identity: str) -> tuple[int, bytes]:
        """Of a file. Raises TooLarge, Gone, SourceError."""
        name = bytes.fromhex(identity)
        async with self._turn:
            if (pack := self._holding(name)) is None:
                if self._whole is not None:
                    raise Gone("the file is not in the commit any more, or could not be unpacked")
                pack = await self._around(identity)
            self._served += 1
        place = pack.place(name)
        if place is None:
            raise Gone("the repository does not give the file")
        return await asyncio.to_thread(pack.content, place, self._largest)

    async def aclose(self) -> None:
        """Close every connection; what was fetched goes."""
        self._packs.clear()
        self._whole = None
        await self.remote.aclose()

    def _holding(self, name: bytes) -> Pack | None:
        packs = self._packs if self._whole is None else (self._whole,)
        return next((pack for pack in packs if pack.place(name) is not None), None)

    async def _around(self, identity: str) -> Pack:
        """A file, and those that come after it."""
        self._window = _next_window(self._window, self._served, self._fetched)
        wanted = self._following(identity)
        self._served, self._fetched = 0, len(wanted)
        try:
            pack = await self.remote.files(wanted)
        except TooLarge:
            if len(wanted) == 1:
                raise
            self._window = self._fetched = 1
            pack = await self.remote.files([identity])
        self._packs.append(pack)
        return pack

    def _following(self, identity: str) -> list[str]:
        ahead = list(self._ahead)
        start = ahead.index(identity) if identity in ahead else len(ahead)
        others = (one for one in dict.fromkeys(ahead[start + 1 :]) if one != identity)
        missing = (one for one in others if self._holding(bytes.fromhex(one)) is None)
        return [identity, *islice(missing, self._window - 1)]


class _Held:
    """The objects of one pack."""

    def __init__(self, pack: Pack) -> None:
        self._pack = pack

    def content(self, identity: str, largest: int) -> tuple[int, bytes]:
        place = self._pack.place(bytes.fromhex(identity))
        if place is None:
            raise Gone(f"the repository does not give {identity}")
        return self._pack.content(place, largest)

    def size(self, identity: str) -> int | None:
        place = self._pack.place(bytes.fromhex(identity))
        return None if place is None else self._pack.size(place)


def _next_window(window: int, served: int, fetched: int) -> int:
    """How many files the next request asks for, by how many of the last one were read."""
    return min(4 * window, _AT_ONCE) if 2 * served >= fetched else max(window // 4, 1)


def _page(files: Generator[File]) -> list[File]:
    return list(islice(files, PAGE))


def _told(counts: Counter[str]) -> dict[str, int]:
    return {reason: count for reason, count in counts.items() if count and reason != NOT_MEANT}


def _token(section: GitSource, environment: Mapping[str, str]) -> str:
    git = section.git
    if git.token or not git.token_env:
        return git.token
    if not environment.get(git.token_env):
        raise ConfigError(f"{git.url} needs the variable {git.token_env}, which is not set")
    return environment[git.token_env]
