"""The file of a backup: a ZIP archive that any tool can list, and that either engine can be filled from.

    manifest.json        what it is: see `Manifest`; written last
    data/<table>.jsonl   one JSON array per row, in the order of the manifest's columns and of the primary key

Numbers and texts are JSON's own; bytes are {"base64": "..."}. A member's SHA-256 is that of its text, unpacked.
"""

import base64
import binascii
import errno
import hashlib
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

from hector.core.clock import iso
from hector.core.errors import StartupError, StoreError
from hector.core.record import dataclass
from hector.version import __version__

Row: TypeAlias = tuple[Any, ...]

FORMAT: Final = "hector-backup"
VERSION: Final = 1
_MANIFEST: Final = "manifest.json"
_LARGEST_MANIFEST: Final = 16 * 2**20
_LEVEL: Final = 3
"""Of compression: above it the file hardly shrinks and takes three times as long."""
_LINES: Final = 500


@dataclass(frozen=True, slots=True)
class Member:
    """One table: its columns, how many rows it has, the SHA-256 and the length of its text in bytes."""

    table: str
    columns: tuple[str, ...]
    rows: int
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds. `schema` is the number of its last migration."""

    hector: str
    engine: str
    schema: int
    created: float
    members: tuple[Member, ...]

    @property
    def rows(self) -> int:
        """Of all tables together."""
        return sum(member.rows for member in self.members)

    def as_json(self) -> dict[str, Any]:
        """As it stands in the file."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "hector": self.hector,
            "engine": self.engine,
            "schema": self.schema,
            "created": iso(self.created),
            "created_at": self.created,
            "tables": [
                {
                    "name": member.table,
                    "columns": list(member.columns),
                    "rows": member.rows,
                    "sha256": member.sha256,
                    "bytes": member.size,
                }
                for member in self.members
            ],
        }


class Digest:
    """Row count, length and SHA-256 of a table's text as it grows."""

    def __init__(self) -> None:
        self.rows = 0
        self.size = 0
        self._hash = hashlib.sha256()

    def add(self, text: bytes, rows: int) -> None:
        """`rows` more lines."""
        self.rows += rows
        self.size += len(text)
        self._hash.update(text)

    def member(self, table: str, columns: Sequence[str]) -> Member:
        """What it has come to."""
        return Member(table, tuple(columns), self.rows, self._hash.hexdigest(), self.size)


def lines(rows: Sequence[Row]) -> bytes:
    """The text of some rows."""
    return "".join([_encode(list(row)) + "\n" for row in rows]).encode()


def _bytes_to_json(value: object) -> dict[str, str]:
    if isinstance(value, bytes | bytearray | memoryview):
        return {"base64": base64.b64encode(value).decode()}
    raise TypeError(f"a {type(value).__name__} has no place in a backup")


_encode: Final[Callable[[Any], str]] = json.JSONEncoder(separators=(",", ":"), default=_bytes_to_json).encode


class Writer:
    """Writes the file under another name beside its own, which it gets when it is whole."""

    def __init__(self, path: Path) -> None:
        """Raises StartupError where nothing can be written."""
        self.path = path
        self._part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            handle = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError as error:
            raise StartupError(
                f"backup {path}: cannot be written: {error.strerror}\n"
                "Name a file in a folder that this user may write to"
            ) from None
        self._file = os.fdopen(handle, "w+b")
        self._archive = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError, ValueError):
            self._archive.close()
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._part.unlink(missing_ok=True)

    @contextmanager
    def table(self, table: str) -> Iterator[Callable[[bytes], None]]:
        """The place of one table: a function that adds `lines` to it. Raises StoreError where the disk fails."""
        with self._explained():
            file = self._archive.open(_info(f"data/{table}.jsonl"), "w", force_zip64=True)

        def write(text: bytes) -> None:
            with self._explained():
                file.write(text)

        try:
            yield write
        except BaseException:
            with suppress(OSError):
                file.close()
            raise
        with self._explained():
            file.close()

    def finish(self, manifest: Manifest) -> int:
        """Complete the file and give it its name; its size in bytes. Raises StoreError where the disk fails."""
        text = json.dumps(manifest.as_json(), indent=2) + "\n"
        with self._explained():
            self._archive.writestr(_info(_MANIFEST), text, compresslevel=_LEVEL)
            self._archive.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            size = os.fstat(self._file.fileno()).st_size
            self._file.close()
            os.replace(self._part, self.path)
        return size

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """At once, since whoever reads a database on the other side takes an OSError for one of its connection."""
        try:
            yield
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            advice = "Free some space, or name a file on another disk" if full else "Name a file on another disk"
            said = f"backup {self.path}: cannot be written: {error.strerror or error}\n{advice}"
            raise StoreError(said) from None


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    return info


