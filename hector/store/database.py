"""The seam between repositories and engines: units of work on a connection, reads apart from writes."""

from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

T = TypeVar("T")
Row: TypeAlias = tuple[Any, ...]
Work: TypeAlias = Callable[["Connection"], Coroutine[Any, Any, T]]
"""A unit of work. It awaits nothing but its connection."""


class Shortcut(NamedTuple, Generic[T]):
    """One statement that does all that a unit would do and answers with a row, or does nothing: then its first column
    is NULL, and the unit is run.

    For the units of a plain turn on a server: a transaction of one statement takes one round trip.
    """

    sql: str
    args: Sequence[Any]
    answer: Callable[[Row], T]


class Connection(Protocol):
    """What a unit of work may do, inside a transaction that it neither begins nor ends. `?` marks a parameter."""

    @property
    def again(self) -> bool:
        """Whether an earlier run of this unit may have been committed: the connection broke before the answer came."""

    async def execute(self, sql: str, args: Sequence[Any] = ()) -> int:
        """Run one statement; how many rows it changed."""

    async def send(self, sql: str, args: Sequence[Any] = ()) -> None:
        """Run one statement whose count nobody wants: by the end of the unit, and before it asks about that table."""

    async def insert(self, sql: str, args: Sequence[Any]) -> int:
        """Insert one row; its integer key, or 0 when `ON CONFLICT DO NOTHING` applied."""

    async def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement once per row."""

    async def one(self, sql: str, args: Sequence[Any] = ()) -> Row | None:
        """The row of a query that has at most one."""

    async def all(self, sql: str, args: Sequence[Any] = ()) -> list[Row]:
        """All rows."""

    async def notify(self, channel: str, payload: str = "") -> None:
        """Tell those who `listen`, once the transaction has been committed."""


class Database(Protocol):
    """One engine. Every call may raise StoreError, and StoreUnavailable when trying again later makes sense."""

    @property
    def dsn(self) -> str:
        """The address that it was opened with."""

    @property
    def dialect(self) -> str:
        """Which variant of a named statement it speaks: "sqlite" or "postgres"."""

    def describe(self) -> str:
        """Engine, version and place, for a log line."""

    def write(self, work: Work[T], key: Hashable = None, shortcut: Shortcut[T] | None = None) -> Awaitable[T]:
        """Run a unit of work in a transaction, alone or together with others; the answer comes after the commit.

        The unit must look before it writes (raise its refusals before its first change) and must be safe to run again:
        when a neighbour in the same transaction fails, everyone else's unit is rolled back and run once more. A caller
        that is cancelled while it waits does not undo a unit that was handed over.

        `key` names what the unit depends on, such as a session: units of one key run in the order in which they were
        handed over; statements of units with different keys may mix within a transaction, so none of them may look at
        rows that another one changes. A unit without a key has the transaction to itself while it runs.

        A `shortcut` may be taken instead, unless an earlier run may have been committed.
        """

    def read(self, work: Work[T]) -> Awaitable[T]:
        """Run a unit that changes nothing on one consistent snapshot, not waiting for writers."""

    def listen(self, channel: str, heard: Callable[[str], None]) -> Callable[[], None]:
        """Call `heard` with each payload, on the event loop; call the answer to stop.

        A message may get lost when the connection does: whoever listens looks for itself from time to time, too.
        """

    async def ping(self) -> None:
        """Return when the database has taken a write."""

    async def aclose(self) -> None:
        """Finish what was handed over, then close."""
