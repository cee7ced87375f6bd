"""`hector switch`: stop an agent, an app or the whole server beside the processes that serve, and let them go on."""

import argparse
import asyncio
from typing import TYPE_CHECKING, Any

from hector.cli import byhand
from hector.cli.layout import as_json, listing, moment, plain
from hector.config.flags import add_action_arguments
from hector.core.clock import SystemClock, iso
from hector.core.errors import StartupError
from hector.core.ids import CONFIG_ID

if TYPE_CHECKING:
    from hector.cli.place import Place
    from hector.core.audit import Entry
    from hector.store import Store

_TARGET = "server, app:ID, agent:ID (of app default) or agent:APP/ID"


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "switch",
        help="stop an agent, an app or the server at once, and let it go on",
        description="The kill switch. What is off stops within seconds in all processes of the database: running tasks "
        "rest at their last stored step, new messages are refused with the reason. Switched on again, they go on.",
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    off = actions.add_parser("off", help="stop it")
    off.add_argument("target", metavar="TARGET", help=_TARGET)
    off.add_argument("--reason", default="", metavar="TEXT", help="what those are told who are refused")
    on = actions.add_parser("on", help="let it go on")
    on.add_argument("target", metavar="TARGET", help=_TARGET)
    actions.add_parser("list", help="show what is off")
    add_action_arguments(actions, run)


def run(arguments: argparse.Namespace) -> int:
    """0; 1 for `on` where nothing was off. Raises ConfigError, StartupError and StoreError."""
    from hector.cli.place import find_place  # noqa: PLC0415 - loaded on first use

    return asyncio.run(_run(arguments, find_place(arguments)))


async def _run(arguments: argparse.Namespace, place: "Place") -> int:
    from hector.cli.place import visit  # noqa: PLC0415

    async with visit(place) as store:
        match arguments.action:
            case "off":
                return await _off(store, arguments)
            case "on":
                return await _on(store, arguments)
            case _:
                return await _list(store, arguments)


async def _off(store: "Store", arguments: argparse.Namespace) -> int:
    from hector.store.switches import Switch  # noqa: PLC0415

    scope = scope_of(arguments.target)
    entry = _entry(scope, state="off", reason=arguments.reason)
    switch = Switch(scope, arguments.reason, entry.actor, SystemClock().now())
    await store.switches.off(switch, store.audit.aside(entry))
    _say(
        arguments,
        {"scope": scope, "state": "off"},
        f"{_what(scope)} is switched off; `hector switch on {arguments.target}` lets it go on",
    )
    return 0


async def _on(store: "Store", arguments: argparse.Namespace) -> int:
    scope = scope_of(arguments.target)
    found = await store.switches.on(scope, store.audit.aside(_entry(scope, state="on")))
    said = f"{_what(scope)} is switched on again" if found else f"{_what(scope)} was not switched off"
    _say(arguments, {"scope": scope, "state": "on", "was_off": found}, said)
    return 0 if found else 1


async def _list(store: "Store", arguments: argparse.Namespace) -> int:
    found = await store.switches.all()
    if arguments.json:
        facts = [{"scope": one.scope, "reason": one.reason, "author": one.author, "at": iso(one.at)} for one in found]
        print(as_json({"off": facts}))
    elif not found:
        print("nothing is switched off")
    else:
        rows = [(one.scope, moment(one.at), plain(one.author), plain(one.reason)) for one in found]
        for lines in listing(rows):
            print("\n".join(lines))
    return 0


def _say(arguments: argparse.Namespace, facts: dict[str, Any], text: str) -> None:
    print(as_json(facts) if arguments.json else text)


def _entry(scope: str, **detail: Any) -> "Entry":
    from hector.limits.switches import parts_of  # noqa: PLC0415 - loaded on first use

    _, app, _ = parts_of(scope)
    return byhand.entry("switch.set", scope, app or "", **detail)


def _what(scope: str) -> str:
    from hector.limits.switches import what  # noqa: PLC0415 - loaded on first use

    return what(scope)


def scope_of(target: str) -> str:
    """The scope of a target. Raises StartupError."""
    from hector.limits.switches import SERVER, agent_scope, app_scope  # noqa: PLC0415 - loaded on first use

    kind, _, name = target.partition(":")
    app, mark, agent = name.partition("/")
    if target == SERVER:
        return SERVER
    if kind == "app" and name and not mark:
        return app_scope(name)
    if kind == "agent" and not mark and CONFIG_ID.fullmatch(name):
        return agent_scope("default", name)
    if kind == "agent" and app and CONFIG_ID.fullmatch(agent):
        return agent_scope(app, agent)
    raise StartupError(f"{target!r} is nothing that can be switched\nName one of: {_TARGET}")
