"""The server that the tests start."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest

from tests.postgres import PASSWORD, Postgres

ROOT = Path(__file__).parents[1]
START = """
import sys, time
from tests.postgres import Postgres
from pathlib import Path
server = Postgres(Path(sys.argv[1]))
server.start()
print(server.folder, server.pid, flush=True)
time.sleep(60)
"""


async def answer(dsn: str, sql: str = "SELECT 1") -> object:
    """What a query says, over TCP."""
    con = await asyncpg.connect(dsn)
    try:
        return await con.fetchval(sql)
    finally:
        await con.close()


async def test_each_test_has_an_empty_database(postgres_dsn: str) -> None:
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    assert await answer(postgres_dsn, tables) == 0
    await answer(postgres_dsn, "CREATE TABLE t (x int)")


async def test_the_password_matters(postgres: Postgres) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await answer(postgres.dsn(password="wrong"))
    assert await answer(postgres.dsn()) == 1
    assert PASSWORD not in postgres.dsn()  # quoted


async def test_it_comes_back_on_the_same_address(postgres_programs: Path) -> None:
    server = Postgres(postgres_programs)
    try:
        server.start()
        for mode in ("fast", "immediate", "kill"):
            server.stop(mode)
            with pytest.raises(ConnectionRefusedError):
                await answer(server.dsn())
            server.start()
            assert await answer(server.dsn()) == 1
    finally:
        server.remove()
    assert not server.folder.exists()


def test_it_ends_with_the_process_that_started_it(postgres_programs: Path) -> None:
    command = [sys.executable, "-c", START, str(postgres_programs)]
    starter = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert starter.stdout is not None
    folder, _ = starter.stdout.readline().split()
    starter.send_signal(signal.SIGKILL)
    starter.communicate(timeout=10)
    deadline = time.monotonic() + 20
    while (Path(folder) / "data" / "postmaster.pid").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    subprocess.run(["rm", "-rf", folder], check=True)
