"""Counters with limits: what is asked of them and when it is granted. Decisions only; who keeps the counters obeys.

A counter is *used* up by what has happened, and *held* by what is under way and may still need what it asked for.
"""

from collections.abc import Iterable, MutableMapping
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from hector.core.record import dataclass


class Counter(NamedTuple):
    """What `subject` has used of `what` in a window, which begins at `period` and is forgotten after `ends` (ms)."""

    subject: str
    what: str
    period: int
    ends: int

    @property
    def key(self) -> "Key":
        """What tells it from others."""
        return self.subject, self.what, self.period


Key: TypeAlias = tuple[str, str, int]


@dataclass(slots=True)
class Standing:
    """How far a counter has come."""

    used: int = 0
    held: int = 0


class Want(NamedTuple):
    """An amount of a counter, which has a limit, or None."""

    counter: Counter
    amount: int
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """What is wanted together: all of it or nothing.

    With an `id` it is held until that id is settled or released; without one it is used at once. `forced`: limits are
    not looked at, for what was granted before.
    """

    wants: tuple[Want, ...]
    id: str = ""
    task: str = ""
    forced: bool = False


class Verdict(StrEnum):
    """`wait`: there is something left, but others hold it and may give some of it back."""

    GRANTED = "granted"
    WAIT = "wait"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Answer:
    """The decision; `standings`: those behind it, (used, held) per want; `at`: the want that stood in the way."""

    verdict: Verdict
    standings: tuple[tuple[int, int], ...]
    at: int = 0


Standings: TypeAlias = MutableMapping[Key, Standing]


def judge(standings: Standings, ask: Ask) -> Answer:
    """Decide, and change the standings by what was granted."""
    verdict, at = Verdict.GRANTED, 0
    if not ask.forced:
        for number, want in enumerate(ask.wants):
            found = _verdict(_standing(standings, want), want, bool(ask.id))
            if found is Verdict.REFUSED or (found is Verdict.WAIT and verdict is Verdict.GRANTED):
                verdict, at = found, number
            if verdict is Verdict.REFUSED:
                break
    if verdict is Verdict.GRANTED:
        for want in ask.wants:
            standing = _standing(standings, want)
            if ask.id:
                standing.held += want.amount
            else:
                standing.used += want.amount
    seen = (_standing(standings, want) for want in ask.wants)
    return Answer(verdict, tuple((one.used, one.held) for one in seen), at)


def _verdict(standing: Standing, want: Want, to_hold: bool) -> Verdict:
    """One want by itself.

    Whoever holds may go over the limit if nobody else holds anything, since it is not known before a model has answered
    how much it uses: so all of a budget can be used, and at most one call goes beyond it.
    """
    if want.limit is None or standing.used + standing.held + want.amount <= want.limit and standing.used < want.limit:
        return Verdict.GRANTED
    if standing.used >= want.limit or not to_hold:
        return Verdict.REFUSED
    return Verdict.WAIT if standing.held else Verdict.GRANTED


def _standing(standings: Standings, want: Want) -> Standing:
    found = standings.get(want.counter.key)
    if found is None:
        found = standings[want.counter.key] = Standing()
    return found


def total(wants: Iterable[Want]) -> list[Want]:
    """The same with one want per counter."""
    found: dict[Key, Want] = {}
    for want in wants:
        before = found.get(want.counter.key)
        found[want.counter.key] = want if before is None else before._replace(amount=before.amount + want.amount)
    return list(found.values())
