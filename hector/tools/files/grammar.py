"""The grammar of regular expressions that can be run in linear time (linear.py): from a pattern to places in it."""

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from hector.core.errors import ToolError
from hector.core.record import dataclass

_CLASSES: Final[dict[str, Callable[[str], bool]]] = {
    "d": str.isdecimal,
    "w": lambda sign: sign.isalnum() or sign == "_",
    "s": str.isspace,
}
_SIGNS: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "0": "\0", "a": "\a"}
_Test: TypeAlias = Callable[[str], bool]


@dataclass(slots=True)
class Place:
    """A place in the pattern: `test` takes a sign, `holds` only looks at what is around; both lead to `out`."""

    number: int
    out: "list[Place]"
    test: _Test | None = None
    holds: Callable[[str, str], bool] | None = None
    end: bool = False


_MOST_COPIES: Final = 20_000
"""Repetitions that are written out, those of nothing at all among them."""
Build: TypeAlias = Callable[[Place], Place]
"""A part of a pattern: given what comes behind it, where it begins."""


class Parser:
    """Reads a pattern from left to right."""

    def __init__(self, pattern: str, ignore_case: bool, place: Callable[[], Place]) -> None:
        self._text, self._at, self._ignore_case, self._place, self._depth = pattern, 0, ignore_case, place, 0
        self._copies = 0

    def whole(self) -> Build:
        build = self._choice()
        if self._at < len(self._text):
            raise self._wrong("a ')' too many")
        return build

    def _wrong(self, what: str) -> ToolError:
        return ToolError(f"the pattern cannot be used: {what} (at sign {self._at + 1})")

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        sign = self._peek()
        if not sign:
            raise self._wrong("it ends too early")
        self._at += 1
        return sign

    def _take(self, text: str) -> bool:
        if self._text.startswith(text, self._at):
            self._at += len(text)
            return True
        return False

    def _choice(self) -> Build:
        self._depth += 1
        if self._depth > 50:
            raise self._wrong("too many groups within each other")
        branches = [self._row()]
        while self._take("|"):
            branches.append(self._row())
        self._depth -= 1
        return branches[0] if len(branches) == 1 else lambda after: self._fork(*(one(after) for one in branches))

    def _row(self) -> Build:
        parts: list[Build] = []
        while self._peek() not in {"", "|", ")"}:
            parts.append(self._repeated(self._one()))

        def build(after: Place) -> Place:
            for part in reversed(parts):
                after = part(after)
            return after

        return build

    def _fork(self, *ways: Place) -> Place:
        place = self._place()
        place.out = list(ways)
        return place

    def _repeated(self, part: Build) -> Build:
        if (bounds := self._bounds()) is None:
            return part
        self._take("?") or self._take("+")
        if self._bounds() is not None:
            raise self._wrong("two repetitions stand one after the other; put the first one into a group")
        return self._times(part, *bounds)

    def _bounds(self) -> tuple[int, int | None] | None:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return bounds
        end = self._text.find("}", self._at)
        inner = self._text[self._at + 1 : end]
        low, comma, high = inner.partition(",")
        if self._peek() != "{" or end < 0 or not (low + high).isdecimal() or not (low + high).isascii():
            return None
        self._at = end + 1
        least = int(low or 0)
        most = (int(high) if high else None) if comma else least
        if max(least, most or 0) > 1000 or (most is not None and most < least):
            raise self._wrong("repetitions go from small to large, and to 1000 at most")
        return least, most

    def _times(self, part: Build, least: int, most: int | None) -> Build:
        def build(after: Place) -> Place:
            self._copies += most or least
            if self._copies > _MOST_COPIES:
                raise ToolError("the pattern is too large once its repetitions are written out")
            if most is None:
                loop = self._place()
                loop.out = [part(loop), after]
                current = loop
            else:
                current = after
                for _ in range(most - least):
                    current = self._fork(part(current), after)
            for _ in range(least):
                current = part(current)
            return current

        return build

    def _one(self) -> Build:
        sign = self._next()
        match sign:
            case "(":
                return self._group()
            case "[":
                return self._sign(self._listed())
            case ".":
                return self._sign(lambda one: one != "\n")
            case "^":
                return self._anchor(lambda before, _: before == "")
            case "$":
                return self._anchor(lambda _, after: after == "")
            case "\\":
                return self._escaped()
            case "*" | "+" | "?":
                raise self._wrong(f"there is nothing that {sign!r} could repeat")
            case _:
                return self._sign(self._exactly(sign))

    def _group(self) -> Build:
        if self._take("?"):
            if self._take("P<") or (self._peek() == "<" and self._text[self._at + 1 : self._at + 2] not in {"=", "!"}):
                self._at = self._text.find(">", self._at) + 1 or len(self._text)
            elif not self._take(":"):
                raise self._wrong("looking around and conditions are not possible; only plain groups are")
        inner = self._choice()
        if not self._take(")"):
            raise self._wrong("a ')' is missing")
        return inner

    def _escaped(self) -> Build:
        sign = self._next()
        match sign:
            case "b":
                return self._anchor(lambda before, after: (before == "w") != (after == "w"))
            case "B":
                return self._anchor(lambda before, after: (before == "w") == (after == "w"))
            case "A":
                return self._anchor(lambda before, _: before == "")
            case "Z" | "z":
                return self._anchor(lambda _, after: after == "")
            case _:
                return self._sign(self._class(sign) or self._exactly(self._meant(sign)))

    def _class(self, sign: str) -> _Test | None:
        test = _CLASSES.get(sign.lower())
        if test is None:
            return None
        found = test
        return found if sign.islower() else lambda one: not found(one)

    def _meant(self, sign: str) -> str:
        if sign in "xuU":
            size = {"x": 2, "u": 4, "U": 8}[sign]
            code = self._text[self._at : self._at + size]
            self._at += size
            try:
                return chr(int(code, 16))
            except (ValueError, OverflowError):
                raise self._wrong(f"\\{sign} needs {size} hexadecimal digits") from None
        if sign.isdecimal() and sign != "0":
            raise self._wrong("references to earlier groups are not possible")
        if sign in _SIGNS:
            return _SIGNS[sign]
        if sign.isalnum():
            raise self._wrong(f"\\{sign} is not known")
        return sign

    def _listed(self) -> _Test:
        """The signs between brackets."""
        negated, tests, first = self._take("^"), list[_Test](), True
        while (sign := self._next()) != "]" or first:
            first = False
            if sign == "\\":
                sign = self._next()
                if (test := self._class(sign)) is not None:
                    tests.append(test)
                    continue
                sign = "\b" if sign == "b" else self._meant(sign)
            tests.append(self._range(sign))
        return (
            (lambda one: not any(test(one) for test in tests))
            if negated
            else (lambda one: any(test(one) for test in tests))
        )

    def _range(self, low: str) -> _Test:
        if self._peek() != "-" or self._text[self._at + 1 : self._at + 2] in {"]", ""}:
            return self._exactly(low)
        self._at += 1
        high = self._next()
        if high == "\\":
            high = self._meant(self._next())
        if high < low:
            raise self._wrong(f"the range {low}-{high} goes backwards")
        if self._ignore_case:
            return lambda one: any(low <= form <= high for form in (one, one.lower(), one.upper()))
        return lambda one: low <= one <= high

    def _exactly(self, sign: str) -> _Test:
        if self._ignore_case:
            forms = {sign, *_forms(sign)}
            return lambda one: one in forms or not forms.isdisjoint(_forms(one))
        return lambda one: one == sign

    def _sign(self, test: _Test) -> Build:
        def build(after: Place) -> Place:
            place = self._place()
            place.test, place.out = test, [after]
            return place

        return build

    def _anchor(self, holds: Callable[[str, str], bool]) -> Build:
        def build(after: Place) -> Place:
            place = self._place()
            place.holds, place.out = holds, [after]
            return place

        return build


def _forms(sign: str) -> Iterator[str]:
    yield sign.lower()
    yield sign.upper()
