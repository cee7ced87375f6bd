"""`python -m tests.chaos`: run every scenario, print the table, write it as JSON; exit code 1 if anything is wrong."""

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.catalog import ENTRIES, Entry
from tests.chaos.engines import engines
from tests.chaos.report import Cell, table


async def run(entries: Sequence[Entry], folder: Path) -> list[Cell]:
    """One after the other, each told of as it ends."""
    cells = []
    with engines() as made:
        for number, entry in enumerate(entries, 1):
            cell = await entry.perform(made, folder / entry.id.replace("/", "-").replace(":", "-").replace(" ", "-"))
            cells.append(cell)
            verdict = "skipped" if cell.skipped else "ok" if cell.good else f"FAILED: {cell.findings[0]}"
            print(
                f"[{number}/{len(entries)}] {entry.id}: {verdict} ({cell.seconds:.1f} s)", file=sys.stderr, flush=True
            )
    return cells


def main() -> int:
    """Parse, run, report."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("words", nargs="*", help="only scenarios whose id holds one of these, as in crash: or /sqlite/")
    parser.add_argument("--json", type=Path, help="write the report here")
    parser.add_argument("--keep", type=Path, help="leave logs and databases in this folder")
    parser.add_argument("--list", action="store_true", help="only list the scenarios")
    given = parser.parse_args()
    entries = [entry for entry in ENTRIES if not given.words or any(word in entry.id for word in given.words)]
    if not entries:
        parser.error(f"no scenario is called anything like {' or '.join(given.words)}; --list shows them")
    if given.list:
        print("\n".join(entry.id for entry in entries))
        return 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hector-chaos-") as folder:
        place = given.keep / f"{datetime.now(UTC):%H%M%S}" if given.keep else Path(folder)
        os.chmod(folder, 0o755)
        place.mkdir(parents=True, exist_ok=True)
        cells = asyncio.run(run(entries, place))
    conditions = (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}; {time.monotonic() - began:.0f} s"
    )
    print(f"{conditions}\n\n{table(cells)}")
    if given.json:
        report = {"conditions": conditions, "cells": [cell.as_json() for cell in cells]}
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    return 0 if all(cell.good for cell in cells) else 1


if __name__ == "__main__":
    sys.exit(main())
