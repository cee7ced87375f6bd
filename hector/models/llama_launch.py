"""How to start llama.cpp on this machine: with which program, how many threads, on which port."""

import importlib.util
import json
import os
import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hector.core.errors import ConfigError
from hector.core.record import dataclass

# Runs "$@" until it ends or our end of standard input closes, whichever is first; passes its exit code on.
_LEASH: Final = (
    'exec 3<&0; "$@" </dev/null 3<&- & child=$!; (read -r _ <&3; kill -KILL $child) 2>/dev/null & watch=$!; '
    "exec 3<&-; wait $child; code=$?; kill $watch 2>/dev/null; exit $code"
)
_CPU_LIMIT: Final = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True, slots=True)
class Launch:
    """What to run: the model file, the name to report, where to listen (port 0: any free one), how to compute.

    `executable` is a llama-server; None stands for our own child program over the package xllamacpp.
    """

    model: Path
    name: str = "local"
    host: str = "127.0.0.1"
    port: int = 0
    context: int = 4096
    threads: int = 1
    executable: str | None = None

    def command(self, port: int) -> list[str]:
        """The argument list for the child. It reads the API key from LLAMA_API_KEY."""
        if self.executable is None:
            settings = {"model": str(self.model), "name": self.name, "host": self.host, "port": port}
            settings |= {"context": self.context, "threads": self.threads}
            return [sys.executable, "-P", str(Path(__file__).with_name("llama_child.py")), json.dumps(settings)]
        command = [
            self.executable,
            "--model",
            str(self.model),
            "--alias",
            self.name,
            "--host",
            self.host,
            "--port",
            str(port),
        ]
        command += ["--ctx-size", str(self.context), "--parallel", "1", "--jinja"]
        command += ["--threads", str(self.threads), "--threads-batch", str(self.threads)]
        return ["/bin/sh", "-c", _LEASH, "sh", *command] if os.name == "posix" else command

    def url(self, port: int) -> str:
        """Where it answers."""
        return f"http://[{self.host}]:{port}" if ":" in self.host else f"http://{self.host}:{port}"


def find_program(executable: str | None, environment: Mapping[str, str]) -> str | None:
    """The llama-server to run, or None for xllamacpp. Raises ConfigError, with what to do, when there is neither."""
    found = shutil.which(executable or "llama-server", path=environment.get("PATH"))
    if found is not None:
        return found
    if executable is not None:
        raise ConfigError(f"executable: {executable!r} was not found, or may not be run")
    frozen = bool(getattr(sys, "frozen", False))
    if not frozen and importlib.util.find_spec("xllamacpp") is not None:
        return None
    advice = "install llama.cpp so that llama-server is on PATH, or name it with `executable`"
    if frozen:
        raise ConfigError(f"no llama-server was found: {advice} (the single-file Hector cannot load xllamacpp)")
    raise ConfigError(f"nothing here can run a model file: pip install 'hector[local]', or {advice}")


def thread_count(wanted: int) -> int:
    """`wanted`; for 0, half of the processors that we may use, since waiting threads of llama.cpp spin."""
    return wanted or max(1, _processors() // 2)


def _processors() -> int:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _CPU_LIMIT.read_text(encoding="ascii").split()
        return max(1, min(count, int(quota) // int(period)))
    except (OSError, ValueError):  # no control groups here, or no limit ("max")
        return count


def free_port(host: str) -> int:
    """A port that nobody listens on at this moment. Raises OSError when `host` is not of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
