"""Real servers on one PostgreSQL, 200 clients at once over HTTP: limits hold to the last request and call."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from hector.store import open_store
from hector.store.usage import Amounts, UsageQuery
from tests.smoke.frontdoor import FORMS, Hector, Server

CLIENTS = 200
WORDS = " ".join(["word"] * 48)
LLM = {"provider": "scripted", "max_tokens": 50, "rules": [{"text": WORDS, "delay": 0.05}]}
CALL = 50


def config(folder: Path, **blocks: Any) -> str:
    file = folder / "config.yaml"
    agents = {"helper": {"instruction": "Help."}}
    file.write_text(json.dumps({"llms": {"default": LLM}, "agents": agents, **blocks}), encoding="utf-8")
    return str(file)


@contextmanager
def servers(folder: Path, dsn: str, count: int, **blocks: Any) -> Iterator[list[Server]]:
    """So many processes."""
    hector = Hector(FORMS["source"], folder)
    file = config(folder, **blocks)
    with ExitStack() as stack:
        yield [stack.enter_context(hector.serve("--config", file, "--database", dsn)) for _ in range(count)]


async def crowd(found: list[Server]) -> list[httpx.Response]:
    """One message of each client, all at once."""
    limits = httpx.Limits(max_connections=CLIENTS)
    async with httpx.AsyncClient(timeout=60.0, limits=limits) as client:

        async def one(number: int) -> httpx.Response:
            message = {"messageId": f"m-{number}", "role": "ROLE_USER", "parts": [{"text": "go"}]}
            url = f"{found[number % len(found)].url}/agents/helper/message:send"
            return await client.post(url, json={"message": message})

        async with asyncio.TaskGroup() as group:
            sent = [group.create_task(one(number)) for number in range(CLIENTS)]
    return [task.result() for task in sent]


async def used(dsn: str) -> tuple[Amounts, int, int]:
    """All that was used, and how the counters of tokens stand."""
    store = await open_store(dsn, visitor=True)
    try:
        while await store.counters.fold():
            pass
        lines = (await store.usage.report(UsageQuery(by=()))).lines
        sql = "SELECT COALESCE(sum(used), 0), COALESCE(sum(held), 0) FROM counters WHERE what LIKE 'tokens%'"
        row = await store.database.read(lambda con: con.one(sql))
        assert row is not None
        return lines[0].amounts if lines else Amounts(), int(row[0]), int(row[1])
    finally:
        await store.aclose()


@pytest.mark.proves("limits.no-overspend", "limits.shared")
@pytest.mark.parametrize("processes", [1, 3])
async def test_a_budget_is_overspent_by_one_call_at_most(postgres_ready: str, tmp_path: Path, processes: int) -> None:
    limit = 60 * CALL
    block = {"budgets": [{"per": "app", "window": "total", "tokens": limit}]}
    with servers(tmp_path, postgres_ready, processes, **block) as found:
        answers = await crowd(found)
        states = Counter(answer.json()["task"]["status"]["state"] for answer in answers)
        assert set(states) == {"TASK_STATE_COMPLETED", "TASK_STATE_FAILED"}
        amounts, counted, held = await used(postgres_ready)
        assert amounts.calls == states["TASK_STATE_COMPLETED"]
        assert limit <= amounts.input + amounts.output <= limit + CALL
        assert (counted, held) == (amounts.input + amounts.output, 0)


@pytest.mark.proves("limits.exact", "limits.shared")
@pytest.mark.parametrize("processes", [1, 3])
async def test_a_rate_limit_serves_exactly_what_it_says(postgres_ready: str, tmp_path: Path, processes: int) -> None:
    rule = {"type": "count", "window": "month", "limit": 123, "scope": "user"}
    block = {"rate_limiting": {"enabled": True, "backend": "sql", "limits": [rule]}}
    with servers(tmp_path, postgres_ready, processes, **block) as found:
        codes = Counter(answer.status_code for answer in await crowd(found))
        assert codes == {200: 123, 429: CLIENTS - 123}


@pytest.mark.proves("limits.reservations-released")
async def test_what_a_killed_process_held_is_given_back(postgres_ready: str, tmp_path: Path) -> None:
    slow = {"provider": "scripted", "max_tokens": 50, "rules": [{"text": "late", "delay": 60}]}
    block = {
        "llms": {"default": slow},
        "budgets": [{"per": "app", "window": "total", "tokens": 100_000}],
        "server": {"queue": {"stale_threshold": 1}},
        "storage": {"checkpoint": {"recovery": {"auto_resume": False}}},
    }
    with servers(tmp_path, postgres_ready, 2, **block) as (victim, other):
        message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "go"}]}
        body = {"message": message, "configuration": {"returnImmediately": True}}
        async with httpx.AsyncClient() as client:
            sent = await client.post(f"{victim.url}/agents/helper/message:send", json=body)
        assert sent.status_code == 200
        deadline = time.monotonic() + 60
        while (await used(postgres_ready))[2] == 0:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        victim.process.kill()
        while (await used(postgres_ready))[2] != 0:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        assert other.process.poll() is None
