"""Packs of git: many objects in one file, some of them written as what differs from another one.

Written by strangers: every size is bounded before anything is unpacked, chains of differences and the work on a whole
pack are, too. Everything here blocks, and runs in threads. Format: gitformat-pack(5), version 2.
"""

import hashlib
import os
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, Final

from hector.core.record import dataclass
from hector.rag.errors import SourceError

COMMIT: Final = 1
TREE: Final = 2
BLOB: Final = 3
TAG: Final = 4
_BY_OFFSET: Final = 6
_BY_ID: Final = 7
NAMES: Final[Mapping[int, bytes]] = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob", TAG: b"tag"}
KINDS: Final[Mapping[bytes, int]] = {name: kind for kind, name in NAMES.items()}
_HEAD: Final = 12
_TRAILER: Final = 20
_PIECE: Final = 64 * 1024
_LONGEST_CHAIN: Final = 1000
_LONGEST_WORK: Final = 30.0
"""Seconds that one object may take."""
_SLACK: Final = 256
_KEPT: Final = 32 * 2**20
"""Bytes of objects that stay unpacked, since others are written as differences from them."""


class Damaged(SourceError):  # noqa: N818
    """No pack, or one that is cut off, or that asks for more than it may."""


class TooLarge(Damaged):
    """One object is."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """`objects` of a pack, `unpacked` bytes of all its objects together, `largest` of one; `seconds` of work."""

    objects: int = 1_000_000
    unpacked: int = 4 * 2**30
    largest: int = 32 * 2**20
    seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands at the beginning of an object: `base` is an offset or an id, `data` where its stream begins."""

    kind: int
    size: int
    data: int
    base: int | bytes = 0


class Pack:
    """One pack in an open file. `find` gives the offset of an object by its id, None: it is in no pack known here."""

    def __init__(self, file: BinaryIO, find: Callable[[bytes], int | None] | None = None) -> None:
        self._file = file
        self._number = file.fileno()
        self._end = os.fstat(self._number).st_size - _TRAILER
        self._places: dict[bytes, int] = {}
        self._find = find or self._places.get
        self._kept: OrderedDict[int, tuple[int, bytes]] = OrderedDict()
        self._kept_size = 0
        self._lock = threading.Lock()

    def __del__(self) -> None:
        self._file.close()

    def place(self, identity: bytes) -> int | None:
        """Where an object stands, if it does."""
        return self._find(identity)

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def content(self, place: int, largest: int) -> tuple[int, bytes]:
        """Kind and content of an object. Raises Damaged, TooLarge where it or what it is made of is larger."""
        with self._lock:
            return self._content(place, largest)

    def _content(self, place: int, largest: int) -> tuple[int, bytes]:
        chain: list[Entry] = []
        at = place
        while at not in self._kept:
            entry = self._entry(at)
            chain.append(entry)
            if entry.kind not in {_BY_OFFSET, _BY_ID}:
                break
            if len(chain) > _LONGEST_CHAIN:
                raise Damaged("the repository holds a chain of differences that is too long")
            at = self._base(at, entry)
        if at in self._kept:
            kind, data = self._kept[at]
            self._kept.move_to_end(at)
        else:
            last = chain.pop()
            kind, data = last.kind, self._inflated(last, largest)
        until = time.monotonic() + _LONGEST_WORK
        for entry in reversed(chain):
            data = _applied(data, self._inflated(entry, largest), largest)
            if time.monotonic() > until:
                raise TooLarge(f"putting it together takes more than {_LONGEST_WORK:.0f} seconds")
        self._keep(place, kind, data)
        return kind, data

    def size(self, place: int) -> int:
        """Bytes of an object, without unpacking it. Raises Damaged."""
        entry = self._entry(place)
        if entry.kind not in {_BY_OFFSET, _BY_ID}:
            return entry.size
        start = zlib.decompressobj().decompress(os.pread(self._number, 256, entry.data), 32)
        _, at = _number(start, 0)
        return _number(start, at)[0]

    def read_through(self, bounds: Bounds) -> None:
        """Find out which objects there are. Raises Damaged where they are more than they may be."""
        head = os.pread(self._number, _HEAD, 0)
        count = int.from_bytes(head[8:12])
        if head[:8] != b"PACK\0\0\0\2" or self._end < _HEAD:
            raise Damaged("the repository gives something else than a pack")
        if count > bounds.objects:
            raise Damaged(f"the repository gives {count} objects, and {bounds.objects} are the most that is taken")
        work, differences, at = _Work(bounds), [], _HEAD
        for _ in range(count):
            entry = self._entry(at)
            if entry.kind in {_BY_OFFSET, _BY_ID}:
                differences.append(at)
                at = self._passed(entry, work)
            else:
                digest = hashlib.sha1(b"%s %d\0" % (NAMES[entry.kind], entry.size), usedforsecurity=False)
                start, at = at, self._passed(entry, work, digest.update)
                self._places[digest.digest()] = start
        self._resolve(differences, work)

    def _resolve(self, places: list[int], work: "_Work") -> None:
        """Name the objects that are written as differences, as soon as what they differ from has its name."""
        largest = work.bounds.largest
        while places:
            later: list[int] = []
            for place in places:
                work.has_done(0)
                try:
                    kind, data = self.content(place, largest)
                except TooLarge:
                    continue  # it is missed only if somebody asks for it
                except _Unknown:
                    later.append(place)
                    continue
                work.has_done(len(data))
                name = hashlib.sha1(b"%s %d\0" % (NAMES[kind], len(data)), usedforsecurity=False)
                name.update(data)
                self._places[name.digest()] = place
            if len(later) == len(places):
                return  # they build on what is not here
            places = later

    def _base(self, place: int, entry: Entry) -> int:
        if isinstance(entry.base, int):
            return entry.base
        found = self._find(entry.base)
        if found is None or found == place:
            raise _Unknown("the repository holds a difference from an object that is not there")
        return found

    def _entry(self, place: int) -> Entry:
        head = os.pread(self._number, 64, place)
        if place < _HEAD or place >= self._end or not head:
            raise Damaged("the pack of the repository is cut off, or damaged")
        first, at = head[0], 1
        kind, size, shift = first >> 4 & 7, first & 15, 4
        try:
            while head[at - 1] & 0x80:
                size |= (head[at] & 0x7F) << shift
                shift, at = shift + 7, at + 1
            if kind == _BY_OFFSET:
                back, at = _distance(head, at)
                if not 0 < back <= place - _HEAD:
                    raise Damaged("the pack of the repository is damaged: a difference from nowhere")
                return Entry(kind, size, place + at, place - back)
        except IndexError:
            raise Damaged("the pack of the repository is damaged") from None
        if kind == _BY_ID:
            return Entry(kind, size, place + at + 20, head[at : at + 20])
        if kind not in NAMES:
            raise Damaged("the pack of the repository holds an object of no known kind")
        return Entry(kind, size, place + at)

    def _inflated(self, entry: Entry, largest: int) -> bytes:
        if entry.size > largest:
            raise TooLarge(f"it has more than {largest} bytes")
        pieces = [piece for piece, _ in self._stream(entry)]
        return b"".join(pieces)

    def _passed(self, entry: Entry, work: "_Work", use: Callable[[bytes], object] | None = None) -> int:
        """Where the next object begins."""
        end = entry.data
        for piece, at in self._stream(entry):
            work.has_done(len(piece))
            if use is not None:
                use(piece)
            end = at
        return end

    def _stream(self, entry: Entry) -> Iterator[tuple[bytes, int]]:
        """An object's bytes in pieces, and how far in the file each of them reaches. As many as its size says."""
        inflater, at, given = zlib.decompressobj(), entry.data, 0
        while not inflater.eof:
            piece = inflater.unconsumed_tail or os.pread(self._number, min(_PIECE, max(256, entry.size)), at)
            at += 0 if inflater.unconsumed_tail else len(piece)
            if not piece:
                raise Damaged("the pack of the repository is cut off")
            try:
                plain = inflater.decompress(piece, _PIECE)
            except zlib.error:
                raise Damaged("the pack of the repository is damaged") from None
            given += len(plain)
            if given > entry.size:
                raise Damaged("the pack of the repository is damaged: an object is larger than it says")
            yield plain, at - len(inflater.unused_data)
        if given != entry.size:
            raise Damaged("the pack of the repository is damaged: an object is smaller than it says")

    def _keep(self, place: int, kind: int, data: bytes) -> None:
        if len(data) > _KEPT // 4:
            return
        if place not in self._kept:
            self._kept_size += len(data)
        self._kept[place] = (kind, data)
        while self._kept_size > _KEPT:
            self._kept_size -= len(self._kept.popitem(last=False)[1][1])


