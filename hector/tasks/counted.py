"""What runs, deliveries and memories add to the metrics; only where those are wanted."""

import time
from collections.abc import Sequence
from typing import Final

from hector.core.errors import HectorError
from hector.core.job import Job
from hector.core.keeping import Memory, MemoryShelf
from hector.core.record import dataclass
from hector.observe.metrics_table import Metrics
from hector.store import Store
from hector.tasks.outcome import Dead, Done, Outcome

_STATUS: Final = {Done: "delivered", Dead: "failed"}


async def count_delivery(metrics: Metrics, store: Store, job: Job, outcome: Outcome, kind: str, seconds: float) -> None:
    """An attempt to deliver a notification about a `kind` of thing."""
    place = (job.caller.app, await _agent_of(store, job), kind)
    metrics.notifications.add(*place, _STATUS.get(type(outcome), "postponed"))
    metrics.notification_seconds.observe(seconds, *place)
    if job.attempts > 1:
        metrics.notification_retries.add(*place)


async def _agent_of(store: Store, job: Job) -> str:
    """Whose task it is about; empty where that cannot be told any more."""
    try:
        return (await store.tasks.get(job.caller, job.subject, history_length=0)).agent
    except HectorError:
        return ""


@dataclass(frozen=True, slots=True)
class CountedMemories:
    """`core.keeping.MemoryShelf` over another one."""

    inner: MemoryShelf
    metrics: Metrics
    app: str

    async def search(self, query: str, limit: int, *, elsewhere: bool = False) -> Sequence[Memory]:
        began = time.perf_counter()
        self.metrics.memory_searches.add(self.app)
        try:
            return await self.inner.search(query, limit, elsewhere=elsewhere)
        finally:
            self.metrics.memory_seconds.observe(time.perf_counter() - began, self.app)

    async def remember(self, memory_id: str, text: str, agent: str, days: float | None = None) -> Memory:
        found = await self.inner.remember(memory_id, text, agent, days)
        self.metrics.memory_indexed.add(self.app, "keyword")
        return found

    async def forget(self, memory_id: str) -> bool:
        return await self.inner.forget(memory_id)
