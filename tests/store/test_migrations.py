"""Migrations: forward only, checked, all or nothing."""

import sqlite3
from pathlib import Path

import pytest

from hector import __version__
from hector.core.errors import HectorError, SchemaTooNew, StartupError
from hector.store import migrations, open_store
from hector.store.migrations import Migration
from tests.store.turns import begin


async def create(file: Path) -> None:
    """A database with one session in it."""
    store = await open_store(f"sqlite://{file}")
    await begin(store)
    await store.aclose()


async def refused(file: Path, kind: type[HectorError]) -> str:
    """What opening it says."""
    with pytest.raises(kind) as caught:
        await open_store(f"sqlite://{file}")
    return str(caught.value)


def change(file: Path, sql: str, *args: object) -> None:
    """Do something to a database that is not open."""
    con = sqlite3.connect(file)
    with con:
        con.execute(sql, args)
    con.close()


def rows(file: Path, sql: str) -> list[tuple[object, ...]]:
    """Read from a database."""
    con = sqlite3.connect(file)
    found = con.execute(sql).fetchall()
    con.close()
    return found


def extend(monkeypatch: pytest.MonkeyPatch, *more: str) -> None:
    """Pretend that this version of Hector has more migrations."""
    known = migrations.known()
    made = tuple(Migration(number, f"{number:04}_more", sql) for number, sql in enumerate(more, known[-1].number + 1))
    monkeypatch.setattr(migrations, "known", lambda: known + made)


@pytest.mark.proves("state.migrations")
async def test_an_empty_database_gets_all_of_them_once(file: Path) -> None:
    for _ in range(2):
        await create(file)
        found = rows(file, "SELECT number, name, checksum, hector FROM migrations ORDER BY number")
        expected = [(found.number, found.name, found.checksum, __version__) for found in migrations.known()]
        assert found == expected


@pytest.mark.proves("state.migrations")
async def test_a_later_version_adds_what_is_missing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await create(file)
    extend(
        monkeypatch, "CREATE TABLE a (x);\n-- between\nCREATE TABLE b (x); INSERT INTO b VALUES (';');", "DROP TABLE a;"
    )
    await create(file)
    assert rows(file, "SELECT * FROM b") == [(";",)]
    newest = migrations.known()[-1].number
    found = [number for (number,) in rows(file, "SELECT number FROM migrations ORDER BY number")]
    assert found == list(range(1, newest + 1))


@pytest.mark.proves("state.migrations")
async def test_a_migration_that_fails_leaves_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await create(file)
    extend(monkeypatch, "CREATE TABLE half (x); INSERT INTO nowhere VALUES (1);")
    assert "nowhere" in await refused(file, StartupError)
    assert rows(file, "SELECT name FROM sqlite_master WHERE name = 'half'") == []
    monkeypatch.undo()
    await create(file)


@pytest.mark.proves("state.migrations")
async def test_a_changed_migration_is_refused(file: Path) -> None:
    await create(file)
    change(file, "UPDATE migrations SET checksum = 'x'")
    said = await refused(file, StartupError)
    assert "0001_base" in said
    assert str(file) in said
    assert "reinstall Hector" in said


@pytest.mark.proves("state.newer-database")
async def test_a_newer_database_is_refused_by_version(file: Path, tmp_path: Path) -> None:
    await create(file)
    change(file, "INSERT INTO migrations VALUES (999, '0999_later', 'x', '9.8.7', 0)")
    said = await refused(file, SchemaTooNew)
    for part in (str(file), "schema 999", "Hector 9.8.7", __version__, "--database"):
        assert part in said


async def test_a_migration_that_this_version_lacks_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extend(monkeypatch, "CREATE TABLE a (x);", "CREATE TABLE b (x);")
    await create(file)
    known = migrations.known()
    monkeypatch.setattr(migrations, "known", lambda: (*known[:-2], known[-1]))
    assert known[-2].name in await refused(file, StartupError)
