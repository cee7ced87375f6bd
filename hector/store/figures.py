"""What an operator wants to know of the database: how much there is, what it grows by, what is stuck or waits."""

from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Final

from hector.core.clock import milliseconds
from hector.core.record import dataclass
from hector.core.task import TaskState
from hector.store.database import Connection, Database, Row
from hector.store.queries import load

DAY: Final = 86_400
_KEPT: Final = 400
"""Days whose size is remembered."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How many bytes more hold data than did at the beginning of a day so many `days` ago."""

    days: int
    octets: int


@dataclass(frozen=True, slots=True)
class Stuck:
    """A job that has been running for too long, or for a process that went silent (`abandoned`)."""

    key: int
    kind: str
    subject: str
    attempts: int
    since: float
    process: str
    abandoned: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """A tool call that waits for a person."""

    key: int
    tool: str
    task: str
    agent: str
    since: float
    expires: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """The state of a database at `now`, by the clock of its leases.

    Sizes are in bytes; `octets` is what it takes of the disk, with SQLite's write-ahead log; `free` is that part of it
    which is used again before it grows.

    The `new_` ones count the last day, by when things began; `ended` the jobs that ended in it, by their state.
    """

    now: float
    version: str
    schema: int
    migration: str
    octets: int
    free: int
    growth: tuple[Growth, ...]
    sessions: int
    events: int
    tasks: dict[str, int]
    new_sessions: int
    new_tasks: int
    ended: dict[str, int]
    stuck: tuple[Stuck, ...]
    waiting: tuple[Waiting, ...]
    approvals: int


class FigureSource:
    """Reads them. Each call is one unit of work on one snapshot."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("figures", database.dialect)

    def read(self, now: float, lease: float, longest: float, limit: int = 20) -> Awaitable[Figures]:
        """Everything. `lease`: silence of a process, `longest`: time of a run, both in seconds, that mean trouble."""
        return self._database.read(lambda con: self._read(con, now, lease, longest, limit))

    def note_size(self, now: float) -> Awaitable[None]:
        """Remember how large the database is today."""
        return self._database.write(lambda con: self._note(con, int(now // DAY)))

    async def _read(self, con: Connection, now: float, lease: float, longest: float, limit: int) -> Figures:
        now = await self._clock(con, now)
        yesterday = milliseconds(now - DAY)
        octets, free, version = await self._size(con)
        used = octets - free
        octets += _log_size(self._database)
        number, name, *_ = await con.one(self._sql["schema"]) or (0, "")
        sessions, events, new_sessions = await con.one(self._sql["totals"], (yesterday,)) or (0, 0, 0)
        tasks = await con.all(self._sql["tasks"], (yesterday,))
        silent, long = milliseconds(now - lease), milliseconds(now - longest)
        waiting = await con.one(self._sql["count_waiting"]) or (0,)
        return Figures(
            now,
            version,
            number,
            name,
            octets,
            free,
            await self._growth(con, int(now // DAY), used),
            sessions,
            int(events),
            {str(TaskState(state)): count for state, count, _ in tasks},
            int(new_sessions),
            int(sum(new for _, _, new in tasks)),
            dict(await self._pairs(con, yesterday)),
            tuple(_stuck(row) for row in await con.all(self._sql["stuck"], (silent, long, limit))),
            tuple(_waiting(row) for row in await con.all(self._sql["waiting"], (limit,))),
            waiting[0],
        )

    async def _clock(self, con: Connection, now: float) -> float:
        found = await con.one(self._sql["clock"], (milliseconds(now),) if "?" in self._sql["clock"] else ())
        return found[0] / 1000 if found else now

    async def _pairs(self, con: Connection, since: int) -> list[tuple[Any, ...]]:
        return await con.all(self._sql["jobs_ended"], (since,))

    async def _size(self, con: Connection) -> Row:
        """Bytes, how many of them are free, version."""
        octets, free, version = await con.one(self._sql["size"]) or (0, 0, "")
        return octets, free, str(version)

    async def _growth(self, con: Connection, today: int, used: int) -> tuple[Growth, ...]:
        """Against the notes of yesterday, a week and a month ago, or the oldest where none goes back so far."""
        found: dict[int, int] = {}
        for days in (1, 7, 30):
            row = await con.one(self._sql["size_on"], (today - days,)) or await con.one(self._sql["oldest_size"])
            if row is not None and row[0] < today:
                found[today - row[0]] = used - row[1]
        return tuple(Growth(days, more) for days, more in sorted(found.items()))

    async def _note(self, con: Connection, today: int) -> None:
        octets, free, _ = await self._size(con)
        await con.execute(self._sql["note_size"], (today, octets - free))
        await con.execute(self._sql["forget_sizes"], (today - _KEPT,))


def _log_size(database: Database) -> int:
    """Of SQLite's write-ahead log."""
    scheme, _, place = database.dsn.partition("://")
    if scheme != "sqlite":
        return 0
    try:
        return Path(place + "-wal").stat().st_size
    except OSError:
        return 0


def _stuck(row: Row) -> Stuck:
    key, kind, subject, attempts, owner, since, host, pid, abandoned = row
    process = f"{host}, pid {pid}" if host else str(owner or "")
    return Stuck(key, kind, subject, attempts, since / 1000, process, bool(abandoned))


def _waiting(row: Row) -> Waiting:
    key, tool, task, agent, since, expires = row
    return Waiting(key, tool, task, agent, since / 1000, None if expires is None else expires / 1000)
