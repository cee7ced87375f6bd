"""`hector validate`: is this configuration right, and if not, what is wrong with it, all at once."""

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from hector.config.findings import Finding, InvalidConfig
    from hector.config.load import Loaded

NOUNS: Final = (("llms", "model"), ("agents", "agent"), ("tools", "tool"))


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("validate", help="check a configuration", description="Check a configuration.")
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="YAML or JSON (HECTOR_CONFIG; .hector/config.yaml, hector.yaml)"
    )
    parser.add_argument("-c", "--config", metavar="FILE", help="the same as FILE")
    parser.add_argument(
        "--format",
        choices=("compact", "verbose", "json"),
        default="compact",
        help="one line per finding, a paragraph with the offending line, or one JSON object",
    )
    parser.add_argument(
        "-p",
        "--print-config",
        action="store_true",
        help="print the whole configuration, defaults filled in, secrets hidden",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0: it is right. 2: it is not; everything that is wrong stands on standard error (in JSON: on standard output)."""
    from hector.cli.configuration import load  # noqa: PLC0415 - loaded on first use
    from hector.config.findings import InvalidConfig  # noqa: PLC0415

    try:
        path, loaded = load(arguments)
    except InvalidConfig as problem:
        _show_invalid(problem, arguments.format)
        return 2
    _show_valid(str(path), _looked_at(loaded), arguments)
    return 0


def _looked_at(loaded: "Loaded") -> "Loaded":
    """With what this machine lacks as further warnings."""
    tools, stores = loaded.config.tools.values(), loaded.config.document_stores
    if not stores and not any(tool.type in {"command", "mcp"} for tool in tools):
        return loaded
    from dataclasses import replace  # noqa: PLC0415 - only where something is asked of the machine

    from hector.cli.machine import lacks  # noqa: PLC0415

    return replace(loaded, warnings=(*loaded.warnings, *lacks(loaded)))


def _show_invalid(problem: "InvalidConfig", style: str) -> None:
    from hector.config.findings import compact, verbose  # noqa: PLC0415

    if style == "json":
        file = problem.findings[0].file if problem.findings else ""
        print(_json(False, file, problem.findings))
        return
    shown = verbose(problem.findings, problem.source) if style == "verbose" else compact(problem.findings)
    errors = len(problem.errors)
    warnings = len(problem.findings) - errors
    total = _count(errors, "error") + (f" and {_count(warnings, 'warning')}" if warnings else "")
    print(f"{shown}\n{chr(10) if style == 'verbose' else ''}invalid: {total}", file=sys.stderr)


def _show_valid(path: str, loaded: "Loaded", arguments: argparse.Namespace) -> None:
    from hector.config.findings import compact, verbose  # noqa: PLC0415

    if loaded.warnings and arguments.format != "json":
        show = verbose if arguments.format == "verbose" else compact
        print(show(loaded.warnings), file=sys.stderr)
    if arguments.print_config:
        _print_config(loaded, arguments.format)
    elif arguments.format == "json":
        print(_json(True, path, loaded.warnings, counts(loaded), {"webhooks": webhooks(loaded)}))
    else:
        numbers = counts(loaded)
        parts = (_count(numbers[key], noun) for key, noun in NOUNS)
        print(f"{path}: valid ({', '.join(parts)})")
        for line in webhooks(loaded):
            print(f"  {line}")


def _print_config(loaded: "Loaded", style: str) -> None:
    from hector.config.masking import printable, to_yaml  # noqa: PLC0415

    data = printable(loaded.config)
    print(json.dumps(data, ensure_ascii=False, indent=2) if style == "json" else to_yaml(data).rstrip())


def counts(loaded: "Loaded") -> dict[str, int]:
    """How many models, agents and tools there are."""
    config = loaded.config
    return {"llms": len(config.llms), "agents": len(config.agents), "tools": len(config.tools)}


def webhooks(loaded: "Loaded") -> list[str]:
    """Where the agents are reached by webhooks, one line each."""
    if not any(agent.trigger for agent in loaded.config.agents.values()):
        return []
    from hector.apps.webhooks import hooks_of, line_of  # noqa: PLC0415 - only for files with triggers
    from hector.core.identity import DEFAULT_APP  # noqa: PLC0415 - likewise

    return [line_of(hook) for hook in hooks_of(DEFAULT_APP, loaded.config).values()]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _json(
    valid: bool,
    file: str,
    findings: "tuple[Finding, ...]",
    numbers: dict[str, int] | None = None,
    more: dict[str, list[str]] | None = None,
) -> str:
    answer: dict[str, Any] = {
        "valid": valid,
        "file": file,
        "errors": [finding.as_json() for finding in findings if finding.severity == "error"],
        "warnings": [finding.as_json() for finding in findings if finding.severity == "warning"],
    }
    known = {"counts": numbers} if numbers is not None else {}
    told = {name: lines for name, lines in (more or {}).items() if lines}
    return json.dumps({**answer, **known, **told}, ensure_ascii=False, indent=2)
