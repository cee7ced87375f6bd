"""What is known of users across their sessions, found by words.

The engines find candidates by their own text search (FTS5, tsvector); which of those fit best is decided here, so that
both give the same order: by how much of the query a memory holds, rare words counting more, then the newer one.
"""

import math
from collections.abc import Awaitable, Iterable, Sequence
from typing import Final, NamedTuple

from hector.core.clock import Clock, milliseconds
from hector.core.errors import ToolError
from hector.core.keeping import Memory
from hector.core.record import dataclass
from hector.core.task import Caller
from hector.store.database import Connection, Database, Row
from hector.store.paging import check_size, decode_token, encode_token
from hector.store.queries import load
from hector.store.sessions import Sessions
from hector.store.terms import asked_for, owner_of, terms_of, widens

LONGEST: Final = 8000
"""Characters of one memory."""
LONGEST_ID: Final = 200
_CANDIDATES: Final = 100
_BATCH: Final = 500
_MARK: Final = 8
"""Letters of the owner that words begin with in PostgreSQL's index, as the migration 0009 says."""
_END: Final = 1 << 62
_DAY: Final = 86_400.0


class NewMemory(NamedTuple):
    """What is to be known. `context` is the session that it comes from; times in seconds since the epoch."""

    id: str
    text: str
    kind: str
    context: str
    event: str
    agent: str
    created: float
    expires: float | None = None


class Memories:
    """The repository. Every method is one unit of work, and reaches one user of one app."""

    def __init__(self, database: Database, sessions: Sessions) -> None:
        self._database = database
        self._sessions = sessions
        self._sql = load("memories", database.dialect)

    def add(self, caller: Caller, found: Sequence[NewMemory], most: int) -> Awaitable[int]:
        """Add those whose ids are not there; how many. Beyond `most` the oldest go, what was only said first.

        What was said in a session that is gone by now is not added.
        """

        async def unit(con: Connection) -> int:
            added = 0
            for one in found:
                session = await self._sessions.key(con, caller, one.context)
                if session is not None or one.kind == "fact":
                    added += bool(await con.insert(self._sql["add"], _row(caller, session or 0, one)))
            if added:
                await self._trim(con, caller, most)
            return added

        return self._database.write(unit)

    def get(self, caller: Caller, memory_id: str) -> Awaitable[Memory | None]:
        """One by its id."""

        async def unit(con: Connection) -> Memory | None:
            row = await con.one(self._sql["get"], (caller.app, caller.user, memory_id))
            return None if row is None else memory_of(row)

        return self._database.read(unit)

    def search(
        self, caller: Caller, query: str, limit: int, now: float, without: str = ""
    ) -> Awaitable[tuple[Memory, ...]]:
        """The best first. Of the session `without`, nothing that was only said there."""
        asked = asked_for(query)

        async def unit(con: Connection) -> tuple[Memory, ...]:
            if not asked:
                return ()
            match = _match(self._database.dialect, caller, asked)
            args = (match, caller.app, caller.user, milliseconds(now), without, _CANDIDATES)
            return _ranked(await con.all(self._sql["search"], args), asked, limit)

        return self._database.read(unit)

    def page(
        self, caller: Caller, *, page_size: int = 50, page_token: str | None = None
    ) -> Awaitable[tuple[tuple[Memory, ...], str]]:
        """The newest first, and the token of the next page, empty on the last. Raises InvalidRequest."""
        check_size(page_size)
        after = decode_token(page_token, "page_token")
        place = (caller.app, caller.user, _END if after is None else after[1], page_size + 1)

        async def unit(con: Connection) -> tuple[tuple[Memory, ...], str]:
            rows = await con.all(self._sql["page"], place)
            token = encode_token((0, rows[page_size - 1][0])) if len(rows) > page_size else ""
            return tuple(memory_of(row[1:]) for row in rows[:page_size]), token

        return self._database.read(unit)

    def forget(self, caller: Caller, memory_id: str) -> Awaitable[bool]:
        """Remove one; False when there is none of that id."""

        async def unit(con: Connection) -> bool:
            return bool(await con.execute(self._sql["forget"], (caller.app, caller.user, memory_id)))

        return self._database.write(unit)

    async def forget_user(self, caller: Caller) -> int:
        """Remove all that is known of a user, a little at a time; how many."""
        total = 0
        while gone := await self._database.write(
            lambda con: con.execute(self._sql["forget_user"], (caller.app, caller.user, _BATCH))
        ):
            total += gone
        return total

    async def forget_expired(self, now: float) -> int:
        """Remove what has expired, of anybody; how many."""
        total = 0
        at = milliseconds(now)
        while gone := await self._database.write(lambda con: con.execute(self._sql["forget_expired"], (at, _BATCH))):
            total += gone
        return total

    async def _trim(self, con: Connection, caller: Caller, most: int) -> None:
        row = await con.one(self._sql["count"], (caller.app, caller.user))
        over = (int(row[0]) if row else 0) - most
        for kind in ("turn", "fact"):
            if over <= 0:
                return
            oldest = await con.all(self._sql["oldest"], (caller.app, caller.user, kind, over))
            await con.many(self._sql["remove"], oldest)
            over -= len(oldest)


