"""What stands above a Markdown document: the part of YAML that people write there, and no more.

Scalars, lists and one level of nesting are taken; what is written in other ways is left out. A stranger's document gets
no whole YAML parser to play with.
"""

from typing import Final

from hector.core.pattern import pattern
from hector.rag.extract.writer import Writer

_KEY: Final = pattern(r"([A-Za-z_][\w .-]{0,59}?)[ \t]*:(?:[ \t]+(.*))?")
_NUMBER: Final = pattern(r"-?\d{1,15}")
_MOST_LINES: Final = 500
_OURS: Final = frozenset(("format", "title"))
_WORDS: Final = {"true": True, "false": False}


def front_matter(lines: list[str], writer: Writer) -> int:
    """Write it as metadata; returns the first line of the document behind it."""
    if not lines or lines[0].rstrip() != "---":
        return 0
    for end in range(1, min(len(lines), _MOST_LINES)):
        if lines[end].rstrip() in {"---", "..."}:
            break
    else:
        return 0
    key = ""
    listed: list[str] = []
    for line in [*lines[1:end], "end:"]:
        stripped = line.strip()
        if key and stripped.startswith("- "):
            listed.append(_unquoted(stripped[2:]))
            continue
        if listed:
            _tell(writer, key, listed)
            listed = []
        match = _KEY.fullmatch(line)
        key = match[1] if match else key if line.startswith((" ", "\t")) else ""
        if match and match[2]:
            _tell(writer, key, _value(match[2].strip()))
    return end + 1


def _tell(writer: Writer, key: str, value: str | int | bool | list[str]) -> None:
    name = key.strip().lower().replace(" ", "_").replace("-", "_")
    if name == "title" and isinstance(value, str):
        writer.title = value
    elif name not in _OURS:
        writer.tell(**{name: value})


def _value(text: str) -> str | int | bool | list[str]:
    if text.startswith("[") and text.endswith("]"):
        return [_unquoted(piece.strip()) for piece in text[1:-1].split(",") if piece.strip()]
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    return int(text) if _NUMBER.fullmatch(text) else _unquoted(text)


def _unquoted(text: str) -> str:
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return text.partition(" #")[0].rstrip()
