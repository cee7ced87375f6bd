"""What the store's group commit is worth: `python -m bench.store [--full] [--turns N] [--json]`.

A turn is what a message costs the database: accept (session, task, event) and record (event, artifact, status), each
acknowledged after its commit. Producers run closed-loop on one event loop; medians of three. Compared are

- group: many units to a commit, handed over once per turn of the loop (the product),
- unit: one commit per unit,
- statement: one commit per statement.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from hector.core.clock import SystemClock
from hector.core.content import Message, Text, user
from hector.core.event import Artifact, Event
from hector.core.ids import new_id
from hector.core.task import Caller, ClientMessage, Status, TaskState
from hector.core.usage import Usage
from hector.store import Accept, Record, Store, sqlite
from hector.store.groupcommit import Outcome, Unit
from hector.store.history import user_event

CALLER = Caller()
ANSWER = Message("assistant", (Text("word " * 50),))
NOW = SystemClock().now


class PerUnit(sqlite.Writer):
    """A transaction for each unit."""

    def run(self, batch: Sequence[Unit]) -> list[Outcome]:
        return [outcome for unit in batch for outcome in super(PerUnit, self).run((unit,))]


class PerStatement(sqlite.Writer):
    """No transactions: SQLite commits each statement."""

    def run(self, batch: Sequence[Unit]) -> list[Outcome]:
        return [(future, sqlite.complete(work(self.con)), None) for work, future in batch]


class PerUnitDatabase(sqlite.SqliteDatabase):
    """With the first of them."""

    writing = PerUnit


class PerStatementDatabase(sqlite.SqliteDatabase):
    """With the second."""

    writing = PerStatement


DATABASES: Final[dict[str, type[sqlite.SqliteDatabase]]] = {
    "group": sqlite.SqliteDatabase,
    "unit": PerUnitDatabase,
    "statement": PerStatementDatabase,
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One measured combination. Latencies are those of one unit, in milliseconds."""

    commit: str
    producers: int
    turns_per_second: float
    cpu_us_per_turn: float
    p50: float
    p99: float


async def turn(store: Store, times: list[float]) -> None:
    """One message and its answer."""
    task, context, run = new_id(), new_id(), new_id()
    message = ClientMessage(new_id(), user("hello there, how are you?"))
    event = user_event(message, event_id=new_id(), invocation_id=run, at=NOW())
    began = time.perf_counter()
    accepted = await store.tasks.accept(Accept(CALLER, "assistant", task, context, event, NOW(), owner="bench"))
    between = time.perf_counter()
    reply = Event(new_id(), run, "assistant", NOW(), ANSWER, usage=Usage(12, 50))
    artifact = Artifact("answer-1", (Text("word " * 50),), "response")
    done = Status(TaskState.COMPLETED, NOW())
    await store.tasks.record(Record(CALLER, task, context, (reply,), (artifact,), done, claim=accepted.claim))
    times += (between - began, time.perf_counter() - between)


async def measure(commit: str, producers: int, turns: int) -> Cell:
    """Run so many turns on a fresh database."""
    times: list[float] = []
    left = iter(range(turns))

    async def produce(store: Store) -> None:
        for _ in left:
            await turn(store, times)

    with tempfile.TemporaryDirectory(prefix="hector-bench-") as folder:
        store = Store(DATABASES[commit](f"{folder}/hector.db"))
        cpu, wall = time.process_time(), time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(producers):
                group.create_task(produce(store))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        await store.aclose()
    times.sort()
    p50, p99 = times[len(times) // 2] * 1000, times[int(len(times) * 0.99)] * 1000
    return Cell(commit, producers, turns / wall, cpu / turns * 1e6, p50, p99)


async def medians(commits: Sequence[str], turns: int, repeats: int) -> list[Cell]:
    """Every combination, the repeats taken in turns so that a noisy minute hits all of them."""
    pairs = [(commit, producers) for producers in (1, 16, 64) for commit in commits]
    runs = [[await measure(*pair, turns) for pair in pairs] for _ in range(repeats)]
    return [_median(list(cells)) for cells in zip(*runs, strict=True)]


def _median(cells: list[Cell]) -> Cell:
    rates = ("turns_per_second", "cpu_us_per_turn", "p50", "p99")
    return replace(cells[0], **{name: statistics.median(getattr(cell, name) for cell in cells) for name in rates})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.store", description="group commit against its alternatives")
    parser.add_argument("--full", action="store_true", help="flush the disk at each commit")
    parser.add_argument("--turns", type=int, default=2000, help="turns per measurement")
    parser.add_argument("--repeats", type=int, default=3, help="measurements per combination")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if options.full:
        sqlite.SqliteDatabase.synchronous = "FULL"
    cells = asyncio.run(medians(tuple(DATABASES), options.turns, options.repeats))
    if options.json:
        print(json.dumps([asdict(cell) for cell in cells], indent=2))
        return
    print(f"{'commit':<10}{'producers':>10}{'turns/s':>10}{'CPU us':>9}{'p50 ms':>9}{'p99 ms':>9}")
    for cell in cells:
        print(
            f"{cell.commit:<10}{cell.producers:>10}{cell.turns_per_second:>10.0f}{cell.cpu_us_per_turn:>9.0f}"
            f"{cell.p50:>9.2f}{cell.p99:>9.2f}"
        )


if __name__ == "__main__":
    main()
