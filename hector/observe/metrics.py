"""Whether this process counts what it does, and where: nowhere, unless `--metrics` asks for it.

`current` is looked at where something has happened, or where parts are put together; who counts imports this module and
reads it each time: `if metrics.current is not None`. The series themselves are in metrics_table.py.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hector.observe.metrics_table import Metrics

current: "Metrics | None" = None


@contextmanager
def counting(metrics: "Metrics | None") -> Iterator[None]:
    """Have everything counted there meanwhile; None: nowhere."""
    global current
    before, current = current, metrics
    try:
        yield
    finally:
        current = before
