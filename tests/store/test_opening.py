"""Opening a database: where, for whom, and what happens when it cannot be."""

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hector.core.errors import HectorError, StartupError, StoreUnavailable
from hector.store import open_store
from hector.store.database import Connection
from tests.store.turns import begin

ROOT = Path(__file__).parents[2]
YAML = b"name: assistant\n" * 100
LOAD = "import asyncio, os, sys; from hector.store import open_store; "
OPEN = LOAD + "asyncio.run(open_store(sys.argv[1]))"
PING_WITHOUT_ROOM = """
import asyncio, os, resource, sys
from hector.store import open_store
from hector.store.database import Connection

async def ping(dsn):
    store = await open_store(dsn)
    await store.ping()
    full = os.path.getsize(dsn.removeprefix("sqlite://") + "-wal")
    resource.setrlimit(resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
    await store.ping()

asyncio.run(ping(sys.argv[1]))
"""
OPEN_AS_NOBODY = LOAD + "os.setgid(65534); os.setuid(65534); asyncio.run(open_store(sys.argv[1]))"


async def refused(dsn: str, kind: type[HectorError] = StartupError) -> str:
    """What opening it says."""
    with pytest.raises(kind) as caught:
        await open_store(dsn)
    return str(caught.value)


def listed(folder: Path) -> set[str]:
    """The names in a folder."""
    return {path.name for path in folder.iterdir()}


def put(file: Path, data: bytes) -> None:
    """Make a file, and its folder."""
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(data)


def content(file: Path) -> bytes:
    """What is in it."""
    return file.read_bytes()


