"""Which command runs, and what its errors look like: one line on standard error, never a traceback."""

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from hector import __version__
from hector.cli.lean import hurry
from hector.core.errors import ConfigError, HectorError, StartupError, StoreError

COMMANDS: Final = (
    "serve", "chat", "validate", "init", "info", "schema",
    "approve", "status", "dlq", "backup", "restore", "migrate", "retention",
)  # fmt: skip


def run(argv: Sequence[str], tools: Sequence[Callable[..., Any]] = ()) -> int:
    """Parse, run, report. Usage errors and a wrong configuration give 2, failures give 1."""
    hurry()
    arguments = _parser(argv).parse_args(argv)
    arguments.registered_tools = tuple(tools)
    try:
        code: int = arguments.run(arguments)
    except (ConfigError, StartupError, StoreError) as error:
        return _complain(error, 2)
    except HectorError as error:
        return _complain(error, 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    return code


def _complain(error: HectorError, code: int) -> int:
    print(f"hector: {error}", file=sys.stderr)
    return code


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """All commands by name; only the one that is asked for brings its arguments."""
    parser = argparse.ArgumentParser(
        prog="hector", description="AI agent runtime: one executable, one YAML file.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"hector {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    wanted = next((word for word in argv if not word.startswith("-")), None)
    for name in COMMANDS if wanted not in COMMANDS else (wanted,):
        module = importlib.import_module(f"hector.cli.{name}")
        module.add_parser(commands)
    if wanted not in COMMANDS:
        commands.add_parser("version", help="print the version").set_defaults(run=_version)
    return parser


def _version(arguments: argparse.Namespace) -> int:
    print(f"hector {__version__}")
    return 0
