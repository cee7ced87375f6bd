"""What is measured: cells, one measurement of a cell, and medians over repeats."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Final, TypeAlias

from bench.client import Turns


@dataclass(frozen=True)
class Cell:
    """One kind of turn at one number of clients."""

    kind: str
    clients: int

    @property
    def name(self) -> str:
        """As in "plain@16"."""
        return f"{self.kind}@{self.clients}"

    @property
    def stream(self) -> bool:
        """The client asks for a stream."""
        return self.kind != "plain"

    @property
    def paced(self) -> bool:
        """The model takes its time."""
        return self.kind == "paced"


CELLS: Final = (
    Cell("plain", 1),
    Cell("plain", 16),
    Cell("plain", 64),
    Cell("stream", 1),
    Cell("stream", 16),
    Cell("paced", 16),
)


@dataclass(frozen=True)
class Figures:
    """One measurement. Latencies in ms; 0.0 where a cell has no such thing."""

    turns: int
    rate: float
    p50: float
    p99: float
    first_p50: float = 0.0
    first_p99: float = 0.0
    token_p50: float = 0.0
    token_p99: float = 0.0
    cpu: float = 0.0
    """CPU ms per turn of the server."""


@dataclass
class Standing:
    """Everything known of one server. `cells` maps the name of a cell to its measurements, one per repeat."""

    about: str
    cells: dict[str, list[Figures]] = field(default_factory=dict)
    startup: list[float] = field(default_factory=list)
    rss_ready: float = 0.0
    rss_loaded: float = 0.0

    def median(self, cell: str) -> Figures | None:
        """Each figure's median over the repeats."""
        return median_of(self.cells.get(cell, ()))


Standings: TypeAlias = Mapping[str, Standing]


def figures(turns: Turns, cpu_seconds: float) -> Figures:
    """The figures of one run."""
    count = len(turns.latencies)
    return Figures(
        turns=count,
        rate=turns.rate,
        p50=_percentile(turns.latencies, 50),
        p99=_percentile(turns.latencies, 99),
        first_p50=_percentile(turns.first_tokens, 50),
        first_p99=_percentile(turns.first_tokens, 99),
        token_p50=_percentile(turns.token_delays, 50),
        token_p99=_percentile(turns.token_delays, 99),
        cpu=cpu_seconds * 1000 / count,
    )


def median_of(measured: Sequence[Figures]) -> Figures | None:
    """Figure by figure."""
    if not measured:
        return None
    rows = [asdict(one) for one in measured]
    return Figures(**{item.name: statistics.median(row[item.name] for row in rows) for item in fields(Figures)})


def _percentile(seconds: Sequence[float], percent: int) -> float:
    """In ms; 0.0 for nothing."""
    if not seconds:
        return 0.0
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000
