"""The files of a flat index: a row of each for a slot, written by one process and mapped into memory by all.

    vectors-<generation>.f32    the vectors, unless they are compressed
    vectors-<generation>.i8     the same at 8 bits a number, times the row's scale
    vectors-<generation>.rows   whose vector it is (0: nobody's), a checksum of key and vector, the scale

Files of a generation grow and are never cut: a reader's map stays good. A row that was half written, or is another
chunk's by now, does not fit its checksum.
"""

import os
import weakref
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from hector.core.record import dataclass
from hector.rag.numeric import np
from hector.store.collection_slots import State

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float32]
    Codes: TypeAlias = NDArray[np.int8]
    Ints: TypeAlias = NDArray[np.int64]
    Rows: TypeAlias = NDArray[Any]

ROW: Final = np.dtype([("key", "<i8"), ("checksum", "<u4"), ("scale", "<f4")])
_STEP: Final = 4096
_flush: Final = getattr(os, "fdatasync", os.fsync)


def quantised(matrix: "Floats") -> "tuple[Codes, Floats]":
    """Each row as whole numbers from -127 to 127, and what they are to be multiplied by."""
    scales = np.abs(matrix).max(axis=1) / np.float32(127)
    scales[scales == 0] = 1
    return np.rint(matrix / scales[:, None]).astype(np.int8), scales.astype(np.float32)


def checksum(key: int, row: "Floats | Codes") -> int:
    """Of a vector as it is stored, and whose it is."""
    return zlib.crc32(row.tobytes(), zlib.crc32(key.to_bytes(8, "little", signed=True)))


@dataclass(frozen=True, slots=True)
class Paths:
    """Of one generation."""

    vectors: Path
    codes: Path
    rows: Path

    @classmethod
    def of(cls, folder: Path, generation: int) -> "Paths":
        """In a collection's folder."""
        return cls(*(folder / f"vectors-{generation}.{ending}" for ending in ("f32", "i8", "rows")))

    def there(self) -> list[Path]:
        """Those that exist."""
        return [path for path in (self.vectors, self.codes, self.rows) if path.exists()]