class _Unknown(Damaged):
    """What an object differs from is not known, or not yet."""


class _Work:
    """What has been done on one pack."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._unpacked = 0
        self._until = time.monotonic() + bounds.seconds

    def has_done(self, unpacked: int) -> None:
        """Raises Damaged where it is enough."""
        self._unpacked += unpacked
        if self._unpacked > self.bounds.unpacked:
            raise Damaged(f"the repository unpacks to more than {self.bounds.unpacked} bytes")
        if time.monotonic() > self._until:
            raise Damaged(f"unpacking the repository takes more than {self.bounds.seconds:.0f} seconds")


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A size of a difference, little end first, and where it ends."""
    value = shift = 0
    try:
        while True:
            sign = data[at]
            value |= (sign & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if not sign & 0x80:
                return value, at
    except IndexError:
        raise Damaged("the pack of the repository is damaged: a difference is cut off") from None


def _distance(head: bytes, at: int) -> tuple[int, int]:
    """How far back a difference's base stands, and where that number ends."""
    value = head[at] & 0x7F
    while head[at] & 0x80:
        at += 1
        value = ((value + 1) << 7) | (head[at] & 0x7F)
    return value, at + 1


def _applied(base: bytes, delta: bytes, largest: int) -> bytes:
    """A base with a difference applied to it."""
    expected, at = _number(delta, 0)
    size, at = _number(delta, at)
    if size > largest:
        raise TooLarge(f"it has more than {largest} bytes")
    if len(delta) > size + _SLACK:
        raise Damaged("the pack of the repository is damaged: a difference is larger than what it makes")
    made = bytearray()
    while at < len(delta):
        order, at = delta[at], at + 1
        if order & 0x80:
            start, length, at = _copy(delta, order, at)
            piece = base[start : start + length]
        else:
            length = order
            piece, at = delta[at : at + length], at + length
        made += piece
        if len(piece) != length or not length or len(made) > size:
            raise Damaged("the pack of the repository is damaged: a difference does not fit")
    if len(made) != size or expected != len(base):
        raise Damaged("the pack of the repository is damaged: a difference does not fit")
    return bytes(made)


def _copy(delta: bytes, order: int, at: int) -> tuple[int, int, int]:
    """Start and length of what is copied, and where the order ends."""
    start = length = 0
    try:
        for bit in range(4):
            if order >> bit & 1:
                start |= delta[at] << (8 * bit)
                at += 1
        for bit in range(3):
            if order >> (4 + bit) & 1:
                length |= delta[at] << (8 * bit)
                at += 1
    except IndexError:
        raise Damaged("the pack of the repository is damaged: a difference is cut off") from None
    return start, length or 0x10000, at
