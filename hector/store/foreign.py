"""Databases of others, of which rows are read and nothing is ever changed.

Rows come as texts, page by page in the order of the ids (keyset paging: each page begins behind the last id of the one
before, however long the table is).
"""

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

from hector.config import sqlite
from hector.config.postgres import is_postgres, parse
from hector.store.foreign_views import ForeignRow, View

Columns: TypeAlias = tuple[str, ...]


class Foreign(Protocol):
    """An open database. Raises StoreError, or StoreUnavailable where waiting may help."""

    async def names(self, relation: str) -> Columns:
        """The columns of a relation."""

    async def page(self, view: View, after: Any, limit: int) -> list[ForeignRow]:
        """The rows behind an id, None for the first ones; those without an id are left out."""

    async def some(self, view: View, keys: Sequence[str]) -> list[ForeignRow]:
        """Those of these ids that are there."""

    async def aclose(self) -> None:
        """Give the connection back."""


def open_foreign(dsn: str, *, timeout: float) -> Foreign:
    """A database by its address; nothing is opened before something is asked. `timeout`: seconds of one statement.

    Raises ValueError for an address that is none of PostgreSQL's or SQLite's.
    """
    if is_postgres(dsn):
        from hector.store.foreign_postgres import ForeignPostgres  # noqa: PLC0415 - loads the driver

        return ForeignPostgres(parse(dsn), timeout)
    scheme, mark, rest = dsn.partition("://")
    if mark and scheme.lower() not in {"sqlite", "sqlite3"}:
        raise ValueError(f"{scheme}:// is no database that can be read; allowed: postgres://, sqlite://")
    from hector.store.foreign_sqlite import ForeignSqlite  # noqa: PLC0415 - only with such a source

    return ForeignSqlite(sqlite.parse(rest if mark else dsn)[0], timeout)
