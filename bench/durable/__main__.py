"""`python -m bench.durable`: what durability costs, how fast jobs go, and what a million events change.

Needs the development environment (make setup) and PostgreSQL's programs; it starts a server of its own.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench import store
from bench.contestants import environment
from bench.durable import events, floor, jobs, turns
from hector.store import sqlite
from tests.postgres import INSTALL, Postgres, programs

SAFE: Final = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "128MB"}
"""PostgreSQL as it is installed: what it has acknowledged outlives the machine."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value per repeat; `goal` is a floor when `more` is better, else a ceiling, None for no goal."""

    name: str
    values: tuple[float, ...]
    goal: float | None = None
    more: bool = True

    @property
    def median(self) -> float:
        """Of the repeats."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool:
        """Reached in this run."""
        return self.goal is None or (self.median >= self.goal if self.more else self.median <= self.goal)


@dataclass(slots=True)
class Plan:
    """How much to measure, where, and what came out."""

    folder: Path
    server: Postgres
    repeats: int
    quick: bool
    figures: list[Figure] = field(default_factory=list)

    def add(self, name: str, values: list[float], goal: float | None = None, *, more: bool = True) -> None:
        """Note a figure."""
        self.figures.append(Figure(name, tuple(values), goal, more))

    def ratio(self, name: str, over: list[float], under: list[float], goal: float, *, more: bool = True) -> None:
        """Note the ratios within each repeat: what disturbs the machine disturbs both."""
        self.add(name, [one / other for one, other in zip(over, under, strict=True)], goal, more=more)


def measure_turns(plan: Plan) -> None:
    """Plain turns over HTTP at 16 clients: SQLite in a file, in memory, and PostgreSQL."""
    python, _ = environment()
    databases = {
        "file": f"sqlite://{plan.folder / 'turns.db'}",
        "memory": "sqlite://:memory:",
        "postgres": plan.server.dsn(plan.server.create()),
    }
    found = turns.turns(python, plan.folder, databases, 0.5 if plan.quick else 3.0, plan.repeats, _say)
    for name, rates in found.items():
        plan.add(f"turns/s at 16 clients, {name}", rates)
    plan.ratio("turns/s, SQLite file : memory", found["file"], found["memory"], 0.6)
    plan.ratio("turns/s, PostgreSQL : SQLite file", found["postgres"], found["file"], 0.6)


def measure_commits(plan: Plan) -> None:
    """Group commit against one commit per statement, with and without a disk flush per commit."""
    count = 300 if plan.quick else 1500
    for synchronous, goal in (("FULL", 8.0), ("NORMAL", None)):
        sqlite.SqliteDatabase.synchronous = synchronous
        rates: dict[str, list[float]] = {"group": [], "statement": []}
        for turn in range(plan.repeats):
            _say(f"commits {synchronous} {turn + 1}/{plan.repeats}")
            for commit, found in rates.items():
                found.append(asyncio.run(store.measure(commit, 16, count)).turns_per_second)
        for commit, found in rates.items():
            plan.add(f"store turns/s at 16 clients, {commit}, synchronous={synchronous}", found)
        name = f"group commit : commit per statement, synchronous={synchronous}"
        ratios = [one / other for one, other in zip(rates["group"], rates["statement"], strict=True)]
        plan.add(name, ratios, goal)
    sqlite.SqliteDatabase.synchronous = "NORMAL"


def measure_jobs(plan: Plan) -> None:
    """Trivial jobs through three processes, and the raw floor beside it."""
    count = 3000 if plan.quick else 15_000
    rates: list[float] = []
    floors: list[float] = []
    for turn in range(plan.repeats):
        _say(f"jobs {turn + 1}/{plan.repeats}")
        name = plan.server.create()
        rates.append(jobs.rate(plan.server.dsn(name), count, 3))
        floors.append(floor.rate(plan.server.dsn(name), count, 3))
        plan.server.drop(name)
    plan.add("jobs/s, 3 processes, raw SKIP LOCKED in batches", floors)
    plan.add("jobs/s, 3 processes", rates, 2500.0)


def measure_events(plan: Plan) -> None:
    """Appending to a session and loading one in a small database and in a large one, on both engines."""
    small, large = (10_000, 100_000) if plan.quick else (10_000, 1_000_000)
    for engine in ("sqlite", "postgres"):
        addresses = {_fresh(plan, engine, count): count for count in (small, large)}
        for dsn, count in addresses.items():
            _say(f"writing {count} events to {engine}")
            asyncio.run(events.fill(dsn, count))
        _say(f"appending and loading on {engine}")
        few, many = asyncio.run(events.compare(addresses, plan.repeats)).values()
        for what, pick in _PICK.items():
            plan.add(f"{engine}: {what} ms at {small} events", [pick(cost) for cost in few])
            plan.add(f"{engine}: {what} ms at {large} events", [pick(cost) for cost in many])
            over, under = [pick(cost) for cost in many], [pick(cost) for cost in few]
            plan.ratio(f"{engine}: {what}, {large} : {small} events", over, under, 1.3, more=False)


_PICK: Final[Mapping[str, Callable[[events.Costs], float]]] = {
    "append": lambda cost: cost.append,
    "load": lambda cost: cost.load,
}


def _fresh(plan: Plan, engine: str, count: int) -> str:
    if engine == "sqlite":
        return f"sqlite://{plan.folder / f'{count}.db'}"
    return plan.server.dsn(plan.server.create())


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


SECTIONS: Final[Mapping[str, Callable[[Plan], None]]] = {
    "turns": measure_turns,
    "commits": measure_commits,
    "jobs": measure_jobs,
    "events": measure_events,
}


def _table(figures: list[Figure]) -> str:
    width = max(len(figure.name) for figure in figures)
    lines = []
    for figure in figures:
        verdict = ""
        if figure.goal is not None:
            kind = "at least" if figure.more else "at most"
            verdict = f"  {'ok  ' if figure.met else 'MISS'} ({kind} {figure.goal:g})"
        lines.append(f"{figure.name.ljust(width)}  {_shown(figure.median):>9}{verdict}")
    return "\n".join(lines)


def _shown(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def _conditions(plan: Plan) -> str:
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}; {plan.repeats} repeats, medians; "
        f"PostgreSQL with fsync, SQLite as Hector opens it"
    )


def _report(figures: list[Figure], conditions: str) -> dict[str, Any]:
    rows = [asdict(figure) | {"median": figure.median, "met": figure.met} for figure in figures]
    return {"conditions": conditions, "figures": rows}


def main() -> int:
    """Exit code 0 whatever the figures are."""
    parser = argparse.ArgumentParser(prog="python -m bench.durable", description=__doc__)
    parser.add_argument("--only", default=",".join(SECTIONS), help=f"comma-separated, of {','.join(SECTIONS)}")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a smoke run: small counts, once")
    parser.add_argument("--json", type=Path, help="write all figures here")
    given = parser.parse_args()
    found = programs()
    if found is None:
        parser.error(INSTALL)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hector-bench-")))
        server = Postgres(found, SAFE)
        stack.callback(server.remove)
        server.start()
        plan = Plan(folder, server, 1 if given.quick else given.repeats, given.quick)
        conditions = _conditions(plan)
        for name in given.only.split(","):
            SECTIONS[name](plan)
    print(f"{conditions}\n\n{_table(plan.figures)}")
    if given.json:
        given.json.write_text(json.dumps(_report(plan.figures, conditions), indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
