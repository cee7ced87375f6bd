"""`python -m bench`: start the mock and every server, drive them in turns, print the table."""

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.cells import CELLS, Cell, Figures, Standing, figures
from bench.client import Target, a2a, load, model
from bench.contestants import (
    GUARDED,
    HECTOR,
    HELLO,
    LIMIT,
    PROXY,
    ROOT,
    Contestant,
    environment,
    variants,
    write_config,
)
from bench.process import Process, free_port
from bench.report import DIRECT, as_json, text

WARM_SECONDS: Final = 6.0
"""Of load on each server before a round. In the first three seconds of a kind of load a server is slower: Hector by a
tenth."""
STARTS: Final = 15
"""Pairs of starts, of which single ones differ by a fifth."""
_PACKAGES: Final = ("httpx", "uvicorn", "starlette", "h11", "sniffio", "httptools", "uvloop")

_VERSIONS: Final = """
import importlib.metadata, sys
for name in sys.argv[1:]:
    try:
        print(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        print("no", name)
"""


@dataclass(frozen=True)
class Plan:
    """How much to measure. Seconds per measurement."""

    seconds: float
    repeats: int
    starts: int
    cells: tuple[Cell, ...]


@dataclass
class Running:
    """A server that takes part in the load."""

    process: Process
    standing: Standing
    headers: str


class Bench:
    """One run: where things are and on which cores they run."""

    def __init__(self, python: Path, folder: Path, plan: Plan) -> None:
        self.python, self.folder, self.plan = python, folder, plan
        cores = sorted(os.sched_getaffinity(0))
        self.server_core: int | None = cores[0] if len(cores) > 1 else None
        self.client_core: int | None = cores[1] if len(cores) > 1 else None
        if self.client_core is not None:
            os.sched_setaffinity(0, {self.client_core})
        self._serial = 0

    def start(self, contestant: Contestant, model_url: str) -> Process:
        """A fresh process on the server's core, on a fresh database."""
        self._serial += 1
        port = free_port()
        config = self.folder / f"{self._serial}.yaml"
        write_config(config, model_url, contestant.blocks)
        database = self.folder / f"{self._serial}.db"
        command = contestant.argv(
            python=self.python, port=port, model=model_url, database=database, config=config, core=self.server_core
        )
        return Process(command, port, self.server_core, self.folder / f"{self._serial}.log", ROOT)

    def time_starts(self, contestants: Sequence[Contestant], standings: dict[str, Standing], model_url: str) -> None:
        """Start and stop all of them in turns, a few times."""
        for _ in range(self.plan.starts):
            for contestant in contestants:
                standing = standings[contestant.name]
                with self.start(contestant, model_url) as process:
                    standing.startup.append(process.wait_ready(contestant.ready))
                    standing.rss_ready = process.usage().rss

    def measure(self, cell: Cell, target: Target, process: Process | None) -> Figures:
        """One cell, one server. What the one before has written is on the disk by then, so that nobody waits for it."""
        os.sync()
        before = process.usage().cpu if process else 0.0
        turns = asyncio.run(load(target, cell.clients, self.plan.seconds, stream=cell.stream, paced=cell.paced))
        return figures(turns, process.usage().cpu - before if process else 0.0)

    def run(self, contestants: Sequence[Contestant]) -> dict[str, Standing]:
        """Everything. Servers take turns within each cell, so that a disturbance of the machine hits all of them.

        Each round has servers of its own: where a process happens to lie in memory moves its figures by up to a tenth.
        """
        mock_port = free_port()
        standings = {DIRECT: Standing("the client straight to the mock")}
        with ExitStack() as stack:
            command = [str(self.python), "-m", "bench.mock", "--port", str(mock_port)]
            mock = stack.enter_context(Process(command, mock_port, self.client_core, self.folder / "mock.log", ROOT))
            mock.wait_ready("/")
            model_url = f"http://127.0.0.1:{mock_port}/v1"
            standings |= {one.name: Standing(one.about) for one in (*contestants, HELLO)}
            self.time_starts((*contestants, HELLO), standings, model_url)
            for turn in range(self.plan.repeats):
                _progress(f"round {turn + 1} of {self.plan.repeats}")
                first = turn % len(contestants)
                self._round([*contestants[first:], *contestants[:first]], standings, mock_port)
        return standings

    def _round(self, contestants: Sequence[Contestant], standings: dict[str, Standing], mock_port: int) -> None:
        """Every cell once, of every server. Each round begins with another one: nobody always runs behind the same."""
        model_url = f"http://127.0.0.1:{mock_port}/v1"
        with ExitStack() as stack:
            running: list[Running] = []
            for contestant in contestants:
                process = stack.enter_context(self.start(contestant, model_url))
                process.wait_ready(contestant.ready)
                running.append(Running(process, standings[contestant.name], contestant.headers))
            self._warm(running)
            for cell in self.plan.cells:
                for one in running:
                    measured = self.measure(cell, _target(cell, one), one.process)
                    one.standing.cells.setdefault(cell.name, []).append(measured)
                direct = self.measure(cell, model(mock_port, stream=cell.stream, paced=cell.paced), None)
                standings[DIRECT].cells.setdefault(cell.name, []).append(direct)
            for one in running:
                one.standing.rss_loaded = max(one.standing.rss_loaded, one.process.usage().rss)

    def _warm(self, running: Sequence[Running]) -> None:
        """Not what is measured: first calls import things and open connections, and files on the disk have to grow."""
        cells = self.plan.cells
        clients, seconds = max(cell.clients for cell in cells), min(WARM_SECONDS, 6 * self.plan.seconds) / len(cells)
        for one in running:
            for cell in cells:
                asyncio.run(load(_target(cell, one), clients, seconds, stream=cell.stream, paced=cell.paced))


