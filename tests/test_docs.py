"""The documentation stays true: its links lead somewhere, its YAML validates, its commands and flags exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from hector.cli.main import COMMANDS
from hector.config.load import parse_config
from scripts.cli_reference import PAGE, command_parser, text

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
KEYS = dict.fromkeys(
    ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "GATEWAY_KEY", "TRIPS_TOKEN", "TICKETS_TOKEN"), "secret"
)
HANDLERS = ("order_status", "opening_hours")
pages = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def blocks(page: Path, language: str) -> Iterator[str]:
    """The fenced blocks of one language."""
    for match in re.finditer(
        rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    ):
        yield match[1]


@pytest.mark.proves("docs.quick-start", "docs.architecture")
@pages
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    missing = [target for target in targets if not (page.parent / target.partition("#")[0]).exists()]
    assert missing == []


@pages
def test_yaml_validates(page: Path) -> None:
    for block in blocks(page, "yaml"):
        parse_config(block, f"{page.name}.yaml", dict(KEYS), handlers=HANDLERS)


@pages
def test_python_compiles(page: Path) -> None:
    for block in blocks(page, "python"):
        compile(block, str(page), "exec")


def commands(page: Path) -> Iterator[list[str]]:
    """Every `hector ...` that a console block types, without what is around it."""
    for block in blocks(page, "console"):
        for line in block.replace("\\\n", " ").splitlines():
            for piece in re.split(r"[|>]", line.removeprefix("$ ")) if line.startswith("$ ") else ():
                words = shlex.split(piece)
                program = next((at for at, word in enumerate(words) if word.rpartition("/")[2] == "hector"), None)
                if program is not None and words[0] not in {"kill"}:
                    yield words[program + 1 :]


@pages
def test_commands_parse(page: Path) -> None:
    for words in commands(page):
        assert words[0] in {*COMMANDS, "version"}, words
        if words == ["version"]:
            continue
        command_parser(words[0]).parse_args(words[1:])


@pages
def test_flags_in_the_text_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for command, flag in re.findall(r"`hector ([a-z]+)[^`\n]*?(--[a-z-]+)", text):
        assert flag in command_parser(command).format_help(), f"{command} {flag}"


@pytest.mark.proves("docs.cli")
def test_the_reference_of_the_commands_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == text(), "run: .venv/bin/python scripts/cli_reference.py"
