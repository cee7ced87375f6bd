"""Reads JSON objects field by field and collects everything that is wrong, so that a client learns it all at once."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from hector.core.content import JsonObject
from hector.core.errors import InvalidRequest, Violation
from hector.core.ids import wrong_with

LONGEST_NAME: Final = 64
_MOST_VIOLATIONS: Final = 20


@lru_cache(maxsize=512)
def camel(name: str) -> str:
    """`context_id` as `contextId`: proto-JSON readers accept both."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def in_camel_case(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same object under the names of the specification; where both spellings are given, those win."""
    if "_" not in "".join(value):
        return value
    respelt = {camel(name): found for name, found in value.items() if len(name) <= LONGEST_NAME}
    return {**respelt, **{name: found for name, found in value.items() if found is not None}}


class Reader:
    """One JSON object. Fields are asked for in camelCase and found under either spelling; null counts as absent."""

    __slots__ = ("path", "value", "wrong")

    def __init__(self, value: Mapping[str, Any], path: str = "", wrong: list[Violation] | None = None) -> None:
        self.value = in_camel_case(value)
        self.path = path
        self.wrong: list[Violation] = [] if wrong is None else wrong

    def take(self, name: str) -> Any:
        """The field as it came, or None."""
        return self.value.get(name)

    def complain(self, name: str, description: str) -> None:
        """Note a violation of a field of this object."""
        self.wrong.append(Violation(f"{self.path}{name}", description))

    def text(self, name: str, *, required: bool = False, most: int | None = None) -> str | None:
        """A text; the empty one counts as absent, as in proto-JSON."""
        found = self.value.get(name)
        if found is None or found == "":
            if required:
                self.complain(name, "is required")
            return None
        if not isinstance(found, str):
            self.complain(name, f"must be a string, not {kind(found)}")
            return None
        if most is not None and len(found) > most:
            self.complain(name, f"is longer than {most} characters")
        return found

    def identifier(self, name: str, *, required: bool = False) -> str | None:
        """A text of bounded length, without control characters: it may end up as a key, in a header and in a log."""
        found = self.text(name, required=required)
        if found is not None and (said := wrong_with(found)):
            self.complain(name, said)
        return found

    def integer(self, name: str, low: int, high: int | None = None) -> int | None:
        """A whole number within bounds; digits in a string are taken too, as in proto-JSON and in URLs."""
        found = self.value.get(name)
        if found is None or found == "":
            return None
        number = _whole(found)
        if number is None:
            self.complain(name, f"must be a whole number, not {kind(found)}")
        elif number < low or (high is not None and number > high):
            self.complain(name, f"must be {f'from {low} to {high}' if high is not None else f'at least {low}'}")
        return number

    def flag(self, name: str) -> bool | None:
        """true or false, also as the word."""
        found = self.value.get(name)
        if found is None or isinstance(found, bool):
            return found
        if found in ("true", "false"):
            return bool(found == "true")
        self.complain(name, f"must be true or false, not {kind(found)}")
        return None

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings."""
        found = self.value.get(name)
        if found is None:
            return ()
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            self.complain(name, "must be a list of strings")
            return ()
        return tuple(found)

    def json(self, name: str) -> JsonObject | None:
        """An object whose keys belong to somebody else: handed over untouched."""
        found = self.value.get(name)
        if found is None or isinstance(found, dict):
            return found
        self.complain(name, f"must be an object, not {kind(found)}")
        return None

    def inner(self, name: str, *, required: bool = False) -> "Reader | None":
        """An object of the protocol itself."""
        found = self.value.get(name)
        if found is None and required:
            self.complain(name, "is required")
        if found is not None and not isinstance(found, dict):
            self.complain(name, f"must be an object, not {kind(found)}")
            return None
        return None if found is None else Reader(found, f"{self.path}{name}.", self.wrong)

    def finish(self) -> None:
        """Raise InvalidRequest if anything was wrong."""
        if self.wrong:
            raise invalid(self.wrong)


def invalid(wrong: Sequence[Violation]) -> InvalidRequest:
    """All violations in one error, the text naming the first few."""
    listed = "; ".join(f"{found.field} {found.description}" for found in wrong[:3])
    more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return InvalidRequest(f"the request is not valid: {listed}{more}", wrong[:_MOST_VIOLATIONS])


def kind(value: object) -> str:
    """What JSON calls it, with an article."""
    match value:
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return "null"


def _whole(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and len(value) <= 20 and value.removeprefix("-").isdecimal():
        return int(value)
    return None
