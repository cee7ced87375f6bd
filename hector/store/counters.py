"""Counters that several processes share, what is held of them, and what was paid: exact whoever asks at the same time.

What a run pays is written as one row in the transaction of the event that tells of it, and touches no row that others
wait for; `fold` moves such rows into the counters and into the table of usage, each once.
"""

import json
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, Final

from hector.core.clock import milliseconds
from hector.core.quota import Answer, Ask, Counter, Key, Standing, Verdict, Want, judge, total
from hector.core.record import dataclass
from hector.store.database import Connection, Database
from hector.store.queries import load
from hector.store.usage import Amounts, Place, UsageTable

_KEY: Final = "counters"
"""All units here depend on the same thing: one runs after the other, each for as many askers as there are."""
FOLDED: Final = 500
"""Payments that one transaction moves."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What was paid under a reservation, or, with a new `id`, without one. `at`: seconds since the epoch."""

    id: str
    task: str
    at: float
    counts: tuple[Want, ...] = ()
    place: Place | None = None
    amounts: Amounts = Amounts()


class Counters:
    """The repository. Public methods without a connection are one unit of work each."""

    def __init__(self, database: Database, usage: UsageTable) -> None:
        self._database = database
        self._usage = usage
        self._sql = load("counters", database.dialect)

    def ask(self, asks: Sequence[Ask], owner: str, at: float) -> Awaitable[list[Answer]]:
        """Decide them, one after the other. `owner` is the process that holds what they get."""
        return self._database.write(lambda con: self._ask(con, asks, owner, milliseconds(at)), _KEY)

    def settle(self, charges: Sequence[Charge]) -> Awaitable[None]:
        """Pay outside of any other write."""
        return self._database.write(lambda con: self.pay(con, charges))

    def release(self, ids: Sequence[str]) -> Awaitable[None]:
        """Give back what is held and was not needed."""
        return self._database.write(lambda con: con.many(self._sql["release"], [(one,) for one in ids]))

    def abandon(self) -> Awaitable[int]:
        """Give back what processes hold that are gone; how many reservations."""
        return self._database.write(lambda con: con.execute(self._sql["abandon"]))

    def fold(self) -> Awaitable[int]:
        """Move payments, and what was given back, to where they count; how many. Below FOLDED: there are no more."""
        return self._database.write(self._fold, _KEY)

    def remove_before(self, at: float) -> Awaitable[int]:
        """Forget counters whose window has ended before; how many."""
        return self._database.write(lambda con: con.execute(self._sql["ended"], (milliseconds(at),)), _KEY)

    def read(self, counters: Sequence[Counter]) -> Awaitable[list[Standing]]:
        """How they stand, without any claim on that."""

        async def unit(con: Connection) -> list[Standing]:
            found = [await con.one(self._sql["read"], one.key) for one in counters]
            return [Standing(*row) if row else Standing() for row in found]

        return self._database.read(unit)

    async def pay(self, con: Connection, charges: Iterable[Charge]) -> None:
        """Note what was paid, in the transaction of what it was paid for."""
        for charge in charges:
            paid = {"place": charge.place, "amounts": charge.amounts, "counts": _listed(charge.counts)}
            args = (charge.id, charge.task, json.dumps(paid), milliseconds(charge.at))
            await con.send(self._sql["settle"], args)

    async def _ask(self, con: Connection, asks: Sequence[Ask], owner: str, at: int) -> list[Answer]:
        counters = sorted({want.counter.key: want.counter for ask in asks for want in ask.wants}.values())
        standings = await self._standings(con, counters)
        before = {key: Standing(one.used, one.held) for key, one in standings.items()}
        answers: list[Answer] = []
        held: list[tuple[Any, ...]] = []
        for ask in asks:
            if ask.id and con.again and await con.one(self._sql["known"], (ask.id,)):
                answers.append(Answer(Verdict.GRANTED, ()))
                continue
            answers.append(judge(standings, ask))
            if ask.id and answers[-1].verdict is Verdict.GRANTED:
                held.append((ask.id, owner, ask.task, json.dumps(_listed(ask.wants)), at))
        changed = [
            [*one, standings[one.key].used - before[one.key].used, standings[one.key].held - before[one.key].held]
            for one in counters
        ]
        if changed := [row for row in changed if row[4] or row[5]]:
            await con.send(self._sql["change"], (json.dumps(changed),))
        await con.many(self._sql["hold"], held)
        return answers

    async def _standings(self, con: Connection, counters: Sequence[Counter]) -> dict[Key, Standing]:
        keys = json.dumps(counters)
        rows = await con.all(self._sql["standing"], (keys,))
        if len(rows) < len(counters):
            await con.execute(self._sql["enter"], (keys,))
            rows = await con.all(self._sql["standing"], (keys,))
        return {(subject, what, period): Standing(used, held) for subject, what, period, used, held in rows}

    async def _fold(self, con: Connection) -> int:
        rows = await con.all(self._sql["settled"], (FOLDED,))
        if not rows:
            return 0
        used: list[Want] = []
        held: list[Want] = []
        sums: dict[Place, Amounts] = {}
        for _, holding, payment in rows:
            held += _wants(json.loads(holding))
            paid = json.loads(payment) if payment else {}
            used += _wants(paid.get("counts", ()))
            if paid.get("place"):
                place = Place(*paid["place"])
                sums[place] = sums.get(place, Amounts()).plus(Amounts(*paid["amounts"]))
        await con.execute(self._sql["forget"], (json.dumps([row[0] for row in rows]),))
        if changed := _changes(used, held):
            await con.send(self._sql["change"], (json.dumps(changed),))
        await self._usage.add(con, sums.items())
        return len(rows)


def _listed(wants: Iterable[Want]) -> list[list[Any]]:
    return [[*want.counter, want.amount] for want in total(wants) if want.amount]


def _wants(listed: Iterable[Sequence[Any]]) -> list[Want]:
    return [Want(Counter(*row[:4]), row[4]) for row in listed]


def _changes(used: Iterable[Want], held: Iterable[Want]) -> list[list[Any]]:
    """Rows for the statement, in the order in which everybody locks them."""
    found: dict[Counter, list[int]] = {}
    for column, sign, wants in ((0, 1, used), (1, -1, held)):
        for want in wants:
            found.setdefault(want.counter, [0, 0])[column] += sign * want.amount
    merged: dict[Key, list[Any]] = {}
    for counter, (more, less) in sorted(found.items()):  # the same counter may be remembered with different ends
        row = merged.setdefault(counter.key, [*counter, 0, 0])
        row[4] += more
        row[5] += less
    return list(merged.values())
