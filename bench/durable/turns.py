"""Plain turns over HTTP: what a file costs against memory, and PostgreSQL against SQLite.

The same server, model and client as in `python -m bench`; only the database differs. The variants take turns within
each round, so that a disturbance of the machine hits all of them, and a ratio is the median of the rounds' ratios.
Hector runs on one core, client and model on another; PostgreSQL takes what it gets of both.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.client import a2a, load
from bench.contestants import ROOT, write_config
from bench.process import Process, free_port

CLIENTS: Final = 16


def turns(
    python: Path, folder: Path, databases: dict[str, str], seconds: float, repeats: int, say: Callable[[str], None]
) -> dict[str, list[float]]:
    """Turns per second of each database (name -> address), one figure per repeat."""
    cores = sorted(os.sched_getaffinity(0))
    server_core, client_core = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
    mock_port = free_port()
    found: dict[str, list[float]] = {name: [] for name in databases}
    with ExitStack() as stack:
        if client_core is not None:
            os.sched_setaffinity(0, {client_core})
            stack.callback(os.sched_setaffinity, 0, cores)
        mock = [str(python), "-m", "bench.mock", "--port", str(mock_port)]
        stack.enter_context(Process(mock, mock_port, client_core, folder / "mock.log", ROOT)).wait_ready("/")
        config = folder / "hector.yaml"
        write_config(config, f"http://127.0.0.1:{mock_port}/v1")
        servers: dict[str, Process] = {}
        for name, dsn in databases.items():
            port = free_port()
            command = [
                str(python), "-m", "hector", "serve",
                "--config", str(config), "--port", str(port), "--database", dsn,
            ]  # fmt: skip
            server = Process(command, port, server_core, folder / f"{name}.log", ROOT)
            servers[name] = stack.enter_context(server)
        for server in servers.values():
            server.wait_ready("/readyz")
            _rate(server.port, 1.0)
        for turn in range(repeats):
            say(f"turns {turn + 1}/{repeats}")
            for name, server in servers.items():
                found[name].append(_rate(server.port, seconds))
    return found


def _rate(port: int, seconds: float) -> float:
    return asyncio.run(load(a2a(port, "/agents/plain", stream=False), CLIENTS, seconds)).rate
