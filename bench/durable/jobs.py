"""Trivial jobs through Hector's own worker, on several processes: claimed, handled, ended, with leases and fences.

`python -m bench.durable.jobs DSN` is one such process; it works until it is told to stop.
"""

import asyncio
import signal
import subprocess
import sys
import time
from typing import Any, Final

import asyncpg

from hector.apps.build import build
from hector.apps.registry import Apps
from hector.config.load import parse_config
from hector.core.clock import SystemClock
from hector.core.job import Job
from hector.store import open_store
from hector.tasks import handlers
from hector.tasks.handlers import Parts
from hector.tasks.outcome import Done, Handler, Outcome
from hector.tasks.worker import Worker
from hector.tools.catalog import Catalog

KIND: Final = "trivial"
LIMIT: Final = 120.0
"""Seconds after which a run counts as stuck."""
_CONFIG: Final = 'version: "2"\nllms: {m: {provider: scripted, rules: [{text: hello}]}}\nagents: {a: {llm: m}}\n'
_FILL: Final = """
INSERT INTO jobs (kind, app, "user", subject, payload, state, priority, run_at, attempts, max_attempts, fence, step,
                  created)
SELECT 'trivial', 'default', 'default', 'job ' || n, '{}', 'ready', 0, 0, 0, 4, 0, 0, 0
FROM generate_series(1, $1::bigint) AS n
"""
_LEFT: Final = "SELECT 1 FROM jobs WHERE state IN ('ready', 'running') LIMIT 1"
_WRONG: Final = "SELECT count(*) FROM jobs WHERE state <> 'done' OR attempts <> 1"


async def nothing(job: Job) -> Outcome:
    """The job is done as soon as it is begun."""
    return Done()


def _factory(parts: Parts) -> Handler:
    return nothing


async def work(dsn: str) -> None:
    """Open everything, wait for a line on standard input, then work until SIGTERM."""
    known: Any = handlers.FACTORIES
    known[KIND] = _factory
    config = parse_config(_CONFIG).config
    apps, store = Apps(build(config, Catalog(()))), await open_store(dsn)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    async with Worker(apps, store, SystemClock(), config.server):
        await stop.wait()
    await apps.aclose()
    await store.aclose()


def rate(dsn: str, jobs: int, processes: int) -> float:
    """Jobs per second of so many processes, from when they are let go until no job is left."""
    return asyncio.run(_rate(dsn, jobs, processes))


async def _rate(dsn: str, jobs: int, processes: int) -> float:
    await (await open_store(dsn)).aclose()
    con = await asyncpg.connect(dsn)
    await con.execute(_FILL, jobs)
    await con.execute("ANALYZE jobs")
    started = [await _start(dsn) for _ in range(processes)]
    try:
        began = time.perf_counter()
        for child in started:
            assert child.stdin is not None
            child.stdin.write(b"go\n")
        while await con.fetchval(_LEFT):
            await asyncio.sleep(0.02)
            if time.perf_counter() - began > LIMIT:
                raise SystemExit("bench: the jobs do not come to an end")
        elapsed = time.perf_counter() - began
        if wrong := await con.fetchval(_WRONG):
            raise SystemExit(f"bench: {wrong} jobs were not done at the first attempt")
    finally:
        for child in started:
            child.terminate()
            await child.communicate()
        await con.close()
    return jobs / elapsed


async def _start(dsn: str) -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "bench.durable.jobs", dsn)
    child = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    if await child.stdout.readline() != b"ready\n":
        raise SystemExit("bench: a worker did not start")
    return child


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1]))
