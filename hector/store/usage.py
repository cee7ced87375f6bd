"""What was used, by day, app, agent, user and model."""

from collections.abc import Awaitable, Iterable
from typing import Any, Final, NamedTuple

from hector.core.errors import InvalidRequest, Violation
from hector.core.record import dataclass
from hector.store.database import Connection, Database
from hector.store.paging import check_size, decode_line, encode_line
from hector.store.queries import load

DAY_MS: Final = 86_400_000
COLUMNS: Final = ("app", "day", "agent", "user", "model")
"""What a report may be grouped by, in the order of its lines."""
MILLION: Final = 1_000_000


class Amounts(NamedTuple):
    """Sums. `input` includes `cached`, from a cache; `output` includes `reasoning`; `money` is in millionths."""

    calls: int = 0
    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0
    tools: int = 0
    money: int = 0

    def plus(self, other: "Amounts") -> "Amounts":
        """Both together."""
        return Amounts(*map(sum, zip(self, other, strict=True)))


class Place(NamedTuple):
    """Where it was used; `day` counts from the epoch, in UTC. In a report what it is not grouped by is empty."""

    app: str = ""
    day: int = 0
    agent: str = ""
    user: str = ""
    model: str = ""


class Line(NamedTuple):
    """One line of a report."""

    place: Place
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """What a report is about. `since` and `until` are days from the epoch, both inclusive."""

    by: tuple[str, ...] = COLUMNS
    since: int = 0
    until: int = 1 << 40
    app: str | None = None
    agent: str | None = None
    user: str | None = None
    model: str | None = None
    size: int = 50
    token: str | None = None


@dataclass(frozen=True, slots=True)
class UsagePage:
    """Lines in the order of app, day, agent, user and model; `token` is empty on the last page."""

    lines: tuple[Line, ...]
    token: str


class UsageTable:
    """The repository. What runs write comes in by `Counters.fold`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("usage", database.dialect)

    def report(self, query: UsageQuery) -> Awaitable[UsagePage]:
        """One page. Raises InvalidRequest for a bad size or token, or for an unknown column."""
        check_size(query.size)
        if unknown := [name for name in query.by if name not in COLUMNS]:
            said = f"must be some of {', '.join(COLUMNS)}, not {unknown[0]!r}"
            raise InvalidRequest(f"by {said}", [Violation("by", said)])
        after = decode_line(query.token, (str, int, str, str, str)) or ("", -1, "", "", "")
        filters = (query.since, query.until, query.app, query.agent, query.user, query.model)
        flags = tuple(int(name in query.by) for name in COLUMNS)
        return self._database.read(lambda con: self._report(con, (*flags, *filters, *after), query.size))

    def remove_before(self, day: int) -> Awaitable[int]:
        """Forget older days; how many rows."""
        return self._database.write(lambda con: con.execute(self._sql["ended"], (day,)))

    async def add(self, con: Connection, found: Iterable[tuple[Place, Amounts]]) -> None:
        """Add to what stands. Rows are changed in one order by everybody."""
        rows = [(app, agent, user, model, day, *sums) for (app, day, agent, user, model), sums in sorted(found)]
        await con.many(self._sql["add"], rows)

    async def _report(self, con: Connection, args: tuple[Any, ...], size: int) -> UsagePage:
        rows = await con.all(self._sql["report"], (*args, size + 1))
        lines = tuple(Line(Place(*row[:5]), Amounts(*map(int, row[5:]))) for row in rows[:size])
        return UsagePage(lines, encode_line(lines[-1].place) if len(rows) > size else "")
