"""What a session costs in a small database and in one of a million events.

Sessions have fifty events: twenty-five questions with their answers, a task each. They are written past Hector, in the
order in which they would have come if a hundred sessions were talking at a time, so that on PostgreSQL the rows of one
session lie as scattered as they do in life. Then Hector's own repositories append to sessions and load them, both drawn
at random. The small and the large database take turns.
"""

import contextlib
import random
import sqlite3
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import asyncpg

from hector.core.clock import SystemClock
from hector.core.content import Message, Text, user
from hector.core.event import Event
from hector.core.ids import new_id
from hector.core.task import Caller, ClientMessage, Status, TaskState
from hector.core.usage import Usage
from hector.store import Accept, Record, Store, open_store
from hector.store.codec import event_row
from hector.store.history import user_event

PER_SESSION: Final = 50
TALKING: Final = 100
SEQ_BITS: Final = 24
CALLER: Final = Caller()
AT: Final = 1_700_000_000
_WORDS: Final = "a plain answer of some length, as models give them " * 6
_SESSIONS: Final = ("key", "app", "user", "id", "agent", "created", "updated", "next_seq")
_TASKS: Final = ("key", "last", "app", "user", "id", "agent", "state", "changed", "created")
_EVENTS: Final = ("key", "task", "shown", "id", "invocation", "author", "branch", "at", "body")
Row: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Costs:
    """Medians in milliseconds: appending a message and its answer to a session, loading a session of fifty events."""

    append: float
    load: float


def _groups(sessions: int) -> Iterator[tuple[list[Row], list[Row], list[Row]]]:
    """Rows of sessions, tasks and events, a hundred sessions at a time, their turns interleaved."""
    question, answer = _templates()
    for first in range(1, sessions + 1, TALKING):
        keys = range(first, min(first + TALKING, sessions + 1))
        rows = [(key, "default", "default", f"s{key}", "bench", AT * 1000, AT * 1000, PER_SESSION + 1) for key in keys]
        tasks: list[Row] = []
        events: list[Row] = []
        for seq in range(1, PER_SESSION, 2):
            for session in keys:
                key, name = session << SEQ_BITS | seq, new_id()
                done = (key, key + 1, "default", "default", name, "bench", "completed", AT * 1000, AT * 1000)
                tasks.append(done)
                events += (
                    (key, key, question[0], new_id(), name, *question[3:]),
                    (key + 1, key, answer[0], new_id(), name, *answer[3:]),
                )
        yield rows, tasks, events


def _templates() -> tuple[Row, Row]:
    """A question's and an answer's row; their ids are replaced."""
    message = ClientMessage(new_id(), user(f"hello there, how are you? {_WORDS[:60]}"))
    answer = Message("assistant", (Text(_WORDS),))
    question = event_row(user_event(message, event_id="", invocation_id="", at=AT))
    return question, event_row(Event("", "", "bench", AT, answer, usage=Usage(12, 50)))


async def fill(dsn: str, events: int) -> None:
    """Create the schema and write so many events."""
    await (await open_store(dsn)).aclose()
    sessions = events // PER_SESSION
    if dsn.startswith("sqlite://"):
        _fill_sqlite(dsn.removeprefix("sqlite://"), sessions)
    else:
        await _fill_postgres(dsn, sessions)


def _fill_sqlite(path: str, sessions: int) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as con:
        con.execute("PRAGMA synchronous = OFF")
        con.execute("BEGIN")
        for rows, tasks, events in _groups(sessions):
            for table, columns, values in (("sessions", _SESSIONS, rows), ("tasks", _TASKS, tasks)):
                con.executemany(_insert(table, columns), values)
            con.executemany(_insert("events", _EVENTS), events)
        con.execute("COMMIT")
        con.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _insert(table: str, columns: tuple[str, ...]) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    return f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))})"


async def _fill_postgres(dsn: str, sessions: int) -> None:
    con = await asyncpg.connect(dsn)
    try:
        for rows, tasks, events in _groups(sessions):
            await con.copy_records_to_table("sessions", records=rows, columns=_SESSIONS)
            await con.copy_records_to_table("tasks", records=tasks, columns=_TASKS)
            await con.copy_records_to_table("events", records=events, columns=_EVENTS)
        await con.execute("SELECT setval(pg_get_serial_sequence('sessions', 'key'), $1::bigint)", sessions)
        await con.execute("VACUUM ANALYZE")
    finally:
        await con.close()


async def costs(store: Store, sessions: Sequence[int]) -> Costs:
    """Load each of these sessions, then append to it."""
    loads, appends = [], []
    for number in sessions:
        began = time.perf_counter()
        found = await store.sessions.load(CALLER, f"s{number}")
        loads.append(time.perf_counter() - began)
        if len(found.events) != PER_SESSION:
            raise SystemExit(f"bench: session {number} has {len(found.events)} events")
        began = time.perf_counter()
        await _append(store, f"s{number}")
        appends.append(time.perf_counter() - began)
    return Costs(statistics.median(appends) * 1000, statistics.median(loads) * 1000)


async def _append(store: Store, session: str) -> None:
    """A message is accepted and answered."""
    now = SystemClock().now()
    task, run = new_id(), new_id()
    event = user_event(ClientMessage(new_id(), user("one more")), event_id=new_id(), invocation_id=run, at=now)
    accepted = await store.tasks.accept(Accept(CALLER, "bench", task, session, event, now, owner="bench"))
    answer = Event(new_id(), run, "bench", now, Message("assistant", (Text(_WORDS),)), usage=Usage(12, 50))
    done = Status(TaskState.COMPLETED, now)
    await store.tasks.record(Record(CALLER, task, session, (answer,), status=done, claim=accepted.claim))


async def compare(databases: Mapping[str, int], repeats: int) -> dict[str, list[Costs]]:
    """Address -> number of events; one figure per repeat for each. No session is used twice."""
    share = min(databases.values()) // PER_SESSION // (repeats + 1)
    stores = {dsn: await open_store(dsn) for dsn in databases}
    try:
        chance = random.Random(7)
        drawn = {
            dsn: chance.sample(range(1, events // PER_SESSION + 1), share * (repeats + 1))
            for dsn, events in databases.items()
        }
        found: dict[str, list[Costs]] = {dsn: [] for dsn in databases}
        for turn in range(repeats + 1):
            for dsn, store in stores.items():
                figures = await costs(store, drawn[dsn][turn * share : (turn + 1) * share])
                if turn:  # the first round makes connections and plans
                    found[dsn].append(figures)
        return found
    finally:
        for store in stores.values():
            await store.aclose()
