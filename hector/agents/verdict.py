"""What follows from a judgement: pure functions from the words of the agent that judged to one side or one case."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from hector.core.record import dataclass

Scalar: TypeAlias = bool | int | float | str
Operator: TypeAlias = Literal["equals", "not_equals", "contains", "above", "at_least", "below", "at_most"]
YES: Final = frozenset(("true", "yes", "y", "1", "on"))
"""Texts that mean true where nothing is compared."""

MOST_TRIES: Final = 100
"""Braces at which an object is looked for in one answer."""


@dataclass(frozen=True, slots=True)
class Side:
    """What is done: an agent goes on, or `text` is the answer."""

    agent: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """`cases` by folded text, tried first. `values` are what the judged value is compared with; without any, a text is
    true if it is one of YES or names the true side's agent, anything else as JSON sees it."""

    yes: Side
    no: Side
    cases: Mapping[str, Side]
    operator: Operator = "equals"
    values: tuple[Scalar, ...] = ()


def decide(rules: Rules, value: Any) -> Side:
    """The side for a judged value; None stands for none."""
    if rules.cases:
        found = (rules.cases[text] for text in _texts(value) if text in rules.cases)
        return next(found, rules.no)
    return rules.yes if _holds(rules, value) else rules.no


def _holds(rules: Rules, value: Any) -> bool:
    if rules.values:
        return _compares(rules.operator, value, rules.values)
    if isinstance(value, str):
        return folded(value) in YES or (bool(rules.yes.agent) and folded(value) == folded(rules.yes.agent))
    return bool(value)


def _compares(operator: Operator, value: Any, values: Sequence[Scalar]) -> bool:
    match operator:
        case "equals":
            return any(_same(value, one) for one in values)
        case "not_equals":
            return value is not None and not any(_same(value, one) for one in values)
        case "contains":
            return any(folded(one) in text for one in values for text in _texts(value, inside=True))
        case _:
            return any(_ordered(operator, value, one) for one in values)


def _same(value: Any, one: Scalar) -> bool:
    return folded(one) in _texts(value)


def _ordered(operator: Operator, value: Any, one: Scalar) -> bool:
    """Numbers, also such as are written as text; what is no number compares with nothing."""
    left, right = _number(value), _number(one)
    if left is None or right is None:
        return False
    return {"above": left > right, "at_least": left >= right, "below": left < right, "at_most": left <= right}[operator]


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) or value is None else float(value)
    except (TypeError, ValueError):
        return None


def _texts(value: Any, *, inside: bool = False) -> list[str]:
    """A value as folded text; each entry of a list counts."""
    if isinstance(value, list):
        return [folded(one) for one in value if isinstance(one, bool | int | float | str)]
    if isinstance(value, bool | int | float | str):
        return [folded(value)]
    return [folded(json.dumps(value))] if inside and value is not None else []


def folded(value: Scalar) -> str:
    """As it is compared: capitals and space around do not matter, true is `true`, 1.0 is `1`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip().casefold()


def judged(text: str, key: str) -> Any:
    """The value under `key` in the first JSON object of a text; a text without any is the value itself.

    None where there is no such key, and for an empty text.
    """
    found = first_object(text)
    if found is None:
        return text.strip().strip("\"'`.").strip() or None
    if key in found:
        return found[key]
    inner: Any = found
    for step in key.split("."):
        inner = inner.get(step) if isinstance(inner, dict) else None
    return inner


def first_object(text: str) -> dict[str, Any] | None:
    """The first JSON object in a text, whatever stands around it."""
    decoder, at = json.JSONDecoder(), text.find("{")
    for _ in range(MOST_TRIES):
        if at < 0:
            break
        try:
            found, _ = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            return found
        at = text.find("{", at + 1)
    return None
