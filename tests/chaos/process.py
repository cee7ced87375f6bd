"""The server under attack as a process: start, wait, kill, freeze."""

import asyncio
import contextlib
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 40.0
"""Seconds that anything may take on a loaded machine."""


def free_port() -> int:
    """Below the range that the system hands out, so that nobody gets it while the server is down."""
    for port in random.sample(range(12_000, 20_000), 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise OSError("no free port")


@dataclass(slots=True)
class Victim:
    """One serving process, and those that come after it on the same port."""

    folder: Path
    name: str
    arguments: Sequence[str]
    outside: str
    port: int = field(default_factory=free_port)
    began: float = 0.0
    """When the present process was started, as in time.monotonic."""
    _process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of the present process."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """It has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def log(self) -> str:
        """What all of its processes have said."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def last_words(self) -> str:
        """The last line of it."""
        return self.log.strip().rpartition("\n")[2]

    @property
    def _log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def reached(self) -> set[str]:
        """The points that its processes have come to."""
        file = self.folder / f"{self.name}.reached"
        return set(file.read_text(encoding="utf-8").split()) if file.exists() else set()

    async def start(self, point: str = "", **environment: str) -> None:
        """Start a process, which dies at `point` (NAME or NAME:N) if that is given."""
        given = {
            **os.environ,
            "CHAOS_OUTSIDE": self.outside,
            "CHAOS_POINT": point,
            "CHAOS_REACHED": str(self.folder / f"{self.name}.reached"),
            **environment,
        }
        self.began = time.monotonic()
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.chaos.victim",
                "serve",
                "--port",
                str(self.port),
                *self.arguments,
                cwd=ROOT,
                env=given,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def ready(self, path: str = "/readyz") -> float:
        """Wait until it takes work; how many seconds after its start. Raises RuntimeError if it ends instead."""
        async with asyncio.timeout(PATIENCE), httpx.AsyncClient() as client:
            while True:
                if not self.running:
                    raise RuntimeError(f"{self.name} ended with {await self.died()}: {self.last_words}")
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(self.url + path, timeout=2)).status_code == 200:
                        return time.monotonic() - self.began
                await asyncio.sleep(0.01)

    async def died(self, patience: float = PATIENCE) -> int:
        """Wait for its end; the exit code."""
        assert self._process is not None
        async with asyncio.timeout(patience):
            return await self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it is there to get one."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def kill(self) -> None:
        """End it with kill -9."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            await self.died()

    async def stop(self) -> int:
        """End it with SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return await self.died(20)
        except TimeoutError:
            await self.kill()
            raise


async def until(condition: Any, what: str, patience: float = PATIENCE, pause: float = 0.02) -> None:
    """Wait until a function (plain or not) gives something true. Raises TimeoutError that says what did not come."""
    deadline = time.monotonic() + patience
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {patience:g} s")
        await asyncio.sleep(pause)
