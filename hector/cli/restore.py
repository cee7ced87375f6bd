"""`hector restore`: a database from a backup, on either engine; or only the question whether the backup is whole."""

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hector.cli.layout import as_json, columns, count, moment, size
from hector.config.flags import add_place_arguments
from hector.core.clock import SystemClock, iso

if TYPE_CHECKING:
    from hector.store.archive import Archive, Manifest
    from hector.store.restore import Restored


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "restore",
        help="fill a database from a backup, or check the backup",
        description="Fill an empty database, SQLite or PostgreSQL, from a backup of either; no server may be using it.",
    )
    parser.add_argument("file", metavar="FILE", help="what `hector backup` wrote")
    parser.add_argument("--verify", action="store_true", help="only read FILE and check every digest; write nothing")
    parser.add_argument("--replace", action="store_true", help="replace a database that is not empty")
    add_place_arguments(parser)
    parser.add_argument("--json", action="store_true", help="say what was done as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0. Raises ConfigError, StartupError and StoreError; the database is then as it was."""
    from hector.store.archive import Archive  # noqa: PLC0415 - loaded on first use

    with Archive(Path(arguments.file)) as archive:
        return _verify(archive, arguments) if arguments.verify else _restore(archive, arguments)


def _verify(archive: "Archive", arguments: argparse.Namespace) -> int:
    from hector.cli.progress import Progress  # noqa: PLC0415

    with Progress("verifying") as progress:
        progress.begin("verifying", archive.manifest.rows, "rows")
        archive.verify(progress.advance)
    if arguments.json:
        print(as_json({"file": str(archive.path), "whole": True, "bytes": archive.size, **archive.manifest.as_json()}))
    else:
        print("\n".join([f"{archive.path} is whole: every digest and every count is right", *portrait(archive)]))
    return 0


def _restore(archive: "Archive", arguments: argparse.Namespace) -> int:
    from hector.cli.place import find_place  # noqa: PLC0415
    from hector.cli.progress import Progress  # noqa: PLC0415
    from hector.config.translate import hide_userinfo  # noqa: PLC0415
    from hector.store.restore import restore  # noqa: PLC0415

    dsn = find_place(arguments).dsn
    with Progress("restoring") as progress:
        done = asyncio.run(restore(dsn, archive, SystemClock(), progress, replace=arguments.replace))
    print(as_json(facts(hide_userinfo(dsn), done)) if arguments.json else _said(hide_userinfo(dsn), done))
    return 0


def facts(place: str, done: "Restored") -> dict[str, Any]:
    """What was done, as JSON."""
    manifest = done.manifest
    return {
        "database": place,
        "backup_created": iso(manifest.created),
        "rows": manifest.rows,
        "tables": {member.table: member.rows for member in manifest.members},
        "former_database": done.former or None,
        "migrations_applied": done.migrated,
    }


def _said(place: str, done: "Restored") -> str:
    manifest = done.manifest
    lines = [
        f"{place} holds the backup of {moment(manifest.created)}: {count(manifest.rows, 'row')} in "
        f"{count(len(manifest.members), 'table')}, each read back and compared"
    ]
    if done.migrated:
        lines.append(f"{count(done.migrated, 'migration')} brought it from schema {manifest.schema} up to date")
    if done.former:
        lines.append(f"the database that was there is now {done.former}: delete it when you are sure")
    return "\n".join(lines)


def portrait(archive: "Archive") -> list[str]:
    """What the backup is, for people."""
    manifest: Manifest = archive.manifest
    pairs = [
        ("made", f"{moment(manifest.created)} by Hector {manifest.hector} from {manifest.engine}"),
        ("schema", str(manifest.schema)),
        ("size", size(archive.size)),
        ("rows", f"{manifest.rows:,}"),
    ]
    tables = [
        (f"  {member.table}", f"{member.rows:,}", size(member.size)) for member in manifest.members if member.rows
    ]
    return [*columns(pairs), *(columns(tables, right=(1, 2)) if tables else [])]
