"""Apps over models that break while they are made, started or closed."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from hector.apps.app import App, Models
from hector.apps.registry import Apps
from hector.config.root import HectorConfig
from hector.core.errors import ModelUnavailable
from hector.core.event import Delta
from hector.core.ports import ModelReply, ModelRequest


class Broken:
    """A model that fails at everything but being made."""

    def __init__(self, failure: Exception, closed: list[str], name: str) -> None:
        self.failure, self.closed, self.name = failure, closed, name

    async def start(self) -> None:
        raise self.failure

    async def stream(self, request: ModelRequest) -> AsyncGenerator[tuple[Delta, ...] | ModelReply, None]:
        yield await self.complete(request)

    async def complete(self, request: ModelRequest) -> ModelReply:
        raise self.failure

    async def aclose(self) -> None:
        self.closed.append(self.name)
        raise self.failure


def app_of(failure: Exception, closed: list[str]) -> App:
    def create(name: str) -> Broken:
        if name == "never":
            raise failure
        return Broken(failure, closed, name)

    config = HectorConfig.model_validate({"llms": {"default": {"provider": "scripted", "rules": [{"text": "x"}]}}})
    names = ("never", "one", "two")
    return App("default", config, {}, Models(create), names, names)


@pytest.mark.parametrize("failure", [ModelUnavailable("down"), RuntimeError("broken")])
async def test_a_model_that_breaks_takes_nothing_else_along(failure: Exception) -> None:
    closed: list[str] = []
    app = app_of(failure, closed)
    await app.prepare()
    await app.start()
    await app.models.aclose()
    assert sorted(closed) == ["one", "two"]


class Slow:
    """A toolset that ends when all others are ending, too; then one of them fails."""

    offered = None
    away = False

    def __init__(self, all_of_them: asyncio.Barrier) -> None:
        self._all = all_of_them

    async def load(self) -> None:
        """Nothing to load."""

    async def aclose(self) -> None:
        if await self._all.wait() == 0:
            raise RuntimeError("broken")


async def test_what_apps_hold_is_closed_side_by_side() -> None:
    barrier = asyncio.Barrier(4)
    first, second = (
        replace(app_of(RuntimeError("broken"), []), id=name, toolsets=(Slow(barrier), Slow(barrier)))
        for name in ("default", "other")
    )
    apps = Apps(first)
    apps.swap(second)
    async with asyncio.timeout(60):
        await apps.aclose()


async def test_a_replaced_app_is_closed_when_its_last_work_has_ended() -> None:
    closed: list[str] = []
    old = app_of(RuntimeError("broken"), closed)
    apps = Apps(old)
    await old.start()
    first, second = apps.lease(), apps.lease()
    apps.swap(app_of(RuntimeError("broken"), []))
    first.release()
    first.release()
    await asyncio.sleep(0)
    assert not closed
    second.release()
    await apps.aclose()
    assert sorted(closed) == ["one", "two"]
    assert apps.current is not old
