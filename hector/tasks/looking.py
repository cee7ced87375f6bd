"""What a process that has places free does next about jobs that wait: decisions only, and what they are made from."""

from collections.abc import Mapping
from dataclasses import field
from typing import Final, TypeAlias

from hector.core.record import dataclass
from hector.store.jobs import LOWEST

BATCH: Final = 64
"""Jobs that are claimed at once, so that processes that woke up together share what there is."""
OVERTAKEN: Final = 0.1
"""Seconds until the next look when others were quicker with everything that was due."""
URGENT: Final = 0
"""The lowest priority of work that somebody may be waiting for; what is below gets some of the places only."""
_YIELDING: Final = 4
"""One in so many places of work that can wait is given to others at a time."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a round knows so far.

    `free` counts the places, `spare` those that work which nobody waits for may still take, of `places` in all for it.
    Of that work, `ripe` has had its patience, and in `ripens` seconds more of it will (None: none ever). `doubt`:
    there may be jobs of ours that we do not know of. `plenty`: the last claim took as much as it asked for, so that
    looking costs more than claiming. `due` says for each lowest priority that was looked at when the next such job may
    be claimed. `claimed`: how many jobs were, of `asked`. Times in seconds; `every`: between two looks.
    """

    now: float
    every: float
    free: int
    spare: int
    places: int
    doubt: bool = False
    plenty: bool = False
    ripe: int = 0
    ripens: float | None = None
    due: Mapping[int, float | None] = field(default_factory=dict)
    asked: int = 0
    claimed: int | None = None
    yielded: bool = False

    def waits(self, least: int) -> bool:
        """Whether a job of at least this priority is known to be due."""
        due = self.due.get(least)
        return due is not None and due <= self.now


@dataclass(frozen=True, slots=True)
class Recover:
    """Find jobs of ours that nobody here works on."""


@dataclass(frozen=True, slots=True)
class Look:
    """See when the next job of at least this priority may be claimed."""

    least: int


@dataclass(frozen=True, slots=True)
class Take:
    """Claim up to so many."""

    count: int
    least: int


@dataclass(frozen=True, slots=True)
class MakeRoom:
    """Let so much work that has had its patience go back for later."""

    count: int


@dataclass(frozen=True, slots=True)
class Rest:
    """The round is over; the next is in `seconds`, or when a job is announced; if `hungry`, when any place is free."""

    seconds: float
    hungry: bool = False
    plenty: bool = False


Step: TypeAlias = Recover | Look | Take | MakeRoom | Rest


def next_step(known: Known) -> Step:
    """What to do with it."""
    if known.doubt:
        return Recover()
    if known.claimed is not None:
        overtaken = not known.claimed and not known.plenty
        return Rest(OVERTAKEN if overtaken else 0.0, known.spare <= 0, known.claimed == known.asked)
    least = LOWEST if known.spare > 0 else URGENT
    if not known.plenty and least not in known.due:
        return Look(least)
    count = min(known.free, known.spare if known.spare > 0 else BATCH, BATCH)
    waits = known.plenty or known.waits(least)
    if waits and count > 0:
        return Take(count, least)
    if waits or known.spare <= 0:
        return _crowded(known)
    due = known.due[least]
    return Rest(known.every if due is None else min(known.every, due - known.now))


def _crowded(known: Known) -> Step:
    """What waits finds no place."""
    if known.ripens is None or known.yielded:
        return Rest(known.every, hungry=True)
    if LOWEST not in known.due:
        return Look(LOWEST)
    if known.waits(LOWEST):
        if known.ripe:
            return MakeRoom(min(known.ripe, max(known.places // _YIELDING, 1)))
        return Rest(min(known.every, known.ripens), hungry=True)
    due = known.due[LOWEST]
    return Rest(known.every if due is None else min(known.every, due - known.now), hungry=True)