def opened_elsewhere(code: str, file: Path) -> str:
    """The error text of another process that opens the file."""
    command = [sys.executable, "-c", code, f"sqlite://{file}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=ROOT, check=False)
    assert done.returncode == 1
    return done.stderr


def open_as_nobody(file: Path, bits: int) -> str:
    """The same from a process without root's rights, when the file (or, if there is none, its folder) has this mode."""
    file.parent.mkdir(exist_ok=True)
    (file if file.exists() else file.parent).chmod(bits)
    if os.getuid() != 0:
        return opened_elsewhere(OPEN, file)
    for folder in file.parents:
        if folder.stat().st_uid == 0 and folder != file.parent:
            folder.chmod(folder.stat().st_mode | 0o011)  # nobody may pass through
    for path in [file.parent, *file.parent.iterdir()]:
        os.chown(path, 65534, 65534)
    return opened_elsewhere(OPEN_AS_NOBODY, file)


def mode(path: Path) -> str:
    """Permissions in octal."""
    return oct(stat.S_IMODE(path.stat().st_mode))


class TestPlace:
    @pytest.mark.proves("database.sqlite")
    async def test_a_path_is_relative_to_the_working_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        store = await open_store("sqlite://.hector/hector.db")
        assert store.dsn == f"sqlite://{tmp_path}/.hector/hector.db"
        assert f"{tmp_path}/.hector/hector.db" in store.describe()
        await store.ping()
        await store.aclose()

    async def test_three_slashes_are_absolute(self, file: Path) -> None:
        store = await open_store(f"sqlite://{file}")
        await store.aclose()
        assert listed(file.parent) >= {"hector.db"}

    async def test_memory_leaves_no_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        store = await open_store("sqlite://:memory:")
        await begin(store)
        assert "memory" in store.describe()
        await store.aclose()
        assert listed(tmp_path) == set()

    async def test_two_databases_in_memory_are_two(self) -> None:
        one, two = await open_store("sqlite://:memory:"), await open_store("sqlite://:memory:")
        await begin(one)
        assert (await begin(two)).session is not None
        await one.aclose()
        await two.aclose()

    async def test_nobody_else_may_read_what_we_create(self, tmp_path: Path) -> None:
        store = await open_store(f"sqlite://{tmp_path}/a/b/hector.db")
        await begin(store)
        files = listed(tmp_path / "a" / "b")
        assert files >= {"hector.db", "hector.db-wal", "hector.db.lock"}
        assert {mode(tmp_path / "a" / "b" / name) for name in files} == {"0o600"}
        assert {mode(tmp_path / "a"), mode(tmp_path / "a" / "b")} == {"0o700"}
        await store.aclose()

    async def test_closing_leaves_one_file_with_everything(self, file: Path) -> None:
        store = await open_store(f"sqlite://{file}")
        await begin(store)
        await store.aclose()
        await store.aclose()
        assert listed(file.parent) == {"hector.db", "hector.db.lock"}


class TestAddress:
    @pytest.mark.parametrize("dsn", ["mysql://u:secret@h/db", "hector.db", "", "sqlite://", "sqlite:/x", "secret"])
    async def test_other_addresses_are_refused_without_being_shown(self, dsn: str) -> None:
        said = await refused(dsn)
        assert "must be sqlite://<path>, sqlite://:memory: or postgres://..." in said
        assert "secret" not in said


@pytest.mark.proves("state.newer-database")
class TestBadFiles:
    async def test_not_a_database(self, file: Path) -> None:
        put(file, YAML)
        said = await refused(f"sqlite://{file}")
        assert f"{file}: it is not an SQLite database" in said
        assert "--database" in said
        assert content(file) == YAML

    async def test_a_database_of_another_program(self, file: Path) -> None:
        put(file, b"")
        con = sqlite3.connect(file)
        con.execute("CREATE TABLE x (y)")
        con.close()
        assert "belongs to another program" in await refused(f"sqlite://{file}")

    async def test_a_folder(self, tmp_path: Path) -> None:
        assert f"{tmp_path}: Is a directory" in await refused(f"sqlite://{tmp_path}")

    async def test_below_a_file(self, tmp_path: Path) -> None:
        put(tmp_path / "f", b"")
        assert "--database" in await refused(f"sqlite://{tmp_path}/f/hector.db")

    async def test_a_damaged_database(self, file: Path) -> None:
        store = await open_store(f"sqlite://{file}")
        for _ in range(50):
            await begin(store)
        await store.aclose()
        put(file, content(file)[:100] + os.urandom(3996) + content(file)[4096:])
        said = await refused(f"sqlite://{file}")
        assert "damaged" in said
        assert "backup" in said

    async def test_after_a_refusal_the_file_is_free_again(self, file: Path) -> None:
        put(file, YAML)
        await refused(f"sqlite://{file}")
        put(file, b"")
        store = await open_store(f"sqlite://{file}")
        await store.aclose()

    async def test_a_file_that_goes_away_while_it_is_open(self, file: Path) -> None:
        store = await open_store(f"sqlite://{file}")
        put(file.with_name("other"), b"")
        os.replace(file.with_name("other"), file)
        with pytest.raises(StoreUnavailable, match="moved or deleted while Hector ran"):
            await store.ping()
        with pytest.raises(StoreUnavailable, match="moved or deleted"):
            await begin(store)  # nothing is accepted that would vanish with the file
        await store.aclose()

    @pytest.mark.proves("web.health")
    async def test_no_room_is_noticed_before_somebody_needs_it(self, file: Path) -> None:
        assert f"database {file}: the disk reports an error" in opened_elsewhere(PING_WITHOUT_ROOM, file)

    async def test_a_read_only_file(self, file: Path) -> None:
        store = await open_store(f"sqlite://{file}")
        await store.aclose()
        said = open_as_nobody(file, 0o400)
        assert f"{file}: Permission denied" in said
        assert "write permission" in said

    async def test_a_folder_without_permission(self, file: Path) -> None:
        assert "Permission denied" in open_as_nobody(file, 0o500)


class TestLock:
    @pytest.mark.proves("state.one-process")
    async def test_a_second_process_is_told_who_has_it(self, file: Path) -> None:
        store = await open_store(f"sqlite://{file}")
        said = opened_elsewhere(OPEN, file)
        assert f"in use by another Hector process (pid {os.getpid()})" in said
        await store.ping()
        await store.aclose()

    async def test_a_second_path_to_the_same_file_is_the_same_file(self, file: Path, tmp_path: Path) -> None:
        store = await open_store(f"sqlite://{file}")
        (tmp_path / "link.db").symlink_to(file)
        assert "in use by another Hector process" in await refused(f"sqlite://{tmp_path}/link.db")
        await store.aclose()
        again = await open_store(f"sqlite://{tmp_path}/link.db")
        await again.aclose()


@pytest.mark.parametrize(("option", "level"), [("", 1), ("?synchronous=full", 2)])
async def test_an_address_says_how_far_a_commit_goes(file: Path, option: str, level: int) -> None:
    store = await open_store(f"sqlite://{file}{option}")

    async def mode(con: Connection) -> Any:
        return await con.one("PRAGMA synchronous")

    assert await store.database.write(mode) == (level,)
    assert ("flushed at each commit" in store.describe()) == (level == 2)
    await store.aclose()
