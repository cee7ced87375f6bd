"""The audit log: entries are written beside the change that they tell of, and chained a moment later.

An entry goes into `audit_inbox` in the transaction of its change: neither exists without the other, and nobody waits
for the chain. `store/audit_chain.py` moves entries from there into the chain, one process at a time.
"""

from collections import Counter
from collections.abc import Awaitable, Mapping
from typing import Any, Final

from hector.config.base import SECRET_KEYS
from hector.core.audit import Entry
from hector.core.clock import Clock, SystemClock, milliseconds
from hector.core.errors import StoreError
from hector.core.record import dataclass
from hector.observe.redact import MASK, redact
from hector.store.codec import dumps
from hector.store.database import Connection, Database, Work
from hector.store.queries import load

HOUR: Final = 3600
MOST_NOTED: Final = 4096
"""Different things of one kind that `is_new` lets through within an hour; more of them is an attack."""
MOST_NOTED_OF_ONE: Final = 100
"""The same for one who does them."""
LONGEST_TEXT: Final = 1000
"""Characters of a text in an entry."""


@dataclass(frozen=True, slots=True)
class Chained:
    """An entry in its place of the chain. `at` is in seconds since the epoch, `detail` the JSON as it is hashed."""

    seq: int
    at: float
    app: str
    actor: str
    via: str
    action: str
    object: str
    outcome: str
    request: str
    detail: str
    hash: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries; None and 0 are no filter. `since` and `before` are in seconds since the epoch."""

    app: str | None = None
    action: str | None = None
    actor: str | None = None
    object: str | None = None
    outcome: str | None = None
    since: float = 0.0
    before: float = 0.0


class AuditLog:
    """Writes entries and reads the chain."""

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()
        self._sql = load("audit", database.dialect)
        self._noted: set[tuple[str, ...]] = set()
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._hour = 0

    def note(self, entry: Entry) -> Awaitable[None]:
        """Write an entry that belongs to no change."""
        return self._database.write(self.aside(entry))

    def aside(self, entry: Entry) -> Work[None]:
        """What writes an entry within the unit of work of a change."""
        values = self._values(entry)

        async def unit(con: Connection) -> None:
            await con.send(self._sql["note"], values)

        return unit

    async def write(self, con: Connection, *entries: Entry) -> None:
        """Write entries within a unit of work."""
        for entry in entries:
            await con.send(self._sql["note"], self._values(entry))

    def is_new(self, *what: str, proven: bool = False) -> bool:
        """Whether this was not noted within the hour, which it is from now on; False, too, where there is too much.

        For things that happen with every request, such as the use of a credential from an address: `what` is the kind
        of thing, then who does it, then the rest. There is too much of a kind, or of one who does it, and nobody who
        does much hides what others do.
        """
        hour = int(self._clock.now()) // HOUR
        if hour != self._hour:
            self._hour = hour
            self._noted.clear()
            self._counts.clear()
        kind, doer = what[:1], what[:2]
        if what in self._noted or self._counts[doer] >= MOST_NOTED_OF_ONE:
            return False
        if not proven and self._counts[kind] >= MOST_NOTED:
            return False
        self._noted.add(what)
        self._counts.update({kind, doer})
        return True

    def waiting(self) -> Awaitable[int]:
        """How many entries are not in the chain yet."""

        async def unit(con: Connection) -> int:
            found = await con.one(self._sql["waiting"])
            return int(found[0]) if found else 0

        return self._database.read(unit)

    def page(self, wanted: Filter, *, before: int | None = None, limit: int = 100) -> Awaitable[tuple[Chained, ...]]:
        """The newest first; `before` is the place that the last page ended with."""
        end = 1 << 62
        values = (
            *(end if before is None else before, wanted.app, wanted.action, wanted.actor, wanted.object),
            *(wanted.outcome, milliseconds(wanted.since), milliseconds(wanted.before) or end, limit),
        )

        async def unit(con: Connection) -> tuple[Chained, ...]:
            return tuple(chained(row) for row in await con.all(self._sql["page"], values))

        return self._database.read(unit)

    def _values(self, entry: Entry) -> tuple[object, ...]:
        at = milliseconds(self._clock.now())
        texts = (entry.app, entry.actor, entry.via, entry.action, entry.object, entry.outcome, entry.request)
        return (at, *(_text(text) for text in texts), dumps(redacted(entry.detail)))


def chained(row: tuple[Any, ...]) -> Chained:
    """From a row of the chain. Raises StoreError for a time that none is, which SQLite lets others write."""
    if not isinstance(row[1], int):
        what = f"row {row[0]} of the audit log holds no time"
        raise StoreError(f"{what}: somebody changed it in the database; see `hector audit verify`")
    return Chained(row[0], row[1] / 1000, *row[2:])


def redacted(value: Any, name: str = "") -> Any:
    """A value for the log: what is known as a secret, or named like one, is hidden; long texts are cut."""
    if isinstance(value, Mapping):
        return {_text(str(key)): redacted(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(item, name) for item in value]
    if isinstance(value, str):
        return MASK if SECRET_KEYS.search(name) else _text(value)
    return value


def _text(text: str) -> str:
    """What a column takes: no secret, no NUL, no half characters, not too long."""
    plain = redact(text).replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    return plain if len(plain) <= LONGEST_TEXT else plain[: LONGEST_TEXT - 3] + "..."
