"""Instances: the serving processes, whose sign of life is the lease of all jobs that they work on."""

from collections.abc import Awaitable

from hector.core.clock import Clock, SystemClock, milliseconds
from hector.core.job import CUT_OFF, READY, STOP, Claim, Instance
from hector.core.record import dataclass
from hector.store.database import Connection, Database
from hector.store.jobs import Jobs
from hector.store.queries import load


@dataclass(frozen=True, slots=True)
class Takeover:
    """What was taken from processes that fell silent: `processes` says on which host and with which pid, as far as they
    were still listed, `subjects` what the jobs are about. `due`: in how many seconds the next one will have been silent
    for too long unless it says something; None: there is no other.
    """

    processes: tuple[str, ...]
    subjects: tuple[str, ...]
    due: float | None


class Instances:
    """The repository. Every public method is one unit of work."""

    def __init__(self, database: Database, jobs: Jobs, clock: Clock | None = None) -> None:
        self._database = database
        self._jobs = jobs
        self._clock = clock or SystemClock()
        self._sql = load("instances", database.dialect)

    def register(self, instance: Instance) -> Awaitable[None]:
        """Announce a serving process. It must be there before it claims anything."""
        return self._database.write(lambda con: self._register(con, instance))

    def beat(self, instance: str) -> Awaitable[bool]:
        """Renew the lease of all its jobs; False when it was declared dead meanwhile."""
        return self._database.write(lambda con: self._beat(con, instance))

    def leave(self, instance: str) -> Awaitable[None]:
        """Take leave. What was still claimed for it, and never reached it, goes back as if it had not been claimed."""

        async def unit(con: Connection) -> None:
            await self._jobs.free(con, instance, frozenset())
            await con.execute(self._sql["leave"], (instance,))

        return self._database.write(unit)

    def reap(self, instance: str, lease: float) -> Awaitable[Takeover]:
        """Declare processes dead that were silent for `lease` seconds, and free their jobs."""
        return self._database.write(lambda con: self._reap(con, instance, milliseconds(lease)))

    def alive(self, lease: float) -> Awaitable[tuple[Instance, ...]]:
        """Those that were heard of within `lease` seconds, the oldest first."""

        async def unit(con: Connection) -> tuple[Instance, ...]:
            now = await self._now(con)
            return tuple(one for one in await self._all(con) if now / 1000 - one.seen <= lease)

        return self._database.read(unit)

    def all(self) -> Awaitable[tuple[Instance, ...]]:
        """All serving processes, the oldest first."""
        return self._database.read(self._all)

    async def _now(self, con: Connection) -> int:
        """The clock of the leases, in milliseconds: the database's own where several machines share it."""
        args = (milliseconds(self._clock.now()),) if "?" in self._sql["now"] else ()
        found = await con.one(self._sql["now"], args)
        assert found is not None  # noqa: S101 - a query of constants has a row
        now: int = found[0]
        return now

    async def _register(self, con: Connection, instance: Instance) -> None:
        now = await self._now(con)
        values = (instance.id, instance.host, instance.pid, instance.version, milliseconds(instance.started), now)
        await con.execute(self._sql["register"], values)

    async def _beat(self, con: Connection, instance: str) -> bool:
        return await con.execute(self._sql["beat"], (await self._now(con), instance)) > 0

    async def _reap(self, con: Connection, instance: str, lease: int) -> Takeover:
        now = await self._now(con)
        others = await con.all(self._sql["others"], (instance,))
        names = {name: f"{host}, pid {pid}" for name, host, pid, seen in others if seen < now - lease}
        ends = [seen + lease - now for name, _, _, seen in others if name not in names]
        if names:
            await con.many(self._sql["leave"], [(name,) for name in names])
        rows = await con.all(self._sql["running_of_nobody"])
        for key, fence, subject, attempts, owner, history in rows:
            cause = f"{CUT_OFF} ({names.get(owner, owner)}) stopped answering"
            await self._jobs.take_back(con, Claim(key, fence), (attempts, owner, history), now, cause)
            await con.notify(STOP, subject)
        if rows:
            await con.notify(READY)
        due = max(min(ends), 0) / 1000 if ends else None
        return Takeover(tuple(names.values()), tuple(subject for _, _, subject, *_ in rows), due)

    async def _all(self, con: Connection) -> tuple[Instance, ...]:
        rows = await con.all(self._sql["instances"])
        return tuple(
            Instance(name, host, pid, version, started / 1000, seen / 1000)
            for name, host, pid, version, started, seen in rows
        )
