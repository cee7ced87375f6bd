"""The crash matrix: the server is killed at every point that recovery must get right."""

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.chaos.engines import Engines
from tests.chaos.lab import Lab, lab
from tests.chaos.report import Cell

PLANS: Final = (
    "say*3",
    "put say",
    "put*2 pay say",
    "send say",
    "guard say*3",
    "pay@0.1 put^0.1 say",
    "put@0.1 say",
    "say@0.1*3",
)
"""What the runs of one cell do: answers, every kind of tool, calls side by side, approval."""


@dataclass(frozen=True, slots=True)
class Point:
    """Where to die, and at which passage. `all_to_first`: send everything to the process that shall die."""

    name: str
    passage: int
    all_to_first: bool = False


POINTS: Final = (
    Point("store.accepted", 4),
    Point("job.claimed", 1, all_to_first=True),
    Point("model.before", 5),
    Point("model.streaming", 4, all_to_first=True),
    Point("model.after", 4),
    Point("tool.intent", 2),
    Point("tool.effect", 2),
    Point("tool.result", 2),
    Point("run.written", 2),
    Point("run.replied", 2),
    Point("approval.stored", 1, all_to_first=True),
)


PLANNED: Final = (Point("model.after", 4), Point("tool.effect", 2), Point("run.written", 2))
"""Those at which agents die that work as steps of plans."""


async def crash(cell: Cell, engines: Engines, folder: Path, point: Point, *, planned: bool = False) -> None:
    """Kill the first server at the point while runs of every kind are on their way; everything must end well.

    With `planned`, all of them are steps of plans.
    """
    async with lab(cell, engines, folder, planned=planned) as one:
        await one.start([f"{point.name}:{point.passage}"])
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for work in _send_all(one, point):
                group.create_task(work)
            group.create_task(_drive(one, over))
            try:
                await one.victim.died(20)
            except TimeoutError:
                cell.findings.append(f"{point.name} was never reached for the {point.passage}. time")
                await one.victim.kill()
            died = await one.note_death()
            if cell.processes == 1:
                await one.victim.start()
                await one.victim.ready()
            over.set()
        _, left = one.deaths[0]
        facts = await one.settle(30)
        since = one.victim.began if cell.processes == 1 else died
        cell.recovery = one.recovery(since, left)
        await one.judge(facts)


def _send_all(one: Lab, point: Point) -> Iterator[Coroutine[Any, Any, object]]:
    """Every plan once in a session of its own, and three runs in one session; every other client waits."""
    urls = [one.victim.url] if point.all_to_first else [victim.url for victim in one.victims]
    for number, plan in enumerate(PLANS):
        url = urls[number % len(urls)]
        yield one.client.send(url, f"r{number}", plan, wait=number % 2 == 0)
    for number in range(3):
        yield one.client.send(urls[number % len(urls)], f"s{number}", "put@0.1 say", context="shared")


async def _drive(one: Lab, over: asyncio.Event) -> None:
    """Approve what is asked until the first death is over."""
    while not over.is_set():
        await one.decide(await one.facts())
        await asyncio.sleep(0.05)


async def migration(cell: Cell, engines: Engines, folder: Path, passage: int) -> None:
    """Kill a server while it migrates an empty database; the others, or the next one, finish that and work."""
    async with lab(cell, engines, folder) as one:
        for victim in one.victims:
            await victim.start(f"migration.applying:{passage}" if victim is one.victim else "")
        try:
            await one.victim.died(8)
        except TimeoutError:
            if cell.processes == 1:
                cell.findings.append("migration.applying was never reached")
            await one.victim.kill()
        cell.deaths += 1
        await one.victim.start()
        for victim in one.victims:
            await victim.ready()
        for number, victim in enumerate(one.victims):
            await one.client.send(victim.url, f"m{number}", "put say")
        facts = await one.settle(20, runs=cell.processes)
        await one.judge(facts)
