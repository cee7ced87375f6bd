"""What templates can do with values: functions over JSON values, none of which changes anything or looks elsewhere."""

import html as html_escapes
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote_plus

from hector.core.errors import HectorError
from hector.core.pattern import pattern

_VERB: Final = pattern(r"%([-+ 0#]*)(\d{0,9})(?:\.(\d{1,9}))?(.?)", re.DOTALL)
MOST_SIGNS: Final = 200_000
"""Signs of a text, and of any value on the way to it."""
_WIDEST: Final = 200
"""Columns that a verb of printf may fill."""
_NUMBERS: Final = (int, float)
_DATA_END: Final = pattern(r"<(?=[\s/]*data)", re.IGNORECASE)


class CannotRender(HectorError):  # noqa: N818 - named like other refusals
    """A function that cannot do anything with what it was given."""


def check_length(signs: int) -> None:
    """Raises CannotRender where a text is too long, or would be."""
    if signs > MOST_SIGNS:
        raise CannotRender(f"the text would have more than {MOST_SIGNS} signs")


def text_of(value: Any) -> str:
    """A value as it stands in the text: nothing for nothing, JSON for lists and objects."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value) if isinstance(value, int) else to_json(value)


def to_json(value: Any) -> str:
    """Compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def to_json_pretty(value: Any) -> str:
    """JSON in lines."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def is_true(value: Any) -> bool:
    """As Go has it: nothing, false, zero and what is empty are not."""
    return bool(value)


def is_number(value: Any) -> bool:
    """Truth values are none."""
    return isinstance(value, _NUMBERS) and not isinstance(value, bool)


def equal(one: Any, other: Any) -> bool:
    """Of one kind and of one value. Raises CannotRender for lists and objects, which may be of any size."""
    if isinstance(one, list | Mapping) or isinstance(other, list | Mapping):
        raise CannotRender("eq and ne compare texts, numbers and truth values, not lists or objects")
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _eq(one: Any, *others: Any) -> bool:
    return any(equal(one, other) for other in others)


def _compared(name: str, decide: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(one: Any, other: Any) -> bool:
        if one is None or other is None:
            return False
        if (is_number(one) and is_number(other)) or (isinstance(one, str) and isinstance(other, str)):
            return decide(one, other)
        raise CannotRender(f"{name} compares two numbers or two texts")

    return compare


def _and(*values: Any) -> Any:
    return next((value for value in values if not is_true(value)), values[-1])


def _or(*values: Any) -> Any:
    return next((value for value in values if is_true(value)), values[-1])


def _len(value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, str | list | Mapping):
        return len(value)
    raise CannotRender("len takes a text, a list or an object")


def _index(value: Any, *keys: Any) -> Any:
    """What is there, or nothing."""
    for key in keys:
        if isinstance(value, Mapping):
            value = value.get(key) if isinstance(key, str) else None
        elif isinstance(value, list) and isinstance(key, int) and not isinstance(key, bool):
            value = value[key] if 0 <= key < len(value) else None
        else:
            return None
    return value


def _slice(value: Any, *ends: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, str | list) or not all(type(end) is int and end >= 0 for end in ends):
        raise CannotRender("slice takes a text or a list, and one or two places in it")
    return value[slice(*ends)] if len(ends) == 2 else value[ends[0] :] if ends else value


def _printf(form: Any, *values: Any) -> str:
    if not isinstance(form, str):
        raise CannotRender("printf takes a text with verbs such as %s first")
    left = list(values)

    def put(found: "re.Match[str]") -> str:
        flags, width, precision, verb = found.groups()
        if verb == "%":
            return "%"
        if int(width or 0) > _WIDEST or int(precision or 0) > _WIDEST:
            raise CannotRender(f"printf fills at most {_WIDEST} columns")
        if not left:
            raise CannotRender("printf has more verbs than values")
        shown = _verb(verb, left.pop(0), flags, None if precision is None else int(precision))
        return _padded(shown, flags, int(width or 0))

    said = _VERB.sub(put, form)
    if left:
        raise CannotRender("printf has more values than verbs")
    return said


def _verb(verb: str, value: Any, flags: str, precision: int | None) -> str:
    plus = "+" if "+" in flags and verb in "dfeg" else ""
    match verb:
        case "s" | "v":
            return text_of(value)[:precision]
        case "q":
            return json.dumps(text_of(value), ensure_ascii=False)
        case "t" if isinstance(value, bool):
            return text_of(value)
        case "d" if is_number(value) and float(value).is_integer():
            return f"{int(value):{plus}d}"
        case "x" | "X" if isinstance(value, int) and not isinstance(value, bool):
            return f"{value:{verb}}"
        case "f" | "e" | "g" if is_number(value):
            return f"{float(value):{plus}.{6 if precision is None else precision}{verb}}"
    raise CannotRender(f"printf cannot show this value with %{verb}")


def _padded(text: str, flags: str, width: int) -> str:
    if "-" in flags:
        return text.ljust(width)
    return text.zfill(width) if "0" in flags and text[:1] in "+-0123456789" else text.rjust(width)


def _default(other: Any, value: Any) -> Any:
    return value if is_true(value) else other


def _join(separator: Any, values: Any) -> str:
    if values is None:
        return ""
    if not isinstance(values, list):
        raise CannotRender("join takes a separator and a list")
    between = text_of(separator)
    check_length(len(between) * len(values))
    return between.join(map(text_of, values))


def _truncate(most: Any, value: Any) -> str:
    if type(most) is not int or most < 0:
        raise CannotRender("truncate takes a number of signs and a text")
    return text_of(value)[:most]


def quoted(value: Any) -> str:
    """A text between marks that it cannot close, so that a model takes it for data and not for instructions."""
    return f"<data>\n{_DATA_END.sub(chr(0x2039), text_of(value))}\n</data>"


def _print(*values: Any) -> str:
    said, before = "", True
    for value in values:
        is_text = isinstance(value, str)
        said += ("" if before or is_text else " ") + text_of(value)
        before = is_text
    return said


def _println(*values: Any) -> str:
    return " ".join(map(text_of, values)) + "\n"


FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "and": _and,
    "default": _default,
    "eq": _eq,
    "ge": _compared("ge", lambda one, other: one >= other),
    "gt": _compared("gt", lambda one, other: one > other),
    "html": lambda value: html_escapes.escape(text_of(value)),
    "index": _index,
    "join": _join,
    "le": _compared("le", lambda one, other: one <= other),
    "len": _len,
    "lower": lambda value: text_of(value).lower(),
    "lt": _compared("lt", lambda one, other: one < other),
    "ne": lambda one, other: not equal(one, other),
    "not": lambda value: not is_true(value),
    "now": lambda: None,  # the rendering knows the time
    "or": _or,
    "print": _print,
    "printf": _printf,
    "println": _println,
    "quoted": quoted,
    "slice": _slice,
    "toJson": to_json,
    "toJsonPretty": to_json_pretty,
    "trim": lambda value: text_of(value).strip(),
    "truncate": _truncate,
    "upper": lambda value: text_of(value).upper(),
    "urlquery": lambda value: quote_plus(text_of(value)),
}
ARITY: Final[Mapping[str, tuple[int, int]]] = {
    **dict.fromkeys(FUNCTIONS, (1, 1)),
    **dict.fromkeys(("and", "or", "index", "printf"), (1, 100)),
    **dict.fromkeys(("print", "println"), (0, 100)),
    **dict.fromkeys(("default", "join", "truncate", "ne", "lt", "le", "gt", "ge"), (2, 2)),
    "eq": (2, 100),
    "slice": (1, 3),
    "now": (0, 0),
}
"""How many values each takes, at least and at most."""
