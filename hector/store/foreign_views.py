"""What is read of a database of others, as SQL. Pure."""

import json
from collections.abc import Sequence
from dataclasses import field
from typing import Any, Final

from hector.core.record import dataclass

LARGEST: Final = 10 * 2**20
"""Characters of a value that are read; of longer ones, none."""


@dataclass(frozen=True, slots=True)
class View:
    """What is read. `relation` is SQL: a quoted name, or a query in brackets. `columns` are read as texts, `facts` as
    what JSON has for them (numbers, booleans, texts, lists); `where` is SQL, from the configuration."""

    relation: str
    id_column: str
    columns: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    where: str = ""


@dataclass(frozen=True, slots=True)
class ForeignRow:
    """`key` is the id as text; `after` what the database itself calls it. None: no value."""

    key: str
    after: Any
    columns: tuple[str | None, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


def quoted(name: str) -> str:
    """An identifier, whatever stands in it."""
    return '"' + name.replace('"', '""') + '"'


def relation(table: str) -> str:
    """A table's name as SQL. `schema.table` is two names, `"a.b"` is one."""
    if table.startswith('"') and table.endswith('"') and len(table) > 2:
        return ".".join(quoted(part.replace('""', '"')) for part in table[1:-1].split('"."'))
    return ".".join(quoted(part) for part in table.split("."))


def select(view: View, columns: Sequence[str], more: Sequence[str], rest: str = "") -> str:
    """A statement, the view's own condition in brackets. All parts are SQL already: names quoted, values as marks."""
    conditions = [*more, *((f"({view.where}\n)",) if view.where.strip() else ())]
    return f"SELECT {', '.join(columns)} FROM {view.relation} AS source WHERE {' AND '.join(conditions)}{rest}"  # noqa: S608 - names are quoted, the rest is the operator's


def heads(relation: str, columns: Sequence[str] = ("*",)) -> str:
    """A statement that gives no row, but says what columns there are."""
    return f"SELECT {', '.join(columns)} FROM {relation} AS source LIMIT 0"  # noqa: S608 - names are quoted


def fact(text: str | None) -> Any:
    """What JSON says, as a filter can look at it: no deeper than a list."""
    try:
        value = json.loads(text) if text is not None else None
    except ValueError:
        return text
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value
