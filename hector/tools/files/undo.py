"""What files were before they were changed, kept on disk beside the server's data, so that a change can be taken back.

A record is written before its change, names the call that makes it, and holds digests of the file before and after.
So a call that was cut off and is made again can tell whether it took effect, and a change is taken back only while the
file is still as the change left it.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from hector.core.clock import SystemClock
from hector.core.errors import ToolError
from hector.core.record import dataclass

KEPT: Final = 30
"""Changes of one file in one session that can be taken back."""
LARGEST: Final = 5 * 2**20
"""Bytes of a file whose former content is kept."""
DAYS: Final = 30
"""Age at which records are deleted."""


@dataclass(frozen=True, slots=True)
class Record:
    """One change. `before` is None where the file did not exist."""

    file: Path
    before: bytes | None
    after: str
    effect: str
    undone: str = ""


def digest(data: bytes | None) -> str:
    """Of a file's content; empty for a file that does not exist."""
    return "" if data is None else hashlib.sha256(data).hexdigest()


def owner_of(app: str, user: str, session: str) -> str:
    """Whose records they are."""
    return "\0".join((app, user, session))


class Undo:
    """The records in one folder, by `owner` (see `owner_of`) and path."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._swept = False

    def note(self, owner: str, path: str, before: bytes | None, after: bytes | None, effect: str) -> Path | str:
        """Keep what a file was: the record, or the reason why that is not possible."""
        if before is not None and len(before) > LARGEST:
            return f"files of more than {LARGEST} bytes are not kept"
        place = self._place(owner, path)
        head = json.dumps({"path": path, "existed": before is not None, "after": digest(after), "effect": effect})
        try:
            self._sweep()
            for folder in (self._folder.parent, self._folder, place.parent, place):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            numbers = [_number(file) for file in place.glob("*.change")]
            record = place / f"{max(numbers, default=0) + 1:08}.change"
            self._write(record, head.encode() + b"\n" + (before or b""))
            for file in sorted(place.glob("*.change"))[:-KEPT]:
                file.unlink(missing_ok=True)
        except OSError as error:
            return f"{self._folder} cannot be written: {error.strerror}"
        return record

    def made(self, owner: str, path: str, effect: str) -> Record | None:
        """The record of the change that this call has made, or was about to make."""
        return next((one for one in self._records(owner, path) if effect and one.effect == effect), None)

    def last(self, owner: str, path: str, now: str) -> Record | None:
        """The record of the last change that was made and not taken back; `now` is the digest of the file."""
        for one in self._records(owner, path):
            never_made = digest(one.before) == now != one.after
            if not one.undone and not never_made:
                return one
        return None

    def undone_by(self, owner: str, path: str, effect: str) -> Record | None:
        """The record that this call has taken back, or was about to."""
        return next((one for one in self._records(owner, path) if effect and one.undone == effect), None)

    def take_back(self, record: Record, effect: str) -> None:
        """Mark a record as taken back by a call, before that is done. Raises ToolError."""
        head, _, body = _parts(record.file)
        try:
            self._write(record.file, json.dumps(head | {"undone": effect or "-"}).encode() + b"\n" + body)
        except OSError as error:
            raise ToolError(f"nothing was taken back: {record.file} cannot be written: {error.strerror}") from None

    def forget(self, owner: str) -> None:
        """Delete all records of a session that is no more. What cannot be deleted now goes when it is old."""
        shutil.rmtree(self._of(owner), ignore_errors=True)

    def _of(self, owner: str) -> Path:
        return self._folder / digest(owner.encode())[:32]

    def _place(self, owner: str, path: str) -> Path:
        return self._of(owner) / digest(path.encode())[:32]

    def _records(self, owner: str, path: str) -> Iterator[Record]:
        """The newest first."""
        for file in sorted(self._place(owner, path).glob("*.change"), reverse=True):
            try:
                head, existed, body = _parts(file)
            except (OSError, ValueError):
                continue  # gone meanwhile, or cut off by a crash before its change began
            before = body if existed else None
            yield Record(file, before, str(head.get("after")), str(head.get("effect")), str(head.get("undone", "")))

    @staticmethod
    def _write(file: Path, data: bytes) -> None:
        temporary = file.with_suffix(f".{os.getpid()}.new")
        opened = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(opened, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(file)

    def _sweep(self) -> None:
        """Delete what is old, once in the life of a process."""
        if self._swept:
            return
        self._swept = True
        oldest = SystemClock().now() - DAYS * 86_400
        for file in self._folder.glob("*/*/*"):
            with suppress(OSError):
                if file.stat().st_mtime < oldest:
                    file.unlink()


def _parts(file: Path) -> tuple[dict[str, Any], bool, bytes]:
    line, _, body = file.read_bytes().partition(b"\n")
    head: dict[str, Any] = json.loads(line)
    return head, bool(head["existed"]), body


def _number(file: Path) -> int:
    return int(file.stem) if file.stem.isdecimal() else 0
