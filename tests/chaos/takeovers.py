"""A server that is alive but was taken for dead, and servers that are asked to stop."""

import asyncio
import itertools
import signal
import sys
from pathlib import Path
from typing import Final

from tests.chaos.engines import Engines
from tests.chaos.facts import Facts
from tests.chaos.lab import LEASE, Lab, lab
from tests.chaos.process import ROOT, until
from tests.chaos.report import Cell

_FROZEN: Final = ("put say@5*3", "put^5 say", "pay^5 say", "send^5 say", "say@5*3")
"""What the zombie is in the middle of: an answer, an effect of each kind."""


async def zombie(cell: Cell, engines: Engines, folder: Path, copies: int = 3) -> None:
    """Freeze a server past its lease, let another one take over, wake it up: nothing of what it then writes counts."""
    async with lab(cell, engines, folder) as one:
        await one.start()
        frozen, other = one.victims[0], one.victims[1]
        count = copies * len(_FROZEN)
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(one.client.send(frozen.url, f"z{number}", _FROZEN[number % len(_FROZEN)]))
        await until(lambda: _busy(one) == count, "every run in mid-step", 40)
        frozen.signal(signal.SIGSTOP)
        try:
            moment = await one.note_death()
            _, left = one.deaths[0]
            await until(lambda: len(one.recovery(moment, left)) >= count // 2, "the other one takes over", 6 * LEASE)
        finally:
            frozen.signal(signal.SIGCONT)
        names = (f"awake{number}" for number in itertools.count())
        await until(lambda: one.client.send(frozen.url, next(names), "put say", wait=True), "the zombie works", 40)
        facts = await one.settle(30)
        cell.recovery = one.recovery(moment, left)
        _only_the_heir(one, facts)
        if not (frozen.running and other.running):
            cell.findings.append("a server has ended")
        await one.judge(facts)


def _busy(one: Lab) -> int:
    """How many runs are where they shall be frozen: in an effect that takes long, or in an answer that does."""
    thinking = {asked.run for asked in one.outside.asked}
    return len(thinking) if all(_is_there(one, run) for run in thinking) else 0


def _is_there(one: Lab, run: str) -> bool:
    first = _FROZEN[int(run[1:]) % len(_FROZEN)].split()[0]
    if "^" in first:
        return any(effect.run == run for effect in one.outside.effects)
    step = 0 if "@" in first else 1
    return any(asked.run == run and asked.step == step for asked in one.outside.asked)


def _only_the_heir(one: Lab, facts: Facts) -> None:
    """A turn that both have asked for is stored as the heir got it."""
    again = {(asked.run, asked.step) for asked in one.outside.asked if asked.number == 2}
    for turn, event in facts.turns.items():
        if turn in again and event.text.endswith("#1"):
            one.cell.findings.append(f"{turn[0]} holds the answer that the zombie got")


async def pill(cell: Cell, engines: Engines, folder: Path) -> None:
    """A run that kills whoever works on it ends as a dead letter after its attempts; one requeue is one new round."""
    async with lab(cell, engines, folder, max_retries=2) as one:
        await one.start(["model.before:1"])
        await one.client.send(one.victim.url, "pill", "put say*3")
        for _ in range(3):
            await one.victim.died(20)
            await one.note_death()
            await one.victim.start("model.before:1")
        await one.victim.ready()
        facts = await one.settle(15, runs=1)
        letters = [job for job in facts.jobs if job.state == "dead" and job.cause]
        said = facts.runs["pill"].said
        if len(letters) != 1 or "begun 3 times" not in said:
            cell.findings.append(f"after three deaths there are {facts.jobs}, and the task says {said!r}")
        await one.victim.kill()
        await one.victim.start()
        await one.victim.ready()
        await _requeue(one)
        await until(lambda: _revived(one), "the requeued run goes on", 40)
        await one.judge(await one.settle(15))


async def _requeue(one: Lab) -> None:
    command = (sys.executable, "-m", "hector", "dlq", "requeue", "--all", "--database", one.dsn)
    child = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    said, _ = await child.communicate()
    if child.returncode != 0:
        one.cell.findings.append(f"hector dlq requeue: {child.returncode}, {said.decode()}")


async def _revived(one: Lab) -> bool:
    return not any(job.state == "dead" for job in (await one.facts()).jobs)


async def rolling(cell: Cell, engines: Engines, folder: Path, count: int = 40) -> None:
    """Stop each server in turn with SIGTERM and start it again in mid-work: exit 0, nothing repeated."""
    async with lab(cell, engines, folder) as one:
        await one.start()
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                victim = one.victims[number % len(one.victims)]
                group.create_task(one.client.send(victim.url, f"t{number}", "put say@1.5 put put@0.5 say*3"))
        for victim in one.victims:
            code = await victim.stop()
            await one.note_death()
            if code != 0:
                cell.findings.append(f"{victim.name} ended with {code} on SIGTERM")
            await victim.start()
            await victim.ready()
        facts = await one.settle(40)
        blamed = [job for job in facts.jobs if job.kind == "run" and job.attempts > 1]
        if blamed:
            cell.findings.append(f"{len(blamed)} jobs count an orderly stop as a failed attempt")
        await one.judge(facts)
