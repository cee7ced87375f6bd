"""Who takes part: Hector and the references, and the environment that all of them run in."""

import hashlib
import json
import subprocess
import sys
import tomllib
import venv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
VENV: Final = ROOT / ".venv-bench"
AGENTS: Final = ("plain", "stream", "paced")


@dataclass(frozen=True)
class Contestant:
    """A server. `command` may hold {python}, {port}, {model} (base URL), {database} and {config}."""

    name: str
    about: str
    command: tuple[str, ...]
    ready: str = "/health"
    blocks: Mapping[str, object] = field(default_factory=dict)
    """More of the configuration."""
    headers: str = ""
    """What its clients send besides."""

    def argv(self, **values: object) -> list[str]:
        """The command with its values."""
        return [part.format(**values) for part in self.command]


_SERVER: Final = ("{python}", "-m")
_LIMIT: Final = ("--port", "{port}", "--model", "{model}", "--database", "{database}")

HECTOR: Final = Contestant(
    "hector",
    "the product, from source, every turn in SQLite",
    (*_SERVER, "hector", "serve", "--config", "{config}", "--port", "{port}", "--database", "sqlite://{database}"),
    "/readyz",
)
_KEY: Final = "hk_0123456789abcdef_only-for-this-benchmark-0123456789"
GUARDED: Final = Contestant(
    "guarded",
    "the same with an admin secret, an API key on each call, a rate limit and the audit log",
    HECTOR.command,
    HECTOR.ready,
    {
        "server": {
            "auth": {
                "secret": "only-for-this-benchmark-0123456789abcdef",
                "api_keys": [{"name": "client", "key": _KEY, "role": "user"}],
            }
        },
        "rate_limiting": {
            "enabled": True,
            "backend": "memory",
            "limits": [{"type": "count", "window": "day", "limit": 1_000_000_000, "scope": "user"}],
        },
    },
    f"authorization: Bearer {_KEY}\r\n",
)
PROXY: Final = Contestant(
    "proxy (a)",
    "bare starlette + uvicorn, stock httpx, stores nothing",
    (*_SERVER, "bench.servers.proxy", "--port", "{port}", "--model", "{model}"),
)
LIMIT: Final = Contestant(
    "limit (b)",
    "raw ASGI on uvicorn, own client, two durable SQLite writes per turn",
    (*_SERVER, "bench.servers.limit", *_LIMIT),
)
HELLO: Final = Contestant(
    "uvicorn", "uvicorn and one function; start-up only", (*_SERVER, "bench.servers.hello", "--port", "{port}")
)


def variants() -> tuple[Contestant, ...]:
    """The limit with each pair of HTTP parser and event loop; needs an environment that has them."""
    return tuple(
        Contestant(f"limit {http}+{loop}", "as (b)", (*LIMIT.command, "--http", http, "--loop", loop))
        for http, loop in (("h11", "asyncio"), ("httptools", "asyncio"), ("h11", "uvloop"), ("httptools", "uvloop"))
    )


def write_config(path: Path, model_url: str, blocks: Mapping[str, object] | None = None) -> None:
    """Hector's configuration for the run, with these blocks besides; JSON is YAML."""
    common = {"provider": "openai", "api": "chat", "api_key": "none", "base_url": model_url}
    llms = {name: {**common, "model": name} for name in AGENTS}
    agents: dict[str, object] = {
        name: {"type": "llm", "llm": name, "instruction": "You are helpful.", "streaming": name != "plain", "tools": []}
        for name in AGENTS
    }
    config = {"version": "2", "name": "bench", "llms": llms, "agents": agents, **(blocks or {})}
    path.write_text(json.dumps(config), encoding="utf-8")


def environment() -> tuple[Path, str]:
    """The Python of an environment with the runtime dependencies only, and what it was made from.

    More would distort the figures: stock httpx is a third faster when `sniffio` happens to be installed, and uvicorn
    picks up httptools and uvloop by itself.
    """
    lock = ROOT / "vendor" / "requirements.txt"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if lock.exists():
        arguments, wanted, source = ["-r", str(lock)], lock.read_text(encoding="utf-8"), "vendor/requirements.txt"
    else:
        arguments = list(project["dependencies"])
        wanted, source = "\n".join(arguments), "the dependencies in pyproject.toml, newest versions"
    mark, python = VENV / "made-from", VENV / "bin" / "python"
    digest = hashlib.sha256(wanted.encode()).hexdigest()
    if not mark.exists() or mark.read_text(encoding="utf-8") != digest:
        print(f"bench: making {VENV.name} from {source}", file=sys.stderr, flush=True)
        venv.create(VENV, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, *arguments], check=True)
        mark.write_text(digest, encoding="utf-8")
    return python, source
