"""`hector approve`: decide about calls that wait for a person, also while the server runs."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from hector.cli.byhand import user
from hector.cli.layout import Style, as_json, count, listing, plain, span
from hector.cli.servers import servers, who_goes_on
from hector.config.flags import add_place_arguments
from hector.core.clock import SystemClock
from hector.core.errors import RequestError, StartupError
from hector.observe.redact import redact

if TYPE_CHECKING:
    from hector.cli.place import Place
    from hector.store import Store
    from hector.store.approvals import Approval

_PAGE = 100


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "approve",
        help="decide about calls that wait for approval",
        description="Without a TASK: list the calls that wait for approval, or were decided (--decided). With one: "
        "approve its calls, or deny them. "
        "The server that runs the task goes on by itself.",
        allow_abbrev=False,
    )
    parser.add_argument("task", nargs="?", metavar="TASK", help="the task that waits, as the list shows it")
    parser.add_argument("--list", action="store_true", help="list what waits (of TASK only, where one is named)")
    parser.add_argument(
        "--decided",
        action="store_true",
        help="list past decisions, the newest first (of TASK only, where one is named)",
    )
    parser.add_argument("--before", metavar="KEY", type=int, help="with --decided: go on behind this one")
    parser.add_argument("--deny", action="store_true", help="deny instead of approve")
    parser.add_argument("--call", action="append", metavar="ID", help="only this call of the task; may be repeated")
    parser.add_argument(
        "--comment", metavar="TEXT", default="", help="kept with the decision; a model that is denied reads it"
    )
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask at a terminal")
    add_place_arguments(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0; 1 when nothing waits under that id, or it was decided meanwhile. Raises ConfigError and StartupError."""
    listing_only = arguments.list or arguments.decided or not arguments.task
    if (arguments.deny or arguments.call or arguments.comment) and listing_only:
        raise StartupError("approve: --deny, --call and --comment go with the TASK that is to be decided about")
    if arguments.list and arguments.decided:
        raise StartupError("approve: --list shows what waits, --decided what was decided; give one of them")
    if arguments.before is not None and not arguments.decided:
        raise StartupError("approve: --before goes with --decided")
    from hector.cli.place import find_place  # noqa: PLC0415 - loaded on first use

    return asyncio.run(_run(arguments, find_place(arguments)))


async def _run(arguments: argparse.Namespace, place: "Place") -> int:
    from hector.cli.place import visit  # noqa: PLC0415

    async with visit(place) as store:
        if arguments.decided:
            return await _decided(store, arguments)
        if arguments.list or not arguments.task:
            return await _list(store, arguments)
        return await _decide(store, arguments, place)


async def _list(store: "Store", arguments: argparse.Namespace) -> int:
    from hector.tasks.decisions import shown  # noqa: PLC0415

    found = await store.approvals.waiting(arguments.task, limit=_PAGE + 1)
    if arguments.json:
        print(as_json({"approvals": [shown(one) for one in found[:_PAGE]], "more": len(found) > _PAGE}))
        return 0
    print("\n".join(table(found[:_PAGE], SystemClock().now(), Style())))
    if len(found) > _PAGE:
        print(f"\nthere are more than {_PAGE}; decide about these first")
    return 0


async def _decided(store: "Store", arguments: argparse.Namespace) -> int:
    from hector.cli.decided import table as past  # noqa: PLC0415 - loaded on first use
    from hector.tasks.decisions import shown  # noqa: PLC0415

    before = (1 << 62) if arguments.before is None else arguments.before
    found = await store.approvals.decided(arguments.task, before=before, limit=_PAGE + 1)
    page, more = found[:_PAGE], len(found) > _PAGE
    if arguments.json:
        print(as_json({"approvals": [shown(one) for one in page], "next": page[-1].key if more else None}))
        return 0
    print("\n".join(past(page, SystemClock().now(), Style())))
    if more:
        print(f"\nmore: hector approve --decided --before {page[-1].key}")
    return 0


async def _decide(store: "Store", arguments: argparse.Namespace, place: "Place") -> int:
    from dataclasses import replace  # noqa: PLC0415

    from hector.store.approvals import ApprovalState  # noqa: PLC0415
    from hector.tasks.decisions import continuation, decide, shown  # noqa: PLC0415

    chosen = _chosen(await store.approvals.waiting(arguments.task), arguments)
    word = "denied" if arguments.deny else "approved"
    if not _agreed(chosen, arguments):
        print("nothing was decided", file=sys.stderr)
        return 1
    state = ApprovalState.DENIED if arguments.deny else ApprovalState.APPROVED
    decisions = decide(chosen, state, f"hector approve, {user()}", arguments.comment)
    offer = continuation(chosen, decisions, SystemClock().now())
    await store.tasks.accept(replace(offer, max_attempts=place.config.server.queue.max_retries + 1))
    if arguments.json:
        print(as_json({word: [shown(one) for one in chosen], "servers": await servers(store, place)}))
    else:
        print("\n".join(f"{word} {one.tool} {plain(redact(_text(one)))}" for one in chosen))
        print(await who_goes_on(store, place))
    return 0


def _chosen(waiting: "Sequence[Approval]", arguments: argparse.Namespace) -> "Sequence[Approval]":
    """The calls that are meant. Raises RequestError."""
    if not waiting:
        raise RequestError(
            f"no call of task {arguments.task!r} waits for approval: decided meanwhile, or there is no such task\n"
            "`hector approve` lists what waits"
        )
    if not arguments.call:
        return waiting
    known = {found.call_id: found for found in waiting}
    unknown = [name for name in arguments.call if name not in known]
    if unknown:
        raise RequestError(f"task {arguments.task} waits for no call {unknown[0]!r}; it waits for: {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(arguments.call)]


def _agreed(chosen: "Sequence[Approval]", arguments: argparse.Namespace) -> bool:
    """Ask, where there is somebody to ask."""
    if arguments.yes or arguments.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return True
    for one in chosen:
        print(f"{plain(redact(one.prompt))}\n  {one.tool} {plain(redact(_text(one)))}")
    verb = "Deny" if arguments.deny else "Approve"
    return input(f"{verb} {count(len(chosen), 'call')}? [y/N] ").strip().lower() in {"y", "yes"}


def _text(one: "Approval") -> str:
    from hector.agents.approval import legible  # noqa: PLC0415 - loaded on first use

    return legible(one.args)


def table(approvals: "Sequence[Approval]", now: float, style: "Style") -> list[str]:
    """A line per call, or two where the terminal is narrow."""
    if not approvals:
        return ["nothing waits for approval"]
    rows = [("TASK", "CALL", "AGENT", "WAITS", "EXPIRES", "TOOL AND ARGUMENTS")]
    for one in approvals:
        left = "never" if one.expires is None else f"in {span(max(one.expires - now, 0))}"
        ids = (plain(one.task_id), plain(one.call_id), one.asker)
        rows.append((*ids, span(now - one.created), left, f"{one.tool} {redact(_text(one))}"))
    titles, *shown = listing(rows)
    return [*(style(line, "dim") for line in titles), *chain.from_iterable(shown)]
