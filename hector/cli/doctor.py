"""`hector doctor`: what the configuration will contact, whether that can be reached, and what is wrong around here."""

import argparse
import asyncio
from typing import TYPE_CHECKING, Any, Final

from hector.config.flags import add_place_arguments

if TYPE_CHECKING:
    from hector.cli.doctor_check import Check
    from hector.cli.place import Place
    from hector.config.load import Loaded
    from hector.store import Store

_MOST_RECEIVERS: Final = 50
_PATIENCE: Final = 15.0


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "doctor",
        help="show what the configuration contacts, and try it",
        description="Show what a configuration contacts, try it (name, TCP, TLS, one free request), and look at "
        "files, port, disk, clock and secrets. Exit codes: 0 nothing keeps it from working; 1 something does; 2 the "
        "configuration or the command is wrong.",
    )
    add_place_arguments(parser)
    parser.add_argument("--host", help="interface that would be listened on (HECTOR_HOST; 127.0.0.1)")
    parser.add_argument("--port", help="port that would be listened on (HECTOR_PORT; 8080)")
    parser.add_argument(
        "--egress", metavar="MODE", help="egress mode to judge by: open, listed or none (HECTOR_EGRESS)"
    )
    parser.add_argument(
        "--offline", action="store_true", help="contact nothing; fails if the configuration needs a network"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0: nothing keeps it from working. 1: something does. Raises ConfigError."""
    from hector.cli.doctor_check import State  # noqa: PLC0415 - loaded on first use
    from hector.cli.doctor_page import facts, page  # noqa: PLC0415
    from hector.cli.layout import Style, as_json  # noqa: PLC0415
    from hector.cli.place import find_place  # noqa: PLC0415

    place = find_place(arguments)
    loaded = _loaded(place)
    checks = asyncio.run(examine(place, loaded, offline=arguments.offline))
    code = int(any(check.state is State.FAIL for check in checks))
    head = _head(place, offline=arguments.offline)
    if arguments.json:
        print(as_json(facts(checks, head, code, offline=arguments.offline)))
    else:
        print("\n".join(page(checks, head, code, Style())))
    return code


def _loaded(place: "Place") -> "Loaded | None":
    from hector.cli.place import AnyHandler  # noqa: PLC0415 - loaded on first use
    from hector.config.environment import Environment  # noqa: PLC0415
    from hector.config.load import load_config  # noqa: PLC0415

    return None if place.path is None else load_config(place.path, Environment(), handlers=AnyHandler())


def _head(place: "Place", *, offline: bool) -> list[str]:
    from hector.net.policy import describe  # noqa: PLC0415 - loaded on first use

    policy = list(describe(place.startup.egress))
    found = [f"configuration  {place.path or 'none'}", f"egress policy  {policy[0]}"]
    found += [f"               {line}" for line in policy[1:]]
    if offline:
        found.append("offline        nothing is contacted; what needs a network counts as a failure")
    return found


async def examine(place: "Place", loaded: "Loaded | None", *, offline: bool) -> "list[Check]":
    """All checks: this machine first, then what is contacted, by kind."""
    from hector.cli import doctor_local as local  # noqa: PLC0415 - loaded on first use
    from hector.cli import doctor_probe as probe  # noqa: PLC0415
    from hector.cli.doctor_targets import contacts, receiver  # noqa: PLC0415
    from hector.cli.place import governed  # noqa: PLC0415

    found = [local.program(), *local.configuration(loaded), local.clock(), local.port(place)]
    found += [*local.state_folder(place), *local.secrets(place, loaded), *local.models(place), *local.programs(place)]
    found += local.folders(place)
    with governed(place.startup.egress):
        database, receivers = await _database(place, offline=offline)
        targets = [*contacts(place), *map(receiver, receivers)]
        found += probe.offline(targets) if offline else await probe.online(targets)
    found += database
    first = list(dict.fromkeys(check.group for check in found))
    return sorted(found, key=lambda check: first.index(check.group))


async def _database(place: "Place", *, offline: bool) -> "tuple[list[Check], list[str]]":
    """Whether the database can be opened and is up to date, and the receivers that clients have registered in it."""
    from hector.cli.doctor_check import Check, State  # noqa: PLC0415 - loaded on first use
    from hector.cli.place import IN_MEMORY, visit  # noqa: PLC0415
    from hector.config.postgres import is_postgres  # noqa: PLC0415
    from hector.core.errors import HectorError, SchemaTooNew  # noqa: PLC0415

    dsn = place.startup.database
    if IN_MEMORY in dsn or (offline and is_postgres(dsn)):
        return [], []
    if not is_postgres(dsn) and not _exists(dsn):
        return [Check("database", "SQLite", State.OK, "not there yet: the first start makes it")], []
    try:
        async with asyncio.timeout(_PATIENCE), visit(place) as store:
            return [Check("database", "state", State.OK, f"{store.describe()}, up to date")], await _receivers(store)
    except TimeoutError:
        text = f"cannot be opened within {_PATIENCE:g} seconds"
        return [Check("database", "state", State.FAIL, text, "look at its load and its log")], []
    except HectorError as error:
        text, _, remedy = str(error).partition("\n")
        late = "lacks the migration" in text and not isinstance(error, SchemaTooNew)
        return [Check("database", "state", State.WARN if late else State.FAIL, text, remedy)], []


def _exists(dsn: str) -> bool:
    from pathlib import Path  # noqa: PLC0415 - loaded on first use

    from hector.store.opening import sqlite_of  # noqa: PLC0415

    return Path(sqlite_of(dsn)[0]).exists()


async def _receivers(store: "Store") -> list[str]:
    """Addresses of receivers, one for each host and port."""
    from urllib.parse import urlsplit  # noqa: PLC0415 - loaded on first use

    found = await store.egress.receivers(_MOST_RECEIVERS)
    return list({(urlsplit(url).scheme, urlsplit(url).netloc): url for url in found}.values())
