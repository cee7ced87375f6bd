"""Surroundings that turn against the server: no space, no permission, damaged rows, a jumping clock, a sick model."""

import asyncio
import os
import resource
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any, Final

import asyncpg

from tests.chaos.engines import Engines
from tests.chaos.facts import Facts
from tests.chaos.lab import Lab, lab
from tests.chaos.process import Victim, until
from tests.chaos.report import Cell

_MIXED: Final = ("say*3", "put say", "put*2 say", "say@0.3*3")


async def disk_full(cell: Cell, engines: Engines, folder: Path) -> None:
    """No file may grow any more: refused with 503 and a reason, what was accepted is kept, and it heals by itself."""
    async with lab(cell, engines, folder) as one:
        await one.start()
        await _send(one, "before", 4)
        await one.settle(15, runs=4)
        path = Path(one.dsn.removeprefix("sqlite://"))
        largest = max(found.stat().st_size for found in path.parent.glob(path.name + "*"))
        _limit(one.victim, largest)
        try:
            await _send(one, "full", 40)
            await _says_why(one, "disk")
        finally:
            _limit(one.victim, resource.RLIM_INFINITY)
        await until(lambda: _is_ready(one), "it heals by itself", 40)
        await _send(one, "after", 4)
        facts = await one.settle(30)
        cell.note = f"{one.client.refused} refused while it was full"
        if not one.client.refused:
            cell.findings.append("the disk was never full")
        _allow_second_asking(one)
        await one.judge(facts)


