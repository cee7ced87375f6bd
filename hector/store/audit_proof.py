"""What the chain of the audit log proves: hashes, anchors, and what is wrong where it does not hold. Pure.

hash = SHA-256 of the previous hash and the row's other columns as a JSON list in ASCII without spaces; the first row
follows on `GENESIS`. Whoever can write to the database can also make a chain anew, or cut its end off: an anchor, a
place and its hash that was noted elsewhere, shows that.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from hector.core.pattern import pattern
from hector.core.record import dataclass
from hector.store.codec import loads
from hector.store.database import Row

GENESIS: Final = "0" * 64
"""What the first row follows on."""
LOOK_AHEAD: Final = 64
"""Rows that are looked at behind one that does not fit."""
_ANCHOR: Final = pattern(r"seq\W{1,4}(\d{1,18})\W.{0,2000}?hash\W{1,4}([0-9a-f]{64})")
_BARE: Final = pattern(r"\s*(\d{1,18}):([0-9a-f]{64})\s*")


@dataclass(frozen=True, slots=True)
class Anchor:
    """The hash that stands at a place of the chain."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


@dataclass(frozen=True, slots=True)
class Flaw:
    """The first place at which a chain does not hold: `kind` is changed, missing, inserted, reordered or truncated."""

    seq: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found: rows that hold, from where to where; the flaw, if any; cuts by the retention; anchors met."""

    rows: int
    first: int
    head: Anchor
    flaw: Flaw | None = None
    anchors: int = 0
    behind_cut: int = 0


def digest(previous: str, row: Sequence[object]) -> str:
    """The hash of a row: its columns from seq to detail. What no row holds that was written here has one, too."""
    text = json.dumps(list(row), separators=(",", ":"), ensure_ascii=True, default=repr)
    return hashlib.sha256(f"{previous}{text}".encode("ascii", "backslashreplace")).hexdigest()


def cut_of(seq: int, detail: object) -> tuple[int, str] | None:
    """Where the chain begins by a row of the retention, and on which hash; None for what that never writes.

    A cut leaves its own row in the chain: one that says otherwise would hide itself.
    """
    try:
        found = loads(detail) if isinstance(detail, str) else None
    except ValueError:
        return None
    match found:
        case {"first": int(first), "follows": str(follows)} if 1 <= first <= seq:
            return first, follows
    return None


def anchors_in(lines: Iterable[str]) -> Iterator[Anchor]:
    """The anchors of a text, one a line at most: SEQ:HASH, a line of an export, or one of the server's log."""
    for line in lines:
        match = _BARE.fullmatch(line) or _ANCHOR.search(line)
        if match:
            yield Anchor(int(match[1]), match[2])


class Walk:
    """How far a chain holds, and the anchors on the way."""

    def __init__(self, start: Anchor, anchors: Iterable[Anchor]) -> None:
        self.end = start
        self._start = start.seq
        self._wanted: dict[int, set[str]] = {}
        for anchor in anchors:
            if anchor.seq:
                self._wanted.setdefault(anchor.seq, set()).add(anchor.hash)
        self._behind = len([seq for seq in self._wanted if seq < start.seq])
        self._met = 0

    def arrive(self, place: Anchor) -> Flaw | None:
        """Go on to a row that follows, and compare it with its anchor."""
        self.end = place
        wanted = self._wanted.pop(place.seq, None)
        if wanted is None:
            return None
        self._met += 1
        if wanted == {place.hash}:
            return None
        text = f"row {place.seq} has another hash than its anchor: the chain was made anew up to here"
        return Flaw(place.seq, "changed", text)

    def cut_off(self) -> Flaw | None:
        """What is missing at the end, as anchors tell."""
        lost = max(self._wanted, default=0)
        if lost <= self.end.seq:
            return None
        text = f"the chain ends with row {self.end.seq}, but row {lost} was there once: its end was cut off"
        return Flaw(self.end.seq + 1, "truncated", text)

    def verdict(self, flaw: Flaw | None) -> Verdict:
        """What was found."""
        rows = self.end.seq - self._start
        return Verdict(rows, self._start + 1, self.end, flaw, self._met, self._behind)


def explain(end: Anchor, row: Row, following: Sequence[Row]) -> Flaw:
    """Why a row does not follow on the one before it, told from the rows behind it."""
    seq = row[0]
    for other in following:
        if digest(end.hash, (seq, *other[1:-1])) != other[-1]:
            continue
        if digest(other[-1], (seq + 1, *row[1:-1])) == row[-1]:
            return Flaw(
                seq, "reordered", f"the rows from {seq} to {other[0]} stand in another order than they were written"
            )
        return Flaw(seq, "inserted", f"row {seq} was put in: what stands at {other[0]} belongs here")
    if following:
        after, content = following[0], following[0][1:-1]
        if digest(row[-1], after[:-1]) == after[-1]:
            return Flaw(seq, "changed", f"row {seq} was changed: its hash is not that of its content")
        for lost in range(1, LOOK_AHEAD):
            if digest(row[-1], (after[0] + lost, *content)) == after[-1]:
                return Flaw(
                    seq, "missing", f"before row {seq} stood {lost} more: the rows behind were given new places"
                )
    return Flaw(seq, "changed", f"row {seq}, or the hash before it, was changed")


def some(first: int, last: int) -> str:
    """Rows from here to there, with their verb."""
    return f" {first} is" if first == last else f"s {first} to {last} are"
