"""LISTEN: a connection of its own that hears what committed units of any process had to tell."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import asyncpg

from hector.core.errors import StoreError
from hector.store.notices import Board, Heard
from hector.store.postgres_link import Door

log = logging.getLogger("hector.store")

CHECK: Final = 20.0
"""Seconds of silence after which the connection is asked whether it still lives: a dead network says nothing."""
PAUSE: Final = 1.0


class Listener:
    """Connected while somebody listens. What is said while it is not connected is lost."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._board = Board()
        self._channels: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.connected = asyncio.Event()

    def listen(self, channel: str, heard: Heard) -> Callable[[], None]:
        """Call `heard` with each payload; call the answer to stop."""
        stop = self._board.listen(channel, heard)
        self._channels[channel] = self._channels.get(channel, 0) + 1
        self._changed.set()
        self.connected.clear()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._main(), name="hector-store-listen")

        def end() -> None:
            stop()
            self._channels[channel] -= 1
            if not self._channels[channel]:
                del self._channels[channel]
            self._changed.set()

        return end

    async def aclose(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _main(self) -> None:
        while True:
            try:
                await self._stay()
            except (StoreError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                pass  # it is away: try again
            except Exception as error:  # noqa: BLE001 - a driver that lost its footing must not take us along
                log.info("listening begins anew", extra={"error": f"{type(error).__name__}: {error}"})
            self.connected.clear()
            await asyncio.sleep(PAUSE)

    async def _stay(self) -> None:
        """Be connected, until that breaks."""
        raw = await self._door.open()
        raw.add_termination_listener(lambda _: self._changed.set())
        try:
            heard: set[str] = set()
            while not raw.is_closed():
                self._changed.clear()
                wanted = set(self._channels)  # more may be wanted while we ask for these
                for channel in wanted - heard:
                    await raw.add_listener(channel, self._hear)
                for channel in heard - wanted:
                    await raw.remove_listener(channel, self._hear)
                heard = wanted
                if not self._changed.is_set():
                    self.connected.set()
                try:
                    async with asyncio.timeout(CHECK):
                        await self._changed.wait()
                except TimeoutError:
                    await raw.execute("SELECT 1")
        finally:
            raw.terminate()

    def _hear(self, _con: Any, _pid: int, channel: str, payload: object) -> None:
        self._board.pass_on([(channel, str(payload))])
