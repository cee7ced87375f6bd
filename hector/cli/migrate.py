"""`hector migrate`: bring a database to this version's schema before a server does it, or say what is missing."""

import argparse
import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hector.cli.layout import Style, as_json, columns, count, moment
from hector.config.flags import add_place_arguments
from hector.core.clock import iso
from hector.core.errors import StartupError
from hector.version import __version__

if TYPE_CHECKING:
    from hector.store.migrations import Step


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "migrate",
        help="apply the migrations that a database lacks",
        description="Apply the migrations that a database lacks. `hector serve` does the same when it starts.",
    )
    looking = parser.add_mutually_exclusive_group()
    looking.add_argument("--check", action="store_true", help="apply nothing; exit code 1 if something is missing")
    looking.add_argument("--status", action="store_true", help="apply nothing; only list what is applied and missing")
    add_place_arguments(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0; 1 with --check if something is missing. Raises ConfigError, StartupError and StoreError."""
    from hector.cli.place import find_place  # noqa: PLC0415 - loaded on first use

    looking = arguments.check or arguments.status
    dsn = find_place(arguments).dsn
    found, applied = asyncio.run(_look(dsn) if looking else _migrate(dsn))
    missing = [step for step in found if step.hector is None]
    if arguments.json:
        names = [step.name for step in applied]
        print(as_json({"version": __version__, "applied": names, "migrations": [facts(step) for step in found]}))
    else:
        said = _missing(missing) if looking else f"applied {count(len(applied), 'migration')}"
        print("\n".join([*table(found, Style()), "", said]))
    return 1 if arguments.check and missing else 0


def _missing(missing: "Sequence[Step]") -> str:
    if not missing:
        return "nothing is missing"
    return f"{count(len(missing), 'migration')} missing: run `hector migrate`, or start `hector serve`"


async def _look(dsn: str) -> "tuple[list[Step], list[Step]]":
    """All migrations; none was applied."""
    from hector.store import migrations  # noqa: PLC0415
    from hector.store.opening import connect  # noqa: PLC0415

    try:
        database = await connect(dsn, visitor=True)
    except migrations.EmptyDatabaseError:  # it is there, and lacks all of them
        return migrations.missing_steps(migrations.known("postgres")), []
    known, place = migrations.known(database.dialect), database.dsn.partition("://")[2]
    try:
        return await database.read(lambda con: migrations.steps(con, known, place)), []
    finally:
        await database.aclose()


async def _migrate(dsn: str) -> "tuple[list[Step], list[Step]]":
    """All migrations, and those of them that were missing before."""
    from hector.store.opening import connect  # noqa: PLC0415

    try:
        before, _ = await _look(dsn)
    except StartupError:  # there is nothing yet; if something else is wrong, it is wrong for the next one, too
        before = []
    database = await connect(dsn)
    await database.aclose()
    after, _ = await _look(dsn)
    there = {step.number for step in before if step.hector is not None}
    return after, [step for step in after if step.number not in there]


def table(found: "Sequence[Step]", style: Style) -> list[str]:
    """A line per migration."""
    rows = [
        (str(step.number), step.name, style("missing", "warn"), "")
        if step.at is None
        else (str(step.number), step.name, style(moment(step.at / 1000), "good"), f"Hector {step.hector}")
        for step in found
    ]
    lines = columns([("NUMBER", "NAME", "APPLIED", "BY"), *rows], right=(0,))
    return [style(lines[0], "dim"), *lines[1:]]


def facts(step: "Step") -> dict[str, Any]:
    """As JSON."""
    at = None if step.at is None else iso(step.at / 1000)
    return {"number": step.number, "name": step.name, "applied": at, "hector": step.hector}
