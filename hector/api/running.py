"""What a program's runs need: a server without its HTTP, on a loop of its own where the program has none."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

from hector.cli.instance import Instance
from hector.config.environment import Environment
from hector.config.load import Loaded
from hector.tools.catalog import Catalog

T = TypeVar("T")


class Running:
    """An instance, opened and closed by one task of its own, so that any task may use it and any may end it."""

    def __init__(self, dsn: str, environment: Environment, catalog: Catalog, loaded: Loaded) -> None:
        self._parts = (dsn, environment, catalog, loaded)
        self._ready: asyncio.Future[Instance] = asyncio.get_running_loop().create_future()
        self._over = asyncio.Event()
        self._task = asyncio.create_task(self._live())

    async def instance(self) -> Instance:
        """As soon as it is open. Raises ConfigError, StartupError, StoreError."""
        return await asyncio.shield(self._ready)

    async def aclose(self) -> None:
        """End what still runs, and wait for that."""
        self._over.set()
        await asyncio.wait((self._task,))

    async def _live(self) -> None:
        try:
            async with Instance.open(*self._parts) as instance:
                await instance.start()
                instance.shelves.start()
                self._ready.set_result(instance)
                await self._over.wait()
        except Exception as error:
            if self._ready.done():
                raise
            self._ready.set_exception(error)


class Background:
    """A thread with an event loop, for programs that have none."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hector", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What a coroutine gives, waited for here."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Stop the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
