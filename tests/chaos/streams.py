"""Clients that are cut off every second: each sees every update once, in order, wherever the run works."""

import asyncio
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.chaos.engines import Engines
from tests.chaos.lab import Lab, lab
from tests.chaos.process import until
from tests.chaos.report import Cell

WORDS = 120


@dataclass(slots=True)
class Reader:
    """What one client has put together from what it was sent."""

    one: Lab
    urls: list[str]
    """Whom it asks, in turn."""
    task_id: str
    period: float
    """Seconds after which it is cut off."""
    text: str = ""
    last: str | None = None
    disorder: list[str] = field(default_factory=list)
    snapshots: int = 0
    cuts: int = 0
    state: str = ""

    async def read(self) -> None:
        """Follow the task to its end, however often that takes."""
        while not self.state.endswith(("COMPLETED", "FAILED", "CANCELED")):
            url = self.urls[self.cuts % len(self.urls)]
            try:
                async with asyncio.timeout(self.period), self.one.client.stream(url, self.task_id, self.last) as events:
                    async for name, body in events:
                        self._take(name, body)
            except (TimeoutError, httpx.TransportError):
                self.cuts += 1
            except AssertionError:
                task = await self.one.client.task(url, self.task_id)  # it has ended meanwhile
                self._snapshot(task)
                await asyncio.sleep(0.1)

    def _take(self, name: str, body: dict[str, Any]) -> None:
        if name:
            self._place(name, snapshot="task" in body)
        if "task" in body:
            self._snapshot(body["task"])
        elif "artifactUpdate" in body:
            update = body["artifactUpdate"]
            text = _text(update["artifact"])
            self.text = self.text + text if update.get("append") else text
        elif "statusUpdate" in body:
            self.state = body["statusUpdate"]["status"]["state"]

    def _place(self, name: str, *, snapshot: bool) -> None:
        """Every update lies behind what came before it; a snapshot says where it was taken, which may be the same."""
        here, before = _number(name), _number(self.last or "")
        if not snapshot and here[0] == before[0] and here[1] <= before[1]:
            self.disorder.append(f"{name} after {self.last}")
        self.last = name

    def _snapshot(self, task: dict[str, Any]) -> None:
        self.snapshots += 1
        self.state = task["status"]["state"]
        self.text = "".join(_text(artifact) for artifact in task.get("artifacts", ()))


def _number(name: str) -> tuple[str, float]:
    """Ids are `<epoch>-<number>`, the last one of a task `<epoch>-end`."""
    epoch, _, number = name.rpartition("-")
    return epoch, float(number) if number.isdigit() else math.inf


def _text(artifact: dict[str, Any]) -> str:
    return "".join(part.get("text", "") for part in artifact["parts"])


async def cut(cell: Cell, engines: Engines, folder: Path, readers: int = 6) -> None:
    """Readers on every server, each cut off every second, one of them changing servers."""
    async with lab(cell, engines, folder) as one:
        await one.start()
        urls = [victim.url for victim in one.victims]
        task = await one.client.send(urls[0], "st", f"put say*{WORDS}~0.05")
        assert task is not None
        following = [Reader(one, [urls[at % len(urls)]], task["id"], 0.7 + 0.1 * at) for at in range(readers)]
        following.append(Reader(one, urls, task["id"], 0.9))
        async with asyncio.TaskGroup() as group:
            for reader in following:
                group.create_task(reader.read())
        facts = await one.settle(20)
        for number, reader in enumerate(following):
            _check(cell, number, reader, 1)
        cell.note = f"{len(following)} readers, {sum(reader.cuts for reader in following)} cuts"
        await one.judge(facts)


async def orphaned(cell: Cell, engines: Engines, folder: Path) -> None:
    """The server that works on a run dies in mid-stream: who follows it on another one gets the whole answer again."""
    async with lab(cell, engines, folder) as one:
        await one.start()
        urls = [victim.url for victim in one.victims]
        task = await one.client.send(urls[0], "st", f"put say*{WORDS}~0.05")
        assert task is not None
        following = [Reader(one, [url], task["id"], 60.0) for url in urls[1:]]
        async with asyncio.TaskGroup() as group:
            for reader in following:
                group.create_task(reader.read())
            await until(lambda: all("st-9 " in reader.text for reader in following), "all readers in mid-stream", 40)
            await one.victims[0].kill()
            killed = await one.note_death()
        facts = await one.settle(20)
        cell.recovery = one.recovery(killed, one.deaths[0][1])
        for number, reader in enumerate(following):
            _check(cell, number, reader, 2)
        await one.judge(facts)


def _check(cell: Cell, number: int, reader: Reader, asked: int) -> None:
    wanted = "".join(f"st-{index} " for index in range(WORDS)) + f"#{asked}"
    if wanted not in reader.text:
        cell.findings.append(f"reader {number} has {reader.text[:300]!r} after {reader.cuts} cuts")
    if reader.disorder:
        cell.findings.append(f"reader {number} was sent {reader.disorder[:5]}")
    if reader.last is None:
        cell.findings.append(f"reader {number} never saw an event id")
