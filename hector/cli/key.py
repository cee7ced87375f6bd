"""`hector key`: API keys made, listed and revoked, beside a running server."""

import argparse
import asyncio
from typing import TYPE_CHECKING, Any, Final

from hector.cli.layout import as_json, columns, moment
from hector.config.flags import add_action_arguments
from hector.core.clock import SystemClock, iso
from hector.core.errors import StartupError
from hector.core.identity import Role

if TYPE_CHECKING:
    from hector.store.credentials import Credential, Credentials

_PAGE: Final = 200


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "key", help="make and revoke API keys", description="Make, list and revoke API keys. Of each a hash is kept."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    create = actions.add_parser("create", help="make a key and print it, this once")
    create.add_argument("name", metavar="NAME", help="what it is for; logs call it that")
    create.add_argument("--role", choices=[role.value for role in Role], default="user", help="what it may do (user)")
    create.add_argument("--app", metavar="ID", help="the app that it is for (default; all apps for admin, operator)")
    create.add_argument("--user", metavar="ID", help="whose sessions and tasks it has (its name)")
    create.add_argument("--expires", metavar="TIME", help='when it ends, from now: "90d" (never)')
    actions.add_parser("list", help="show all keys, revoked ones included")
    revoke = actions.add_parser("revoke", help="end a key for good; servers refuse it within seconds")
    revoke.add_argument("key", metavar="ID", help="as `list` shows it")
    add_action_arguments(actions, run)


def run(arguments: argparse.Namespace) -> int:
    """0. Raises ConfigError, StartupError and StoreError; NotFound for a key that is none."""
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    from hector.cli.byhand import entry  # noqa: PLC0415 - likewise
    from hector.cli.place import find_place, visit  # noqa: PLC0415 - loaded on first use

    made = _new(arguments) if arguments.action == "create" else None
    async with visit(find_place(arguments)) as store:
        if made is not None:
            row = made[0]
            detail = {"name": row.name, "role": row.role.value, "user": row.user}
            aside = store.audit.aside(entry("key.create", f"key:{row.id}", row.app or "", **detail))
            await store.credentials.add(row, aside)
            _show_new(*made, json=arguments.json)
        elif arguments.action == "list":
            _show(await _all(store.credentials), json=arguments.json)
        else:
            known = await store.credentials.find(arguments.key)
            aside = store.audit.aside(entry("key.revoke", f"key:{arguments.key}", (known and known.app) or ""))
            found = await store.credentials.revoke(arguments.key, aside=aside)
            print(as_json({"revoked": found.id}) if arguments.json else f"revoked {found.id} ({found.name})")
    return 0


def _new(arguments: argparse.Namespace) -> "tuple[Credential, str]":
    """The row and the key itself. Raises StartupError."""
    from hector.auth.keys import Wish, new_api_key  # noqa: PLC0415 - loaded on first use
    from hector.cli.place import time_span  # noqa: PLC0415 - likewise

    if not 0 < len(arguments.name) <= 100:
        raise StartupError("a key has a name of 1 to 100 characters")
    now = SystemClock().now()
    expires = None if arguments.expires is None else now + time_span("--expires", arguments.expires)
    wish = Wish(arguments.name, Role(arguments.role), arguments.app, arguments.user, expires)
    return new_api_key(wish, "hector key", now)


def _show_new(row: "Credential", text: str, *, json: bool) -> None:
    if json:
        print(as_json({**facts(row), "key": text}))
        return
    print(f"{text}\n")
    print(f"Shown this once. Role {row.role}, {f'app {row.app}' if row.app else 'all apps'}, user {row.user}.")
    print(f"To end it: hector key revoke {row.id}")


async def _all(credentials: "Credentials") -> "list[Credential]":
    found: list[Credential] = []
    while page := await credentials.list(after=found[-1].id if found else "", limit=_PAGE):
        found += page
    return found


def _show(found: "list[Credential]", *, json: bool) -> None:
    if json:
        print(as_json({"keys": [facts(one) for one in found]}))
    elif not found:
        print("there are no API keys; `hector key create NAME` makes one")
    else:
        print("\n".join(_table(found)))


def _table(found: "list[Credential]") -> list[str]:
    now = SystemClock().now()
    rows = [
        [one.id, one.name, one.role.value, one.app or "all", one.user, _state(one, now), _when(one.used)]
        for one in found
    ]
    return columns([["ID", "NAME", "ROLE", "APP", "USER", "STATE", "USED"], *rows])


def _state(one: "Credential", now: float) -> str:
    if one.revoked is not None:
        return "revoked"
    if one.expires is None:
        return "good"
    return f"until {moment(one.expires)}" if now < one.expires else "over"


def _when(at: float | None) -> str:
    return "never" if at is None else moment(at)


def facts(one: "Credential") -> dict[str, object]:
    """A key as JSON, without anything secret."""
    times = {"created": one.created, "expires": one.expires, "used": one.used, "revoked": one.revoked}
    return {
        "id": one.id,
        "name": one.name,
        "role": one.role.value,
        "app": one.app,
        "user": one.user,
        **{name: None if at is None else iso(at) for name, at in times.items()},
    }
