"""A real PostgreSQL server for tests: its own folder, its own port, gone with the test run.

`postgres` is one server for the whole run (one per xdist worker), `postgres_dsn` an empty database of the
test's own, `postgres_ready` one with Hector's schema, `postgres_fresh` such a one that nobody has used before: for
tests of how the server goes about a statement, which depends on what was in a table.
Tests that stop the server, or set it up in another way, start their own `Postgres`.
"""

import asyncio
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest

from hector.store import open_store
from tests.postgres_pool import NO_ROWS, NO_TABLES, Pool

USER: Final = "hector"
PASSWORD: Final = "p@ss:w/rd-geheim"
"""Needs quoting in an address, and no error text may show it."""

QUOTED: Final = "p%40ss%3Aw%2Frd-geheim"
INSTALL: Final = "PostgreSQL is not installed: apt-get install postgresql (no running service is needed)"
START: Final = 30.0
"""Seconds that a server may take to start or to stop."""

SETTINGS: Final[Mapping[str, str]] = {
    "fsync": "off",  # the tests kill processes, never the machine
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "log_min_duration_statement": "-1",
    "log_line_prefix": "%m [%p] %d ",
    "timezone": "Asia/Kathmandu",
}

# The server must not outlive us even when we are killed: then the standard input of its parent, this script, ends.
_KEEPER: Final = """exec 3<&0
"$@" </dev/null 3<&- & server=$!
{ read -r _ <&3; kill -INT $server 2>/dev/null; } & watch=$!
exec 3<&-
wait $server
kill $watch 2>/dev/null"""
_SIGNALS: Final = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT, "kill": signal.SIGKILL}


def programs() -> Path | None:
    """The folder with `postgres` and `initdb`: from PATH, else the newest that Debian has installed."""
    found = shutil.which("postgres")
    if found and (Path(found).resolve().parent / "initdb").exists():
        return Path(found).resolve().parent
    versions = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    return max(versions, key=lambda folder: int(folder.parent.name), default=None)


def _free_port() -> int:
    """Below the range that the system hands out, so that nobody gets it while the server is down."""
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port")


