"""Rows of a database as documents."""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from hector.config.sources import Sql, SqlSource
from hector.core.errors import ConfigError, HectorError
from hector.core.record import dataclass
from hector.core.retrieval import Content, Item, Omitted
from hector.rag.errors import Gone, SourceError
from hector.rag.sources.texts import digest, joined
from hector.store.foreign import Foreign, open_foreign
from hector.store.foreign_views import ForeignRow, View, relation

_KEPT: Final = 2000
"""Rows that are kept from a listing that had to read them anyway."""
QUERY: Final = "query"


@dataclass(frozen=True, slots=True)
class Table:
    """What is read of one table, or of the query."""

    name: str
    relation: str
    id_column: str
    columns: tuple[str, ...]
    updated: str
    where: str
    facts: tuple[str, ...]

    @property
    def listing(self) -> View:
        """What a listing needs: the time of change where there is one, else everything."""
        if not self.updated:
            return self.reading
        return View(self.relation, self.id_column, (self.updated,), (), self.where)

    @property
    def reading(self) -> View:
        """What a document is made of."""
        columns = (*self.columns, *((self.updated,) if self.updated else ()))
        return View(self.relation, self.id_column, columns, self.facts, self.where)

    @property
    def shape(self) -> str:
        """Changes with what is read of it, so that all of it is read again."""
        return digest(self.columns, self.facts, self.updated)[:8]


class SqlRows:
    """The source. Ids are `table:id`, that of a query `query:id`."""

    def __init__(self, section: SqlSource, databases: Mapping[str, str]) -> None:
        self._section: Sql = section.sql
        self._foreign = _opened(section.sql, databases)
        self._tables: dict[str, Table] = {}
        self._kept: OrderedDict[str, ForeignRow] = OrderedDict()
        self._omitted = Omitted()

    @property
    def omitted(self) -> Omitted:
        """Of the last listing that came to its end."""
        return self._omitted

    async def items(self, ids: Sequence[str] = ()) -> AsyncGenerator[Item]:
        """Every row, or those of `ids`. Raises SourceError."""
        tables = await self._described()
        if ids:
            for table, keys in _by_table(tables, ids):
                for row in await self._some(table, keys):
                    yield self._item(table, row, listed=False)
            return
        doubles = 0
        self._kept.clear()
        for table in tables.values():
            after: Any = None
            while page := await self._page(table, after):
                for row in page:
                    if row.after == after:
                        doubles += 1
                        continue
                    after = row.after
                    yield self._listed(table, row)
        self._omitted = Omitted({"another row has its id": doubles} if doubles else {})

    async def read(self, item: Item) -> Content:
        """The text of a row. Raises Gone, SourceError."""
        row = self._kept.pop(item.id, None)
        tables = await self._described()
        name, _, key = item.id.partition(":")
        if name not in tables:
            raise Gone(f"{item.id} is of no table that is read")
        table = tables[name]
        if row is None:
            found = await self._some(table, (key,))
            if not found:
                raise Gone(f"there is no {item.id} any more")
            row = found[0]
        pairs = zip(table.columns, row.columns, strict=False)
        return Content(self._item(table, row, listed=False), joined(pairs))

    def watch(self) -> None:
        """Databases tell of nothing."""
        return

    async def aclose(self) -> None:
        """Give back the connection."""
        await self._foreign.aclose()

    async def _described(self) -> dict[str, Table]:
        """The tables, once the query has said what columns it has."""
        if not self._tables:
            self._tables = {table.name: table for table in await self._made()}
        return self._tables

    async def _made(self) -> list[Table]:
        section = self._section
        if not section.query:
            return [
                Table(one.table, relation(one.table), one.id_column, one.columns, one.updated_column, one.where_clause,
                      one.metadata_columns)
                for one in section.tables
            ]  # fmt: skip
        query = f"({section.query.strip().rstrip(';')}\n)"
        columns = section.content_columns or await self._all_columns(query)
        return [
            Table(QUERY, query, section.id_column, columns, section.updated_column, "", section.metadata_columns)
        ]  # fmt: skip

    async def _all_columns(self, query: str) -> tuple[str, ...]:
        section = self._section
        try:
            names = await self._foreign.names(query)
        except HectorError as error:
            raise SourceError(str(error)) from None
        others = {section.id_column, section.updated_column, *section.metadata_columns}
        return tuple(name for name in names if name not in others)

    async def _page(self, table: Table, after: Any) -> list[ForeignRow]:
        try:
            return await self._foreign.page(table.listing, after, self._section.page_size)
        except HectorError as error:
            raise SourceError(str(error)) from None

    async def _some(self, table: Table, keys: Sequence[str]) -> list[ForeignRow]:
        try:
            return await self._foreign.some(table.reading, keys)
        except HectorError as error:
            raise SourceError(str(error)) from None

    def _listed(self, table: Table, row: ForeignRow) -> Item:
        item = self._item(table, row, listed=True)
        if not table.updated:
            self._kept[item.id] = row
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return item

    def _item(self, table: Table, row: ForeignRow, *, listed: bool) -> Item:
        """`listed`: as the listing reads it, which may know no more than the time of change."""
        state = (row.columns[-1] or "") if table.updated else digest(row.columns, sorted(row.facts.items(), key=str))
        facts = {name: value for name, value in row.facts.items() if value is not None}
        known = {} if listed and table.updated else facts
        identity = f"{table.name}:{row.key}"
        return Item(
            identity, f"{table.name} {row.key}", f"{state} {table.shape}", f"{table.name}/{row.key}",
            media_type="text/plain", metadata={"table": table.name, "id": row.key, **known},
        )  # fmt: skip


def _opened(section: Sql, databases: Mapping[str, str]) -> Foreign:
    names = [table.table for table in section.tables]
    if len(names) != len(set(names)) or any(":" in name for name in names):
        raise ConfigError("tables of a source have names of their own, without colons: make a view, or another store")
    dsn = section.dsn or databases.get(section.database, "")
    if not dsn:
        raise ConfigError(f"there is no database {section.database!r} under databases")
    try:
        return open_foreign(dsn, timeout=section.timeout)
    except ValueError as error:
        raise ConfigError(f"the address of the database cannot be read: {error}") from None


def _by_table(tables: Mapping[str, Table], ids: Sequence[str]) -> Iterator[tuple[Table, list[str]]]:
    """Ids, in pieces of one table; those of other tables are left out."""
    parts = sorted({one.partition(":")[::2] for one in ids})
    for name, keys in groupby(parts, lambda part: part[0]):
        if name in tables:
            yield tables[name], [key for _, key in keys]
