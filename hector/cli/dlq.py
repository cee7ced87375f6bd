"""`hector dlq`: work that was given up, looked at, given another round, or dropped."""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from hector.cli.layout import Style, as_json, columns, count, listing, moment, plain, shorten, span
from hector.cli.servers import servers, who_goes_on
from hector.config.flags import add_place_arguments
from hector.core.clock import SystemClock, iso
from hector.core.errors import InvalidRequest, NotFound, StartupError
from hector.observe.redact import redact

if TYPE_CHECKING:
    from hector.cli.place import Place
    from hector.store import Store
    from hector.store.database import Work
    from hector.store.job_rows import JobRecord

_PAGE: Final = 50


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "dlq",
        help="look at work that was given up, and try it again",
        description="Look at dead letters, work that was given up after its last attempt; try it again, or drop it.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    _add_list(actions.add_parser("list", help="show them, the newest first"))
    show = actions.add_parser("show", help="show one in full, with the causes of all attempts")
    show.add_argument("keys", nargs=1, metavar="KEY", type=_key, help="as `list` shows it")
    _add_change(actions.add_parser("requeue", help="give them one new round of attempts"))
    drop = actions.add_parser("drop", help="give them up for good; their tasks stay failed")
    _add_change(drop)
    drop.add_argument("-y", "--yes", action="store_true", help="do not ask")
    for action in actions.choices.values():
        _add_common(action)


def _add_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", metavar="N", type=int, default=_PAGE, help=f"how many at most ({_PAGE})")
    parser.add_argument("--before", metavar="KEY", type=_key, help="go on behind this one, the last of an earlier page")


