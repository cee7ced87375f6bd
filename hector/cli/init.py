"""`hector init`: a first configuration to edit."""

import argparse
from pathlib import Path
from typing import Any


def add_parser(commands: Any) -> None:
    """Declare the command."""
    from hector.config.flags import add_wish_arguments  # noqa: PLC0415 - loaded on first use

    parser = commands.add_parser(
        "init", help="write a first configuration", description="Write a first configuration, from what is at hand."
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", default=".hector/config.yaml", help="file to write (.hector/config.yaml)"
    )
    add_wish_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0, or 2 (raised) if the file exists, cannot be written, or the wishes make no sense."""
    from hector.config.detect import Choice, Wishes, choose  # noqa: PLC0415
    from hector.config.environment import Environment  # noqa: PLC0415
    from hector.config.generate import compose, workspace  # noqa: PLC0415

    path, environment, wishes = Path(arguments.output), Environment(), Wishes.of(arguments)
    environment.read(path.parent)
    choice = choose(wishes, environment) or Choice("ollama", wishes.model, "no key and no model was found")
    text, notes = compose(path, choice, wishes, environment, made="Made by `hector init`.")
    made = [_write(path, text)]
    example = workspace(path) / ".env.example"
    if not example.exists() and not (workspace(path) / ".env").exists():
        made.append(_write(example, _variables(choice.provider)))
    for file in made:
        print(f"wrote {file}")
    print(f"model: {choice.provider}{' ' + choice.model if choice.model else ''} ({choice.reason})")
    for note in notes:
        print(f"note: {note}")
    print(f"next: {_next(path)}")
    return 0


def _next(path: Path) -> str:
    return "hector serve" if path == Path(".hector/config.yaml") else f"hector serve --config {path}"


def _write(path: Path, text: str) -> Path:
    """A new file. Raises ConfigError or StartupError where that is not possible."""
    from hector.config.generate import write_new  # noqa: PLC0415
    from hector.core.errors import ConfigError, StartupError  # noqa: PLC0415

    try:
        write_new(path, text)
    except FileExistsError:
        raise ConfigError(f"{path} exists and is not overwritten; remove it, or choose another file with -o") from None
    except OSError as error:
        raise StartupError(f"{path} cannot be written: {error.strerror}; choose another file with -o") from None
    return path


def _variables(provider: str) -> str:
    from hector.config.providers import PROVIDERS  # noqa: PLC0415

    lines = ["# Copy to .env and fill in. Variables that are set already are not changed by it."]
    for entry in PROVIDERS:
        for name in entry.keys[:1]:
            lines.append(f"{'' if entry.name == provider else '# '}{name}=")
    return "\n".join([*lines, ""])
