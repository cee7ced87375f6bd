"""Regular expressions whose time grows with the text alone, for patterns that models write.

Python's own can take longer than the universe for a line of fifty signs, with the whole process standing still. These
are run as a set of places in the pattern that moves along the text (Thompson 1968); sets are kept, so that a sign costs
one look into a table. What cannot be had that way is refused: references back, and looking around.
"""

import time
from collections.abc import Callable
from typing import Final

from hector.core.errors import ToolError
from hector.tools.files.grammar import Parser, Place

MOST_PLACES: Final = 4_000
"""Places of a pattern once its repetitions are written out."""
MOST_SETS: Final = 2_000
"""Sets of places that are kept; then keeping begins anew."""
MOST_SECONDS: Final = 2.0
"""What may be spent on finding sets, of which all but few patterns have hardly any."""
PIECE: Final = 4_096
"""Signs after which `aside` is called."""
_SPECIAL: Final = frozenset("\\.^$|?*+()[]{}")


class _Set:
    """Places that the text up to here may have led to, and what stood last; `after` is what each sign leads to."""

    __slots__ = ("after", "before", "places")

    def __init__(self, places: frozenset[int], before: str) -> None:
        self.places, self.before = places, before
        self.after: dict[str, _Set | None] = {}


class Pattern:
    """A pattern, ready to look for. Raises ToolError for what is none, or none that is possible here."""

    def __init__(self, pattern: str, *, ignore_case: bool = False) -> None:
        if pattern.startswith("(?i)"):
            pattern, ignore_case = pattern[4:], True
        self._literal = None if ignore_case or not _SPECIAL.isdisjoint(pattern) else pattern
        self._places: list[Place] = []
        parser = Parser(pattern, ignore_case, self._place)
        build = parser.whole()
        end = self._place()
        end.end = True
        self._start = build(end).number
        self._sets: dict[tuple[frozenset[int], str], _Set] = {}
        self._spent = 0.0

    def _place(self) -> Place:
        if len(self._places) >= MOST_PLACES:
            raise ToolError("the pattern is too large once its repetitions are written out")
        place = Place(len(self._places), [])
        self._places.append(place)
        return place

    def found_in(self, line: str, aside: Callable[[], None] | None = None) -> bool:
        """Whether any part of a line fits; `aside` is called along a long one. Raises ToolError: it takes too long."""
        if self._literal is not None:
            return self._literal in line
        current = self._set(frozenset((self._start,)), "")
        for at in range(0, len(line), PIECE):
            if at and aside is not None:
                aside()
            following = self._along(current, line[at : at + PIECE])
            if following is None:
                return True
            current = following
        return self._reached(current, "")[1]

    def _along(self, current: _Set, signs: str) -> _Set | None:
        """What some signs lead to; None: the pattern fits already."""
        for sign in signs:
            following = current.after.get(sign, current)
            if following is current and sign not in current.after:
                following = self._step(current, sign)
            if following is None:
                return None
            current = following
        return current

    def _set(self, places: frozenset[int], before: str) -> _Set:
        key = (places, before)
        if key not in self._sets:
            if len(self._sets) >= MOST_SETS:
                self._sets.clear()
            self._sets[key] = _Set(places, before)
        return self._sets[key]

    def _step(self, current: _Set, sign: str) -> _Set | None:
        """What a sign leads to; None: the pattern fits already. Raises ToolError when this has taken too long."""
        begun = time.thread_time()
        places, fits = self._reached(current, sign)
        found: _Set | None = None
        if not fits:
            onward = {one.number for place in places if place.test and place.test(sign) for one in place.out}
            found = self._set(frozenset({*onward, self._start}), _kind(sign))
        if len(current.after) < MOST_SETS:
            current.after[sign] = found
        self._spent += time.thread_time() - begun
        if self._spent > MOST_SECONDS:
            raise ToolError("the pattern takes too long on this text; make it simpler, or search fewer files")
        return found

    def _reached(self, current: _Set, sign: str) -> tuple[list[Place], bool]:
        """The places that take a sign, once all that takes none was passed; and whether the end is among them."""
        after = _kind(sign) if sign else ""
        waiting, seen, takers = list(current.places), set(current.places), list[Place]()
        while waiting:
            place = self._places[waiting.pop()]
            if place.end:
                return [], True
            if place.test is not None:
                takers.append(place)
            elif place.holds is None or place.holds(current.before, after):
                fresh = {one.number for one in place.out} - seen
                seen |= fresh
                waiting += fresh
        return takers, False


def _kind(sign: str) -> str:
    """What an anchor sees of a sign: "w" for one of a word, "-" for another."""
    return "w" if sign.isalnum() or sign == "_" else "-"
