"""What the indexing of a document store adds to the metrics; only where those are wanted."""

from hector.observe.metrics_table import Metrics
from hector.rag.ingest_progress import Tally


class Counted:
    """Takes over what a tally has counted since it was looked at last; a new scan begins at nothing again."""

    def __init__(self, metrics: Metrics, app: str, store: str, tally: Tally) -> None:
        self._metrics = metrics
        self._place = (app, store)
        self._seen = (0, 0, 0)
        self._scan, self._scanned = tally.scan, tally.scanned

    def take(self, tally: Tally) -> None:
        """To be called before each scan and after it, and now and then."""
        if tally.scan != self._scan:
            self._scan, self._seen = tally.scan, (0, 0, 0)
        now = (tally.read, tally.unchanged, tally.failed)
        counts = self._metrics
        families = (counts.documents_indexed, counts.documents_skipped, counts.documents_failed)
        for family, before, after in zip(families, self._seen, now, strict=True):
            if after > before:
                family.add(*self._place, amount=after - before)
        self._seen = now
        if tally.scanned != self._scanned:
            self._scanned = tally.scanned
            if not tally.scan_began:  # of an earlier process
                return
            counts.index_seconds.observe(max(tally.scanned - tally.scan_began, 0.0), *self._place)
