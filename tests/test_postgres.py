"""The server that the tests start."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest

from tests.postgres import PASSWORD, Postgres
from tests.postgres_pool import NO_ROWS, NO_TABLES, Pool

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
            with pytest.raises((ConnectionRefusedError, ConnectionResetError)):
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
    starter.communicate(timeout=60)
    deadline = time.monotonic() + 60
    while (Path(folder) / "data" / "postmaster.pid").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    subprocess.run(["rm", "-rf", folder], check=True)


ROWS = """SELECT format('SELECT %L WHERE EXISTS (SELECT FROM %s)', relname, oid::regclass) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'migrations' \\gexec
SELECT sequencename FROM pg_sequences WHERE last_value IS NOT NULL;
"""
"""Names tables with rows, and sequences that have been used."""


def test_a_template_holds_nothing_that_emptying_would_take(postgres: Postgres, postgres_template: str) -> None:
    assert postgres.psql(ROWS, postgres_template) == ""


async def test_a_database_is_lent_again_as_it_was(postgres: Postgres, postgres_template: str) -> None:
    pool = Pool(postgres, NO_ROWS, postgres_template)
    name = pool.take()
    number = "SELECT nextval(pg_get_serial_sequence('sessions', 'key'))"
    con = await asyncpg.connect(postgres.dsn(name))
    try:
        await con.execute("INSERT INTO switches (scope, reason, author, created) VALUES ('a', 'b', 'c', 1)")
        assert (await con.fetchval(number), await con.fetchval(number)) == (1, 2)
        assert postgres.psql(ROWS, name).split() == ["switches", "sessions_key_seq"]
        await con.execute("BEGIN; SELECT * FROM switches FOR UPDATE")  # in the way, until it is ended
        pool.give_back(name)
    finally:
        con.terminate()
    assert pool.take() == name
    assert postgres.psql(ROWS, name) == ""
    assert await answer(postgres.dsn(name), number) == 1
    postgres.psql("ALTER TABLE switches ADD more int", name)
    pool.give_back(name)
    assert pool.take() != name


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER DATABASE {} SET search_path = elsewhere",
        "CREATE SCHEMA elsewhere",
        "REVOKE ALL ON SCHEMA pg_catalog FROM PUBLIC",
    ],
)
def test_a_database_that_was_changed_is_lent_to_nobody(postgres: Postgres, sql: str) -> None:
    pool = Pool(postgres, NO_TABLES)
    name = pool.take()
    postgres.psql("CREATE TABLE t (x int)", name)
    pool.give_back(name)
    assert pool.take() == name
    postgres.psql(sql.format(name))
    if "{}" not in sql:
        postgres.psql(sql, name)
    pool.give_back(name)
    assert pool.take() != name