class Writer:
    """Writes rows of one generation. Used by one thread at a time."""

    def __init__(self, folder: Path, state: State) -> None:
        self._compress = state.compress
        self._dimension = state.dimension
        paths = Paths.of(folder, state.generation)
        self._files = [_open(path) for path in (paths.codes, paths.rows)]
        if not state.compress:
            self._files.insert(0, _open(paths.vectors))

    def write(self, slots: Sequence[int], keys: Sequence[int], matrix: "Floats") -> None:
        """Vectors into slots, on the disk when it returns. Raises OSError."""
        codes, scales = quantised(matrix)
        stored: Floats | Codes = codes if self._compress else matrix
        rows = np.zeros(len(slots), ROW)
        rows["key"], rows["scale"] = keys, scales
        rows["checksum"] = [checksum(key, row) for key, row in zip(keys, stored, strict=True)]
        parts: list[NDArray[Any]] = [codes, rows] if self._compress else [matrix, codes, rows]
        for begin, end in _runs(slots):
            for file, part in zip(self._files, parts, strict=True):
                _write(file, slots[begin] * (part.nbytes // len(part)), part[begin:end].tobytes())
        for file in self._files:
            _flush(file)

    def forget(self, slots: Sequence[int]) -> None:
        """These are nobody's any more. Needs no place on the disk."""
        for slot in slots:
            _write(self._files[-1], slot * ROW.itemsize, bytes(8))

    def close(self) -> None:
        """Give back the files."""
        for file in self._files:
            os.close(file)


class View:
    """Rows of one generation as they are in the files now; what is written into them later shows.

    `rows` may be fewer than the state says: files may have been cut by others.
    """

    def __init__(self, folder: Path, state: State) -> None:
        """Raises OSError."""
        self.state = state
        paths = Paths.of(folder, state.generation)
        self._table: Rows = _mapped(paths.rows, ROW, 1)[:, 0]
        self.codes: Codes = _mapped(paths.codes, np.dtype(np.int8), state.dimension)
        vectors: Rows = self.codes if state.compress else _mapped(paths.vectors, np.dtype("<f4"), state.dimension)
        self.rows = min(state.rows, len(self._table), len(self.codes), len(vectors))
        self._table = self._table[: self.rows]
        self.codes = self.codes[: self.rows]
        self.vectors: Floats | None = None if state.compress else vectors[: self.rows]
        self._file = -1
        if not state.compress and hasattr(os, "pread"):
            with suppress(FileNotFoundError):
                self._file = os.open(paths.vectors, os.O_RDONLY)
                weakref.finalize(self, os.close, self._file)
        keys = self._table["key"]
        self.dead: Ints = np.flatnonzero(keys == 0)
        self.scales: Floats = np.ascontiguousarray(self._table["scale"])

    def read(self, slots: "Ints", *, mapped: bool = True) -> "tuple[list[int], list[bool], Floats]":
        """Key, whether the row is whole, and vector of each of these slots, copied.

        Not `mapped`: a few floats here and there are read from the file, since a map would bring in all around them.
        """
        table = self._table[slots]
        keys = [int(key) for key in table["key"]]
        stored: Rows = self._floats(slots) if self._file >= 0 and not mapped else self._stored(slots)
        sound = [
            key != 0 and checksum(key, row) == int(told)
            for key, row, told in zip(keys, stored, table["checksum"], strict=True)
        ]
        if self.vectors is None:
            return keys, sound, stored.astype(np.float32) * table["scale"][:, None]
        return keys, sound, stored.astype(np.float32, copy=False)

    def _stored(self, slots: "Ints") -> "Rows":
        return (self.codes if self.vectors is None else self.vectors)[slots]

    def _floats(self, slots: "Ints") -> "Rows":
        width = self.state.dimension
        found = [os.pread(self._file, 4 * width, 4 * width * slot) for slot in slots.tolist()]
        if any(len(row) != 4 * width for row in found):
            return self._stored(slots)  # the file was cut by others
        return np.frombuffer(b"".join(found), "<f4").reshape(len(found), width)

    def steps(self) -> "Iterator[tuple[Ints, list[int], list[bool], Floats]]":
        """All rows that are somebody's, some at a time, with their slots."""
        for begin in range(0, self.rows, _STEP):
            here = np.arange(begin, min(begin + _STEP, self.rows))
            here = here[self._table["key"][here] != 0]
            if len(here):
                yield (here, *self.read(here))


def remove_others(folder: Path, generation: int) -> None:
    """Files of generations that are not in use; those that a reader holds open on Windows go another time."""
    mine = {path.name for path in Paths.of(folder, generation).there()}
    for path in folder.glob("vectors-*.*"):
        if path.name not in mine:
            try:
                path.unlink()
            except OSError:
                continue


def remove(folder: Path, generation: int) -> None:
    """Files of this generation."""
    for path in Paths.of(folder, generation).there():
        path.unlink(missing_ok=True)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)


def _write(file: int, at: int, data: bytes) -> None:
    os.lseek(file, at, os.SEEK_SET)
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]


def _runs(slots: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Stretches of neighbours: (first, behind the last)."""
    begin = 0
    for at in range(1, len(slots) + 1):
        if at == len(slots) or slots[at] != slots[at - 1] + 1:
            yield begin, at
            begin = at


def _mapped(path: Path, dtype: "np.dtype[Any]", width: int) -> "Rows":
    """Whole rows of a file; none where it is not there, or not any more."""
    with suppress(FileNotFoundError):
        count = path.stat().st_size // (dtype.itemsize * width) if width else 0
        if count:
            return np.memmap(path, dtype, "r", shape=(count, width))
    return np.empty((0, max(width, 1)), dtype)
