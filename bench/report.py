"""Tables, ratios against the goals, JSON."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from bench.cells import CELLS, Figures, Standing, Standings
from bench.contestants import GUARDED, HECTOR, HELLO, LIMIT, PROXY

DIRECT: Final = "direct"
"""The client straight to the mock: their own share of every latency."""


@dataclass(frozen=True)
class Verdict:
    """One goal: Hector's figure over the reference's. `wanted` is a floor when `more` is better, else a ceiling."""

    goal: str
    value: float
    wanted: float
    more: bool

    @property
    def met(self) -> bool:
        """Reached in this run."""
        return self.value >= self.wanted if self.more else self.value <= self.wanted


def verdicts(standings: Standings) -> Iterator[Verdict]:
    """Every goal that this run can judge."""
    hector = standings.get(HECTOR.name)
    if hector is None:
        return
    for cell, reference, wanted in (
        ("plain@16", PROXY, 4.0),
        ("plain@16", LIMIT, 0.35),
        ("stream@16", PROXY, 2.5),
        ("stream@16", LIMIT, 0.4),
    ):
        ratio = _ratio(standings, cell, reference.name, lambda one: one.rate)
        if ratio is not None:
            yield Verdict(f"{cell} turns/s, hector : {reference.name}", ratio, wanted, more=True)
    for cell in ("plain@1", "plain@16"):
        cost = _ratio(standings, cell, GUARDED.name, lambda one: 1 / one.cpu if one.cpu else 0.0)
        if cost is not None:
            yield Verdict(f"{cell} CPU per turn, guarded : hector", cost, 1.15, more=False)
        rate = _ratio(standings, cell, GUARDED.name, lambda one: 1 / one.rate)
        if rate is not None:
            yield Verdict(f"{cell} turns/s, guarded : hector", rate, 0.85, more=True)
    yield from _latency_goals(standings)
    uvicorn = standings.get(HELLO.name)
    if hector.startup and uvicorn is not None and uvicorn.startup:
        quotients = [mine / theirs for mine, theirs in zip(hector.startup, uvicorn.startup, strict=False)]
        yield Verdict("start-up, hector : bare uvicorn", median(quotients), 2.0, more=False)
    if hector.rss_ready:
        yield Verdict("MB resident, ready", hector.rss_ready, 45.0, more=False)
    if hector.rss_loaded:
        yield Verdict("MB resident, after load", hector.rss_loaded, 60.0, more=False)


def _latency_goals(standings: Standings) -> Iterator[Verdict]:
    pairs = zip(_added(standings, HECTOR.name), _added(standings, PROXY.name), strict=False)
    if quotients := [mine / theirs for mine, theirs in pairs if theirs > 0]:
        yield Verdict("plain@1 added p50, hector : proxy (a)", median(quotients), 1.0, more=False)
    cpu = _ratio(standings, "plain@16", PROXY.name, lambda one: one.cpu)
    if cpu is not None:
        yield Verdict("plain@16 CPU per turn, hector : proxy (a)", cpu, 0.35, more=False)


def _ratio(standings: Standings, cell: str, other: str, pick: Callable[[Figures], float]) -> float | None:
    """Median over the repeats of the quotient within one repeat: what disturbs the machine disturbs both."""
    mine, theirs = standings.get(HECTOR.name), standings.get(other)
    if mine is None or theirs is None:
        return None
    pairs = zip(mine.cells.get(cell, ()), theirs.cells.get(cell, ()), strict=False)
    quotients = [pick(left) / pick(right) for left, right in pairs if pick(right)]
    return median(quotients) if quotients else None


def _added(standings: Standings, name: str) -> list[float]:
    """The median latency of a plain turn at one client, less that of the mock itself, of each repeat."""
    server, direct = standings.get(name), standings.get(DIRECT)
    if server is None or direct is None:
        return []
    pairs = zip(server.cells.get("plain@1", ()), direct.cells.get("plain@1", ()), strict=False)
    return [ours.p50 - theirs.p50 for ours, theirs in pairs]


def text(standings: Standings, conditions: Sequence[str]) -> str:
    """The whole report."""
    parts = ["\n".join(conditions)]
    for cell in CELLS:
        rows = [_cell_row(name, one, cell.name) for name, one in standings.items() if one.median(cell.name)]
        if rows:
            heads = ("turns/s", "p50 ms", "p99", "first p50", "p99", "token p50", "p99", "CPU ms/turn", "turns")
            parts.append(_table(cell.name, heads, rows))
    rows = [_process_row(name, one) for name, one in standings.items() if one.startup]
    if rows:
        parts.append(_table("process", ("start-up s", "MB ready", "MB loaded"), rows))
    judged = [_verdict_line(one) for one in verdicts(standings)]
    parts.append("\n".join(judged) if judged else "no goals judged: hector did not take part")
    return "\n\n".join(parts)


def _verdict_line(one: Verdict) -> str:
    wanted = f"{'at least' if one.more else 'at most'} {one.wanted:g}"
    return f"{'ok  ' if one.met else 'MISS'} {one.goal}: {one.value:.2f} ({wanted})"


def _cell_row(name: str, standing: Standing, cell: str) -> tuple[str, ...]:
    one = standing.median(cell)
    if one is None:
        return (name,)
    values = (one.p50, one.p99, one.first_p50, one.first_p99, one.token_p50, one.token_p99, one.cpu)
    return (name, f"{one.rate:.0f}", *(f"{value:.2f}" if value else "-" for value in values), f"{one.turns:.0f}")


def _process_row(name: str, standing: Standing) -> tuple[str, ...]:
    loaded = f"{standing.rss_loaded:.1f}" if standing.rss_loaded else "-"
    return (name, f"{median(standing.startup):.3f}", f"{standing.rss_ready:.1f}", loaded)


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [(title, *heads), *rows]
    widths = [max(len(line[column]) for line in lines if column < len(line)) for column in range(len(heads) + 1)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=False))
        )
        for line in lines
    )


def as_json(standings: Standings, conditions: Sequence[str]) -> dict[str, Any]:
    """Everything, for machines."""
    return {
        "conditions": list(conditions),
        "servers": {name: asdict(one) for name, one in standings.items()},
        "goals": [{**asdict(one), "met": one.met} for one in verdicts(standings)],
    }
