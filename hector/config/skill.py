"""SKILL.md: a skill description as the instruction of an agent."""

import re
from pathlib import Path
from typing import Any, Final

from hector.config.source import parse
from hector.core.record import dataclass

FILE: Final = "SKILL.md"
_FRONT: Final = re.compile(r"\A---[ \t]*\r?\n(?P<head>.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_SEPARATOR: Final = re.compile(r"[,\s]+(?![^(]*\))")


@dataclass(frozen=True, slots=True)
class Skill:
    """What a SKILL.md says. `tools` is None where it names none."""

    name: str
    description: str
    instruction: str
    tools: tuple[str, ...] | None


def body_of(text: str) -> str:
    """The text without its front matter."""
    return _FRONT.sub("", text, count=1).strip()


def read_skill(path: Path) -> Skill | None:
    """The skill in a file, or None where there is no readable one. A broken head counts as an empty one."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None
    match = _FRONT.match(text)
    head: dict[str, Any] = parse(match["head"], str(path)).value if match else {}
    name, description = str(head.get("name") or path.parent.name), str(head.get("description") or "")
    return Skill(name, description, body_of(text), _tools(head.get("allowed-tools")))


def _tools(value: Any) -> tuple[str, ...] | None:
    """A list, or a text with commas or spaces; `Bash(git:*)` is one name."""
    if value is None:
        return None
    names = value if isinstance(value, list) else _SEPARATOR.split(str(value))
    return tuple(str(name).strip() for name in names if str(name).strip())
