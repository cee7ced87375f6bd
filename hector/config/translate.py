"""The type check, in our own words: every complaint of pydantic becomes a finding at its line."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from hector.config.base import SECRET_KEYS, Unit
from hector.config.document import Document
from hector.config.findings import Finding, Kind, Where
from hector.config.shape import choices, field_at, keys_of, path_of, peek, section_at, sections

_ID_RULE: Final = (
    "a letter, then letters, digits, '_' and '-', 64 signs at most ('_' in front is kept for generated ids)"
)

TYPES: Final[Mapping[str, tuple[str, str]]] = {
    "int": ("must be a whole number", "a whole number"),
    "float": ("must be a number", "a number"),
    "finite": ("must be a number", "a number that is not infinite"),
    "bool": ("must be true or false", "true, false"),
    "string": ("must be a text", "a text"),
    "dict": ("must be a block of keys", "keys and values"),
    "model": ("must be a block of keys", "keys and values"),
    "tuple": ("must be a list", "a list"),
    "list": ("must be a list", "a list"),
}
"""First word of pydantic's error type -> message and what is allowed."""


def translate(error: ValidationError, document: Document) -> list[Finding]:
    """One finding per complaint, each at the line it is about."""
    return [_finding(item, document) for item in error.errors(include_url=False, include_input=False)]


def _finding(item: Any, document: Document) -> Finding:
    code: str = item["type"]
    where = path_of(item["loc"], document.value)
    if where[-1:] == ("[key]",):
        expected = _expected(item.get("ctx", {}))
        return _bad_key(where[:-1], document, expected) if expected else _bad_id(where[:-1], document)
    if code == "extra_forbidden":
        return _unknown(where, document)
    if code.startswith("union_tag"):
        where = (*where, str(item.get("ctx", {}).get("discriminator", "provider")).strip("'"))
    kind, message, allowed = _explain(code, item.get("ctx", {}), field_at(where, document.value))
    if kind == "missing":
        message = f"the key {where[-1]!r} is missing"
    if code in {"missing", "hector"} and (lost := _lost(where, document)):
        names = " and ".join(dict.fromkeys(document.unset[path] for path in lost))
        left = " and ".join(str(path[-1]) for path in lost)
        message += f": no variable {names}, which {left} would come from"
        hint = f"set {names} in the environment or in a .env file"
        return Finding("variable", message, where, document.file, document.place(lost[0]), hint=hint)
    return Finding(
        kind,
        message,
        where,
        document.file,
        document.place(where),
        found="" if kind == "missing" else found(document, where),
        allowed=allowed,
        hint=_hint(where, document, allowed, kind),
    )


def _lost(where: Where, document: Document) -> list[Where]:
    """What is left out there because the variable that it consists of is not set."""
    return [path for path in document.unset if path[: len(where)] == where]


def _explain(code: str, context: Mapping[str, Any], field: FieldInfo | None) -> tuple[Kind, str, str]:
    word = code.split("_", maxsplit=1)[0]
    match code:
        case "missing":
            return "missing", "", describe(field)
        case "literal_error":
            return "type", "this is not one of the possible values", _choices(field) or ", ".join(_expected(context))
        case "union_tag_invalid":
            tags = str(context.get("expected_tags", "")).replace("'", "")
            return "type", "this is not one of the possible values", tags
        case "union_tag_not_found":
            return "missing", "the provider is missing", ""
        case "too_short" | "string_too_short":
            return "range", "must not be empty", _length(context)
        case "string_pattern_mismatch":
            return "range", "holds signs that are not possible here", "letters, digits, '_' and '-', 64 signs at most"
        case "hector":
            return "type", str(context["message"]), str(context["allowed"])
        case _ if word in {"greater", "less"}:
            return "range", "is out of range", _numbers(field, "a number")
        case _:
            message, allowed = TYPES.get(word, ("has the wrong form", describe(field)))
            return "type", *_with_units(field, message, _numbers(field, allowed))


def _numbers(field: FieldInfo | None, allowed: str) -> str:
    return f"{allowed} {limits(field)}".strip()


