"""What the operator sees when the server is ready."""

import json
import logging
import socket
import sys
from collections.abc import Iterator

from hector.apps.choice import models_of
from hector.auth.opening import NewSecret
from hector.config.agents import LlmAgent
from hector.config.root import HectorConfig
from hector.config.startup import Startup
from hector.core.record import dataclass
from hector.observe.redact import remember
from hector.version import __version__

log = logging.getLogger("hector.server")
DEFAULT_URL = "http://127.0.0.1:8080"
EXPOSED = "reachable from other machines, and agents ask nobody who they are (require_auth is off)"
GREEN, YELLOW, DIM, RESET = "\033[38;2;16;185;129m", "\033[33m", "\033[2m", "\033[0m"


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server listens."""

    host: str
    port: int
    scheme: str = "http"

    @classmethod
    def of(cls, listener: socket.socket, host: str, *, secure: bool = False) -> "Address":
        """The port that was really taken."""
        return cls(host, listener.getsockname()[1], "https" if secure else "http")

    @property
    def url(self) -> str:
        """As a person on this machine would open it."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host  # noqa: S104 - it is only printed
        return f"{self.scheme}://[{host}]:{self.port}" if ":" in host else f"{self.scheme}://{host}:{self.port}"

    @property
    def exposed(self) -> bool:
        """Other machines can reach it."""
        return self.host not in ("localhost", "::1") and not self.host.startswith("127.")


def greet(address: Address, config: HectorConfig, startup: Startup, database: str, notes: tuple[str, ...] = ()) -> None:
    """A few lines for a person at a terminal, one log line for everybody else."""
    if not sys.stdout.isatty():
        asks = startup.auth.asks(exposed=address.exposed)
        access = "credential" if asks else "open"
        facts = {"url": address.url, "agents": len(config.agents), "access": access, "database": database}
        log.info("ready", extra=facts)
        for note in notes:
            log.info("%s", note)
        if address.exposed and not asks:
            log.warning(EXPOSED)
        return
    for line in _lines(address, config, startup, database, notes):
        print(line)
    sys.stdout.flush()


def _lines(
    address: Address, config: HectorConfig, startup: Startup, database: str, notes: tuple[str, ...]
) -> Iterator[str]:
    yield f"\n{GREEN}Hector {__version__}{RESET} is ready at {GREEN}{address.url}{RESET}\n"
    for note in notes:
        yield f"  {YELLOW}{note}{RESET}"
    yield f"  config    {startup.config or 'built in'}{'  (watched)' if startup.watch else ''}"
    yield f"  database  {database}"
    asks = startup.auth.asks(exposed=address.exposed)
    if address.exposed and not asks:
        yield f"  {YELLOW}{EXPOSED}{RESET}"
    yield f"  access    {'agents take a credential' if asks else 'agents are open'}; the admin API takes the secret"
    if startup.auth.secret is None:
        yield f"            {DIM}lost it? `hector secret rotate` makes another one{RESET}"
    yield "  agents"
    for name, agent in config.agents.items():
        llms = [config.llms[one] for one in models_of(agent, config)] if isinstance(agent, LlmAgent) else []
        what = ", ".join(" ".join(dict.fromkeys((llm.provider, llm.model))) for llm in llms) or agent.type
        yield f"    {name:<16} {what}  {DIM}{address.url}/agents/{name}{RESET}"
    yield f"\n  {DIM}talk to it:{RESET}  hector chat{_chat_flags(address, config)}"
    yield f"  {DIM}Ctrl+C stops the server{RESET}\n"


def show_secret(made: NewSecret, url: str, layout: str = "text") -> None:
    """Print a new admin secret on standard output, here and now only: it is in no log and no file.

    Where the log is JSON this is, too: whatever collects the one may read both.
    """
    remember(made.secret, made.code)
    link = unlock_link(url, made.code)
    hint = "Shown this once. `hector secret rotate` makes another one, `hector secret link` another link."
    if layout == "json":
        print(json.dumps({"message": hint, "admin_secret": made.secret, "one_time_link": link}), flush=True)
    else:
        print(f"  admin secret   {made.secret}\n  one-time link  {link}\n  {hint}\n", flush=True)


def unlock_link(url: str, code: str) -> str:
    """What a browser opens to be let in. What stands behind # is sent to no server and stands in no log of one."""
    return f"{url}/#unlock={code}"


def _chat_flags(address: Address, config: HectorConfig) -> str:
    """What `hector chat` has to be told, as it would otherwise look elsewhere."""
    url = "" if address.url == DEFAULT_URL else f" --url {address.url}"
    agent = f" --agent {next(iter(config.agents))}" if len(config.agents) > 1 else ""
    return url + agent
