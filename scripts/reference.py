"""Writes the tables of docs/configuration.md from the configuration classes, and docs/api.md from the endpoints.

python -m scripts.reference           writes the pages
python -m scripts.reference --check   exit code 1 if one of them is not what would be written
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from hector.config.agentbase import AgentBase
from hector.config.base import Address, Names, Section, Unit
from hector.config.later import Later
from hector.config.llmbase import LlmBase
from hector.config.planned import KEYS, VALUES
from hector.config.shape import choices, sections
from hector.config.sourcebase import SourceBase
from hector.config.translate import limits
from scripts import api_reference

PAGE: Final = Path(__file__).parents[1] / "docs" / "configuration.md"
BEGIN: Final = "<!-- tables: written by scripts/reference.py; edits between these marks are lost -->"
END: Final = "<!-- end of the tables -->"


_FAMILIES: Final[Mapping[type[Section], tuple[str, str]]] = {
    LlmBase: ("llms.<id>, every provider", "provider"),
    AgentBase: ("agents.<id>, every type", "type"),
    SourceBase: ("document_stores.<id>.source, every type", "type"),
}
"""What blocks of several kinds have in common: the title of its table, and the key that tells the kinds apart."""


def tables() -> str:
    """Everything between the marks."""
    parts = [*_sections(), _planned()]
    return "\n\n".join(parts)


def _sections() -> Iterator[str]:
    seen: set[type[Section]] = set()
    for where, section in sections():
        if section in seen:
            continue
        seen.add(section)
        for base, (title, _) in _FAMILIES.items():
            if issubclass(section, base) and base not in seen:
                seen.add(base)
                yield _table(title, base, base.model_fields)
        yield _table(*_own(where, section))


def _own(where: str, section: type[Section]) -> tuple[str, type[Section], dict[str, FieldInfo]]:
    """Title and fields; of a provider, or a type, only what differs from the common part."""
    fields = section.model_fields
    base = next((base for base in _FAMILIES if issubclass(section, base)), None)
    if base is None:
        return where or "Top level", section, fields
    own = {name: field for name, field in fields.items() if repr(field) != repr(base.model_fields.get(name))}
    tag = _FAMILIES[base][1]
    return f"{where}, {tag} {fields[tag].default}", section, own


def _table(title: str, section: type[Section], fields: dict[str, FieldInfo]) -> str:
    lines = [f"### {_cell(title)}", "", (section.__doc__ or "").strip().splitlines()[0], ""]
    lines += ["| Key | Takes | Default | Meaning |", "| --- | --- | --- | --- |"]
    for name, field in fields.items():
        cells = (f"`{field.alias or name}`", takes(field), _default(field), field.description or "")
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")


def takes(field: FieldInfo) -> str:
    """What may be written, in a few words."""
    inner = [part for one in get_args(field.annotation) for part in get_args(one)]
    unit = next((part for part in (*field.metadata, *inner) if isinstance(part, Unit)), None)
    if unit is not None:
        bounds = limits(field).replace("of at least 0", "").replace(".0", "")
        return f"{'duration' if 'time' in unit.message else 'size'} {bounds}".strip()
    if any(getattr(part, "json_schema", {}).get("format") == "uri" for part in field.metadata):
        return "address"
    if Address in get_args(field.annotation):
        return "address"
    values = choices(field.annotation)
    if values:
        return ", ".join(f"`{value}`" for value in values)
    return f"{_kind(field.annotation)} {limits(field)}".strip()


def _kind(annotation: Any) -> str:
    if annotation == Names:
        return "list of texts"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    if annotation in names:
        return names[annotation]
    if isinstance(annotation, type) and issubclass(annotation, Section | Later):
        return "block"
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return "text"
    if origin is dict:
        return "free-form data" if parts[1] is Any else "texts by name" if _is_text(parts[1]) else "blocks by id"
    if origin is tuple:
        return "list of blocks" if _kind(parts[0]) == "block" else "list of texts"
    return _kind(parts[0])


def _is_text(annotation: Any) -> bool:
    """Whether one is written as a text, perhaps one of a few."""
    return _kind(annotation) == "text" if get_origin(annotation) in (Annotated, Literal) else annotation is str


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if field.default_factory is not None or value in (None, "", {}):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(value)}]`" if value else "`[]`"
    if isinstance(value, float):
        days = value / 86_400
        return f"`{days:g}d`" if days >= 1 and days.is_integer() else f"`{value:g}`"
    return f"`{value}`"


def _planned() -> str:
    """One row per capability."""
    rows: dict[str, list[str]] = {}
    for key in KEYS:
        rows.setdefault(key.what, []).append(f"`{key.pattern.replace('*', '<id>')}`")
    for row in VALUES:
        values = ", ".join(f"`{value}`" for value in sorted(row.values))
        rows.setdefault(f"{row.what} {values}", []).append(f"`{row.pattern.replace('*', '<id>')}`")
    lines = ["### Refused by name", "", "Known to the format, not available in this version.", ""]
    lines += ["| Capability | Keys |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| {what} | {', '.join(keys)} |" for what, keys in rows.items())])


def page(current: str) -> str:
    """The page with fresh tables. Raises ValueError where the marks are missing."""
    head, begin, rest = current.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} lacks the marks between which the tables stand")
    return f"{head}{BEGIN}\n\n{tables()}\n\n{END}{tail}"


def main(arguments: list[str]) -> int:
    """Write the page, or with --check say whether it is up to date."""
    current = PAGE.read_text(encoding="utf-8")
    fresh = page(current)
    endpoints = api_reference.PAGE
    api = api_reference.page()
    if "--check" in arguments:
        known = endpoints.read_text(encoding="utf-8") if endpoints.exists() else ""
        old = [file.name for file, same in ((PAGE, fresh == current), (endpoints, api == known)) if not same]
        print(f"out of date: {', '.join(old)}; run python -m scripts.reference" if old else "up to date")
        return int(bool(old))
    PAGE.write_text(fresh, encoding="utf-8")
    endpoints.write_text(api, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
