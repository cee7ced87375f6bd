"""One experiment: a database, the world outside, servers to attack, a client, and what was seen."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from tests.chaos.client import Client, client
from tests.chaos.engines import EngineName, Engines
from tests.chaos.facts import WAITS, Facts, read_facts
from tests.chaos.outside import Outside
from tests.chaos.process import PATIENCE, Victim
from tests.chaos.report import Cell
from tests.chaos.rules import Witness, judge

LEASE: Final = 2.0
"""Seconds; short, so that a takeover does not take long."""


@dataclass(slots=True)
class Lab:
    """Everything at hand. `settled` maps tasks to when they were first seen at rest, as in time.monotonic."""

    cell: Cell
    folder: Path
    dsn: str
    outside: Outside
    client: Client
    victims: list[Victim]
    deaths: list[tuple[float, Facts]] = field(default_factory=list)
    settled: dict[str, float] = field(default_factory=dict)
    decided: set[str] = field(default_factory=set)

    @property
    def victim(self) -> Victim:
        """The first of the servers."""
        return self.victims[0]

    async def start(self, points: Sequence[str] = ()) -> None:
        """Start every server, the nth with the nth point to die at, and wait until they take work."""
        for number, victim in enumerate(self.victims):
            await victim.start(points[number] if number < len(points) else "")
        for victim in self.victims:
            await victim.ready()

    async def facts(self) -> Facts:
        """What the database holds now."""
        facts = await read_facts(self.dsn)
        now = time.monotonic()
        for task in facts.tasks:
            if task.settled:
                self.settled.setdefault(task.id, now)
            else:
                self.settled.pop(task.id, None)
        return facts

    async def note_death(self) -> float:
        """A process has died: remember what is stored now, when others may still be at work; when it died."""
        self.cell.deaths += 1
        died = time.monotonic()
        facts = await self.facts()
        self.deaths.append((time.monotonic(), facts))
        return died

    async def settle(self, patience: float = PATIENCE, *, runs: int = 0) -> Facts:
        """Answer what is asked until at least `runs` tasks are there and all have ended; what stands then.

        After `patience` seconds whatever stands is given: the rules will say what is stuck.
        """
        deadline = time.monotonic() + patience
        while True:
            facts = await self.facts()
            busy = [task for task in facts.tasks if not task.ended]
            live = [job for job in facts.jobs if job.live and job.kind == "run"]
            if (not busy and not live and len(facts.tasks) >= runs) or time.monotonic() > deadline:
                return facts
            await self.decide(facts)
            await asyncio.sleep(0.05)

    async def decide(self, facts: Facts) -> None:
        """Approve what is asked for the first time; deny what was interrupted, for nobody knows what became of it."""
        alive = next((victim for victim in self.victims if victim.running), None)
        if alive is None:
            return
        for task in facts.tasks:
            if task.state in WAITS:
                with contextlib.suppress(httpx.TransportError, AssertionError):
                    await self._answer(alive.url, task.id)

    async def _answer(self, url: str, task_id: str) -> None:
        decisions = {}
        for data in await self.client.pending(url, task_id):
            call = data["tool_call_id"]
            first = data["tool_name"] == "guard" and call not in self.decided
            decisions[call] = "approve" if first else "deny"
        if decisions and await self.client.decide(url, task_id, decisions):
            self.decided |= set(decisions)

    def recovery(self, since: float, facts: Facts) -> list[float]:
        """How long after `since` the runs that `facts` left unfinished were first heard of again."""
        found = []
        for run, task in facts.runs.items():
            if task.settled:
                continue
            moments = [self.outside.first_after(run, since), self.settled.get(task.id)]
            later = [moment - since for moment in moments if moment is not None and moment >= since]
            if later:
                found.append(min(later))
        return found

    async def judge(self, facts: Facts, *, ends: Collection[str] = ("completed",)) -> None:
        """Apply all rules; every task must have ended in one of `ends` and be told to clients as it is stored."""
        witness = Witness(facts, self.outside, set(self.client.acknowledged.values()), self.deaths)
        self.cell.add(judge(witness))
        self.cell.runs += len(facts.tasks)
        wrong = [f"{task.id} ended as {task.state}: {task.said}" for task in facts.tasks if task.state not in ends]
        self.cell.add({"lost": wrong})
        alive = next((victim for victim in self.victims if victim.running), None)
        if alive is not None:
            self.cell.add({"lost": [text async for text in self._misreported(alive.url, facts)]})
        for victim in self.victims:
            if "Traceback" in victim.log:
                self.cell.findings.append(f"{victim.name} logged a traceback: {_traceback(victim.log)}")

    async def _misreported(self, url: str, facts: Facts) -> AsyncIterator[str]:
        stored = {task.id: task.state for task in facts.tasks}
        for run, task_id in self.client.acknowledged.items():
            if task_id not in stored:
                continue
            task = await self.client.task(url, task_id)
            state = task["status"]["state"].removeprefix("TASK_STATE_").lower().replace("_", "-")
            if state != stored[task_id]:
                yield f"task {task_id} is {stored[task_id]}, but clients are told {state}"
            text = "".join(part.get("text", "") for one in task.get("artifacts", ()) for part in one["parts"])
            if state == "completed" and text.count(f"{run}-0 ") != 1:
                yield f"run {run} has the answer {text[:200]!r}"


def _traceback(log: str) -> str:
    after = log[log.index("Traceback") :].split("\n")
    return next((line for line in after[1:] if line and not line.startswith(" ")), after[0])


_PLANS: Final = {
    "chaos": {"type": "sequential", "sub_agents": ["rounds"]},
    "rounds": {"type": "loop", "sub_agents": ["worker"], "max_iterations": 1},
}


def configuration(outside: str, *, planned: bool = False, **queue: Any) -> dict[str, Any]:
    """One agent with the four tools of the victim, or it as a step within plans; a short lease, quick retries."""
    tools: dict[str, Any] = {name: {"type": "function", "handler": name} for name in ("put", "pay", "send", "guard")}
    tools["put"]["on_unknown"] = "retry"
    tools["pay"]["on_unknown"] = "ask"
    tools["send"]["on_unknown"] = "fail"
    tools["guard"]["require_approval"] = True
    model = {"provider": "openai", "api": "chat", "api_key": "none", "base_url": f"{outside}/v1", "model": "chaos"}
    agent = {"type": "llm", "llm": "m", "instruction": "Do what you are told.", "tools": list(tools)}
    defaults = {"stale_threshold": f"{LEASE:g}s", "initial_delay": "200ms", "max_delay": "1s"}
    return {
        "version": "2",
        "name": "chaos",
        "llms": {"m": model | {"retry": {"max_attempts": 1}}},
        "tools": tools,
        "agents": {**_PLANS, "worker": agent} if planned else {"chaos": agent},
        "server": {"queue": defaults | queue},
    }


@contextlib.asynccontextmanager
async def lab(
    cell: Cell, engines: Engines, folder: Path, *, arguments: Sequence[str] = (), planned: bool = False, **queue: Any
) -> AsyncIterator[Lab]:
    """Set one up for a cell; nothing is started yet. Everything that runs is killed at the end."""
    began = time.monotonic()
    engine: EngineName = "sqlite" if cell.engine == "sqlite" else "postgres"
    dsn = engines.fresh(engine, folder)
    async with Outside() as outside, client() as one:
        path = folder / "chaos.yaml"
        path.write_text(json.dumps(configuration(outside.url, planned=planned, **queue)), encoding="utf-8")
        given = ["--config", str(path), "--database", dsn, *arguments]
        victims = [Victim(folder, f"server-{number}", given, outside.url) for number in range(cell.processes)]
        try:
            yield Lab(cell, folder, dsn, outside, one, victims)
        finally:
            for victim in victims:
                await victim.kill()
            cell.seconds = time.monotonic() - began
            engines.discard(dsn)
