"""What `hector status` shows, read from the database beside the servers."""

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from hector.cli.place import Place, visit
from hector.config.retention import Retention as Settings
from hector.core.clock import SystemClock
from hector.core.errors import HectorError, StoreError
from hector.core.job import Instance
from hector.core.record import dataclass
from hector.store import Store
from hector.store.apps import AppRecord, AppStatus
from hector.store.audit_chain import Chain
from hector.store.audit_proof import Anchor
from hector.store.egress import Visited
from hector.store.figures import Figures, FigureSource
from hector.store.job_rows import JobRecord
from hector.store.queue import JobStatistics
from hector.store.retention import Policy, Removal, Retention
from hector.store.switches import Switch

if TYPE_CHECKING:
    from hector.rag.ingest_progress import Progress

_SHOWN: Final = 10
"""Stuck runs, approvals and dead letters that are listed; the rest is a number."""


@dataclass(frozen=True, slots=True)
class Report:
    """All that is shown. `now` in seconds since the epoch; `lease` and `long` in seconds.

    `damage`: why the dead letters cannot be read. `off`: what is switched off. `resting`: apps that are suspended or on
    their way out. `head` is the end of the audit log's chain, behind which `unchained` entries wait to be taken in.
    `refused`: destinations that the egress policy forbade, the last one first.
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
    resting: tuple[AppRecord, ...]
    head: Anchor
    unchained: int
    refused: tuple[Visited, ...]
    stores: "tuple[Progress, ...]" = ()
    """Document stores of the configuration that have an index on this machine."""

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
            await _resting(store),
            await Chain(store.database, clock).head(),
            await store.audit.waiting(),
            await store.egress.refused(),
            await _stores(place),
        )


async def _stores(place: Place) -> "tuple[Progress, ...]":
    """Read beside whoever indexes; without models, and without starting anything."""
    if not place.config.document_stores:
        return ()
    from hector.apps.knowledge import indexed_folders  # noqa: PLC0415 - only where a file has any
    from hector.cli.index import glance  # noqa: PLC0415 - likewise

    found = []
    for name, folder in indexed_folders(place.config):
        with suppress(HectorError, OSError):  # a damaged one says so where it is used
            found.append(await glance(name, folder, place.config))
    return tuple(found)


async def _resting(store: Store) -> tuple[AppRecord, ...]:
    found: list[AppRecord] = []
    token: str | None = None
    while token != "":  # a list begins with None and ends with an empty one
        page = await store.apps.list(page_size=200, page_token=token)
        found += [app for app in page.apps if app.status is not AppStatus.ACTIVE]
        token = page.next_token
    return tuple(found)


async def _dead_letters(store: Store) -> tuple[tuple[JobRecord, ...], str]:
    """One that is damaged must not hide everything else."""
    try:
        return await store.queue.dead(limit=_SHOWN), ""
    except StoreError as error:
        return (), str(error)
