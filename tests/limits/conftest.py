"""Task services with limits, over any database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hector.apps.build import build
from hector.apps.registry import Apps
from hector.config.root import HectorConfig
from hector.config.server import Queue
from hector.core.clock import SystemClock
from hector.core.content import Message, Text
from hector.core.ids import new_id
from hector.core.task import Caller, ClientMessage, Task
from hector.limits.limits import Limits
from hector.store import Store, open_store
from hector.store.usage import Amounts, UsageQuery
from hector.tasks.service import SendOptions, TaskService
from hector.tools.catalog import Catalog

ANA = Caller(user="ana")


@dataclass
class Process:
    """One server without its HTTP."""

    service: TaskService
    store: Store
    limits: Limits

    async def send(self, text: str = "go", caller: Caller = ANA, agent: str = "helper", **options: Any) -> Task:
        """A message to an agent, and the task that came of it."""
        answer = await self.service.send(caller, agent, said(text), SendOptions(**options))
        assert isinstance(answer, Task)
        return answer

    async def usage(self) -> Amounts:
        """All that was used."""
        await self.limits.folding.fold()
        lines = (await self.store.usage.report(UsageQuery(by=()))).lines
        return lines[0].amounts if lines else Amounts()


def said(text: str, **fields: Any) -> ClientMessage:
    return ClientMessage(new_id(), Message("user", (Text(text),)), **fields)


def text_of(task: Task) -> str:
    """What the status says."""
    return task.status.message.message.text if task.status.message else ""


def settings(*rules: dict[str, Any], **blocks: Any) -> HectorConfig:
    """One scripted agent `helper` without retries, and whatever blocks are given."""
    llm = {"provider": "scripted", "rules": list(rules), "retry": {"max_attempts": 1}, "max_tokens": 50}
    llms = blocks.pop("llms", {"default": llm})
    agents = blocks.pop("agents", {"helper": {"instruction": "Help."}})
    config = HectorConfig.model_validate({"llms": llms, "agents": agents, **blocks})
    queue = Queue().with_changes(initial_delay=0.01, max_delay=0.02, stale_threshold=1.0)
    return config.with_changes(server=config.server.with_changes(queue=queue))


@asynccontextmanager
async def process(dsn: str, config: HectorConfig, functions: tuple[Any, ...] = ()) -> AsyncIterator[Process]:
    """A server on a database."""
    store = await open_store(dsn)
    apps = Apps(build(config, Catalog(functions)))
    limits = Limits(store, SystemClock(), config)
    try:
        async with TaskService(apps, store, SystemClock(), config.server, limits) as service:
            yield Process(service, store, limits)
    finally:
        await apps.aclose()
        await store.aclose()


async def until(wanted: Any, seconds: float = 60.0) -> None:
    """Wait until `await wanted()` is true; nothing announces it."""
    async with asyncio.timeout(seconds):
        while not await wanted():  # noqa: ASYNC110 - it is a database that is looked at
            await asyncio.sleep(0.02)


@pytest.fixture(params=["file", "postgres"])
def dsn(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "file":
        return f"sqlite://{tmp_path}/hector.db"
    return str(request.getfixturevalue("postgres_ready"))