def _add_change(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("keys", nargs="*", metavar="KEY", type=_key, help="as `list` shows it")
    parser.add_argument("--all", action="store_true", help="all of them")


def _key(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"this is no key: {text!r}; `hector dlq list` shows them")
    return int(text)


def _add_common(parser: argparse.ArgumentParser) -> None:
    add_place_arguments(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0; 1 if a KEY is no dead letter. Raises ConfigError, StartupError and StoreError."""
    from hector.cli.place import find_place  # noqa: PLC0415 - loaded on first use

    _check(arguments)
    return asyncio.run(_run(arguments, find_place(arguments)))


def _check(arguments: argparse.Namespace) -> None:
    """Raises StartupError for flags that do not go together."""
    if arguments.action in ("requeue", "drop") and bool(arguments.keys) == arguments.all:
        raise StartupError(
            f"dlq {arguments.action}: name KEYs, or give --all, and not both\n`hector dlq list` shows the keys"
        )
    if arguments.action == "list" and arguments.limit < 1:
        raise StartupError("--limit must be at least 1")


async def _run(arguments: argparse.Namespace, place: "Place") -> int:
    from hector.cli.place import visit  # noqa: PLC0415

    async with visit(place) as store:
        if arguments.action == "list":
            return await _list(store, arguments, Style())
        if arguments.action == "show":
            return await _show(store, arguments, Style())
        return await _change(store, arguments, place)


async def _list(store: "Store", arguments: argparse.Namespace, style: "Style") -> int:
    found = await store.queue.dead(before=arguments.before, limit=arguments.limit + 1)
    page, more = found[: arguments.limit], len(found) > arguments.limit
    if arguments.json:
        print(as_json({"dead_letters": [facts(job) for job in page], "next": page[-1].key if more else None}))
    else:
        print("\n".join(table(page, SystemClock().now(), style)))
        if more:
            print(style(f"\nmore: hector dlq list --before {page[-1].key}", "dim"))
    return 0


async def _show(store: "Store", arguments: argparse.Namespace, style: "Style") -> int:
    job = await store.jobs.get(arguments.keys[0])
    print(as_json(facts(job)) if arguments.json else "\n".join(portrait(job, style)))
    return 0


async def _change(store: "Store", arguments: argparse.Namespace, place: "Place") -> int:
    """Requeue or drop, one transaction each; a KEY that is none is reported and does not stop the rest."""
    change, word = (store.queue.requeue, "requeued") if arguments.action == "requeue" else (store.queue.drop, "dropped")
    keys = [key async for key in _all_keys(store)] if arguments.all else list(dict.fromkeys(arguments.keys))
    if arguments.action == "drop" and keys and not arguments.yes and not _agreed(len(keys)):
        print("nothing was dropped", file=sys.stderr)
        return 1
    done, errors = await _each(lambda key: change(key, _noted(store, arguments.action, key)), keys, word)
    if arguments.json:
        told: dict[str, Any] = {word: done, "errors": errors}
        if arguments.action == "requeue":
            told["servers"] = await servers(store, place)
        print(as_json(told))
    else:
        for key, error in errors.items():
            print(f"hector: {key}: {error}", file=sys.stderr)
        print(f"{word} {count(len(done), 'dead letter')}")
        if arguments.action == "requeue" and done:
            print(await who_goes_on(store, place))
    return 1 if errors else 0


def _noted(store: "Store", action: str, key: int) -> "Work[None]":
    """What the audit log is told in the transaction of the change."""
    from hector.cli.byhand import entry  # noqa: PLC0415 - loaded on first use

    return store.audit.aside(entry(f"dead_letter.{action}", f"job:{key}"))


async def _each(
    change: Callable[[int], Awaitable[None]], keys: Sequence[int], word: str
) -> tuple[list[int], dict[int, str]]:
    from hector.cli.progress import Progress  # noqa: PLC0415

    done: list[int] = []
    errors: dict[int, str] = {}
    with Progress(word) as progress:
        progress.begin(word, len(keys), "dead letters")
        for key in keys:
            try:
                await change(key)
                done.append(key)
            except (NotFound, InvalidRequest) as error:
                errors[key] = str(error)
            progress.advance()
    return done, errors


async def _all_keys(store: "Store") -> AsyncIterator[int]:
    before = None
    while page := await store.queue.dead(before=before, limit=200):
        for job in page:
            yield job.key
        before = page[-1].key


def _agreed(number: int) -> bool:
    if not sys.stdin.isatty():
        raise StartupError("dlq drop asks before it drops, and there is nobody to ask\nAdd --yes")
    answer = input(f"Drop {count(number, 'dead letter')} for good? Their tasks stay failed. [y/N] ")
    return answer.strip().lower() in {"y", "yes"}


def table(jobs: "Sequence[JobRecord]", now: float, style: "Style", indent: int = 0) -> list[str]:
    """A line per dead letter, or two where the terminal is narrow."""
    if not jobs:
        return ["there are no dead letters"]
    rows = [("KEY", "KIND", "AGE", "ATTEMPTS", "SUBJECT", "CAUSE")]
    for job in jobs:
        age = span(now - (job.ended or job.created))
        rows.append((str(job.key), job.kind, age, str(job.attempts), shorten(job.subject, 36), redact(job.cause)))
    titles, *shown = listing(rows, right=(0, 3), indent=indent)
    return [*(style(line, "dim") for line in titles), *chain.from_iterable(shown)]


def portrait(job: "JobRecord", style: "Style") -> list[str]:
    """Everything about one."""
    ended = moment(job.ended) if job.ended is not None else "-"
    pairs = [
        ("key", str(job.key)),
        ("state", style(job.state, "bad" if job.state == "dead" else "warn")),
        ("kind", job.kind),
        ("task" if job.kind == "run" else "subject", plain(job.subject)),
        ("app, user", plain(f"{job.caller.app}, {job.caller.user}")),
        ("accepted", moment(job.created)),
        ("given up", ended),
        ("attempts", f"{job.attempts} of {job.max_attempts}"),
        ("cause", plain(redact(job.cause)) or "-"),
    ]
    lines = columns([(style(name, "dim"), value) for name, value in pairs])
    if job.history:
        rows = [
            (str(one.number), moment(one.at), plain(one.owner) or "-", plain(redact(one.cause))) for one in job.history
        ]
        lines += ["", *columns([("ATTEMPT", "ENDED", "PROCESS", "CAUSE"), *rows], right=(0,))]
    return lines


def facts(job: "JobRecord") -> dict[str, Any]:
    """As JSON; secrets hidden, the payload, too."""
    from hector.config.masking import masked  # noqa: PLC0415

    return {
        "key": job.key,
        "kind": job.kind,
        "state": str(job.state),
        "app": job.caller.app,
        "user": job.caller.user,
        "subject": job.subject,
        "attempts": job.attempts,
        "max_attempts": job.max_attempts,
        "created": iso(job.created),
        "ended": None if job.ended is None else iso(job.ended),
        "cause": job.cause,
        "history": [
            {"number": one.number, "at": iso(one.at), "owner": one.owner, "cause": one.cause} for one in job.history
        ],
        "payload": masked(job.payload),
    }
