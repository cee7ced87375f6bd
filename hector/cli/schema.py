"""`hector schema`: the configuration format as JSON Schema."""

import argparse
from typing import Any


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "schema", help="print the configuration format", description="Print the configuration format as JSON Schema."
    )
    parser.add_argument("--compact", action="store_true", help="on one line")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the schema; always 0."""
    from hector.config.schema import schema_text  # noqa: PLC0415 - loaded on first use

    print(schema_text(compact=arguments.compact))
    return 0
