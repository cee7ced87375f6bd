"""`hector secret`: where the admin secret comes from, a new one, and one-time links, beside a running server."""

import argparse
import asyncio
from typing import TYPE_CHECKING, Any, Final

from hector.cli.layout import as_json, moment
from hector.config.flags import add_action_arguments
from hector.core.clock import SystemClock, iso
from hector.core.errors import StartupError

if TYPE_CHECKING:
    from hector.cli.place import Place
    from hector.store import Store
    from hector.store.credentials import Credentials

_GIVEN: Final = (
    "the admin secret is given by --auth-secret, HECTOR_AUTH_SECRET or server.auth.secret\n"
    "Change it there, or leave it out and start the server again: then one is made"
)


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "secret",
        help="look after the admin secret",
        description="Look after the admin secret that the server made at its first start. Of it only a hash is kept.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    actions.add_parser("origin", help="say where the admin secret comes from, and since when it is good")
    actions.add_parser("rotate", help="make a new one; the old one ends within seconds, with its links and sessions")
    link = actions.add_parser("link", help="make a link that lets one browser in, once, within 15 minutes")
    link.add_argument("--url", metavar="URL", help="the server (as configured; http://127.0.0.1:8080)")
    add_action_arguments(actions, run)


def run(arguments: argparse.Namespace) -> int:
    """0. Raises ConfigError, StartupError and StoreError."""
    from hector.cli.place import find_place  # noqa: PLC0415 - loaded on first use

    return asyncio.run(_run(arguments, find_place(arguments)))


async def _run(arguments: argparse.Namespace, place: "Place") -> int:
    from hector.cli.place import visit  # noqa: PLC0415 - loaded on first use

    async with visit(place) as store:
        if arguments.action == "origin":
            found = await _origin(place, store.credentials)
        elif arguments.action == "rotate":
            found = await _rotate(place, store)
        else:
            found = await _link(arguments, place, store)
    print(as_json(found) if arguments.json else "\n".join(f"{name:<14} {value}" for name, value in found.items()))
    return 0


async def _origin(place: "Place", credentials: "Credentials") -> dict[str, str]:
    from hector.store.credentials import ADMIN_ID  # noqa: PLC0415 - loaded on first use

    if place.startup.auth.secret is not None:
        return {"origin": "given by --auth-secret, HECTOR_AUTH_SECRET or server.auth.secret"}
    kept = await credentials.find(ADMIN_ID)
    if kept is None:
        return {"origin": "none yet: the first start of a server makes it"}
    return {"origin": f"made by {kept.author}", "since": iso(kept.created)}


async def _rotate(place: "Place", store: "Store") -> dict[str, str]:
    """Raises StartupError where the secret is not ours to change."""
    from hector.auth.opening import new_secret  # noqa: PLC0415 - loaded on first use
    from hector.cli.byhand import entry  # noqa: PLC0415 - likewise

    if place.startup.auth.secret is not None:
        raise StartupError(_GIVEN)
    aside = store.audit.aside(entry("secret.rotate", "admin"))
    made = await new_secret(store.credentials, SystemClock(), "hector secret rotate", aside)
    return {"admin secret": made.secret, "shown": "this once; the old one ends within seconds"}


async def _link(arguments: argparse.Namespace, place: "Place", store: "Store") -> dict[str, str]:
    from hector.auth.opening import LINK_SECONDS, one_time_code  # noqa: PLC0415 - loaded on first use
    from hector.cli.byhand import entry  # noqa: PLC0415 - likewise
    from hector.cli.greeting import Address, unlock_link  # noqa: PLC0415 - likewise

    server = place.config.server
    url = arguments.url or server.public_url or Address(place.startup.host, place.startup.port).url
    clock = SystemClock()
    code = await one_time_code(store.credentials, clock, store.audit.aside(entry("secret.link", "admin")))
    until = moment(clock.now() + LINK_SECONDS)
    return {"one-time link": unlock_link(url.rstrip("/"), code), "good until": f"{until}, for one use"}
