"""`hector audit`: is the audit log whole, what stands in it, and all of it as lines of JSON."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from hector.cli.layout import Style, as_json, count, listing, moment, plain
from hector.config.flags import add_place_arguments
from hector.core.clock import SystemClock, iso
from hector.core.errors import StartupError

if TYPE_CHECKING:
    from hector.cli.place import Place
    from hector.store import Store
    from hector.store.audit import Chained
    from hector.store.audit_proof import Anchor, Verdict

_PAGE = 50


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "audit",
        help="verify, list or export the audit log",
        description="The audit log: who did what to which object. Each row carries a hash of itself and of the row "
        "before it, so that none changes unseen.",
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    _add_verify(actions.add_parser("verify", help="read the whole chain; 1 if it does not hold, with the first flaw"))
    _add_list(actions.add_parser("list", help="show entries, the newest first"))
    export = actions.add_parser("export", help="write the chain as lines of JSON, the oldest first")
    export.add_argument("-o", "--output", metavar="FILE", help="a new file instead of standard output")
    export.add_argument("--after", metavar="SEQ", type=int, default=0, help="only rows behind this one")
    for action in actions.choices.values():
        add_place_arguments(action)
        action.set_defaults(run=run)


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--anchor",
        action="append",
        default=[],
        metavar="SEQ:HASH",
        help="a row and its hash as noted earlier: shows a chain made anew, or one whose end was cut off",
    )
    parser.add_argument(
        "--anchors", metavar="FILE", help="a file with such lines; a log of the server or an export will do"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def _add_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", metavar="N", type=int, default=_PAGE, help=f"how many at most ({_PAGE})")
    for name, what in (
        ("app", "about this app"),
        ("action", "with this action, such as session.delete"),
        ("actor", "of this actor"),
        ("object", "about this object, such as task:ID"),
        ("outcome", "that ended so: ok, refused, failed"),
    ):
        parser.add_argument(f"--{name}", dest=f"only_{name}", metavar=name.upper(), help=f"only those {what}")
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(arguments: argparse.Namespace) -> int:
    """0; 1 when the chain does not hold. Raises ConfigError, StartupError and StoreError."""
    from hector.cli.place import find_place  # noqa: PLC0415 - loaded on first use

    if arguments.action == "list" and arguments.limit < 1:
        raise StartupError("--limit must be at least 1")
    return asyncio.run(_run(arguments, find_place(arguments)))


async def _run(arguments: argparse.Namespace, place: "Place") -> int:
    from hector.cli.place import visit  # noqa: PLC0415

    async with visit(place) as store:
        if arguments.action == "verify":
            return await _verify(store, arguments)
        if arguments.action == "list":
            return await _list(store, arguments)
        return await _export(store, arguments)


async def _verify(store: "Store", arguments: argparse.Namespace) -> int:
    from hector.store.audit_chain import Chain  # noqa: PLC0415

    anchors = _anchors(arguments)
    verdict = await Chain(store.database, SystemClock()).verify(anchors)
    waiting = await store.audit.waiting()
    if arguments.json:
        print(as_json(_facts(verdict, len(anchors), waiting)))
    else:
        print("\n".join(_told(verdict, len(anchors), waiting, Style())))
    return 1 if verdict.flaw else 0


def _anchors(arguments: argparse.Namespace) -> "list[Anchor]":
    from hector.store.audit_proof import anchors_in  # noqa: PLC0415

    found = list(anchors_in(arguments.anchor))
    if len(found) != len(arguments.anchor):
        raise StartupError("--anchor wants SEQ:HASH, as `hector audit verify` prints it")
    if arguments.anchors:
        try:
            with Path(arguments.anchors).open(encoding="utf-8", errors="replace") as file:
                read = list(anchors_in(file))
        except OSError as error:
            raise StartupError(f"cannot read {arguments.anchors}: {error.strerror}") from None
        if not read:
            raise StartupError(f"{arguments.anchors} holds no anchor: neither SEQ:HASH nor rows of an export or log")
        found += read
    return found


def _told(verdict: "Verdict", given: int, waiting: int, style: Style) -> list[str]:
    lines = []
    if verdict.flaw:
        lines.append(style(f"the audit log does not hold: {verdict.flaw.kind}", "bad"))
        lines.append(verdict.flaw.text)
        lines.append(f"it holds up to there: {count(verdict.rows, 'row')}")
    else:
        lines.append(style(f"the audit log holds: {count(verdict.rows, 'row')}", "good"))
    if verdict.first > 1:
        lines.append(f"rows before {verdict.first} were removed by storage.retention")
    if given:
        lines.append(f"anchors: {verdict.anchors} of {given} met, {verdict.behind_cut} before the first row")
    if waiting:
        lines.append(f"not in the chain yet: {waiting}")
    lines.append(f"anchor: {verdict.head}")
    return lines


def _facts(verdict: "Verdict", given: int, waiting: int) -> dict[str, Any]:
    flaw = verdict.flaw
    return {
        "holds": flaw is None,
        "rows": verdict.rows,
        "first": verdict.first,
        "anchor": str(verdict.head),
        "flaw": None if flaw is None else {"seq": flaw.seq, "kind": flaw.kind, "text": flaw.text},
        "anchors": {"given": given, "met": verdict.anchors, "before_first": verdict.behind_cut},
        "waiting": waiting,
    }


async def _list(store: "Store", arguments: argparse.Namespace) -> int:
    from hector.store.audit import Filter  # noqa: PLC0415
    from hector.store.audit_chain import Chain  # noqa: PLC0415

    await Chain(store.database, SystemClock()).settle()
    names = ("app", "action", "actor", "object", "outcome")
    wanted = Filter(**{name: getattr(arguments, f"only_{name}") for name in names})
    found = await store.audit.page(wanted, limit=arguments.limit)
    if arguments.json:
        print(as_json({"entries": [as_row(one) for one in found]}))
    else:
        print("\n".join(table(found, Style())))
    return 0


def table(found: "Sequence[Chained]", style: Style) -> list[str]:
    """A line per entry, or two where the terminal is narrow."""
    if not found:
        return ["there are no such entries"]
    rows = [("SEQ", "AT", "ACTION", "OUTCOME", "ACTOR", "OBJECT")]
    rows += [
        (str(one.seq), moment(one.at), one.action, one.outcome, plain(one.actor), plain(one.object)) for one in found
    ]
    titles, *shown = listing(rows, right=(0,))
    return [*(style(line, "dim") for line in titles), *chain.from_iterable(shown)]


async def _export(store: "Store", arguments: argparse.Namespace) -> int:
    from hector.store.audit_chain import Chain  # noqa: PLC0415

    whole = Chain(store.database, SystemClock())
    await whole.settle()
    rows = 0
    with _output(arguments.output) as output:
        async for one, _ in whole.rows(arguments.after):
            output.write(as_line(one))
            rows += 1
    print(f"exported {count(rows, 'row')}; anchor: {await whole.head()}", file=sys.stderr)
    return 0


def _output(path: str | None) -> AbstractContextManager[TextIO]:
    """Where an export goes. Raises StartupError."""
    if path is None:
        return nullcontext(sys.stdout)
    try:
        return open(path, "x", encoding="utf-8", opener=_private)
    except OSError as error:
        raise StartupError(f"cannot write {path}: {error.strerror}") from None


def _private(path: str, flags: int) -> int:
    import os  # noqa: PLC0415 - for files only

    return os.open(path, flags, 0o600)


def as_row(one: "Chained") -> dict[str, Any]:
    """An entry as JSON. `detail` stays the text that is hashed, and `at_ms` the time as it is."""
    return {
        "seq": one.seq,
        "at": iso(one.at),
        "at_ms": round(one.at * 1000),
        "app": one.app,
        "actor": one.actor,
        "via": one.via,
        "action": one.action,
        "object": one.object,
        "outcome": one.outcome,
        "request": one.request,
        "detail": one.detail,
        "hash": one.hash,
    }


def as_line(one: "Chained") -> str:
    """One line of an export."""
    import json  # noqa: PLC0415 - loaded on first use

    return json.dumps(as_row(one), separators=(",", ":"), ensure_ascii=True) + "\n"