async def read_only(cell: Cell, engines: Engines, folder: Path) -> None:
    """PostgreSQL takes no writes for a while, as after a failover: 503 with a reason, then all goes on."""
    server = engines.postgres()
    async with lab(cell, engines, folder) as one:
        await one.start()
        await _send(one, "before", 4)
        await one.settle(15, runs=4)
        name = one.dsn.rpartition("/")[2]
        server.psql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        server.psql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        await _send(one, "refused", 8)
        await _says_why(one, "read-only")
        server.psql(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        server.psql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        await until(lambda: _is_ready(one), "it heals by itself", 40)
        await _send(one, "after", 4)
        facts = await one.settle(30)
        cell.note = f"{one.client.refused} refused while it was read-only"
        _allow_second_asking(one)
        await one.judge(facts)


async def damaged(cell: Cell, engines: Engines, folder: Path) -> None:
    """An event's row is no JSON: its session fails with a reason, also after a restart; everybody else is served."""
    async with lab(cell, engines, folder) as one:
        await one.start()
        await one.client.send(one.victim.url, "ill", "say", context="ill", wait=True)
        await one.client.send(one.victim.url, "cut", "put say@3*3", context="cut")
        await one.client.send(one.victim.url, "well", "put say@3*3", context="well")
        await until(lambda: sum(asked.step == 1 for asked in one.outside.asked) == 2, "both are in mid-turn", 40)
        await one.victim.kill()
        await one.note_death()
        before = await one.facts()
        broken = {_event_of(before, "ill", "assistant"), _event_of(before, "cut", "assistant")}
        await _damage(one.dsn, broken)
        await one.victim.start()
        await one.victim.ready()
        answer = await one.client.send(one.victim.url, "ill2", "say", context="ill", wait=True)
        state, said = _status(answer)
        if state != "TASK_STATE_FAILED" or "damaged" not in said or "backup" not in said:
            cell.findings.append(f"the damaged session answers {state}: {said!r}")
        await until(lambda: _has_settled(one, "cut", "well"), "the interrupted runs end", 40)
        await one.client.send(one.victim.url, "other", "put say", wait=True)
        await _mend(one.dsn, before, broken)
        facts = await one.settle(20)
        states = {run: task.state for run, task in facts.runs.items()}
        wanted = {"ill": "completed", "ill2": "failed", "cut": "failed", "well": "completed", "other": "completed"}
        if states != wanted:
            cell.findings.append(f"the runs ended as {states}")
        await one.judge(facts, ends=("completed", "failed"))


async def clock(cell: Cell, engines: Engines, folder: Path) -> None:
    """The clock jumps an hour, forward and back, while runs work and others queue: nobody waits, nothing is doubled."""
    async with lab(cell, engines, folder) as one:
        await one.start()
        for number, jump in enumerate((signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR2, signal.SIGUSR1)):
            for serial in range(4):
                await one.client.send(one.victim.url, f"c{number}x{serial}", "put say@0.3*3", context=f"queue{number}")
            await one.client.send(one.victim.url, f"g{number}", "guard say")
            one.victim.signal(jump)
            began = time.monotonic()
            await one.settle(15, runs=5 * (number + 1))
            if (took := time.monotonic() - began) > 10:
                cell.findings.append(f"after the jump {jump.name} the runs took {took:.1f} s")
        await one.judge(await one.facts())


async def sick_model(cell: Cell, engines: Engines, folder: Path) -> None:
    """The model refuses for a while: runs are retried by themselves. For one run it refuses for good: a dead letter."""
    async with lab(cell, engines, folder, max_retries=8) as one:
        await one.start()
        one.outside.refusing = True
        await _send(one, "sick", 8)
        await asyncio.sleep(0.8)
        one.outside.refusing = False
        await one.client.send(one.victim.url, "poison", "put fail")
        facts = await one.settle(30, runs=9)
        poison = facts.runs["poison"]
        letters = [job for job in facts.jobs if job.subject == poison.id]
        if poison.state != "failed" or not poison.said or [job.state for job in letters] != ["dead"]:
            cell.findings.append(f"poison: {poison} with {letters}")
        if any(task.state != "completed" for run, task in facts.runs.items() if run != "poison"):
            cell.findings.append("a run was not retried until the model was well again")
        if effects := [effect for effect in one.outside.effects if effect.run == "poison"][1:]:
            cell.findings.append(f"poison repeated its tool {len(effects)} times")
        one.outside.asked = [asked for asked in one.outside.asked if asked.run != "poison"]
        await one.judge(facts, ends=("completed", "failed"))


async def _send(one: Lab, name: str, count: int) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            plan = _MIXED[number % len(_MIXED)]
            group.create_task(one.client.send(one.victim.url, f"{name}{number}", plan))


def _limit(victim: Victim, size: int) -> None:
    """From now on no file of this process may grow beyond `size`; its hard limit stays."""
    _, hard = resource.prlimit(victim.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(victim.pid, resource.RLIMIT_FSIZE, (size, hard))


async def _is_ready(one: Lab) -> bool:
    return (await one.client.http.get(f"{one.victim.url}/readyz")).status_code == 200


async def _says_why(one: Lab, word: str) -> None:
    """/readyz answers 503 with a reason that holds this word."""
    answer = await one.client.http.get(f"{one.victim.url}/readyz")
    if answer.status_code != 503 or word not in answer.text:
        one.cell.findings.append(f"/readyz answers {answer.status_code}: {answer.text}")


def _allow_second_asking(one: Lab) -> None:
    """A finished turn that could not be stored may be asked for again, as if a process had died."""
    one.deaths.append((0.0, Facts({}, [], [], [], [])))


def _event_of(facts: Facts, run: str, role: str) -> int:
    return next(event.key for event in facts.of(facts.runs[run]) if event.role == role)


async def _has_settled(one: Lab, *runs: str) -> bool:
    """Told by the server, since the damaged rows cannot be read."""
    ids = [one.client.acknowledged[run] for run in runs]
    states = [(await one.client.task(one.victim.url, task_id))["status"]["state"] for task_id in ids]
    return all(state in ("TASK_STATE_COMPLETED", "TASK_STATE_FAILED") for state in states)


def _status(task: dict[str, Any] | None) -> tuple[str, str]:
    if task is None:
        return "none", ""
    parts = task["status"].get("message", {}).get("parts", ())
    return task["status"]["state"], "".join(part.get("text", "") for part in parts)


async def _damage(dsn: str, keys: set[int]) -> None:
    await _change(dsn, [("broken " + "x" * 20, key) for key in keys])


async def _mend(dsn: str, before: Facts, keys: set[int]) -> None:
    """Make the rows readable again, for the rules."""
    import json

    await _change(dsn, [(json.dumps(event.body), event.key) for event in before.events if event.key in keys])


async def _change(dsn: str, rows: list[tuple[str, int]]) -> None:
    if dsn.startswith("sqlite://"):
        con = sqlite3.connect(dsn.removeprefix("sqlite://"), timeout=10)
        try:
            con.executemany("UPDATE events SET body = ? WHERE key = ?", rows)
            con.commit()
        finally:
            con.close()
        return
    link = await asyncpg.connect(dsn)
    try:
        await link.executemany("UPDATE events SET body = $1 WHERE key = $2", rows)
    finally:
        await link.close()


async def no_permission(cell: Cell, engines: Engines, folder: Path) -> None:
    """A file that may not be written: one line that says so, and exit code 2."""
    async with lab(cell, engines, folder) as one:
        path = Path(one.dsn.removeprefix("sqlite://"))
        await one.start()
        await one.client.send(one.victim.url, "before", "say", wait=True)
        await one.victim.stop()
        os.chmod(path, 0o444)
        await one.victim.start(CHAOS_MEEK="1")
        code = await one.victim.died()
        last = one.victim.last_words
        if code != 2 or "permission" not in last.lower():
            cell.findings.append(f"exit code {code}: {last}")
        os.chmod(path, 0o600)
        await one.start()
        await one.client.send(one.victim.url, "after", "say", wait=True)
        await one.judge(await one.settle(10, runs=2))
