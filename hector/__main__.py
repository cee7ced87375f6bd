"""The command `hector`."""

from __future__ import annotations

import gc
import sys
from importlib import import_module

from hector.version import __version__

TYPE_CHECKING = False  # importing typing would cost `hector version` a quarter of its time
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


BOXED = {
    "boxed-command": "hector.tools.boxed.launcher",
    "boxed-reader": "hector.tools.web_reader",
    "boxed-extractor": "hector.rag.extract.process",
    "boxed-embedder": "hector.rag.embedders.worker",
}
"""The small programs that the server starts for work that it keeps apart from itself, and their modules."""


def main(argv: Sequence[str] | None = None, *, tools: Sequence[Callable[..., Any]] = ()) -> int:
    """Run one command and return its exit code. `tools` are functions that configurations may name as handlers.

    0: done; 1: it ran and failed; 2: the input, the configuration or the surroundings are wrong.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments in (["version"], ["--version"]):
        sys.stdout.write(f"hector {__version__}\n")
        return 0
    if arguments and arguments[0] in BOXED:
        import_module(BOXED[arguments[0]]).main()
        return 0
    gc.disable()  # nothing that is loaded from here on is garbage; `run` goes on from there
    from hector.cli.main import run  # noqa: PLC0415 - `version` answers without loading anything

    return run(arguments, tools)


if __name__ == "__main__":
    sys.exit(main())
