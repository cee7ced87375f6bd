"""A task service over a real SQLite file and scripted models."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from hector.apps.build import build
from hector.apps.registry import Apps
from hector.config.root import HectorConfig
from hector.core.clock import SystemClock
from hector.store import Store, open_store
from hector.tasks.service import TaskService
from hector.tools.catalog import Catalog

Start: TypeAlias = Callable[..., AbstractAsyncContextManager[TaskService]]


def configure(rules: list[dict[str, Any]], declared: dict[str, Any] | None = None, **agent: Any) -> HectorConfig:
    """One scripted model, one agent named `helper`."""
    return HectorConfig.model_validate(
        {
            "llms": {"default": {"provider": "scripted", "rules": rules}},
            "agents": {"helper": {"instruction": "Help.", **agent}},
            "tools": declared or {},
        }
    )


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """`async with start(rules, tools=...) as service`; all starts of a test share one database file."""

    @asynccontextmanager
    async def run(
        rules: list[dict[str, Any]], *, functions: tuple[Any, ...] = (), **agent: Any
    ) -> AsyncIterator[TaskService]:
        config = configure(rules, **agent)
        store: Store = await open_store(f"sqlite://{tmp_path / 'hector.db'}")
        apps = Apps(build(config, Catalog(functions)))
        try:
            async with TaskService(apps, store, SystemClock()) as service:
                yield service
        finally:
            await apps.aclose()
            await store.aclose()

    return run
