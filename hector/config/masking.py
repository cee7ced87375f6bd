"""Configurations that may be shown: every secret replaced."""

import re
from typing import Any, Final

import yaml

from hector.config.base import SECRET_KEYS
from hector.config.document import Document
from hector.config.findings import Excerpt, Position, Where
from hector.config.root import HectorConfig

MASK: Final = "***"
_KEY: Final = r"api[_-]?key|password|passwd|secret|token|credential|authorization|cookie"
_PAIR: Final = re.compile(
    rf"(?i)((?:{_KEY})[\"']?\s*[:=]\s*)(\"(?:[^\"\\]|\\.)*\"?|'[^']*'?|\$\{{[^}}]*\}}|[^\s\"',}}#][^,}}#]*)"
)
_PLACEHOLDER: Final = re.compile(r"[\"']?\$(\w+|\{\w+(:-?)?\})[\"']?\s*")
_USERINFO: Final = re.compile(r"(://)[^/\s:@\"']*:[^\s@\"']+@")


def masked_source(document: Document) -> Excerpt:
    """Lines of a file without the secrets in them; placeholders for variables may stay."""
    secrets = sorted(_secrets(document.value, (), document), key=len, reverse=True)
    lines = document.text.splitlines()

    def mask(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, MASK)
        return mask_line(text)

    def excerpt(position: Position) -> tuple[str, int] | None:
        if not 0 < position.line <= len(lines):
            return None
        line = lines[position.line - 1]
        shown, before = mask(line), mask(line[: position.column - 1])
        return shown, len(before) + 1 if shown.startswith(before) else min(position.column, len(shown) + 1)

    return excerpt


def mask_line(line: str) -> str:
    """One line without what looks like a secret, for text that could not be parsed."""
    return mask_userinfo(_PAIR.sub(_hide, line))


def mask_userinfo(text: str) -> str:
    """A text without the passwords of the addresses in it."""
    return _USERINFO.sub(rf"\1{MASK}@", text)


def _hide(match: re.Match[str]) -> str:
    kept = match[2] if _PLACEHOLDER.fullmatch(match[2]) else MASK
    return match[1] + kept


def _secrets(value: Any, where: Where, document: Document) -> set[str]:
    if isinstance(value, dict):
        pairs: Any = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    else:
        is_secret = any(isinstance(step, str) and SECRET_KEYS.search(step) for step in where)
        written = document.written.get(where, value)
        return (
            {written} if is_secret and isinstance(written, str) and len(written) > 3 and "$" not in written else set()
        )
    return {secret for step, inner in pairs for secret in _secrets(inner, (*where, step), document)}


def masked(value: Any, key: str = "") -> Any:
    """The same data with every secret text replaced."""
    if isinstance(value, dict):
        return {name: masked(inner, str(name)) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked(inner, key) for inner in value]
    if isinstance(value, str):
        return MASK if value and SECRET_KEYS.search(key) else mask_userinfo(value)
    return value


def printable(config: HectorConfig) -> dict[str, Any]:
    """The whole configuration, defaults included, as plain data without secrets and without what is not set."""
    data: dict[str, Any] = masked(config.model_dump(mode="json", by_alias=True, exclude_none=True))
    return data


def to_yaml(data: Any) -> str:
    """Plain data as YAML, keys in their order, long texts as blocks."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


class _Dumper(yaml.SafeDumper):
    """Texts with line breaks as `|` blocks."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
