"""Which database a command is about: found the way `serve` finds it, opened beside a server that may be running."""

import argparse
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hector.config.base import TIME, seconds
from hector.config.environment import Environment
from hector.config.load import load_config
from hector.config.root import HectorConfig
from hector.config.secrets import secrets_of
from hector.config.startup import VISIBLE_PATH, Startup, config_path, merge, passed_over
from hector.core.errors import StartupError
from hector.core.record import dataclass
from hector.observe.redact import remember
from hector.store import Store, open_store

if TYPE_CHECKING:
    from hector.config.egress import Egress

IN_MEMORY = ":memory:"


class AnyHandler(frozenset[str]):
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
        loaded = load_config(path, environment, handlers=AnyHandler())
        config = loaded.config
        remember(*secrets_of(config))
    return Place(path, config, merge(arguments, environment, config, path))


def no_stores(place: Place) -> StartupError:
    """What a command says that needs document stores, where there are none."""
    if place.path is None:
        return StartupError(
            "there is no configuration, and so there are no document stores: name a file with --config, or write "
            f"{VISIBLE_PATH}"
        )
    text = f"there are no document stores: {place.path} declares none under document_stores"
    other = passed_over(place.path)
    return StartupError(
        f"{text}\n{other} is there, too, and was not read: --config {other} names it" if other else text
    )


@asynccontextmanager
async def visit(place: Place) -> AsyncIterator[Store]:
    """The database, open beside a server that may be running. Raises StartupError and StoreError."""
    with governed(place.startup.egress):
        store = await open_store(place.dsn, visitor=True)
        store.push.max_attempts = place.config.server.push_notifications.max_retries + 1
        try:
            yield store
        finally:
            await store.aclose()


@contextmanager
def governed(egress: "Egress | None") -> Iterator[None]:
    """The egress policy in force, if there is one. Raises StartupError where this process has another one."""
    if egress is None:
        yield
        return
    from hector.net import gate  # noqa: PLC0415 - only with a policy

    with gate.governed(egress):
        yield


def time_span(flag: str, text: str) -> float:
    """Seconds from "90", "30m" or "1h30m". Raises StartupError that names the flag."""
    found = seconds(text)
    try:
        return float(str(found))
    except ValueError:
        raise StartupError(f"{flag}: {text!r} is no time span\nGive {TIME.allowed}") from None