def _target(cell: Cell, one: Running) -> Target:
    return a2a(one.process.port, f"/agents/{cell.kind}", stream=cell.stream, headers=one.headers)


def _progress(line: str) -> None:
    print(f"bench: {line}", file=sys.stderr, flush=True)


def _conditions(bench: Bench, source: str) -> list[str]:
    versions = subprocess.run(
        [bench.python, "-c", _VERSIONS, *_PACKAGES], capture_output=True, text=True, check=True
    ).stdout.split("\n")
    pinned = (
        "not pinned: one core only" if bench.server_core is None else "server on one core, client and mock on another"
    )
    load_average = os.getloadavg()[0]
    return [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.system()} {platform.machine()}, {os.cpu_count()} cores,"
        f" Python {platform.python_version()}, load before {load_average:.1f}",
        f"{pinned}; environment from {source}: {', '.join(filter(None, versions))}",
        f"{bench.plan.seconds:g} s per measurement, {bench.plan.repeats} repeats, medians; 50 tokens per answer;"
        " a turn is a new session and counts when every token came back",
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run: half a second each, once")
    parser.add_argument("--seconds", type=float, default=2.5, help="per measurement")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cells", default="", help=f"comma-separated, of {','.join(cell.name for cell in CELLS)}")
    parser.add_argument("--only", default="", help="comma-separated: hector, guarded, proxy, limit")
    parser.add_argument("--variants", action="store_true", help="the limit with httptools and uvloop, too (--python)")
    parser.add_argument("--python", type=Path, help="use this interpreter instead of making .venv-bench")
    parser.add_argument("--json", type=Path, help="write all figures here")
    return parser.parse_args()


def _contestants(given: argparse.Namespace) -> list[Contestant]:
    chosen = given.only.split(",") if given.only else ["hector", "guarded", "proxy", "limit"]
    found = [one for one in (HECTOR, GUARDED, PROXY, LIMIT) if one.name.split()[0] in chosen]
    return [*found, *variants()] if given.variants else found


def main() -> int:
    """Exit code 0 whatever the figures are."""
    given = _arguments()
    cells = tuple(cell for cell in CELLS if not given.cells or cell.name in given.cells.split(","))
    if not cells:
        raise SystemExit(f"bench: --cells names none of {', '.join(cell.name for cell in CELLS)}")
    plan = Plan(0.5, 1, 1, cells) if given.quick else Plan(given.seconds, given.repeats, STARTS, cells)
    python, source = (given.python, str(given.python)) if given.python else environment()
    with tempfile.TemporaryDirectory(prefix="hector-bench-") as folder:
        bench = Bench(python, Path(folder), plan)
        conditions = _conditions(bench, source)
        standings = bench.run(_contestants(given))
    print(text(standings, conditions))
    if given.json:
        given.json.write_text(json.dumps(as_json(standings, conditions), indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
