"""`hector status`: who serves, what waits, what is stuck, how large the database is and what it would drop."""

import argparse
import asyncio
from typing import Any, Final

from hector.cli.layout import Style, as_json
from hector.config.flags import add_place_arguments

_LONG: Final = "1h"


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "status",
        help="show processes, queue, stuck runs and the database",
        description="Show who serves from a database, what waits in it, what is stuck, and how large it is.",
    )
    add_place_arguments(parser)
    parser.add_argument(
        "--stuck-after", metavar="TIME", default=_LONG, help=f"runs that take longer are listed ({_LONG})"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0, also when something is wrong in what it shows. Raises ConfigError, StartupError and StoreError."""
    from hector.cli.place import find_place, time_span  # noqa: PLC0415 - loaded on first use
    from hector.cli.status_json import facts  # noqa: PLC0415
    from hector.cli.status_page import page  # noqa: PLC0415
    from hector.cli.status_report import gather  # noqa: PLC0415

    long = time_span("--stuck-after", arguments.stuck_after)
    report = asyncio.run(gather(find_place(arguments), long))
    print(as_json(facts(report)) if arguments.json else "\n".join(page(report, Style())))
    return 0
