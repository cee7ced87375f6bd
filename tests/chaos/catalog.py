"""Every scenario with the engines and numbers of processes that it is run on."""

import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from tests.chaos import crowds, decisions, hostile, matrix, streams, takeovers
from tests.chaos.engines import EngineName, Engines
from tests.chaos.report import Cell

Run: TypeAlias = Callable[[Cell, Engines, Path], Awaitable[None]]
ONE_PER_FILE: Final = "one serving process per file"


@dataclass(frozen=True, slots=True)
class Entry:
    """A scenario on one engine. `skip` says why it does not apply there."""

    name: str
    engine: EngineName
    processes: int
    run: Run
    skip: str = ""

    @property
    def id(self) -> str:
        """As in "crash:tool.effect/postgres/3"."""
        return f"{self.name}/{self.engine}/{self.processes}"

    async def perform(self, engines: Engines, folder: Path) -> Cell:
        """Run it; what breaks the scenario itself is a finding, too."""
        cell = Cell(self.name, self.engine, self.processes, skipped=self.skip)
        if self.skip:
            return cell
        os.makedirs(folder, exist_ok=True)
        try:
            await self.run(cell, engines, folder)
        except* Exception as errors:  # noqa: BLE001 - a proof that breaks has proven nothing
            cell.findings += [f"{type(error).__name__}: {error}" for error in _leaves(errors)]
        return cell


def _leaves(group: BaseExceptionGroup[Exception]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _everywhere(name: str, run: Run, many: int = 3) -> Iterator[Entry]:
    """On both engines with one process, and with several where there can be several."""
    yield Entry(name, "sqlite", 1, run)
    yield Entry(name, "sqlite", many, run, ONE_PER_FILE)
    yield Entry(name, "postgres", 1, run)
    yield Entry(name, "postgres", many, run)


def _entries() -> Iterator[Entry]:
    for point in matrix.POINTS:
        yield from _everywhere(f"crash:{point.name}", partial(matrix.crash, point=point))
    for point in matrix.PLANNED:
        yield Entry(f"crash in a plan:{point.name}", "sqlite", 1, partial(matrix.crash, point=point, planned=True))
    planned = partial(matrix.crash, point=matrix.PLANNED[-1], planned=True)
    yield Entry(f"crash in a plan:{matrix.PLANNED[-1].name}", "postgres", 3, planned)
    yield from _everywhere("crash:migration.applying", partial(matrix.migration, passage=1))
    yield from _everywhere("crash:migration.applying:2", partial(matrix.migration, passage=2))
    yield from _everywhere("crash:migration.applying:3", partial(matrix.migration, passage=3))
    yield from _everywhere("kill with 100 runs", crowds.massacre)
    yield Entry("two recover the same", "postgres", 3, crowds.recoverers)
    yield from _everywhere("200 to one session", crowds.line)
    yield Entry("zombie", "sqlite", 2, takeovers.zombie, ONE_PER_FILE)
    yield Entry("zombie", "postgres", 2, takeovers.zombie)
    yield from _everywhere("rolling SIGTERM", takeovers.rolling)
    yield from _everywhere("six approvals each", decisions.approvals)
    yield from _everywhere("cancelled elsewhere", decisions.cancels)
    yield Entry("database restarts", "postgres", 1, crowds.outage)
    yield Entry("database restarts", "postgres", 3, crowds.outage)
    yield from _everywhere("cut-off streams", streams.cut)
    yield Entry("stream takeover", "postgres", 3, streams.orphaned)
    yield Entry("disk full", "sqlite", 1, hostile.disk_full)
    yield Entry("no permission", "sqlite", 1, hostile.no_permission)
    yield Entry("read-only", "postgres", 1, hostile.read_only)
    for engine in ("sqlite", "postgres"):
        yield Entry("poison pill", engine, 1, takeovers.pill)
        yield Entry("damaged row", engine, 1, hostile.damaged)
        yield Entry("clock jumps", engine, 1, hostile.clock)
        yield Entry("sick model", engine, 1, hostile.sick_model)


ENTRIES: Final = tuple(_entries())
"""All of them, in the order of the report."""


def named(wanted: str) -> Entry:
    """The entry with this id."""
    return next(entry for entry in ENTRIES if entry.id == wanted)
