"""`hector retention`: what goes because nobody has used it for long; servers remove the same by themselves."""

import argparse
import asyncio
from typing import TYPE_CHECKING, Any

from hector.cli.layout import Style, as_json, columns, span
from hector.config.flags import add_place_arguments
from hector.core.clock import SystemClock
from hector.core.errors import StartupError

if TYPE_CHECKING:
    from hector.cli.place import Place
    from hector.config.retention import Retention as Settings
    from hector.store.retention import Removal


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "retention",
        help="remove what nobody has used for long, or say what that is",
        description="Remove now what `storage.retention` lets go. Servers do it by themselves, once an hour.",
    )
    parser.add_argument("--dry-run", action="store_true", help="remove nothing; say what would go")
    parser.add_argument(
        "-y", "--yes", action="store_true", help="remove by the defaults where there is no configuration"
    )
    add_place_arguments(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0. Raises ConfigError, StartupError and StoreError."""
    from hector.cli.place import find_place  # noqa: PLC0415 - loaded on first use

    place = find_place(arguments)
    settings = place.config.storage.retention
    if place.path is None and not (arguments.yes or arguments.dry_run):
        raise StartupError(
            f"retention: there is no configuration, so that the defaults would count: {_defaults(settings)}\n"
            "Give --config with the servers' configuration, or --yes to go by the defaults; --dry-run shows what goes"
        )
    gone = asyncio.run(_carry_out(place, arguments.dry_run))
    if arguments.json:
        print(as_json({"dry_run": arguments.dry_run, "settings": settings.model_dump(), "removed": gone.as_json()}))
    else:
        print("\n".join(page(settings, gone, "would go" if arguments.dry_run else "removed", Style())))
    return 0


async def _carry_out(place: "Place", dry: bool) -> "Removal":
    from hector.cli.place import visit  # noqa: PLC0415
    from hector.cli.progress import Progress  # noqa: PLC0415
    from hector.store.retention import Policy, Retention  # noqa: PLC0415

    kept = place.config.storage.retention
    async with visit(place) as store:
        policy = Policy(kept.sessions, kept.jobs, kept.dead_letters)
        retention = Retention(store.database, SystemClock(), policy)
        due = await retention.due()
        if dry:
            return due
        with Progress("removing") as progress:
            progress.begin("removing", due.sessions + due.jobs + due.dead_letters, "entries")
            return await retention.sweep(progress.advance)


def page(settings: "Settings", gone: "Removal", word: str, style: Style) -> list[str]:
    """A line per kind."""
    rows = [
        (
            "sessions",
            _rule(settings.sessions, "last used"),
            f"{gone.sessions:,}",
            f"{word}, with {gone.events:,} events",
        ),
        ("jobs", _rule(settings.jobs, "ended"), f"{gone.jobs:,}", word),
        ("dead letters", _rule(settings.dead_letters, "given up"), f"{gone.dead_letters:,}", word),
    ]
    return columns([(name, style(rule, "dim"), number, said) for name, rule, number, said in rows], right=(2,))


def _defaults(settings: "Settings") -> str:
    kinds = (
        ("sessions", settings.sessions),
        ("jobs", settings.jobs),
        ("dead letters", settings.dead_letters),
    )
    return ", ".join(f"{name} {span(seconds) if seconds else 'for ever'}" for name, seconds in kinds)


def _rule(seconds: float, since: str) -> str:
    return f"{since} more than {span(seconds)} ago" if seconds else "kept for ever"
