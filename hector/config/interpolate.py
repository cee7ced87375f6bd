"""`${VAR}` in texts: filled in after parsing, so that no value can break the syntax around it."""

import re
from collections.abc import Callable
from dataclasses import field
from typing import Any, Final

from hector.config.document import Document
from hector.config.findings import Where
from hector.core.pattern import pattern
from hector.core.record import dataclass

_START: Final = pattern(r"\$(?:(?P<dollar>\$)|(?P<bare>[A-Za-z_]\w*)|\{(?P<name>[A-Za-z_]\w*)(?=[:}]))")

_IN_BRACES: Final = pattern(r"\{\{.*?\}\}", re.DOTALL)
_OF_TEMPLATE: Final = pattern(r"\$(?!\{)")


@dataclass(slots=True)
class Filled:
    """A text with its variables filled in; `missing` are those that are not set and have no default."""

    text: str
    missing: list[str] = field(default_factory=list)


def interpolate(text: str, lookup: Callable[[str], str | None]) -> Filled:
    """Fill in `${VAR}`, `${VAR:-default}`, `${VAR:default}` and `$VAR`; `$$` is a dollar sign.

    A default is used when the variable is not set or empty, and may itself hold variables. Anything else after a
    dollar sign stays as it is. A missing variable becomes the empty text.
    """
    filled = Filled("")
    pieces: list[str] = []
    index = 0
    while match := _START.search(text, index):
        pieces.append(text[index : match.start()])
        index = match.end()
        if match["dollar"]:
            pieces.append("$")
        elif match["bare"]:
            pieces.append(_resolve(match["bare"], None, lookup, filled))
        elif (close := _closing(text, index)) < 0:
            pieces.append(match[0])
        else:
            default = text[index + 1 : close].removeprefix("-") if close > index else None
            pieces.append(_resolve(match["name"], default, lookup, filled))
            index = close + 1
    filled.text = "".join([*pieces, text[index:]])
    return filled


def _closing(text: str, index: int) -> int:
    """Where the brace that is open at `index` closes; -1 if it does not."""
    depth = 1
    for position in range(index, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return position
    return -1


def _resolve(name: str, default: str | None, lookup: Callable[[str], str | None], filled: Filled) -> str:
    value = lookup(name)
    if default is not None and not value:
        inner = interpolate(default, lookup)
        filled.missing += inner.missing
        return inner.text
    if value is None:
        filled.missing.append(name)
    return value or ""


def fill(document: Document, lookup: Callable[[str], str | None]) -> None:
    """Fill in every text of the document and warn about variables that are not set.

    A value that consists of nothing but unset variables counts as left out.
    """
    document.value = _fill(document, document.value, (), lookup)


def _fill(document: Document, value: Any, where: Where, lookup: Callable[[str], str | None]) -> Any:
    if isinstance(value, dict):
        filled = {name: _fill(document, inner, (*where, name), lookup) for name, inner in value.items()}
        return {name: inner for name, inner in filled.items() if (*where, name) not in document.unset}
    if isinstance(value, list):
        return [_fill(document, inner, (*where, index), lookup) for index, inner in enumerate(value)]
    if isinstance(value, str) and "$" in value:
        return _fill_text(document, of_template(value, where), where, lookup)
    return value


def of_template(text: str, where: Where) -> str:
    """A text as it is to be filled in: `$name` in the braces of a template is one of its own variables."""
    if where[:1] != ("agents",) or where[2:3] != ("trigger",) or "{{" not in text:
        return text
    return _IN_BRACES.sub(lambda found: _OF_TEMPLATE.sub("$$", found[0]), text)


def _fill_text(document: Document, text: str, where: Where, lookup: Callable[[str], str | None]) -> str:
    filled = interpolate(text, lookup)
    if filled.text != text:
        document.written[where] = text
    for name in dict.fromkeys(filled.missing):
        document.report(
            "variable",
            where,
            f"the variable {name} is not set",
            hint=f"set it, or give a default: ${{{name}:-...}}; $$ stands for a plain dollar sign",
            severity="warning",
        )
    if filled.missing and not filled.text.strip():
        document.unset[where] = filled.missing[0]
    return filled.text
