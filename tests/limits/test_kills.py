"""A process is killed in the middle of runs: what was used is counted once, and what it held is given back."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from hector.core.task import TaskState
from hector.store.usage import Amounts
from hector.tools.function import idempotent
from tests.limits.conftest import ANA, Process, process, settings, until

TURNS = 12
RULES: list[dict[str, Any]] = [
    *({"turn": at, "delay": 0.02, "tool_calls": [{"name": "look", "args": {"at": at}}]} for at in range(TURNS)),
    {"text": "done"},
]
BLOCKS: dict[str, Any] = {
    "tools": {"look": {"type": "function", "handler": "look"}},
    "prices": [{"model": "*", "input": 1, "output": 1}],
    "budgets": [{"per": "app", "tokens": 10_000_000, "time": "10h", "tool_calls": 1_000_000}],
}
VICTIM = """
import asyncio, json, sys
from tests.limits.test_kills import BLOCKS, RULES, look
from hector.tools.function import idempotent
from tests.limits.conftest import process, settings

async def main(dsn):
    async with process(dsn, settings(*RULES, **BLOCKS), (look,)) as server:
        tasks = [await server.send(return_immediately=True) for _ in range(8)]
        print(json.dumps([task.id for task in tasks]), flush=True)
        await asyncio.sleep(60)

asyncio.run(main(sys.argv[1]))
"""


@idempotent
def look(at: int) -> str:
    """Look."""
    return str(at)


@pytest.mark.proves("limits.usage", "limits.reservations-released")
@pytest.mark.parametrize("after", [0.15, 0.6])
async def test_nothing_is_counted_twice_after_a_kill(dsn: str, after: float) -> None:
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-c", VICTIM, dsn, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert victim.stdout is not None
    async with asyncio.timeout(60):
        tasks = json.loads(await victim.stdout.readline())
    await asyncio.sleep(after)
    os.kill(victim.pid, signal.SIGKILL)
    await victim.wait()
    async with process(dsn, settings(*RULES, **BLOCKS), (look,)) as server:
        for task in tasks:
            await until(lambda task=task: _over(server, task))
        calls = tools = tokens = 0
        for task in tasks:
            found = await server.store.tasks.get(ANA, task)
            session = await server.store.sessions.load(ANA, found.context_id)
            used = [event for event in session.events if event.usage]
            calls += len(used)
            tokens += sum(event.usage.total for event in used if event.usage)
            tools += sum(len(event.message.tool_calls) for event in used)
        total = await server.usage()
        assert (total.calls, total.input + total.output) == (calls, tokens)
        assert total.tools == tools == 8 * TURNS
        await until(lambda: _settled(server, total, tokens))


async def _over(server: Process, task: str) -> bool:
    found = await server.store.tasks.get(ANA, task)
    return found.status.state in (TaskState.COMPLETED, TaskState.FAILED, TaskState.INPUT_REQUIRED)


async def _settled(server: Process, total: Amounts, tokens: int) -> bool:
    """Counters say what usage says, and nothing is held any more."""
    await server.limits.folding.fold()
    sql = "SELECT what, sum(used), sum(held) FROM counters GROUP BY what"
    rows = await server.store.database.read(lambda con: con.all(sql))
    found = {what: (int(used), int(held)) for what, used, held in rows}
    return (
        found["tokens/day"] == (tokens, 0)
        and found["tools/day"] == (total.tools, 0)
        and all(held == 0 for _, held in found.values())
    )
