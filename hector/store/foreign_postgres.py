"""PostgreSQL databases of others, in transactions that only read.

Values come as PostgreSQL writes them as texts, so that every type can be read, and ids go back the same way.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import asyncpg

from hector.config.postgres import PostgresAddress
from hector.core.errors import StoreError, StoreUnavailable
from hector.store.foreign_views import LARGEST, ForeignRow, View, fact, heads, quoted, select
from hector.store.postgres_connection import connect_reading
from hector.store.postgres_faults import translate

if TYPE_CHECKING:
    Raw = asyncpg.Connection[asyncpg.Record]

T = TypeVar("T")

_BYTES: Final = "bytea"
_AT_ONCE: Final = 1000
_OF_WHAT_WAS_ASKED: Final = frozenset(("0A", "22", "25", "42"))
"""Classes of states: not supported, data, changes where nothing may be changed, names and syntax."""


class ForeignPostgres:
    """One connection, one statement at a time; made again when it is lost."""

    def __init__(self, address: PostgresAddress, timeout: float) -> None:
        self._address = address
        self._timeout = timeout
        self._raw: Raw | None = None
        self._lock = asyncio.Lock()
        self._types: dict[tuple[str, str], str] = {}

    async def names(self, relation: str) -> tuple[str, ...]:
        """The columns of a relation."""

        async def ask(raw: "Raw") -> tuple[str, ...]:
            prepared = await raw.prepare(heads(relation))
            return tuple(column.name for column in prepared.get_attributes())

        return await self._run(ask)

    async def page(self, view: View, after: Any, limit: int) -> list[ForeignRow]:
        """The rows behind an id."""

        async def ask(raw: "Raw") -> list[ForeignRow]:
            kind = await self._type(raw, view)
            key = f"source.{quoted(view.id_column)}"  # the bare name would be the text that is selected
            behind = f"{key} > $1::text::{kind}" if after is not None else f"{key} IS NOT NULL"
            text = _select(view, behind, f" ORDER BY {key} LIMIT {limit:d}")
            return _rows(view, await raw.fetch(text, *((after,) if after is not None else ())))

        return await self._run(ask)

    async def some(self, view: View, keys: Sequence[str]) -> list[ForeignRow]:
        """Those of these ids that are there."""

        async def ask(raw: "Raw") -> list[ForeignRow]:
            kind = await self._type(raw, view)
            found: list[ForeignRow] = []
            text = _select(view, f"source.{quoted(view.id_column)} = ANY($1::text[]::{kind}[])")
            for start in range(0, len(keys), _AT_ONCE):
                part = keys[start : start + _AT_ONCE]
                found += _rows(view, await raw.fetch(text, part))
            return found

        return await self._run(ask)

    async def aclose(self) -> None:
        """Close the connection."""
        async with self._lock:
            raw, self._raw = self._raw, None
            if raw is not None:
                await _closed(raw)

    async def _type(self, raw: "Raw", view: View) -> str:
        """The type of the id, so that an index on it helps; columns of bytes are refused on the way."""
        known = self._types.get((view.relation, view.id_column))
        if known is None:
            listed = [quoted(name) for name in (view.id_column, *view.columns, *view.facts)]
            columns = (await raw.prepare(heads(view.relation, listed))).get_attributes()
            binary = [column.name for column in columns if column.type.name == _BYTES]
            if binary:
                raise StoreError(f"PostgreSQL at {self._address.place}: the column {binary[0]} holds bytes, no text")
            known = f"{quoted(columns[0].type.schema)}.{quoted(columns[0].type.name)}"
            self._types[view.relation, view.id_column] = known
        return known

    async def _run(self, ask: "Callable[[Raw], Awaitable[T]]") -> T:
        async with self._lock:
            try:
                if self._raw is None or self._raw.is_closed():
                    self._raw = await connect_reading(self._address, self._timeout)
                return await ask(self._raw)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
                if self._raw is not None and not isinstance(error, asyncpg.PostgresError):
                    raw, self._raw = self._raw, None
                    raw.terminate()
                raise self._explained(error) from None

    def _explained(self, error: Exception) -> Exception:
        """In PostgreSQL's own words where it is about what was asked: the tables are not ours."""
        if isinstance(error, asyncpg.QueryCanceledError):
            what = f"a statement took longer than {self._timeout:g} s; an index may help"
            return StoreUnavailable(f"PostgreSQL at {self._address.place}: {what}")
        if isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "")[:2] in _OF_WHAT_WAS_ASKED:
            return StoreError(f"PostgreSQL at {self._address.place}: {error}")
        return translate(error, self._address.place)


async def _closed(raw: "Raw") -> None:
    try:
        await raw.close(timeout=2.0)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        raw.terminate()


def _select(view: View, condition: str, rest: str = "") -> str:
    texts = [f"{quoted(view.id_column)}::text", *(f"{quoted(column)}::text" for column in view.columns)]
    facts = [f"to_json({quoted(column)})::text" for column in view.facts]
    return select(view, (*texts, *facts), (condition,), rest)


def _rows(view: View, found: Sequence[Any]) -> list[ForeignRow]:
    width = 1 + len(view.columns)
    return [
        ForeignRow(
            row[0], row[0], tuple(_short(text) for text in row[1:width]),
            dict(zip(view.facts, map(fact, row[width:]), strict=True)),
        )
        for row in map(tuple, found)
    ]  # fmt: skip


def _short(text: str | None) -> str | None:
    return text if text is None or len(text) <= LARGEST else None
