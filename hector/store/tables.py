"""All tables, whatever they are for, read and filled row by row: what a backup and its restoration work with."""

import re
from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple

import hector.store.migrations as migrations
from hector.core.errors import StoreError
from hector.store.database import Connection, Row
from hector.store.queries import load

EPHEMERAL: Final = frozenset(("migrations", "instances", "relay", "sizes"))
"""Tables that say something about this database, its processes or the moment, and have no place in another one."""
_CREATE: Final = re.compile(r"^CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?(\w+)", re.MULTILINE)
_PAGE_BYTES: Final = 2 * 2**20
_MOST_ROWS: Final = 1000
_FIRST_ROWS: Final = 20


class Table(NamedTuple):
    """A table; `key` are the columns of its primary key, `texts` those among them that hold text."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    texts: frozenset[str]


def ours(dialect: str) -> frozenset[str]:
    """All tables that migrations make; those of others may stand beside them."""
    return frozenset[str]({"migrations"}).union(*map(tables_of, migrations.known(dialect)))


def tables_of(migration: migrations.Migration) -> frozenset[str]:
    """The tables that one migration makes."""
    return frozenset(_CREATE.findall(migration.sql))


async def tables(con: Connection, dialect: str) -> list[Table]:
    """Those that a backup holds, by name."""
    found: dict[str, list[Row]] = {}
    for name, *column in await con.all(load("backup", dialect)["tables"]):
        if name in ours(dialect) - EPHEMERAL:
            found.setdefault(name, []).append(tuple(column))
    return [_table(name, columns) for name, columns in found.items()]


def _table(name: str, columns: Sequence[Row]) -> Table:
    """From rows of name, place in the key, type."""
    key = [(place, column, kind) for column, place, kind in columns if place]
    if not key:
        raise StoreError(f"table {name} has no primary key, which a backup needs")
    texts = frozenset(column for _, column, kind in key if kind == "TEXT")
    return Table(name, tuple(column for column, *_ in columns), tuple(column for _, column, _ in sorted(key)), texts)


async def count(con: Connection, table: Table, dialect: str) -> int:
    """Rows of a table, about."""
    sql = load("backup", dialect)["events"] if table.name == "events" else f"SELECT count(*) FROM {_quoted(table.name)}"  # noqa: S608
    found = await con.one(sql)
    return int(found[0]) if found else 0


async def pages(con: Connection, table: Table, dialect: str) -> AsyncIterator[list[Row]]:
    """Every row in the order of the key, texts by their bytes; pages of about 2 MiB."""
    first, following = _select(table, dialect)
    places = [table.columns.index(column) for column in table.key]
    limit = _FIRST_ROWS
    rows = await con.all(first, (limit,))
    while rows:
        yield rows
        if len(rows) < limit:
            return
        after = [rows[-1][place] for place in places]
        size = sum(len(value) for row in rows for value in row if isinstance(value, str | bytes)) // len(rows)
        limit = max(1, min(_PAGE_BYTES // (size + 100), _MOST_ROWS))
        rows = await con.all(following, (*after, limit))


def _select(table: Table, dialect: str) -> tuple[str, str]:
    """The statements for the first page and for those behind a key; names come from the database's own catalogue."""

    def ordered(column: str) -> str:
        exact = dialect == "postgres" and column in table.texts
        return _quoted(column) + (' COLLATE "C"' if exact else "")

    order = ", ".join(map(ordered, table.key))
    marks = ", ".join("?" * len(table.key))
    select = f"SELECT {', '.join(map(_quoted, table.columns))} FROM {_quoted(table.name)}"  # noqa: S608
    end = f"ORDER BY {order} LIMIT ?"
    return f"{select} {end}", f"{select} WHERE ({order}) > ({marks}) {end}"


def insert(table: str, columns: Sequence[str]) -> str:
    """The statement that adds a row."""
    names = ", ".join(map(_quoted, columns))
    return f"INSERT INTO {_quoted(table)} ({names}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608


def follow(table: Table) -> str:
    """PostgreSQL only: the statement that has the next key of a table come behind all that are there."""
    name = table.name.replace("'", "''")
    sequence = f"pg_get_serial_sequence('{_quoted(name)}', 'key')"
    return (
        f"SELECT setval({sequence}, GREATEST((SELECT max(key) FROM {_quoted(table.name)}), 1)) "  # noqa: S608
        f"WHERE {sequence} IS NOT NULL"
    )


def drop(table: str) -> str:
    """The statement that drops a table."""
    return f"DROP TABLE IF EXISTS {_quoted(table)}"


def grant(row: Row) -> tuple[str, str]:
    """PostgreSQL only: a table, and the statement that grants a privilege on it, from a row of `grants`."""
    name, is_sequence, role, privilege, grantable = row
    to = "PUBLIC" if role is None else _quoted(role)
    what = f"{'SEQUENCE ' * is_sequence}{_quoted(name)}"
    table = name.removesuffix("_key_seq") if is_sequence else name
    return table, f"GRANT {privilege} ON {what} TO {to}{' WITH GRANT OPTION' * grantable}"


def own(row: Row) -> tuple[str, str]:
    """PostgreSQL only: a table, and the statement that gives it to its owner, from a row of `owners`."""
    table, role = row
    return table, f"ALTER TABLE {_quoted(table)} OWNER TO {_quoted(role)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
