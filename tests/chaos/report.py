"""What a scenario found, as a row of the table and as JSON."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

COLUMNS: Final = ("lost", "stuck", "doubled", "repeated")


@dataclass(slots=True)
class Cell:
    """One scenario on one engine with so many processes. Recovery in seconds; `findings` is everything that is wrong.

    `skipped` says why a cell does not apply.
    """

    scenario: str
    engine: str
    processes: int
    runs: int = 0
    deaths: int = 0
    lost: int = 0
    stuck: int = 0
    doubled: int = 0
    repeated: int = 0
    recovery: list[float] = field(default_factory=list)
    seconds: float = 0.0
    note: str = ""
    skipped: str = ""
    findings: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Nothing is wrong."""
        return not self.findings

    def add(self, found: dict[str, list[str]]) -> None:
        """Count what the rules found, by column."""
        for column, texts in found.items():
            setattr(self, column, getattr(self, column) + len(texts))
            self.findings += [f"{column}: {text}" for text in texts]

    def as_json(self) -> dict[str, Any]:
        """All figures; the single times of recovery as percentiles."""
        value = asdict(self)
        value["recovery"] = {f"p{at}": percentile(self.recovery, at) for at in (50, 99)}
        return value | {"good": self.good}


def percentile(values: Sequence[float], percent: int) -> float | None:
    """The smallest value that so many percent do not exceed."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


_HEADS: Final = ("scenario", "engine", "procs", "runs", "deaths", *COLUMNS, "p50 s", "p99 s", "took s", "")


def table(cells: Sequence[Cell]) -> str:
    """All rows, what is wrong below them, and a line that sums up."""
    rows = [_HEADS, *(_row(cell) for cell in cells)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    lines = ["  ".join(_aligned(text, widths[at], at) for at, text in enumerate(row)).rstrip() for row in rows]
    for cell in cells:
        if cell.findings:
            lines += ["", f"{cell.scenario} on {cell.engine} with {cell.processes}:"]
            lines += [f"  {text}" for text in cell.findings[:20]]
            if len(cell.findings) > 20:
                lines.append(f"  ... and {len(cell.findings) - 20} more")
    return "\n".join([*lines, "", _sum(cells)])


def _aligned(text: str, width: int, column: int) -> str:
    return text.ljust(width) if column < 2 or column == len(_HEADS) - 1 else text.rjust(width)


def _row(cell: Cell) -> tuple[str, ...]:
    if cell.skipped:
        blank = [""] * (len(_HEADS) - 4)
        return cell.scenario, cell.engine, str(cell.processes), *blank, f"not applicable: {cell.skipped}"
    counts = (cell.runs, cell.deaths, *(getattr(cell, column) for column in COLUMNS))
    times = [percentile(cell.recovery, 50), percentile(cell.recovery, 99), cell.seconds]
    shown = ["-" if value is None else f"{value:.2f}" for value in times]
    verdict = cell.note if cell.good else f"FAILED: {cell.findings[0]}"[:80]
    return (cell.scenario, cell.engine, str(cell.processes), *map(str, counts), *shown, verdict)


def _sum(cells: Sequence[Cell]) -> str:
    done = [cell for cell in cells if not cell.skipped]
    counts = ", ".join(f"{sum(getattr(cell, column) for cell in done)} {column}" for column in COLUMNS)
    bad = sum(1 for cell in done if not cell.good)
    verdict = f"{bad} of {len(done)} cells FAILED" if bad else f"all {len(done)} cells hold"
    runs, deaths = sum(cell.runs for cell in done), sum(cell.deaths for cell in done)
    return f"{runs} runs, {deaths} deaths: {counts}; {verdict}"
