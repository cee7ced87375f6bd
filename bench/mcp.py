"""What tools of MCP servers cost a turn: `python -m bench.mcp [--tools N] [--turns N] [--instructions]`.

One agent in this process over a database in memory: without tools, with N functions, and with N tools of an MCP
server; each with the scripted model, which has no wire format, and with a model behind HTTP (`bench.mock`, a process of
its own), for which the tools are written into each request. The first turn connects; the others are measured, in rounds
that take turns. `--instructions` counts with valgrind instead, which no other load on the machine disturbs.
"""

import argparse
import asyncio
import gc
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from hector.apps.build import build
from hector.apps.registry import Apps
from hector.config.root import HectorConfig
from hector.core.clock import SystemClock
from hector.core.content import Message, Text
from hector.core.ids import new_id
from hector.core.task import Caller, ClientMessage
from hector.store import open_store
from hector.tasks.service import SendOptions, TaskService
from hector.tools.catalog import Catalog

SERVER: Final = """
import sys
from mcp.server.fastmcp import FastMCP
server = FastMCP("bench", log_level="ERROR")
for number in range(int(sys.argv[1])):
    def tool(text: str, count: int = 1) -> str:
        return text
    server.add_tool(tool, name=f"tool_{number}", description="A tool that says what it is told. " * 3)
server.run("stdio")
"""
WARM: Final = 20
KINDS: Final = ("none", "functions", "mcp")
MODELS: Final = ("scripted", "http")
_COUNTED: Final = (20, 120)
_COLLECTED: Final = re.compile(r"Collected : (\d+)")


def functions(count: int) -> list[Any]:
    """As many functions."""
    made = []
    for number in range(count):

        def tool(text: str, count: int = 1) -> str:
            """A tool that says what it is told."""
            return text

        tool.__name__ = f"tool_{number}"
        made.append(tool)
    return made


def configuration(model: str, url: str, tools: dict[str, Any]) -> HectorConfig:
    """One agent that has them all."""
    llm: dict[str, Any] = {"provider": "scripted", "rules": [{"text": "good day"}]}
    if model == "http":
        llm = {"provider": "openai", "api": "chat", "model": "mock", "api_key": "none", "base_url": url}
    agent = {"instruction": "You are a test.", "disable_safety_protocols": True}
    return HectorConfig.model_validate({"llms": {"default": llm}, "agents": {"a": agent}, "tools": tools})


@dataclass
class Case:
    """One way to have tools, with one model; what its turns have taken, in seconds of time and of CPU."""

    kind: str
    model: str
    count: int
    first: float = 0.0
    rounds: list[tuple[float, float]] = field(default_factory=list)

    def apps(self, url: str) -> Apps:
        """What serves it."""
        if self.kind == "none":
            return Apps(build(configuration(self.model, url, {}), Catalog(())))
        if self.kind == "functions":
            tools: dict[str, Any] = {f"tool_{number}": {"handler": f"tool_{number}"} for number in range(self.count)}
            return Apps(build(configuration(self.model, url, tools), Catalog(functions(self.count))))
        server: dict[str, Any] = {"type": "mcp", "command": sys.executable, "args": ["-c", SERVER, str(self.count)]}
        server |= {"connect_timeout": 120, "timeout": 120}
        return Apps(build(configuration(self.model, url, {"bench": server}), Catalog(())))


async def turns(service: TaskService, count: int) -> tuple[float, float]:
    """Seconds per turn, and seconds of CPU of this process."""
    began, spent = time.perf_counter(), time.process_time()
    for _ in range(count):
        said = Message("user", (Text("hello"),))
        await service.send(Caller(), "a", ClientMessage(new_id(), said), SendOptions())
    return (time.perf_counter() - began) / count, (time.process_time() - spent) / count


async def measure(cases: Sequence[Case], url: str, count: int, rounds: int) -> None:
    """Fill in what they take."""
    stores = [await open_store("sqlite://:memory:") for _ in cases]
    apps = [case.apps(url) for case in cases]
    services = [TaskService(app, store, SystemClock()) for app, store in zip(apps, stores, strict=True)]
    for case, service in zip(cases, services, strict=True):
        await service.__aenter__()
        case.first = (await turns(service, 1))[0]
        await turns(service, WARM)
    gc.collect()
    gc.freeze()  # as `hector serve` does once it is ready: what stays is not looked through again
    for _ in range(rounds):
        for case, service in zip(cases, services, strict=True):
            case.rounds.append(await turns(service, count))
    for app, service, store in zip(apps, services, stores, strict=True):
        await service.__aexit__(None, None, None)
        await app.aclose()
        await store.aclose()


@contextmanager
def mock() -> Iterator[str]:
    """A model's server; its address."""
    with subprocess.Popen([sys.executable, "-m", "bench.mock"], stdout=subprocess.PIPE, text=True) as child:
        try:
            port = child.stdout.readline().strip() if child.stdout else ""
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            child.terminate()


def timed(cases: Sequence[Case], count: int, rounds: int) -> None:
    """Measure and print a table."""
    with mock() as url:
        asyncio.run(measure(cases, url, count, rounds))
    print(f"{'':20}{'first turn':>12}{'median':>10}{'least':>8}{'CPU median':>12}{'least':>8}   us per turn")
    for case in cases:
        walls, cpus = ([1e6 * one for one in column] for column in zip(*case.rounds, strict=True))
        print(
            f"{case.model:9} {case.kind:10}{case.first * 1000:9.1f} ms{median(walls):10.0f}{min(walls):8.0f}"
            f"{median(cpus):12.0f}{min(cpus):8.0f}"
        )


def counted(cases: Sequence[Case]) -> None:
    """Count what a turn executes: two runs that differ in nothing but the number of turns."""
    with mock() as url, tempfile.TemporaryDirectory() as folder:
        for case in cases:
            few, many = (_instructions(case, url, number, Path(folder)) for number in _COUNTED)
            per_turn = (many - few) / (_COUNTED[1] - _COUNTED[0])
            print(f"{case.model:9} {case.kind:10}{per_turn / 1e6:10.3f} M instructions per turn", flush=True)


def _instructions(case: Case, url: str, number: int, folder: Path) -> int:
    """All that a process of its own executes which takes so many turns."""
    valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder / 'out'}"]
    alone = ["--alone", case.kind, case.model, url, "--tools", str(case.count), "--turns", str(number)]
    command = [*valgrind, sys.executable, "-m", "bench.mcp", *alone]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "0"})
    if (found := _COLLECTED.search(done.stderr)) is None:
        raise SystemExit(f"valgrind says:\n{done.stderr}")
    return int(found[1])


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", type=int, default=50)
    parser.add_argument("--turns", type=int, default=100, help="per round")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--models", default=",".join(MODELS), help="scripted, http or both")
    parser.add_argument("--instructions", action="store_true", help="count them, with valgrind")
    parser.add_argument("--alone", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        kind, model, url = given.alone
        asyncio.run(measure([Case(kind, model, given.tools)], url, given.turns, 1))
        return
    cases = [Case(kind, model, given.tools) for model in given.models.split(",") for kind in KINDS]
    if given.instructions:
        counted(cases)
    else:
        timed(cases, given.turns, given.rounds)


if __name__ == "__main__":
    main()
