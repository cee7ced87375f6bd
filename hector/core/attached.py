"""Files that are attached to the one-file executable and read where they lie, instead of being unpacked at each start.

The last 24 bytes of the executable tell where the index is: a mark, and place and length of a JSON object that has
place, length and packed length for each name; a packed length of 0 means that the file lies there as it is.
"""

import json
import mmap
import os
import sys
from pathlib import Path
from typing import Final

from hector.core.record import dataclass

MARK: Final = b"HECTOR+1"
END: Final = 24


@dataclass(frozen=True, slots=True)
class Attached:
    """What is attached to one executable: (place, length, packed length) by name."""

    executable: Path
    files: dict[str, tuple[int, int, int]]

    def read(self, name: str) -> bytes:
        """The content of a file. Raises KeyError when there is none of that name, OSError when it cannot be read."""
        at, length, packed = self.files[name]
        with self.executable.open("rb") as file:
            file.seek(at)
            data = file.read(packed or length)
        if not packed:
            return data
        import lzma  # noqa: PLC0415 - only with packed files

        return lzma.decompress(data)

    def view(self, name: str) -> memoryview:
        """A file that is not packed, mapped into memory: pages are read as they are looked at."""
        at, length, packed = self.files[name]
        if packed:
            return memoryview(self.read(name))
        page = at - at % mmap.ALLOCATIONGRANULARITY
        with self.executable.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), at - page + length, access=mmap.ACCESS_READ, offset=page)
        return memoryview(mapped)[at - page :]

    def unpack(self, beginnings: tuple[str, ...], folder: Path) -> None:
        """Write files whose names begin so to the disk, unless they are there. Several processes may do so at once."""
        for name, (_, length, _) in self.files.items():
            target = folder / name
            if name.startswith(beginnings) and not (target.is_file() and target.stat().st_size == length):
                target.parent.mkdir(parents=True, exist_ok=True)
                made = target.with_name(f".{os.getpid()}.{target.name}")
                made.write_bytes(self.read(name))
                made.replace(target)


def attached() -> Attached | None:
    """What is attached to this program; None for what is no one-file executable, or one without anything."""
    return find(Path(sys.executable)) if getattr(sys, "frozen", False) else None


def find(executable: Path) -> Attached | None:
    """What is attached to an executable."""
    with executable.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - END))
        end = file.read()
        if not end.startswith(MARK):
            return None
        file.seek(int.from_bytes(end[8:16], "little"))
        index = json.loads(file.read(int.from_bytes(end[16:], "little")))
    return Attached(executable, {name: tuple(entry) for name, entry in index.items()})
