"""Units of work that share a transaction: many writes with one commit, many reads on one snapshot.

A transaction of one statement needs neither a BEGIN nor a COMMIT: what can be said so, as `database.Shortcut`, takes
one round trip.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Hashable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from hector.core.errors import StoreError
from hector.store.database import Shortcut
from hector.store.groupcommit import Outcome, Work, settle
from hector.store.notices import Notice
from hector.store.postgres_connection import PostgresConnection, statement
from hector.store.postgres_faults import RERUN
from hector.store.postgres_link import RERUNS, Door, Link, is_lost
from hector.store.postgres_pipeline import AskingConnection, Performance, perform, perform_once

log = logging.getLogger("hector.store")
_READ_ONLY: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_NOTIFY: Final = "SELECT pg_notify(c, p) FROM unnest($1::text[], $2::text[]) AS n (c, p)"


class Unit(NamedTuple):
    """A unit of work that waits. Units of one key are run in order, one after the other.

    `alone`: it shares no transaction. `again`: an earlier run may have been committed.
    """

    work: Work
    future: "asyncio.Future[Any]"
    key: Hashable
    shortcut: Shortcut[Any] | None = None
    alone: bool = False
    again: bool = False

    @property
    def way(self) -> str:
        """What it may share a batch with: those that take the same shortcut, or all that take none."""
        return "" if self.shortcut is None or self.alone else self.shortcut.sql


class SplitError(Exception):
    """One of several units spoiled the transaction, which has been undone: each is to be run alone."""

    def __init__(self, units: Sequence[Unit], again: bool) -> None:
        super().__init__()
        self.units = [unit._replace(alone=True, again=again) for unit in units]


class Run(Protocol):
    """How a lane runs a batch: the outcomes, or SplitError. An error of the connection leaves everything undone."""

    def __call__(self, link: Link, batch: Sequence[Unit], again: bool) -> Awaitable[list[Outcome]]: ...


async def write(link: Link, batch: Sequence[Unit], again: bool) -> list[Outcome]:
    """All units in one transaction; when one of them spoils it, SplitError, or its fault when it is alone."""
    batch = [unit for unit in batch if not unit.future.done() or unit.future.cancelled()]
    if batch and batch[0].way and not again:
        batch = await _take_shortcut(link, batch)
    return await _write_all(link, batch, again) if batch else []


async def _take_shortcut(link: Link, batch: Sequence[Unit]) -> list[Unit]:
    """Settle those whose statement does it all, in a transaction that needs no words; the others."""
    shortcuts = [unit.shortcut for unit in batch if unit.shortcut is not None]
    link.committing = True
    try:
        rows: Sequence[Any] = await link.raw.fetchmany(statement(shortcuts[0].sql).sql, [one.args for one in shortcuts])
    except Exception as error:
        if is_lost(link.raw, error):
            raise
        log.debug("no shortcut: %r", error)
        rows = [(None,)] * len(batch)  # undone; whose fault it is shows when they are run
    link.committing = False
    taken = [(unit, one, row) for unit, one, row in zip(batch, shortcuts, rows, strict=True) if row[0] is not None]
    settle([(unit.future, one.answer(row), None) for unit, one, row in taken])
    return [unit for unit, row in zip(batch, rows, strict=True) if row[0] is None]


async def _write_all(link: Link, batch: Sequence[Unit], again: bool) -> list[Outcome]:
    for left in reversed(range(RERUNS)):
        try:
            return await _commit_together(link, batch, again)
        except Exception as error:
            if is_lost(link.raw, error):
                raise
            await link.raw.execute("ROLLBACK")
            if len(batch) > 1:
                raise SplitError(batch, again) from None
            if not left or getattr(error, "sqlstate", None) not in RERUN:
                return [(batch[0].future, None, link.door.fault(error))]
        await asyncio.sleep(random.uniform(0.0, 0.05))  # noqa: S311 - lets the others finish first
    raise StoreError("no attempt was made")


async def _commit_together(link: Link, batch: Sequence[Unit], again: bool) -> list[Outcome]:
    await link.raw.execute("BEGIN")
    outcomes: list[Outcome] = []
    notices: dict[Notice, None] = {}
    for units in _casts(batch):
        cast = [_performance(unit, again=again) for unit in units]
        await perform(PostgresConnection(link.raw), cast)
        outcomes += [_outcome(unit, one, link.door) for unit, one in zip(units, cast, strict=True)]
        notices.update(dict.fromkeys(notice for one in cast for notice in one.con.notices))
    if notices:
        await link.raw.execute(_NOTIFY, *zip(*notices, strict=True))
    link.committing = True
    await link.raw.execute("COMMIT")
    return outcomes


def _casts(batch: Sequence[Unit]) -> list[list[Unit]]:
    """What may run side by side: neighbours with different keys."""
    casts: list[list[Unit]] = []
    keys: set[Hashable] = set()
    for unit in batch:
        if not casts or unit.key is None or None in keys or unit.key in keys:
            casts.append([])
            keys.clear()
        casts[-1].append(unit)
        keys.add(unit.key)
    return casts


def _performance(unit: Unit, *, again: bool = False) -> Performance:
    con = AskingConnection(again=again)
    return Performance(unit.work(con), con)


def _outcome(unit: Unit, one: Performance, door: Door) -> Outcome:
    return unit.future, one.value, None if one.error is None else door.fault(one.error)


class Reader:
    """Runs reads, side by side on one snapshot.

    One that comes alone and asks only once goes without a transaction; that it does shows the first time.
    """

    def __init__(self) -> None:
        self._several: set[object] = set()

    async def __call__(self, link: Link, batch: Sequence[Unit], again: bool) -> list[Outcome]:
        """All units; none changes anything."""
        con = PostgresConnection(link.raw, reading=True)
        if len(batch) == 1:
            kind = getattr(batch[0].work, "__code__", batch[0].work)
            if kind not in self._several:
                one = _performance(batch[0])
                if await perform_once(con, one):
                    return [_outcome(batch[0], one, link.door)]
                self._several.add(kind)
        return await self._on_snapshot(link, con, batch)

    @staticmethod
    async def _on_snapshot(link: Link, con: PostgresConnection, batch: Sequence[Unit]) -> list[Outcome]:
        await link.raw.execute(_READ_ONLY)
        try:
            cast = [_performance(unit) for unit in batch]
            await perform(con, cast)
            return [_outcome(unit, one, link.door) for unit, one in zip(batch, cast, strict=True)]
        except Exception as error:
            if is_lost(link.raw, error):
                raise
            if len(batch) > 1:
                raise SplitError(batch, again=False) from None
            return [(batch[0].future, None, link.door.fault(error))]
        finally:
            if not link.raw.is_closed():
                await link.raw.execute("ROLLBACK")
