"""PostgreSQL: many processes on one database, units of work on the event loop."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Self, TypeVar

from hector.config.postgres import parse
from hector.core.errors import HectorError, StartupError, StoreUnavailable
from hector.store.database import Connection, Shortcut, Work
from hector.store.postgres_batches import Reader, write
from hector.store.postgres_connection import PostgresConnection
from hector.store.postgres_lanes import Lanes
from hector.store.postgres_link import Door
from hector.store.postgres_listener import Listener
from hector.store.postgres_schema import explain, prepare

T = TypeVar("T")

log = logging.getLogger("hector.store")
ENCRYPTED: Final = "SELECT 1 FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl"
UNENCRYPTED: Final = (
    "the connection to PostgreSQL at %s is not encrypted: whoever is in between can read and change all conversations; "
    "switch TLS on there, and add sslmode=verify-full to the address"
)
BATCH: Final = 64
READS: Final = 8
PING: Final = 2.0
CALM: Final = 0.005
"""Seconds that a unit may wait for a commit under way before another connection takes it."""


class PostgresDatabase:
    """`database.Database` on a server."""

    dialect = "postgres"

    def __init__(self, door: Door, version: str) -> None:
        self._door = door
        self._version = version
        most = door.address.max_conns
        writers = most // 2
        self._writers = Lanes("hector-store-write", door, write, size=writers, limit=BATCH, calm=CALM)
        self._readers = Lanes("hector-store-read", door, Reader(), size=most - writers - 1, limit=READS, calm=0.0)
        self._listener = Listener(door)

    @classmethod
    async def open(cls, dsn: str, *, visitor: bool = False) -> Self:
        """Connect and migrate. Raises StartupError or SchemaTooNew, each with what to do and without the password."""
        try:
            address = parse(dsn)
        except ValueError as error:
            raise StartupError(f"--database: {error}") from None
        door = Door(address)
        try:
            version = await _prepare(door, visitor=visitor)
        except StoreUnavailable as error:
            raise StartupError(f"{error}, or choose another database with --database") from None
        return cls(door, version)

    @property
    def dsn(self) -> str:
        """The address that it was opened with, without the password."""
        return f"postgres://{self._door.address.place}"

    def describe(self) -> str:
        """Engine, version and place."""
        return f"PostgreSQL {self._version}, {self._door.address.place}"

    def write(self, work: Work[T], key: Hashable = None, shortcut: Shortcut[T] | None = None) -> Awaitable[T]:
        """One unit, committed together with its neighbours."""
        return self._writers.submit(work, key, shortcut)

    def read(self, work: Work[T]) -> Awaitable[T]:
        """One unit on a snapshot."""
        return self._readers.submit(work)

    def listen(self, channel: str, heard: Callable[[str], None]) -> Callable[[], None]:
        """Across all processes."""
        return self._listener.listen(channel, heard)

    @property
    def listening(self) -> asyncio.Event:
        """Set while everything that is listened to is heard."""
        return self._listener.connected

    async def ping(self) -> None:
        """Write something. While PostgreSQL is away, that is said before the attempt is given up."""
        try:
            async with asyncio.timeout(PING):
                await self._writers.submit(_touch)
        except TimeoutError:
            raise self._door.why or StoreUnavailable(
                f"PostgreSQL at {self._door.address.place} has taken no write in {PING:g} s: look for locks there"
            ) from None

    async def aclose(self) -> None:
        """Finish what was handed over, then disconnect."""
        await self._listener.aclose()
        await self._readers.aclose()
        await self._writers.aclose()


async def _touch(con: Connection) -> None:
    """Take a transaction number, and change nothing in a way that a read-only database refuses."""
    await con.one("SELECT txid_current()")
    await con.execute("DELETE FROM migrations WHERE number < 0")


async def _prepare(door: Door, *, visitor: bool) -> str:
    """Schema and server checked; its version."""
    con = PostgresConnection(await door.open(starting=True))
    place = door.address.place
    try:
        await prepare(con, place, visitor=visitor)
        if not visitor and not door.address.is_local and not await con.one(ENCRYPTED):
            log.warning(UNENCRYPTED, place)
        version = con.raw.get_server_version()
        return f"{version.major}.{version.micro}"
    except HectorError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the driver raises, people read it
        fault = explain(error, place) or door.fault(error)
        raise (fault if isinstance(fault, HectorError) else StartupError(str(fault))) from None
    finally:
        await con.raw.close(timeout=2.0)
