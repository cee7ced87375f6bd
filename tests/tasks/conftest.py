"""A task service over a real SQLite file and scripted models."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

from hector.apps.build import build
from hector.apps.registry import Apps
from hector.config.root import HectorConfig
from hector.config.server import Queue, Server
from hector.core.clock import SystemClock
from hector.store import Store, open_store
from hector.tasks.service import TaskService
from hector.tools.catalog import Catalog

QUICK: Final = Server(queue=Queue(initial_delay=0.01, max_delay=0.02))
"""Failures are retried at once, about."""
ONCE: Final = Server(queue=Queue(max_retries=0))
"""Failures are not retried."""
Start: TypeAlias = Callable[..., AbstractAsyncContextManager[TaskService]]


def configure(rules: list[dict[str, Any]], declared: dict[str, Any] | None = None, **agent: Any) -> HectorConfig:
    """One scripted model, one agent named `helper`."""
    return HectorConfig.model_validate(
        {
            "llms": {"default": {"provider": "scripted", "rules": rules, "retry": {"max_attempts": 1}}},
            "agents": {"helper": {"instruction": "Help.", **agent}},
            "tools": declared or {},
        }
    )


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """`async with start(rules, tools=...) as service`; all starts of a test share one database file."""

    @asynccontextmanager
    async def run(
        rules: list[dict[str, Any]], *, functions: tuple[Any, ...] = (), settings: Server = QUICK, **agent: Any
    ) -> AsyncIterator[TaskService]:
        config = configure(rules, **agent)
        store: Store = await open_store(f"sqlite://{tmp_path / 'hector.db'}")
        apps = Apps(build(config, Catalog(functions)))
        try:
            async with TaskService(apps, store, SystemClock(), settings) as service:
                yield service
        finally:
            await apps.aclose()
            await store.aclose()

    return run