def _with_units(field: FieldInfo | None, message: str, allowed: str) -> tuple[str, str]:
    unit = next((part for part in (field.metadata if field else ()) if isinstance(part, Unit)), None)
    return (unit.message, unit.allowed) if unit else (message, allowed)


def _choices(field: FieldInfo | None) -> str:
    return ", ".join(str(value) for value in choices(field.annotation)) if field else ""


def _length(context: Mapping[str, Any]) -> str:
    least = context.get("min_length", 1)
    return "at least one entry" if "field_type" in context else f"at least {least} sign" + "s" * (least > 1)


def limits(field: FieldInfo | None) -> str:
    """ "from 0 to 2", "of at least 1" or the empty text."""
    if field is None:
        return ""
    low = next((part.ge for part in field.metadata if hasattr(part, "ge")), None)
    high = next((part.le for part in field.metadata if hasattr(part, "le")), None)
    if low is not None and high is not None:
        return f"from {low} to {high}"
    return f"of at least {low}" if low is not None else f"of at most {high}" if high is not None else ""


def describe(field: FieldInfo | None) -> str:
    """The field's own description, as a last resort for `allowed`."""
    return (field.description or "").rstrip(".") if field else ""


def _bad_id(where: Where, document: Document) -> Finding:
    name = str(where[-1])
    message = "ids that begin with '_' are reserved" if name.startswith("_") else "this is no valid id"
    place = document.place(where, key=True)
    return Finding("range", message, where, document.file, place, found=repr(name), allowed=_ID_RULE)


def _expected(context: Mapping[str, Any]) -> list[str]:
    """The values that pydantic names in `'a', 'b' or 'c'`."""
    return re.findall("'([^']*)'", str(context.get("expected", "")))


def _bad_key(where: Where, document: Document, known: Sequence[str]) -> Finding:
    name = str(where[-1])
    return Finding(
        "unknown",
        f"unknown key {name!r}",
        where,
        document.file,
        document.place(where, key=True),
        allowed=", ".join(known),
        hint=suggest(name, known),
    )


def _unknown(where: Where, document: Document) -> Finding:
    section = section_at(where[:-1], document.value)
    known = keys_of(section) if section else []
    name = str(where[-1])
    return Finding(
        "unknown",
        f"unknown key {name!r}",
        where,
        document.file,
        document.place(where, key=True),
        allowed=", ".join(known),
        hint=suggest(name, known) or _elsewhere(name),
    )


def suggest(name: str, known: Iterable[str]) -> str:
    """ "did you mean 'x'?", or the empty text."""
    import difflib  # noqa: PLC0415 - most files have no mistake

    folded = {candidate.lower().replace("-", "_"): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower().replace("-", "_"), folded, n=1, cutoff=0.6)
    return f"did you mean {folded[near[0]]!r}?" if near else ""


def _elsewhere(name: str) -> str:
    """Where a key belongs that is known, but not here."""
    homes = [where for where, section in sections() if name in keys_of(section)]
    return f"it belongs under {homes[0]}" if homes and homes[0] else "it belongs to the top level" if homes else ""


def _hint(where: Where, document: Document, allowed: str, kind: Kind) -> str:
    value = peek(document.value, where)
    if isinstance(value, str) and kind == "type" and "," in allowed and " " not in allowed.replace(", ", ","):
        return suggest(value, allowed.split(", "))
    return ""


def found(document: Document, where: Where) -> str:
    """A value as it stands in the file, short and without secrets."""
    if any(isinstance(step, str) and SECRET_KEYS.search(step) for step in where):
        return "(hidden)"
    value = document.written.get(where, peek(document.value, where))
    if isinstance(value, dict):
        return "a block of keys"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return repr(hide_userinfo(value if len(value) <= 60 else value[:57] + "..."))
    return "nothing" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def hide_userinfo(text: str) -> str:
    """An address without user and password."""
    head, mark, rest = text.partition("://")
    user, at_sign, host = rest.rpartition("@")
    return f"{head}{mark}***@{host}" if mark and at_sign and "/" not in user else text
