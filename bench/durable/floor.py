"""The floor under the job queue: `SKIP LOCKED` in batches, with nothing around it.

Each process claims a batch, marks it done in a second statement, and so on until nothing is left. Run as a program it
is one such process: `python -m bench.durable.floor DSN`.
"""

import asyncio
import subprocess
import sys
import time
from typing import Final

import asyncpg

BATCH: Final = 64
_TABLE: Final = """
DROP TABLE IF EXISTS floor_jobs;
CREATE TABLE floor_jobs (key BIGINT PRIMARY KEY, state TEXT NOT NULL, payload TEXT NOT NULL);
CREATE INDEX floor_ready ON floor_jobs (key) WHERE state = 'ready';
"""
_FILL: Final = "INSERT INTO floor_jobs SELECT n, 'ready', '{}' FROM generate_series(1, $1::bigint) AS n"
_CLAIM: Final = """
UPDATE floor_jobs SET state = 'running' WHERE key IN (
    SELECT key FROM floor_jobs WHERE state = 'ready' ORDER BY key LIMIT $1 FOR UPDATE SKIP LOCKED
) RETURNING key, payload
"""
_DONE: Final = "UPDATE floor_jobs SET state = 'done' WHERE key = ANY($1::bigint[])"


async def work(dsn: str) -> None:
    """Take batches until there are none; wait for a line on standard input before the first."""
    con = await asyncpg.connect(dsn)
    await con.fetch(_CLAIM, 0)  # prepares the statement
    print("ready", flush=True)
    sys.stdin.readline()
    while rows := await con.fetch(_CLAIM, BATCH):
        await con.execute(_DONE, [row["key"] for row in rows])
    await con.close()


async def fill(dsn: str, jobs: int) -> None:
    """A fresh table with so many jobs."""
    con = await asyncpg.connect(dsn)
    await con.execute(_TABLE)
    await con.execute(_FILL, jobs)
    await con.execute("ANALYZE floor_jobs")
    await con.close()


def rate(dsn: str, jobs: int, processes: int) -> float:
    """Jobs per second of so many processes."""
    asyncio.run(fill(dsn, jobs))
    return jobs / race([sys.executable, "-m", "bench.durable.floor", dsn], processes)


def race(command: list[str], processes: int) -> float:
    """Start processes, let them go at the same moment once all are ready; seconds until the last one has ended."""
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    for child in started:
        assert child.stdout is not None
        if child.stdout.readline() != "ready\n":
            raise SystemExit(f"bench: {' '.join(command)} did not start")
    began = time.perf_counter()
    for child in started:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in started:
        if child.wait():
            raise SystemExit(f"bench: {' '.join(command)} failed")
    elapsed = time.perf_counter() - began
    for child in started:
        child.communicate()
    return elapsed


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1]))
