"""People who decide about the same thing on several servers at the same moment: one of them decides."""

import asyncio
from collections import Counter
from pathlib import Path

from tests.chaos.engines import Engines
from tests.chaos.facts import Facts
from tests.chaos.lab import Lab, lab
from tests.chaos.process import until
from tests.chaos.report import Cell


async def approvals(cell: Cell, engines: Engines, folder: Path, count: int = 20) -> None:
    """Each of so many calls is approved six times at once, over all servers: it takes effect once."""
    async with lab(cell, engines, folder) as one:
        await one.start()
        await _send(one, count, "guard say")
        await until(lambda: _all_are(one, count, "input-required"), "all wait for approval", 40)
        pending = await _pending(one)
        statuses: list[asyncio.Task[int]] = []
        async with asyncio.TaskGroup() as group:
            for turn in range(6):
                url = one.victims[turn % len(one.victims)].url
                for task_id, call in pending.items():
                    statuses.append(group.create_task(one.client.insist(url, task_id, call, "approve")))
        facts = await one.settle(20)
        found = Counter(status.result() for status in statuses)
        cell.note = f"{found[200]} decisions taken, {sum(found.values()) - found[200]} refused"
        if found[200] != count or any(status >= 500 for status in found):
            cell.findings.append(f"{count} calls, and the decisions were answered with {dict(found)}")
        if len(one.outside.effects) != count:
            cell.findings.append(f"{count} approved calls took effect {len(one.outside.effects)} times")
        await one.judge(facts)


async def cancels(cell: Cell, engines: Engines, folder: Path, count: int = 30) -> None:
    """Runs at every stage are cancelled on another server than they work on: nothing happens any more."""
    async with lab(cell, engines, folder) as one:
        await one.start()
        await _send(one, count, "put@0.2 put@0.2 put@0.2 put@5 say")
        await asyncio.sleep(0.3)  # so that they are at different stages
        async with asyncio.TaskGroup() as group:
            for number, (_, task_id) in enumerate(sorted(one.client.acknowledged.items())):
                url = one.victims[(number + 1) % len(one.victims)].url
                group.create_task(_cancel(one, url, task_id))
        facts = await one.settle(15)
        heard = len(one.outside.asked), len(one.outside.effects)
        await asyncio.sleep(1.0)  # nothing announces that nothing happens
        if heard != (len(one.outside.asked), len(one.outside.effects)):
            cell.findings.append("a cancelled run went on")
        await one.judge(facts, ends=("canceled",))


async def _send(one: Lab, count: int, plan: str) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(one.client.send(one.victims[number % len(one.victims)].url, f"d{number}", plan))


async def _cancel(one: Lab, url: str, task_id: str) -> None:
    if (status := await one.client.cancel(url, task_id)) != 200:
        one.cell.findings.append(f"cancelling {task_id} was answered with {status}")


async def _all_are(one: Lab, count: int, state: str) -> bool:
    facts = await one.facts()
    return len(facts.tasks) == count and all(task.state == state for task in facts.tasks)


async def _pending(one: Lab) -> dict[str, str]:
    """Task -> the call that it waits for."""
    facts: Facts = await one.facts()
    found = {}
    for task in facts.tasks:
        (data,) = await one.client.pending(one.victim.url, task.id)
        found[task.id] = data["tool_call_id"]
    return found