_DAMAGE: Final = (
    *(zipfile.BadZipFile, zlib.error, struct.error),
    *(OSError, EOFError, LookupError, ValueError, TypeError, ArithmeticError, RuntimeError),
)
"""What reading a damaged archive raises: one wrong bit may ask for a password, or for a place beyond the file."""


class Archive:
    """A backup that is there. Every method raises StoreError where it is damaged."""

    def __init__(self, path: Path) -> None:
        """Raises StartupError where there is no such file, StoreError where it is no backup of ours."""
        self.path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise StartupError(f"backup {path}: {error.strerror}\nName the file that `hector backup` wrote") from None
        try:
            self._archive = zipfile.ZipFile(self._file)
            self.manifest = self._manifest()
        except _DAMAGE as error:
            self._file.close()
            raise StoreError(
                f"backup {path}: this is no backup of Hector, or it is cut off ({_said(error)})\n"
                "Name a file that `hector backup` wrote, or take an older one"
            ) from None
        except StoreError:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()
        self._file.close()

    @property
    def size(self) -> int:
        """Of the file, in bytes."""
        return os.fstat(self._file.fileno()).st_size

    def rows(self, member: Member) -> Iterator[list[Row]]:
        """A table's rows, some hundred at a time. Checks all that the manifest says about them by the end."""
        digest = Digest()
        try:
            with self._archive.open(f"data/{member.table}.jsonl") as file:
                while batch := file.readlines(1 << 18):
                    digest.add(b"".join(batch), len(batch))
                    for start in range(0, len(batch), _LINES):
                        yield [_row(line, len(member.columns)) for line in batch[start : start + _LINES]]
        except _DAMAGE as error:
            raise self._damaged(f"table {member.table}: {_said(error)}") from None
        found = digest.member(member.table, member.columns)
        if found != member:
            raise self._damaged(
                f"table {member.table}: {found.rows} rows with SHA-256 {found.sha256[:12]}..., "
                f"while its manifest says {member.rows} with {member.sha256[:12]}..."
            )

    def verify(self, advance: Callable[[int], None]) -> None:
        """Read everything: digests, counts, form. `advance` is told how many rows have been read."""
        for member in self.manifest.members:
            for rows in self.rows(member):
                advance(len(rows))

    def _manifest(self) -> Manifest:
        if self._archive.getinfo(_MANIFEST).file_size > _LARGEST_MANIFEST:
            raise ValueError("its manifest is too large")
        value = json.loads(self._archive.read(_MANIFEST))
        if value["format"] != FORMAT:
            raise ValueError(f"its format is {value['format']!r}")
        if value["version"] > VERSION:
            raise StoreError(
                f"backup {self.path}: written by Hector {value['hector']} in form {value['version']}; "
                f"this is Hector {__version__}, which reads form {VERSION}\nUse the newer Hector"
            )
        members = tuple(map(_member, value["tables"]))
        return Manifest(value["hector"], value["engine"], int(value["schema"]), float(value["created_at"]), members)

    def _damaged(self, what: str) -> StoreError:
        return StoreError(f"backup {self.path}: it is damaged: {what}\nTake an older backup; nothing was changed")


def _member(value: dict[str, Any]) -> Member:
    columns = tuple(map(str, value["columns"]))
    return Member(value["name"], columns, int(value["rows"]), value["sha256"], int(value["bytes"]))


def _row(line: bytes, length: int) -> Row:
    values = json.loads(line)
    if len(values) != length:
        raise ValueError(f"a row has {len(values)} values instead of {length}")
    return tuple([_value(value) if isinstance(value, dict) else value for value in values])


def _value(value: dict[str, str]) -> bytes:
    try:
        return base64.b64decode(value["base64"], validate=True)
    except binascii.Error:
        raise ValueError("bytes that are no base64") from None


def _said(error: Exception) -> str:
    return f"{error}" or type(error).__name__
