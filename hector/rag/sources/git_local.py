"""A repository of this machine: read as it lies there, without git. Everything here blocks, and runs in threads.

Only what is below its folder is opened: objects that another repository lends it (alternates) are not.
"""

import mmap
import os
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hector.rag.errors import SourceError, SourceRefused
from hector.rag.sources.git_pack import KINDS, Damaged, Pack, TooLarge
from hector.rag.sources.git_wire import Refs, Tip, is_id

_INDEX: Final = b"\xfftOc\0\0\0\2"
_LISTED: Final = 32 * 2**20
"""Bytes of the list of packed branches and tags."""
_STEPS: Final = 5
"""How often a name may lead to another one."""
_HEAD: Final = 64
"""Bytes that kind and size of an object take at most."""


class Local:
    """One repository. What it lends from packs is found again after git has packed anew."""

    def __init__(self, folder: str) -> None:
        self._named = folder
        self._root = Path(os.path.expanduser(folder))
        self._packs: dict[str, Pack] = {}
        self._lock = threading.Lock()

    def tip(self, ref: str) -> Tip:
        """Where a branch, a tag, or with the empty text the default branch stands. Raises SourceError."""
        self._find()
        if is_id(ref):
            return Tip(ref.lower(), "")
        packed = self._packed()
        names = (
            ("HEAD",) if not ref else (ref,) if ref.startswith("refs/") else (f"refs/heads/{ref}", f"refs/tags/{ref}")
        )
        for name in names:
            if found := self._followed(name, packed):
                return Tip(found, name)
        heads = self._root / "refs/heads"
        loose = (str(path.relative_to(self._root)) for path in heads.rglob("*") if path.is_file())
        return Refs(packed | dict.fromkeys(loose, "")).tip(ref, self._named)

    def content(self, identity: str, largest: int) -> tuple[int, bytes]:
        """Kind and content of an object. Raises TooLarge, SourceError."""
        with self._lock:
            return self._content(identity, largest)

    def size(self, identity: str) -> int | None:
        """Bytes of an object, as far as that is cheap to know."""
        with self._lock:
            return next((pack.size(place) for pack, place in self._places(identity)), None)

    def close(self) -> None:
        """Give the files back."""
        for pack in self._packs.values():
            pack.close()
        self._packs = {}

    def _content(self, identity: str, largest: int) -> tuple[int, bytes]:
        if (found := self._loose(identity, largest)) is not None:
            return found
        for _ in range(2):
            for pack, place in self._places(identity):
                return pack.content(place, largest)
            self._open_packs()
        raise SourceError(
            f"{self._named} lacks the object {identity}: is it a partial copy, or one that borrows from another?"
        )

    def _places(self, identity: str) -> Iterator[tuple[Pack, int]]:
        name = bytes.fromhex(identity)
        for pack in self._packs.values():
            if (place := pack.place(name)) is not None:
                yield pack, place

    def _find(self) -> None:
        if not (self._root / "objects").is_dir():
            inner = self._root / ".git"
            if not (inner / "objects").is_dir():
                raise SourceRefused(f"there is no repository in {self._named}: no folder `objects`, there or in .git")
            self._root = inner
        config = self._root / "config"
        text = config.read_text("utf-8", "replace").lower() if config.is_file() else ""
        if "objectformat = sha256" in text or "refstorage = reftable" in text:
            raise SourceRefused(f"{self._named} is of a kind that is not read: SHA-256 ids, or reftable")
        self._open_packs()

    def _open_packs(self) -> None:
        folder = self._root / "objects/pack"
        try:
            there = {path.stem for path in folder.iterdir() if path.suffix == ".idx"}
        except FileNotFoundError:
            there = set()
        for gone in self._packs.keys() - there:
            self._packs.pop(gone).close()
        for new in sorted(there - self._packs.keys()):
            try:
                index = _Index(folder / f"{new}.idx")
                self._packs[new] = Pack((folder / f"{new}.pack").open("rb", buffering=0), index.place)
            except FileNotFoundError:
                continue  # packed anew meanwhile

    def _packed(self) -> dict[str, str]:
        known: dict[str, str] = {}
        try:
            with (self._root / "packed-refs").open("rb") as file:
                text = file.read(_LISTED).decode("utf-8", "replace")
        except FileNotFoundError:
            return known
        for row in text.splitlines():
            identity, _, name = row.partition(" ")
            if is_id(identity):
                known[name] = identity
        return known

    def _followed(self, name: str, packed: dict[str, str]) -> str:
        """The id that a name leads to; empty if it leads nowhere."""
        for _ in range(_STEPS):
            if ".." in name or name.startswith("/"):
                return ""
            try:
                with (self._root / name).open("rb") as file:
                    text = file.read(1024).decode("utf-8", "replace").strip()
            except (OSError, ValueError):  # ValueError: a name that no file can have
                return packed.get(name, "")
            if is_id(text):
                return text
            name = text.removeprefix("ref: ")
        return ""

    def _loose(self, identity: str, largest: int) -> tuple[int, bytes] | None:
        try:
            with (self._root / "objects" / identity[:2] / identity[2:]).open("rb") as file:
                inflater = zlib.decompressobj()
                start = inflater.decompress(file.read(_HEAD * 4), _HEAD)
                head, _, rest = start.partition(b"\0")
                kind, _, size = head.partition(b" ")
                if kind not in KINDS or not size.isdigit():
                    raise Damaged(f"the object {identity} of {self._named} is damaged")
                if int(size) > largest:
                    raise TooLarge(f"it has more than {largest} bytes")
                packed = inflater.unconsumed_tail + file.read(int(size) + int(size) // 100 + 1024)
                data = rest + inflater.decompress(packed, max(1, int(size) - len(rest)))
        except FileNotFoundError:
            return None
        except zlib.error:
            raise Damaged(f"the object {identity} of {self._named} is damaged") from None
        if len(data) != int(size):
            raise Damaged(f"the object {identity} of {self._named} is damaged")
        return KINDS[kind], data


class _Index:
    """Where the objects of a pack stand, as its .idx says (version 2)."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                raise Damaged(f"{path.name} is empty")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if self._map[:8] != _INDEX:
            raise SourceRefused(
                f"{path.name} is an index of a kind that is not read: `git repack -ad` writes a newer one"
            )
        self._count = self._number(8 + 4 * 255, 4)
        if len(self._map) < 8 + 1024 + 28 * self._count:
            raise Damaged(f"{path.name} is cut off")

    def place(self, identity: bytes) -> int | None:
        first = identity[0]
        low = self._number(8 + 4 * (first - 1), 4) if first else 0
        high = min(self._number(8 + 4 * first, 4), self._count)
        names = 8 + 1024
        while low < high:
            middle = (low + high) // 2
            name = self._map[names + 20 * middle : names + 20 * middle + 20]
            if name == identity:
                return self._offset(middle)
            low, high = (middle + 1, high) if name < identity else (low, middle)
        return None

    def _offset(self, number: int) -> int:
        offsets = 8 + 1024 + 24 * self._count
        found = self._number(offsets + 4 * number, 4)
        if found & 0x80000000:
            return self._number(offsets + 4 * self._count + 8 * (found & 0x7FFFFFFF), 8)
        return found

    def _number(self, at: int, width: int) -> int:
        return int.from_bytes(self._map[at : at + width])
