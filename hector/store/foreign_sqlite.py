"""SQLite files of others, opened for reading only."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from hector.core.errors import StoreError, StoreUnavailable
from hector.store.foreign_views import LARGEST, ForeignRow, View, heads, select

T = TypeVar("T")

_STEPS: Final = 5000
"""Instructions of SQLite's machine between two looks at the clock."""
_BUSY: Final = 5.0
_AT_ONCE: Final = 200


class ForeignSqlite:
    """One file, one connection, one statement at a time, each in a thread."""

    def __init__(self, path: str, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._con: sqlite3.Connection | None = None
        self._lock = asyncio.Lock()
        self._deadline = 0.0

    async def names(self, relation: str) -> tuple[str, ...]:
        """The columns of a relation."""

        def ask(con: sqlite3.Connection) -> tuple[str, ...]:
            return tuple(column[0] for column in con.execute(heads(relation)).description)

        return await self._run(ask)

    async def page(self, view: View, after: Any, limit: int) -> list[ForeignRow]:
        """The rows behind an id."""
        key = _quoted(view.id_column)
        text = _select(
            view, f"{key} > ?" if after is not None else f"{key} IS NOT NULL", f" ORDER BY {key} LIMIT {limit:d}"
        )
        return await self._rows(view, text, (after,) if after is not None else ())

    async def some(self, view: View, keys: Sequence[str]) -> list[ForeignRow]:
        """Those of these ids that are there."""
        found: list[ForeignRow] = []
        key = _quoted(view.id_column)
        for start in range(0, len(keys), _AT_ONCE):
            part = keys[start : start + _AT_ONCE]
            asked = [form for one in part for form in _forms(one)]
            rows = await self._rows(view, _select(view, f"{key} IN ({','.join('?' * len(asked))})"), asked)
            found += [row for row in rows if row.key in part]
        return found

    async def aclose(self) -> None:
        """Close the file."""
        async with self._lock:
            con, self._con = self._con, None
            if con is not None:
                await asyncio.to_thread(con.close)

    async def _rows(self, view: View, text: str, args: Sequence[Any]) -> list[ForeignRow]:
        columns = len(view.columns)

        def ask(con: sqlite3.Connection) -> list[ForeignRow]:
            return [
                ForeignRow(
                    _text(row[0]) or "", row[0], tuple(map(_text, row[1 : 1 + columns])),
                    dict(zip(view.facts, map(_fact, row[1 + columns :]), strict=True)),
                )
                for row in con.execute(text, args)
            ]  # fmt: skip

        return await self._run(ask)

    async def _run(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        """In a thread, which is waited for even when nobody wants the answer any more."""
        async with self._lock:
            work = asyncio.ensure_future(asyncio.to_thread(self._ask, ask))
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                if self._con is not None:
                    self._con.interrupt()
                await asyncio.wait((work,))
                if not work.cancelled():
                    work.exception()
                raise

    def _ask(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        self._deadline = time.monotonic() + self._timeout
        try:
            if self._con is None:
                self._con = self._opened()
            return ask(self._con)
        except sqlite3.Error as error:
            raise _explained(error, self._path, self._timeout) from None

    def _opened(self) -> sqlite3.Connection:
        if not Path(self._path).is_file():
            raise StoreUnavailable(f"there is no SQLite file {self._path}")
        con = sqlite3.connect(
            f"file:{quote(self._path)}?mode=ro", uri=True, timeout=_BUSY, isolation_level=None, check_same_thread=False
        )
        con.text_factory = lambda data: data.decode("utf-8", "replace")
        con.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        con.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 8 * LARGEST)
        con.execute("PRAGMA query_only = ON")
        con.execute("PRAGMA trusted_schema = OFF")
        con.set_progress_handler(self._is_late, _STEPS)
        return con

    def _is_late(self) -> int:
        return time.monotonic() > self._deadline


def _select(view: View, condition: str, rest: str = "") -> str:
    return select(view, [_quoted(name) for name in (view.id_column, *view.columns, *view.facts)], (condition,), rest)


def _quoted(name: str) -> str:
    """With backticks: what stands in double quotes and is no column is a text to SQLite."""
    return "`" + name.replace("`", "``") + "`"


def _forms(key: str) -> list[Any]:
    """What an id that is a text here may be there: SQLite finds the number 7 not by the text '7' in every column."""
    forms: list[Any] = [key]
    for make in (int, float):
        try:
            number = make(key)
        except (ValueError, OverflowError):
            continue
        if -(2**63) <= number < 2**63:
            forms.append(number)
            break
    return forms


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, bytes):
        return None
    text = str(value)
    return text if len(text) <= LARGEST else None


def _fact(value: Any) -> Any:
    return None if isinstance(value, bytes) else value


def _explained(error: sqlite3.Error, place: str, timeout: float) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_INTERRUPT:
        return StoreUnavailable(f"SQLite at {place}: a statement took longer than {timeout:g} s; an index may help")
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR}:
        return StoreUnavailable(f"SQLite at {place}: {error}")
    return StoreError(f"SQLite at {place}: {error}")
