"""Task services over any database, several of them on one if that is PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from hector.apps.build import build
from hector.apps.registry import Apps
from hector.config.server import Queue, Server
from hector.core.clock import Clock, SystemClock
from hector.core.errors import NotFound
from hector.core.task import Caller, Task
from hector.store import Store, open_store
from hector.tasks.service import TaskService
from hector.tasks.worker import Worker
from hector.tools.catalog import Catalog
from tests.tasks.conftest import configure

PATIENCE = 40.0
ANA = Caller(user="ana")


def queue(**fields: Any) -> Server:
    """Settings of the queue, with quick retries and a short lease."""
    quick: dict[str, Any] = {"initial_delay": 0.01, "max_delay": 0.02, "stale_threshold": 0.6, **fields}
    return Server(queue=Queue().with_changes(**quick))


@dataclass
class Serving:
    """One process, as far as the database can tell."""

    service: TaskService
    store: Store
    apps: Apps

    @property
    def worker(self) -> Worker:
        return self.service._worker

    def fall_silent(self) -> None:
        """No more heartbeats and no claims, as of a process that hangs."""
        for keeper in self.worker._keeping:
            keeper.cancel()

    async def ended(self, task_id: str) -> Task:
        """The task as it is stored once it has ended or waits for its user."""
        return await until(
            lambda task: task.status.state.terminal or task.status.state.interrupted, self.store, task_id
        )


async def until(wanted: Callable[[Task], bool], store: Store, task_id: str) -> Task:
    """The stored task once it is as wanted; nothing announces that."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                task = await store.tasks.get(ANA, task_id)
            except NotFound:
                task = None
            if task is not None and wanted(task):
                return task
            await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(
    dsn: str,
    rules: list[dict[str, Any]],
    *,
    functions: tuple[Any, ...] = (),
    settings: Server | None = None,
    clock: Clock | None = None,
    **agent: Any,
) -> AsyncIterator[Serving]:
    """A service over the database at `dsn`."""
    config = configure(rules, **agent)
    store = await open_store(dsn)
    apps = Apps(build(config, Catalog(functions)))
    try:
        async with TaskService(apps, store, clock or SystemClock(), settings or queue()) as service:
            yield Serving(service, store, apps)
    finally:
        await apps.aclose()
        await store.aclose()