@dataclass(frozen=True, slots=True)
class Recollection:
    """`core.keeping.MemoryShelf` over the repository."""

    memories: Memories
    caller: Caller
    context_id: str
    clock: Clock
    most: int

    async def search(self, query: str, limit: int, *, elsewhere: bool = False) -> Sequence[Memory]:
        without = self.context_id if elsewhere else ""
        return await self.memories.search(self.caller, query, limit, self.clock.now(), without)

    async def remember(self, memory_id: str, text: str, agent: str, days: float | None = None) -> Memory:
        """Raises ToolError."""
        plain = text.strip()
        if not plain or len(plain) > LONGEST or not terms_of(plain):
            raise ToolError(f"text: a memory has words, and at most {LONGEST} characters; this one has {len(plain)}")
        now = self.clock.now()
        expires = None if days is None else now + days * _DAY
        fact = NewMemory(memory_id[:LONGEST_ID], plain, "fact", self.context_id, "", agent, now, expires)
        await self.memories.add(self.caller, (fact,), self.most)
        return Memory(*fact)

    async def forget(self, memory_id: str) -> bool:
        return await self.memories.forget(self.caller, memory_id)


def _row(caller: Caller, session: int, one: NewMemory) -> tuple[object, ...]:
    expires = None if one.expires is None else milliseconds(one.expires)
    text = one.text[:LONGEST].encode("utf-8", "replace").decode().replace("\0", "")
    return (
        *(caller.app, caller.user, one.id, one.kind, session, one.context, one.event, one.agent),
        *(text, owner_of(caller), terms_of(text), milliseconds(one.created), expires),
    )


def memory_of(row: Row, score: float = 0.0) -> Memory:
    """Of a row: id, text, kind, context, event, agent, created, expires."""
    memory_id, text, kind, context, event, agent, created, expires = row
    until = None if expires is None else expires / 1000
    return Memory(memory_id, text, kind, context, event, agent, created / 1000, until, score)


def _match(dialect: str, caller: Caller, asked: Iterable[str]) -> str:
    """The query in the engine's language; words hold nothing but letters and digits."""
    if dialect == "postgres":
        mark = owner_of(caller)[:_MARK]
        return " | ".join(f"'{mark}{word}'{':*' * widens(word)}" for word in asked)
    words = " OR ".join(f'"{word}"{" *" * widens(word)}' for word in asked)
    return f'owner : "{owner_of(caller)}" AND terms : ({words})'


def _ranked(rows: Sequence[Row], asked: Sequence[str], limit: int) -> tuple[Memory, ...]:
    """Rare words count more; of what counts the same the newest comes first, then what the index puts first."""
    wanted = {word: f" {word}" if widens(word) else f" {word} " for word in asked}
    held = [{word: part in f" {row[8]} " for word, part in wanted.items()} for row in rows]
    weight = {word: math.log(1 + len(rows) / (1 + sum(one[word] for one in held))) for word in asked}
    most = sum(weight.values()) or 1.0
    scored = [
        (sum(weight[word] for word in asked if one[word]) / most, row[6], row)
        for row, one in zip(rows, held, strict=True)
    ]
    best = sorted(scored, key=lambda one: (-one[0], -one[1]))[:limit]
    return tuple(memory_of(row[:8], score) for score, _, row in best)
