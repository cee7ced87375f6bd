"""Many at once: a hundred runs when the server dies, two servers that recover the same runs, one session for all."""

import asyncio
import signal
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Final

from tests.chaos.engines import Engines, send_all
from tests.chaos.lab import LEASE, Lab, lab
from tests.chaos.process import Victim, until
from tests.chaos.report import Cell
from tests.postgres import Postgres

LINE: Final = 200


async def massacre(cell: Cell, engines: Engines, folder: Path, count: int = 100) -> None:
    """Kill the server with so many runs in mid-turn, each behind a finished tool call; start it again."""
    async with lab(cell, engines, folder) as one:
        await one.start()
        await _fill(one, one.victim, count, "put say@4*3")
        await one.victim.kill()
        await one.note_death()
        await one.victim.start()
        await _recovered(one, one.victim.began, await one.victim.ready())


async def recoverers(cell: Cell, engines: Engines, folder: Path, count: int = 50) -> None:
    """The first server dies with so many runs; all the others come up at the same moment and recover them."""
    async with lab(cell, engines, folder) as one:
        first, *others = one.victims
        await first.start()
        await first.ready()
        await _fill(one, first, count, "put say@4*3")
        await first.kill()
        await one.note_death()
        began = time.monotonic()
        for victim in others:
            await victim.start()
        for victim in others:
            await victim.ready()
        await _recovered(one, began, time.monotonic() - began)


async def _fill(one: Lab, victim: Victim, count: int, plan: str) -> None:
    """Have so many runs wait for the answer to their second step."""
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(one.client.send(victim.url, f"k{number}", plan))
    await until(lambda: sum(1 for asked in one.outside.asked if asked.step == 1) >= count, "all runs in mid-turn", 40)


async def _recovered(one: Lab, since: float, start: float) -> None:
    """All runs go on; the first of them within two leases, besides the `start` seconds until a server is up."""
    _, left = one.deaths[0]
    facts = await one.settle(30)
    one.cell.recovery = one.recovery(since, left)
    first = min(one.cell.recovery, default=None)
    if first is None or first > start + 2 * LEASE:
        one.cell.findings.append(
            f"the first run went on after {first} s; a start takes {start:.1f} s, two leases {2 * LEASE:g} s"
        )
    else:
        one.cell.note = f"first resumed after {first:.2f} s ({start:.2f} s of them a start), lease {LEASE:g} s"
    await one.judge(facts)


async def line(cell: Cell, engines: Engines, folder: Path, count: int = LINE) -> None:
    """So many messages to one session at one moment, over all servers: one after the other, in order of arrival."""
    async with lab(cell, engines, folder) as one:
        await one.start()
        urls = [victim.url for victim in one.victims]
        await one.client.send(urls[0], "first", "say", context="line", wait=True)
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(one.client.send(urls[number % len(urls)], f"q{number}", "say", context="line"))
            aside = group.create_task(_timed(one.client.send(urls[-1], "elsewhere", "say", context="other", wait=True)))
        facts = await one.settle(90, runs=count + 2)
        one.cell.note = (
            f"{count / (time.monotonic() - began):.0f} runs/s in one session; another one took {aside.result():.2f} s"
        )
        names = [name for name, task in sorted(facts.runs.items(), key=lambda pair: pair[1].key) if name != "elsewhere"]
        shown = {asked.run: asked.before for asked in one.outside.asked}
        for at, name in enumerate(names):
            if shown.get(name) != tuple(names[:at]):
                one.cell.findings.append(f"{name}, the {at}. in line, was shown {len(shown.get(name, ()))} before it")
        await one.judge(facts)


async def _timed(work: Awaitable[object]) -> float:
    began = time.monotonic()
    await work
    return time.monotonic() - began


async def outage(cell: Cell, engines: Engines, folder: Path, outages: int = 9, clients: int = 32) -> None:
    """Stop and start PostgreSQL every few seconds, each time in another way, while short runs go through."""
    server = engines.postgres()
    async with lab(cell, engines, folder) as one:
        await one.start()
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for number in range(clients):
                group.create_task(_talk(one, number, stop))
            for number in range(outages):
                await asyncio.sleep(3.5)
                await _away(server, ("fast", "immediate", "freeze", "kill")[number % 4])
                cell.deaths += 1
            await asyncio.sleep(1.0)
            stop.set()
        facts = await one.settle(60)
        nothing = type(facts)({}, [], [], [], [])
        one.deaths += [(0.0, nothing)] * cell.deaths  # a turn that could not be stored may be asked for again
        cell.note = f"{cell.deaths} outages, {one.client.refused} requests refused or cut off"
        await one.judge(facts)


async def _away(server: Postgres, mode: str) -> None:
    """Stop it in one of its ways and start it again; or let it hang for longer than a lease, its sockets open."""
    if mode == "freeze":
        send_all(server.pid, signal.SIGSTOP)
        await asyncio.sleep(1.5 * LEASE)
        send_all(server.pid, signal.SIGCONT)
        return
    await asyncio.to_thread(server.stop, mode)
    await asyncio.sleep(0.5)
    await asyncio.to_thread(server.start)


async def _talk(one: Lab, number: int, stop: asyncio.Event) -> None:
    """One client: the next run when the last one was accepted; when it was not, again under another name."""
    serial = 0
    while not stop.is_set():
        victim = one.victims[(number + serial) % len(one.victims)]
        plan = "put say" if serial % 4 == 0 else "say"
        accepted = await one.client.send(victim.url, f"o{number}x{serial}", plan, wait=serial % 2 == 0)
        serial += 1
        await asyncio.sleep(0.1 if accepted is None else 0.0)
