"""`hector backup`: everything that a database holds, in one file, while servers work with it."""

import argparse
import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hector.cli.layout import as_json, count, size
from hector.config.flags import add_place_arguments
from hector.core.clock import SystemClock
from hector.core.errors import StartupError

if TYPE_CHECKING:
    from hector.cli.place import Place
    from hector.store.backup import Saved


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "backup",
        help="write everything that is stored into one file",
        description="Write all sessions, tasks, artifacts and jobs into one file; servers may go on working meanwhile.",
    )
    parser.add_argument("file", metavar="FILE", help="where to; only its owner may read it")
    parser.add_argument("--replace", action="store_true", help="replace FILE if it is there")
    add_place_arguments(parser)
    parser.add_argument("--json", action="store_true", help="say what was written as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0. Raises ConfigError, StartupError and StoreError; FILE is then as it was."""
    from hector.cli.place import find_place  # noqa: PLC0415 - loaded on first use

    path = Path(arguments.file)
    folder = os.path.isdir(path)
    if folder or (os.path.exists(path) and not arguments.replace):
        what = "is a folder\nName a file in it" if folder else "is there already\nName another, or add --replace"
        raise StartupError(f"backup {path}: it {what}")
    saved = asyncio.run(_save(find_place(arguments), path))
    tables = {member.table: member.rows for member in saved.manifest.members}
    if arguments.json:
        print(as_json({"file": str(path), "bytes": saved.size, "schema": saved.manifest.schema, "tables": tables}))
    else:
        rows = f"{count(saved.manifest.rows, 'row')} in {count(len(tables), 'table')}"
        print(f"{path}: {size(saved.size)}, {rows}\ncheck it: hector restore {path} --verify")
    return 0


async def _save(place: "Place", path: Path) -> "Saved":
    from hector.cli.place import visit  # noqa: PLC0415
    from hector.cli.progress import Progress  # noqa: PLC0415
    from hector.store.backup import save  # noqa: PLC0415

    async with visit(place) as store:
        with Progress("backing up") as progress:
            return await save(store.database, path, SystemClock(), progress)
