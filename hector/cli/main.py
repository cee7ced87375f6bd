"""Which command runs, and what its errors look like: one line on standard error, never a traceback."""

import argparse
import gc
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, NoReturn

from hector.cli.lean import hurry
from hector.core.errors import ConfigError, HectorError, StartupError, StoreError
from hector.version import __version__

GROUPS: Final = (
    ("run agents", ("serve", "chat", "mcp", "approve")),
    ("write a configuration", ("init", "validate", "info", "schema", "doctor")),
    ("documents", ("index", "search", "rag")),
    ("look after a server", ("status", "switch", "dlq", "audit", "retention")),
    ("credentials", ("secret", "key")),
    ("the database", ("backup", "restore", "migrate")),
)
"""What commands are for -> their names, as `hector --help` shows them."""
COMMANDS: Final = tuple(name for _, names in GROUPS for name in names)
_WITH_ACTIONS: Final = ("dlq", "audit", "secret", "key", "switch", "mcp", "rag")
_MOVABLE: Final = ("-c", "--config", "--database", "--storage", "--storage-db")
"""Flags with a value that say where a command works."""


def run(argv: Sequence[str], tools: Sequence[Callable[..., Any]] = ()) -> int:
    """Parse, run, report. Usage errors and a wrong configuration give 2, failures give 1."""
    hurry()
    arguments = _parse(in_order(argv))
    arguments.registered_tools = tuple(tools)
    if arguments.command != "serve":  # which says itself when its start is over
        gc.enable()
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


class _Formatter(argparse.HelpFormatter):
    """As wide as the terminal, which argparse would look up for each argument, with a module of its own."""

    def __init__(self, prog: str, **settings: Any) -> None:
        super().__init__(prog, **{"width": _columns() - 2, **settings})


class _Unfilled(_Formatter, argparse.RawDescriptionHelpFormatter):
    """Leaves the lines of the description as they are."""


@cache
def _columns() -> int:
    """Columns of the terminal: as COLUMNS says, or the terminal, or 80."""
    try:
        return int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        pass
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:
        return 80


class _Parser(argparse.ArgumentParser):
    """Takes no abbreviations, which a later flag could give another meaning, and says where help is."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"formatter_class": _Formatter, **settings, "allow_abbrev": False})

    def error(self, message: str) -> NoReturn:
        super().error(f"{message}\n`{self.prog} --help` shows what there is")


def in_order(argv: Sequence[str]) -> list[str]:
    """Flags of commands behind the names of command and action, wherever they were typed.

    `hector --config FILE dlq --json list` means `hector dlq list --config FILE --json`. Only flags that many commands
    have are moved; argparse judges the rest.
    """
    names: list[str] = []
    moved: list[str] = []
    at, wanted = 0, 1
    while at < len(argv) and len(names) < wanted:
        word = argv[at]
        length = 1 if not word.startswith("-") or word == "--json" else _length(word)
        if not length:
            break
        (moved if word.startswith("-") else names).extend(argv[at : at + length])
        wanted = 2 if names and names[0] in _WITH_ACTIONS else 1
        at += length
    return [*names, *moved, *argv[at:]]


def _length(word: str) -> int:
    """Words that a movable flag takes, itself included; 0 for any other."""
    if word in _MOVABLE:
        return 2
    return 1 if word.startswith(tuple(f"{flag}=" for flag in _MOVABLE)) else 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    """Usage errors end the program with 2, in the name of the command that they are about."""
    parser = _parser(argv)
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        parser.prog = " ".join(["hector", arguments.command, *filter(None, [getattr(arguments, "action", None)])])
        parser.usage = f"{parser.prog} ..."
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return arguments


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """All commands by name; only the one that is asked for brings its arguments."""
    parser = _Parser(prog="hector", usage="hector [-h] [--version] command ...", formatter_class=_Unfilled)
    parser.add_argument("--version", action="version", version=f"hector {__version__}", help="print the version")
    commands = parser.add_subparsers(
        prog="hector", dest="command", required=True, metavar="command", help=argparse.SUPPRESS
    )
    wanted = next((word for word in argv if not word.startswith("-")), None)
    for name in COMMANDS if wanted not in COMMANDS else (wanted,):
        module = importlib.import_module(f"hector.cli.{name}")
        module.add_parser(commands)
    if wanted not in COMMANDS:
        commands.add_parser("version").set_defaults(run=_version)
        about = {one.dest: one.help for one in commands._choices_actions}
        parser.description = "\n".join(["AI agent runtime: one executable, one YAML file.", *_overview(about)])
    return parser


def _overview(about: Mapping[str, str | None]) -> Iterator[str]:
    """All commands with what they do, by what they are for."""
    for purpose, names in GROUPS:
        yield f"\n{purpose}:"
        for name in names:
            yield f"  {name:<10} {about[name]}"
    yield "\n`hector COMMAND --help` shows the flags of a command."


def _version(arguments: argparse.Namespace) -> int:
    print(f"hector {__version__}")
    return 0
