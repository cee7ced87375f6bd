"""How far the indexing of a document store has come, for people and other processes."""

import json
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final, Literal, TypeAlias

from hector.core.record import dataclass
from hector.store.collection_rows import Counts

State: TypeAlias = Literal["waiting", "reading", "embedding", "ready", "searched"]
"""waiting: for its turn, or after trouble; ready: all that there is can be found; searched: nobody fills it here."""
NOTE: Final = "progress"
"""The name of the note in an index."""
_LEAST: Final = 2.0
"""Seconds of work before it is said how long the rest will take."""


@dataclass(slots=True)
class Tally:
    """What the one who indexes counts. Times are in seconds of the clock."""

    scanning: bool = False
    filling: bool = False
    total: int = 0
    """Documents that the source holds; 0: not known yet."""
    seen: int = 0
    """Those of them that this scan is done with: read, unchanged or failed."""
    read: int = 0
    unchanged: int = 0
    failed: int = 0
    removed: int = 0
    omitted: dict[str, int] = field(default_factory=dict)
    """How many items were left out, by the reason."""
    embedded: int = 0
    scan: int = 0
    scanned: float = 0.0
    """When a scan was last complete."""
    trouble: str = ""
    """Why the source cannot be looked through."""
    vector_trouble: str = ""
    """Why vectors cannot be made."""
    request: str = ""
    """The last request that was dealt with."""
    scan_began: float = 0.0
    fill_began: float = 0.0
    fill_start: int = 0
    refused: int = 0

    def begin_scan(self, number: int, now: float) -> None:
        """A scan begins."""
        self.scan, self.scan_began, self.scanning = number, now, True
        self.total = self.seen = self.read = self.unchanged = self.failed = self.removed = 0

    @property
    def state(self) -> State:
        """What is being done."""
        if self.scanning or self.filling:
            return "reading" if self.scanning else "embedding"
        return "ready" if self.scanned and not self.trouble and not self.vector_trouble else "waiting"

    def text(self) -> str:
        """As it is noted in the index."""
        return json.dumps({name: getattr(self, name) for name in _NOTED})


_NOTED: Final = (
    "scanning", "filling", "total", "seen", "read", "unchanged", "failed", "removed", "omitted", "embedded", "scan",
    "scanned",
    "trouble", "vector_trouble", "request", "scan_began", "fill_began", "fill_start", "refused",
)  # fmt: skip


def tally_of(text: str | None) -> Tally:
    """What was noted; a new one where nothing was."""
    found: Mapping[str, Any] = json.loads(text) if text else {}
    return Tally(**{name: found[name] for name in _NOTED if name in found})


@dataclass(frozen=True, slots=True)
class Progress:
    """A document store as people see it. Shares are in per cent, None where they cannot be known; `eta` in seconds."""

    store: str
    state: State
    documents: int
    failed: int
    chunks: int
    pending: int
    seen: int
    total: int
    read: int
    unchanged: int
    removed: int
    percent: float | None
    read_percent: float | None
    vectors_percent: float | None
    eta: float | None
    trouble: str = ""
    embedder: str = ""
    scanned: float | None = None
    request: str = ""
    omitted: Mapping[str, int] = field(default_factory=dict)
    refused: int = 0
    """Chunks that the embedder does not take; they are found by their words."""


def progress_of(store: str, tally: Tally, counts: Counts, now: float, embedder: str = "") -> Progress:
    """The figures that follow from what was counted."""
    pending = max(counts.pending - tally.refused, 0) if embedder else 0
    read = share(tally.seen, tally.total) if tally.state == "reading" else 100.0 if tally.scanned else None
    done = counts.chunks - pending
    vectors = share(done, counts.chunks) if embedder else None
    both = [one for one in (read, vectors) if one is not None]
    whole = round(min(both), 1) if both and (read is not None) else None
    return Progress(
        store, tally.state, counts.documents, counts.failed, counts.chunks, pending,
        tally.seen, tally.total, tally.read, tally.unchanged, tally.removed,
        whole, read, vectors, _left(tally, counts, now),
        "; ".join(filter(None, (tally.trouble, tally.vector_trouble))), embedder, tally.scanned or None, tally.request,
        tally.omitted, tally.refused,
    )  # fmt: skip


def share(done: int, total: int) -> float | None:
    """Per cent, to one place; 100 only when nothing is left."""
    if not total:
        return None
    return 100.0 if done >= total else min(round(100 * done / total, 1), 99.9)


def _left(tally: Tally, counts: Counts, now: float) -> float | None:
    """Seconds that the present work will still take, at the pace so far."""
    if tally.state == "reading":
        return pace(tally.seen, tally.total - tally.seen, now - tally.scan_began) if tally.total else None
    if tally.state == "embedding":
        return pace(tally.embedded - tally.fill_start, counts.pending, now - tally.fill_began)
    return None


def pace(done: int, left: int, spent: float) -> float | None:
    """Seconds that the rest takes, if it goes on so."""
    return round(spent * left / done, 1) if done > 0 and left >= 0 and spent >= _LEAST else None
