"""Which database a command is about: found the way `serve` finds it, opened beside a server that may be running."""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from hector.config.base import TIME, seconds
from hector.config.environment import Environment
from hector.config.load import load_config
from hector.config.root import HectorConfig
from hector.config.startup import Startup, config_path, merge
from hector.core.errors import StartupError
from hector.core.record import dataclass
from hector.observe.redact import remember
from hector.store import Store, open_store

IN_MEMORY = ":memory:"


class _Any(frozenset[str]):
    """Handlers under any name: a program of one's own has more than this command knows, and it runs none of them."""

    def __contains__(self, _: object) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Place:
    """The configuration (the empty one where there is no file, and no `path`) and what follows from it, flags and
    variables.
    """

    path: Path | None
    config: HectorConfig
    startup: Startup

    @property
    def dsn(self) -> str:
        """The address of the database. Raises StartupError if it lives in a server's memory."""
        if IN_MEMORY in self.startup.database:
            raise StartupError(
                "the database is in the memory of the process that serves: no other can see it\n"
                "Serve with --database sqlite://<path>, or name the database that is meant in the same way"
            )
        return self.startup.database


def find_place(arguments: argparse.Namespace) -> Place:
    """Read what `serve` would read. Raises ConfigError."""
    environment = Environment()
    path = config_path(arguments.config, environment)
    config = HectorConfig()
    if path is not None:
        loaded = load_config(path, environment, handlers=_Any())
        config = loaded.config
        remember(*(key for llm in config.llms.values() if (key := getattr(llm, "api_key", ""))))
    return Place(path, config, merge(arguments, environment, config, path))


@asynccontextmanager
async def visit(place: Place) -> AsyncIterator[Store]:
    """The database, open beside a server that may be running. Raises StartupError and StoreError."""
    store = await open_store(place.dsn, visitor=True)
    store.push.max_attempts = place.config.server.push_notifications.max_retries + 1
    try:
        yield store
    finally:
        await store.aclose()


def time_span(flag: str, text: str) -> float:
    """Seconds from "90", "30m" or "1h30m". Raises StartupError that names the flag."""
    found = seconds(text)
    try:
        return float(str(found))
    except ValueError:
        raise StartupError(f"{flag}: {text!r} is no time span\nGive {TIME.allowed}") from None
