"""Real MCP servers as processes, and toolsets over them."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from hector.core.errors import ToolError
from hector.core.ports import Offer, ToolContext, ToolOutput
from hector.mcp.settings import ServerSettings
from hector.mcp.toolset import McpToolset
from tests.together.conftest import company  # noqa: F401 - the fixture

SERVER = str(Path(__file__).with_name("server.py"))
PYTHON = sys.executable


@dataclass
class Used:
    """A toolset, and what its calls have said on the way."""

    toolset: McpToolset
    told: list[str] = field(default_factory=list)

    async def offer(self) -> Offer:
        """What is offered now."""
        if self.toolset.offered is None:
            await self.toolset.load()
        assert self.toolset.offered is not None
        return self.toolset.offered

    async def call(self, name: str, /, **args: Any) -> ToolOutput:
        """Call a tool by the name that it is offered under."""
        context = ToolContext("c", "a", "default", "u", "s", "t", progress=self.told.append)
        return await (await self.offer()).tools[name].call(args, context)

    async def fails(self, name: str, /, **args: Any) -> str:
        """The error of a call."""
        try:
            output = await self.call(name, **args)
        except ToolError as error:
            return str(error)
        raise AssertionError(f"no error but {output}")


async def eventually(check: Callable[[], bool]) -> None:
    """Until something holds that a server of others does not announce."""
    async with asyncio.timeout(60):
        while True:
            if check():
                return
            await asyncio.sleep(0.01)


Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Used]]


@asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[Used]:
    """A toolset over a server of these settings, the Python server on stdio where they name none."""
    if not settings.get("url") and not settings.get("command"):
        settings |= {"command": PYTHON, "args": (SERVER, "stdio")}
    toolset = McpToolset(ServerSettings(settings.pop("name", "py"), **settings), "default")
    try:
        async with asyncio.timeout(60):
            yield Used(toolset)
    finally:
        await toolset.aclose()


@dataclass
class Remote:
    """A server behind HTTP that can be killed and started again on its port."""

    kind: str
    port: int
    extra: tuple[str, ...] = ()
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/{'sse' if self.kind == 'sse' else 'mcp'}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self.process = subprocess.Popen([PYTHON, SERVER, self.kind, str(self.port), *self.extra])
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.02)
        raise AssertionError("the server does not come up")

    def kill(self) -> None:
        """As an outage would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def remote() -> Iterator[Callable[..., Remote]]:
    """`remote("sse")`: a running server."""
    started: list[Remote] = []

    def make(kind: str, *extra: str) -> Remote:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            found = Remote(kind, probe.getsockname()[1], extra)
        started.append(found)
        found.start()
        return found

    yield make
    for one in started:
        one.kill()