class Postgres:
    """One server. As root it runs as `nobody`, since PostgreSQL refuses to be root.

    Connections over TCP need the password, those over the socket in `folder` do not.
    """

    def __init__(self, bin_folder: Path, settings: Mapping[str, str] | None = None) -> None:
        """Create the cluster; `start` runs it. `settings` go over SETTINGS."""
        self._bin = bin_folder
        self._settings = {**SETTINGS, **(settings or {})}
        self._keeper: subprocess.Popen[bytes] | None = None
        self._numbers = count()
        self.port = _free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="hector-postgres-"))
        self._owner = pwd.getpwnam("nobody") if os.getuid() == 0 else None
        if self._owner is not None:
            os.chown(self.folder, self._owner.pw_uid, self._owner.pw_gid)
        self._initialise()

    @property
    def data(self) -> Path:
        """The cluster's files."""
        return self.folder / "data"

    @property
    def log(self) -> str:
        """What the server has said."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    @property
    def pid(self) -> int:
        """Of the main process. Raises FileNotFoundError when it is down."""
        return int((self.data / "postmaster.pid").read_text(encoding="utf-8").split("\n")[0])

    def dsn(self, database: str = "postgres", *, user: str = USER, password: str = QUOTED, query: str = "") -> str:
        """The address of a database."""
        return f"postgres://{user}:{password}@127.0.0.1:{self.port}/{database}{query and '?' + query}"

    def start(self) -> None:
        """Return when it takes connections."""
        deadline = time.monotonic() + START
        while not self._try_start(deadline):
            time.sleep(0.1)

    def stop(self, mode: str = "fast") -> None:
        """Stop it: "fast" (like a service manager), "immediate" or "kill" (like a crash). Returns when it is down."""
        if self._keeper is None:
            return
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(self.pid, _SIGNALS[mode])
        keeper, self._keeper = self._keeper, None
        keeper.communicate(timeout=START)

    def restart(self, mode: str = "fast") -> None:
        """Stop and start on the same port."""
        self.stop(mode)
        self.start()

    def create(self, template: str | None = None) -> str:
        """A new database; its name."""
        name = f"test_{next(self._numbers)}"
        self.psql(f"CREATE DATABASE {name}{f' TEMPLATE {template}' if template else ''}")
        return name

    def drop(self, name: str) -> None:
        """Drop it, whoever is connected."""
        self.psql(f"DROP DATABASE {name} WITH (FORCE)")

    def psql(self, sql: str, database: str = "postgres") -> str:
        """Run statements as the superuser, each in its own transaction; what they print, unadorned."""
        command = [
            "psql",
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            str(self.folder),
            "-p",
            str(self.port),
        ]
        done = self._run([*command, "-U", USER, "-d", database, "-f", "-"], stdin=sql)
        return done.strip()

    def remove(self) -> None:
        """Stop it and delete its files."""
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _initialise(self) -> None:
        secret = self.folder / "secret"
        secret.write_text(PASSWORD + "\n", encoding="utf-8")
        secret.chmod(0o644)
        # A collation that is not the order of bytes shows queries that rely on it.
        locale = ["--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"]
        command = ["initdb", "-D", str(self.data), "-U", USER, "--no-sync", "--no-instructions", f"--pwfile={secret}"]
        self._run([*command, "--auth-local=trust", "--auth-host=scram-sha-256", *locale])
        secret.unlink()

    def _run(self, command: list[str], stdin: str = "") -> str:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [str(self._bin / command[0]), *command[1:]],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **self._identity(),
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]}: {done.stderr.strip()}")
        return done.stdout

    def _try_start(self, deadline: float) -> bool:
        """One attempt; False when it ended at once, as it does while the children of a killed server live on."""
        before = self._status()
        settings = {
            **self._settings,
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
        }
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._keeper = subprocess.Popen(
                ["sh", "-c", _KEEPER, "sh", str(self._bin / "postgres"), "-D", str(self.data), *options],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._identity(),
            )
        while self._status() == before or self._status()[-1:] != ["ready"]:
            if time.monotonic() > deadline:
                self.stop("kill")
                raise TimeoutError(f"PostgreSQL does not start: {self.log[-2000:]}")
            if self._keeper.poll() is not None:
                self._keeper.communicate()
                return False
            time.sleep(0.01)
        return True

    def _status(self) -> list[str]:
        """The lines of the main process's own file: pid, ..., state."""
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return []
        return [line.strip() for line in lines if line.strip()]

    def _identity(self) -> dict[str, Any]:
        """Where and as whom the server's programs run: as root they would refuse."""
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"}
        common: dict[str, Any] = {"cwd": self.folder, "env": environment}
        if self._owner is None:
            return common
        return common | {"user": self._owner.pw_uid, "group": self._owner.pw_gid, "extra_groups": []}


@pytest.fixture(scope="session")
def postgres_programs() -> Path:
    """Where PostgreSQL is. A test run without it says so; that of CI fails."""
    found = programs()
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(INSTALL)
    return found


@pytest.fixture(scope="session")
def postgres(postgres_programs: Path) -> Iterator[Postgres]:
    """A running server for everybody: nobody may stop it or change its settings."""
    server = Postgres(postgres_programs)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres_empty(postgres: Postgres) -> Pool:
    """Databases with nothing in them."""
    return Pool(postgres, NO_TABLES)


@pytest.fixture
def postgres_dsn(postgres: Postgres, postgres_empty: Pool) -> Iterator[str]:
    """The address of an empty database."""
    name = postgres_empty.take()
    yield postgres.dsn(name)
    postgres_empty.give_back(name)


@pytest.fixture(scope="session")
def postgres_template(postgres: Postgres) -> str:
    """The name of a database with Hector's schema and nothing in it, to be copied."""
    name = postgres.create()

    async def migrate() -> None:
        await (await open_store(postgres.dsn(name))).aclose()

    asyncio.run(migrate())
    return name


@pytest.fixture(scope="session")
def postgres_migrated(postgres: Postgres, postgres_template: str) -> Pool:
    """Databases with Hector's schema and no rows."""
    return Pool(postgres, NO_ROWS, postgres_template)


@pytest.fixture
def postgres_ready(postgres: Postgres, postgres_migrated: Pool) -> Iterator[str]:
    """The address of a database with Hector's schema: a quicker start than an empty one."""
    name = postgres_migrated.take()
    yield postgres.dsn(name)
    postgres_migrated.give_back(name)


@pytest.fixture
def postgres_fresh(postgres: Postgres, postgres_template: str) -> Iterator[str]:
    """The address of a database with Hector's schema in which nothing has ever been."""
    name = postgres.create(postgres_template)
    yield postgres.dsn(name)
    postgres.drop(name)
