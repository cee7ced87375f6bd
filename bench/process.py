"""Servers as processes: pinned to a core, timed from their start, measured through /proc."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

START_LIMIT: Final = 30.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Usage:
    """Of one process and its children: CPU seconds so far, resident memory in MB."""

    cpu: float
    rss: float


class Process:
    """A running server. Context manager: stops it at the end."""

    def __init__(self, command: Sequence[str], port: int, core: int | None, log: Path, cwd: Path) -> None:
        self.port = port
        self.log = log
        self._name = " ".join(command)
        self._begun = time.perf_counter()
        with log.open("ab") as out:
            self._child = subprocess.Popen(
                _pinned(core, command),
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                cwd=cwd,
                env=_environment(),
                start_new_session=True,
            )

    def wait_ready(self, path: str = "/health") -> float:
        """Seconds from exec to the first 200."""
        while True:
            if _status(self.port, path) == 200:
                return time.perf_counter() - self._begun
            if self._child.poll() is not None or time.perf_counter() - self._begun > START_LIMIT:
                text = self.log.read_text(encoding="utf-8", errors="replace")[-3000:]
                raise SystemExit(f"bench: {self._name} did not start:\n{text}")
            time.sleep(0.002)

    def usage(self) -> Usage:
        """CPU time and memory of the process (children that have ended included in the CPU time)."""
        fields = Path(f"/proc/{self._child.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        status = Path(f"/proc/{self._child.pid}/status").read_text(encoding="utf-8")
        rss = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        return Usage(sum(map(int, fields[11:15])) / _TICKS, rss / 1024)

    def stop(self) -> None:
        """SIGTERM, then SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGTERM)
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _environment() -> dict[str, str]:
    """Ours, but with compiled modules kept, as they are on every start but the first."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _pinned(core: int | None, command: Sequence[str]) -> list[str]:
    """A wrapper that pins itself, then becomes the command: no fork hook, and no time of ours in the start-up."""
    if core is None:
        return list(command)
    return ["taskset", "-c", str(core), *command] if _has_taskset() else [*_PIN, str(core), *command]


_PIN: Final = [
    sys.executable, "-S", "-c",
    "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])}); os.execvp(sys.argv[2], sys.argv[2:])",
]  # fmt: skip


def _has_taskset() -> bool:
    return any((Path(folder) / "taskset").exists() for folder in os.get_exec_path())


def _status(port: int, path: str) -> int:
    """The status of a GET, or 0."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as link:
            link.sendall(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode())
            answer = link.recv(64)
    except OSError:
        return 0
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0
