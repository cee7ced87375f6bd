"""`hector mcp`: agents as the tools of an MCP server on standard input and output; and what servers have changed."""

import argparse
import asyncio
from collections.abc import Iterator, Sequence
from difflib import unified_diff
from itertools import groupby
from shlex import quote
from typing import TYPE_CHECKING, Any, Final

from hector.cli.byhand import entry
from hector.cli.layout import as_json, moment
from hector.config.flags import add_place_arguments
from hector.core.clock import iso
from hector.core.errors import StartupError
from hector.core.identity import DEFAULT_APP
from hector.core.unseen import spelt

_LINES: Final = 60
"""Of a change, unless its tool is named."""

if TYPE_CHECKING:
    from hector.cli.place import Place
    from hector.store import Store
    from hector.store.mcp_pins import Changed


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "mcp",
        help="offer agents to an MCP client, accept what MCP servers have changed",
        description="serve: be an MCP server on standard input and output whose tools are the agents of the block "
        "mcp_server. changed: show what MCP servers have changed of their tools since they were accepted; each call of "
        "such a tool asks a person. accept: take what was shown, for good.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "action", nargs="?", choices=("serve", "changed", "accept"), default="serve", help="what to do (serve)"
    )
    parser.add_argument("server", nargs="?", metavar="SERVER", help="the entry under tools")
    parser.add_argument("tool", nargs="?", metavar="TOOL", help="only this tool, by the server's own name")
    parser.add_argument("--digest", metavar="HEX", help="accept: what `hector mcp changed` says that it stands for")
    parser.add_argument("--app", metavar="ID", help=f"whose tool it is (changed: all; accept: {DEFAULT_APP})")
    parser.add_argument("--json", action="store_true", help="changed, accept: as JSON")
    add_place_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0; 1 for `accept` where nothing had changed. Raises ConfigError, StartupError and StoreError."""
    from hector.cli.place import find_place  # noqa: PLC0415 - loaded on first use

    if arguments.action == "serve" and arguments.server:
        raise StartupError("hector mcp serve takes no name of a server\nAgents that are offered: block mcp_server")
    if arguments.action == "accept" and not (arguments.server and arguments.digest):
        raise StartupError(
            "hector mcp accept takes the name of a server and the digest of what is accepted\n"
            "See what has changed, and its digest, with: hector mcp changed"
        )
    if arguments.action == "serve":
        return asyncio.run(_serve(arguments))
    return asyncio.run(_look_after(arguments, find_place(arguments)))


async def _look_after(arguments: argparse.Namespace, place: "Place") -> int:
    from hector.cli.place import visit  # noqa: PLC0415 - loaded on first use

    async with visit(place) as store:
        return await (_changed if arguments.action == "changed" else _accept)(store, arguments)


async def _changed(store: "Store", arguments: argparse.Namespace) -> int:
    from hector.store.mcp_pins import digest_of  # noqa: PLC0415 - loaded with the store

    found = await store.mcp_pins.changed(arguments.app, arguments.server, arguments.tool)
    groups = [(place, tuple(some)) for place, some in groupby(found, lambda one: (one.app, one.server))]
    if arguments.json:
        facts = [_facts(one) for one in found]
        together = [{"app": app, "server": server, "digest": digest_of(some)} for (app, server), some in groups]
        print(as_json({"changed": facts, "servers": together}))
    elif not found:
        print("no MCP server has changed a tool since it was accepted")
    else:
        for (app, server), some in groups:
            print("\n".join(_shown(app, server, some, whole=arguments.tool is not None)))
    return 0


def _facts(one: "Changed") -> dict[str, str]:
    place = {"app": one.app, "server": one.server, "tool": one.tool, "at": iso(one.at)}
    return {**place, "digest": one.digest, "before": one.before, "now": one.now}


def _shown(app: str, server: str, some: Sequence["Changed"], *, whole: bool) -> Iterator[str]:
    """The lines about one server: what each tool said and says, and how that is accepted."""
    from hector.store.mcp_pins import digest_of  # noqa: PLC0415 - loaded with the store

    own = "" if app == DEFAULT_APP else f" --app {quote(app)}"
    for one in some:
        yield f"{app}  {server}  {spelt(one.tool)}  {moment(one.at)}"
        lines = [f"  {spelt(line)}" for line in difference(one.before, one.now)]
        yield from lines if whole or len(lines) <= _LINES else lines[:_LINES]
        if not whole and len(lines) > _LINES:
            yield f"  ({len(lines) - _LINES} lines more: hector mcp changed {quote(server)} {quote(one.tool)}{own})"
        if one.tool.isprintable():
            yield f"accept it: hector mcp accept {quote(server)} {quote(one.tool)} --digest {one.digest}{own}\n"
    if len(some) > 1:
        yield f"accept these {len(some)}: hector mcp accept {quote(server)} --digest {digest_of(some)}{own}\n"


def difference(before: str, now: str) -> list[str]:
    """What was said and is not, what is said now and was not, and the lines around it."""
    if not before:
        return ["(what was accepted was not kept; this is what is said now)", *now.split("\n")]
    lines = list(unified_diff(before.split("\n"), now.split("\n"), "accepted", "now", lineterm=""))
    return lines or ["(they differ only in what is too long to be kept)"]


async def _accept(store: "Store", arguments: argparse.Namespace) -> int:
    app, server = arguments.app or DEFAULT_APP, arguments.server
    aside = store.audit.aside(entry("mcp.accept", f"mcp:{server}/{arguments.tool or '*'}", app))
    count = await store.mcp_pins.accept(app, server, arguments.tool, arguments.digest, aside)
    said = f"{count} tool{'s' * (count != 1)} of {server} accepted" if count else "nothing had changed"
    print(as_json({"accepted": count}) if arguments.json else said)
    return 0 if count else 1


async def _serve(arguments: argparse.Namespace) -> int:
    """Until standard input ends. What is logged goes to standard error; the protocol has standard output."""
    from hector.cli.instance import Instance  # noqa: PLC0415 - loaded on first use
    from hector.cli.mcp_stdio import talk  # noqa: PLC0415
    from hector.config.environment import Environment  # noqa: PLC0415
    from hector.config.load import load_config  # noqa: PLC0415
    from hector.config.startup import config_path, merge  # noqa: PLC0415
    from hector.observe.log import set_up  # noqa: PLC0415
    from hector.tools.catalog import Catalog  # noqa: PLC0415
    from hector.web.mcp_door import Door  # noqa: PLC0415

    environment = Environment()
    path = config_path(arguments.config, environment)
    if path is None:
        raise StartupError("there is no configuration\nName one with --config, or make one with: hector init")
    catalog = Catalog(arguments.registered_tools)
    loaded = load_config(path, environment, handlers=catalog)
    if loaded.config.mcp_server is None:
        raise StartupError(f"{path} has no block mcp_server\nSay there which agents are offered: mcp_server: {{}}")
    startup = merge(arguments, environment, loaded.config, path)
    set_up(startup.log_level)
    settings = loaded.config.server.with_changes(egress=startup.egress)
    async with Instance.open(startup.database, environment, catalog, loaded, settings) as instance:
        await talk(Door(instance.apps, instance.tasks), settings.max_body_bytes)
        await instance.tasks.drain(0.0)
    return 0
