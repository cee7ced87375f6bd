"""Writes docs/cli.md, the reference of all commands and flags, from the parsers themselves (make docs)."""

import argparse
import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from hector.cli.main import COMMANDS

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
HEAD: Final = """# Commands and flags

Written by `scripts/cli_reference.py`; do not edit.

`hector COMMAND --help` prints the same. A flag wins over its `HECTOR_` variable, that over the configuration file,
that over the default. Exit codes: 0 done, 1 it ran and failed, 2 the command, the configuration or the
surroundings are wrong.

## hector version

Prints the version.
"""


def command_parser(command: str) -> argparse.ArgumentParser:
    """The parser of one command, as `hector COMMAND` uses it."""
    commands = argparse.ArgumentParser(prog="hector").add_subparsers()
    importlib.import_module(f"hector.cli.{command}").add_parser(commands)
    parser: argparse.ArgumentParser = commands.choices[command]
    return parser


def sections() -> Iterator[str]:
    """One section for each command."""
    for command in COMMANDS:
        parser = command_parser(command)
        yield f"## hector {command}\n\n{parser.description}\n"
        yield from tables(parser)


def tables(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Its arguments and flags; of each of its own commands, too."""
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    actions = [action for action in shown if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)]
    positional = [row(action, action.metavar or action.dest) for action in actions if not action.option_strings]
    if positional:
        yield table("argument", positional)
    flags = [row(action, flag(action)) for action in actions if action.option_strings]
    if flags:
        yield table("flag", flags)
    for group in shown:
        if isinstance(group, argparse._SubParsersAction):
            meaning = {choice.dest: choice.help for choice in group._choices_actions}
            for name, below in group.choices.items():
                yield f"### {below.prog}\n\n{sentence(meaning[name] or '')}\n"
                yield from tables(below)


def sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def flag(action: argparse.Action) -> str:
    """All spellings, with the name of the value where there is one."""
    value = ""
    if action.nargs != 0:
        name = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
        value = f" {name}"
    return ", ".join(action.option_strings) + value


def row(action: argparse.Action, name: object) -> tuple[str, str]:
    """Name and meaning, fit for a table cell."""
    text = (action.help or "") % {**vars(action), "prog": "hector"}
    return f"`{name}`".replace("|", "\\|"), text.replace("|", "\\|")


def table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """A table of two columns."""
    lines = [f"| {title} | meaning |", "| --- | --- |", *(f"| {name} | {text} |" for name, text in rows)]
    return "\n".join(lines) + "\n"


def text() -> str:
    """The whole page."""
    return "\n".join([HEAD, *sections()])


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
