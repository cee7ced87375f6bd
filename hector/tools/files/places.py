"""Where some lines stand among others, in one pass (Knuth, Morris and Pratt 1977): models choose both. Pure."""

from collections.abc import Sequence

from hector.core.errors import ToolError


class Work:
    """How many lines may be looked at for one call. Raises ToolError when it is too much."""

    def __init__(self, most: int = 4_000_000) -> None:
        self._left = most

    def spend(self, lines: int) -> None:
        """Take this much of it."""
        self._left -= lines
        if self._left < 0:
            raise ToolError("the change takes too long to be placed in a file of this length; make several small ones")


def places(lines: Sequence[str], wanted: Sequence[str], first: int = 0) -> list[int]:
    """Each number, from 0, of a line not before `first` with which `wanted` begins; it is not empty."""
    back = _back(wanted)
    found: list[int] = []
    fits = 0
    for at in range(first, len(lines)):
        while fits and (fits == len(wanted) or lines[at] != wanted[fits]):
            fits = back[fits - 1]
        if lines[at] == wanted[fits]:
            fits += 1
        if fits == len(wanted):
            found.append(at - fits + 1)
    return found


def _back(wanted: Sequence[str]) -> list[int]:
    """For each beginning of `wanted` the length of its longest end that begins it, too."""
    back = [0] * len(wanted)
    fits = 0
    for at in range(1, len(wanted)):
        while fits and wanted[at] != wanted[fits]:
            fits = back[fits - 1]
        fits += wanted[at] == wanted[fits]
        back[at] = fits
    return back
