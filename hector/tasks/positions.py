"""Where in a task's updates a reader is: which run, which claim of it, and how many updates of that claim it has."""

import re
from itertools import count
from time import time_ns
from typing import Final, NamedTuple

from hector.core.pattern import pattern

_WRITTEN: Final = pattern(r"(\d{1,18})\.(\d{1,9})-(\d{1,12}|end)", re.ASCII)


class Epoch(NamedTuple):
    """One claim of one job: within it updates are numbered from 1. Later ones compare greater."""

    job: int
    fence: int


NOWHERE: Final = Epoch(0, 0)
"""Updates that belong to no claim: what a reader missed, made up from what is stored. Nobody can resume behind them."""


class Position(NamedTuple):
    """Behind update `number` of `epoch`; written `<job>.<fence>-<number>`, or with `end` once all has been said."""

    epoch: Epoch
    number: int

    @classmethod
    def parse(cls, text: str | None) -> "Position | None":
        """From its written form; None for anything else, since whoever sends nonsense begins anew."""
        found = _WRITTEN.fullmatch(text or "")
        if found is None:
            return None
        job, fence, number = found.groups()
        return cls(Epoch(int(job), int(fence)), END if number == "end" else int(number))

    @property
    def at_end(self) -> bool:
        """Whoever is here has been told how the task ended."""
        return self.number == END

    def __str__(self) -> str:
        return f"{prefix(self.epoch)}{'end' if self.at_end else self.number}"


END: Final = -1
# Two apart: the first update behind a place has the number after it.
_unknown: Final = count(time_ns() // 1_000_000 % 10**11, 2)


def unknown() -> Position:
    """A place that nobody can go on behind, different from all others."""
    return Position(NOWHERE, next(_unknown))


def prefix(epoch: Epoch) -> str:
    """What all written positions of an epoch begin with."""
    return f"{epoch.job}.{epoch.fence}-"
