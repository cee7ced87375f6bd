"""What `hector status` shows, read from the database beside the servers."""

from typing import Final

from hector.cli.place import Place, visit
from hector.config.retention import Retention as Settings
from hector.core.clock import SystemClock
from hector.core.errors import StoreError
from hector.core.job import Instance
from hector.core.record import dataclass
from hector.store import Store
from hector.store.figures import Figures, FigureSource
from hector.store.job_rows import JobRecord
from hector.store.queue import JobStatistics
from hector.store.retention import Policy, Removal, Retention
from hector.store.switches import Switch

_SHOWN: Final = 10
"""Stuck runs, approvals and dead letters that are listed; the rest is a number."""


@dataclass(frozen=True, slots=True)
class Report:
    """All that is shown. `now` in seconds since the epoch; `lease` and `long` in seconds.

    `damage`: why the dead letters cannot be read. `off`: what is switched off.
    """

    now: float
    database: str
    place: str
    lease: float
    long: float
    instances: tuple[Instance, ...]
    jobs: JobStatistics
    figures: Figures
    dead: tuple[JobRecord, ...]
    damage: str
    settings: Settings
    due: Removal
    off: tuple[Switch, ...]

    def alive(self, instance: Instance) -> bool:
        """Whether its lease is valid."""
        return self.now - instance.seen <= self.lease


async def gather(place: Place, long: float) -> Report:
    """Everything; runs that take longer than `long` seconds count as stuck. Raises StartupError and StoreError."""
    lease, kept, clock = place.startup.queue.stale_threshold, place.config.storage.retention, SystemClock()
    async with visit(place) as store:
        retention = Retention(store.database, clock, Policy(kept.sessions, kept.jobs, kept.dead_letters))
        figures = await FigureSource(store.database).read(clock.now(), lease, long, _SHOWN)
        dead, damage = await _dead_letters(store)
        return Report(
            figures.now,
            store.describe(),
            store.dsn,
            lease,
            long,
            await store.instances.all(),
            await store.queue.statistics(),
            figures,
            dead,
            damage,
            kept,
            await retention.due(),
            await store.switches.all(),
        )


async def _dead_letters(store: Store) -> tuple[tuple[JobRecord, ...], str]:
    """One that is damaged must not hide everything else."""
    try:
        return await store.queue.dead(limit=_SHOWN), ""
    except StoreError as error:
        return (), str(error)
