"""Run pytest. What fails is run once more by itself, so that a machine that stood still is told from a defect.

A few failures that pass when nothing runs beside them are named as unsteady and do not fail the run; each is a defect
of its test, or of the product, that is to be looked into. More than a few are no accident and are not tried again.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

MOST: Final = 5
"""Failures of one run that may be accidents."""
FAILED: Final = 1
"""What pytest ends with when tests have failed."""


def main(arguments: list[str]) -> int:
    """The exit code of pytest: that of the second runs, if there are any."""
    with tempfile.TemporaryDirectory() as cache:
        code = _pytest(*arguments, "-o", f"cache_dir={cache}")
        failed = _failed(Path(cache))
    if code != FAILED or not 0 < len(failed) <= MOST:
        return code
    print(f"\n{len(failed)} failed; once more, each by itself", flush=True)
    code = max(_pytest(one, "-n", "0", "-m", "") for one in failed)  # what one leaves behind may fail the next
    if not code:
        print("\nunsteady, to be looked into:", *failed, sep="\n  ", flush=True)
    return code


def _pytest(*arguments: str) -> int:
    return subprocess.run((sys.executable, "-m", "pytest", *arguments), check=False).returncode


def _failed(cache: Path) -> list[str]:
    """The tests that the run with this cache says have failed."""
    found = cache / "v" / "cache" / "lastfailed"
    return list(json.loads(found.read_text(encoding="utf-8"))) if found.is_file() else []


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
