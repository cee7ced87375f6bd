"""Artifacts that are kept, every version of them: those of a session, and those of a user in all of his sessions.

A version is written in the transaction of the event that brings it, so it is there as often as the event: once.
"""

import hashlib
from collections.abc import Awaitable, Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias

from hector.core.clock import milliseconds
from hector.core.content import Content, Data, Media, Text
from hector.core.errors import ArtifactsFull, NotFound, StoreUnavailable
from hector.core.event import Artifact, Event
from hector.core.keeping import OF_USER, StoredArtifact
from hector.core.task import Caller
from hector.store.codec import artifact_from_text, artifact_to_text, decoded, dumps
from hector.store.database import Connection, Database, Row, Work
from hector.store.queries import load
from hector.store.sessions import Sessions

LONGEST_NAME: Final = 200
MOST_VERSIONS: Final = 100
"""Of one artifact; the oldest goes when one more comes."""
_MOST_NAMES: Final = 1000
_TRIES: Final = 20
_Place: TypeAlias = tuple[str, str, int, str]
"""App, user, key of the session (0 for one of the user), name."""


class Kept(NamedTuple):
    """One version in stored form, made before the writer's turn comes."""

    name: str
    of_user: bool
    media_type: str
    size: int
    agent: str
    event: str
    created: int
    body: str


def fit_name(name: str) -> bool:
    """Whether an artifact of this name can be kept: it must be visible, since people and models have to write it."""
    plain = name.removeprefix(OF_USER)
    return bool(plain.strip()) and plain.isprintable() and len(name) <= LONGEST_NAME


def kept(events: Iterable[Event]) -> tuple[Kept, ...]:
    """What the artifacts of some events come to; those without a name are not kept."""
    return tuple(
        _kept(event, artifact.name, artifact)
        for event in events
        for artifact in event.artifacts
        if artifact.name and fit_name(artifact.name)
    )


def _kept(event: Event, name: str, artifact: Artifact) -> Kept:
    of_user = name.startswith(OF_USER)
    facts = (media_type_of(artifact.parts), size_of(artifact.parts), event.author, event.id, milliseconds(event.at))
    return Kept(name.removeprefix(OF_USER), of_user, *facts, artifact_to_text(artifact))


def media_type_of(parts: Sequence[Content]) -> str:
    """That of the first part."""
    match parts[0] if parts else None:
        case Text(media_type=found):
            return found or "text/plain"
        case Data(media_type=found):
            return found or "application/json"
        case Media(media_type=found):
            return found
        case _:
            return "text/plain"


def size_of(parts: Sequence[Content]) -> int:
    """Bytes of the content itself."""
    return sum(map(_size, parts))


def _size(part: Content) -> int:
    match part:
        case Text(text):
            return len(text.encode("utf-8", "replace"))
        case Data(value):
            return len(dumps(value))
        case Media(data=data, url=url):
            return len(data) * 3 // 4 if data else len(url or "")


class Artifacts:
    """The repository. Every method is one unit of work; names may begin with `user:`."""

    def __init__(self, database: Database, sessions: Sessions) -> None:
        self._database = database
        self._sessions = sessions
        self._sql = load("artifacts", database.dialect)

    def newest(self, caller: Caller, context_id: str, names: Iterable[str]) -> Awaitable[dict[str, Artifact]]:
        """The newest versions of those of these names that there are. Raises NotFound: no such session."""
        wanted = sorted(names)

        async def unit(con: Connection) -> dict[str, Artifact]:
            session = await self._session(con, caller, context_id)
            found: dict[str, Artifact] = {}
            for name in wanted:
                row = await con.one(self._sql["newest"], _place(caller, session, name))
                if row is not None:
                    found[name] = _artifact(row)
            return found

        return self._database.read(unit)

    def load(
        self, caller: Caller, context_id: str | None, name: str, version: int | None = None
    ) -> Awaitable[tuple[int, Artifact] | None]:
        """One version with its number, the newest where none is named; without a session one of the user's.

        Raises NotFound: no such session.
        """

        async def unit(con: Connection) -> tuple[int, Artifact] | None:
            place = _place(caller, await self._scope(con, caller, context_id), name)
            sql = self._sql["newest" if version is None else "version"]
            row = await con.one(sql, place if version is None else (*place, version))
            return None if row is None else (row[1], _artifact(row))

        return self._database.read(unit)

    def heads(
        self, caller: Caller, context_id: str | None, after: str = "", limit: int = _MOST_NAMES
    ) -> Awaitable[tuple[StoredArtifact, ...]]:
        """The newest version of each name behind one, of a session or (None) of the user. Raises NotFound."""

        async def unit(con: Connection) -> tuple[StoredArtifact, ...]:
            session = await self._scope(con, caller, context_id)
            prefix = OF_USER if context_id is None else ""
            place = (caller.app, caller.user, session, after.removeprefix(OF_USER), limit)
            return tuple(_head(prefix, row) for row in await con.all(self._sql["heads"], place))

        return self._database.read(unit)

    def versions(
        self, caller: Caller, context_id: str | None, name: str, limit: int = MOST_VERSIONS
    ) -> Awaitable[tuple[StoredArtifact, ...]]:
        """All versions of one, the newest first. Raises NotFound."""

        async def unit(con: Connection) -> tuple[StoredArtifact, ...]:
            session = await self._scope(con, caller, context_id)
            place = _place(caller, session, name)
            prefix = "" if place[2] else OF_USER
            return tuple(_head(prefix, row) for row in await con.all(self._sql["versions"], (*place, limit)))

        return self._database.read(unit)

    def total(self, caller: Caller) -> Awaitable[int]:
        """Bytes of all versions of all artifacts of a user's."""

        async def unit(con: Connection) -> int:
            row = await con.one(self._sql["total"], (caller.app, caller.user))
            return int(row[0]) if row else 0

        return self._database.read(unit)

    def deleted(self, caller: Caller, context_id: str, names: Iterable[str]) -> Awaitable[frozenset[str]]:
        """Those of these names whose versions somebody has deleted. Raises NotFound: no such session."""
        wanted = sorted(names)

        async def unit(con: Connection) -> frozenset[str]:
            session = await self._session(con, caller, context_id)
            marks = [(name, _mark(_place(caller, session, name))) for name in wanted]
            return frozenset([name for name, mark in marks if await con.one(self._sql["remembered"], mark)])

        return self._database.read(unit)

    def delete(self, caller: Caller, context_id: str | None, name: str | None = None) -> Awaitable[int]:
        """Remove all versions of one, or of all of a session or (`context_id` None) of the user; how many.

        Their numbers are not given out again: whoever has noted one never finds something else under it.
        """

        async def unit(con: Connection) -> int:
            scope = (caller.app, caller.user, await self._scope(con, caller, context_id))
            if name is None:
                for one, last in await con.all(self._sql["numbers"], scope):
                    await self._remember((*scope, one), last)(con)
                return await con.execute(self._sql["delete_all"], scope)
            place = _place(caller, scope[2], name)
            row = await con.one(self._sql["newest_version"], place)
            if row is None or place[3] < " ":
                return 0
            await self._remember(place, row[0])(con)
            return await con.execute(self._sql["delete"], place)

        return self._database.write(unit)

    def _remember(self, place: _Place, last: int) -> Work[None]:
        mark = _mark(place)

        async def unit(con: Connection) -> None:
            await con.execute(self._sql["delete"], mark)
            await con.insert(self._sql["add"], (*mark, last, "", 0, "", "", 0, ""))

        return unit

    async def add(self, con: Connection, caller: Caller, session: int, found: Sequence[Kept], most: int = 0) -> None:
        """Write versions, in the transaction of their events. `most`: bytes that all of the user's may come to.

        Raises ArtifactsFull.
        """
        if most:
            await self._fit(con, caller, sum(one.size for one in found), most)
        for one in found:
            await self._add(con, (caller.app, caller.user, 0 if one.of_user else session, one.name), one)

    async def _fit(self, con: Connection, caller: Caller, size: int, most: int) -> None:
        if lock := self._sql.get("lock"):
            await con.one(lock, (f"artifacts {len(caller.app)} {caller.app} {caller.user}",))
        row = await con.one(self._sql["total"], (caller.app, caller.user))
        if row and row[0] + size > most:
            raise ArtifactsFull(full(row[0], size, most))

    async def _add(self, con: Connection, place: _Place, one: Kept) -> None:
        facts = (one.media_type, one.size, one.agent, one.event, one.created, one.body)
        for _ in range(_TRIES):  # another session of the same user may take the number
            version = await self._last(con, place) + 1
            if await con.insert(self._sql["add"], (*place, version, *facts)):
                if version > MOST_VERSIONS:
                    await con.execute(self._sql["drop_old"], (*place, version - MOST_VERSIONS))
                return
        raise StoreUnavailable(f"too many others write artifact {one.name!r} at the same time: try again")

    async def _last(self, con: Connection, place: _Place) -> int:
        """The highest number that was ever given out."""
        row = await con.one(self._sql["newest_version"], place)
        if row is None:
            row = await con.one(self._sql["remembered"], _mark(place))
        return row[0] if row else 0

    async def _scope(self, con: Connection, caller: Caller, context_id: str | None) -> int:
        return 0 if context_id is None else await self._session(con, caller, context_id)

    async def _session(self, con: Connection, caller: Caller, context_id: str) -> int:
        found = await self._sessions.key(con, caller, context_id)
        if found is None:
            raise NotFound("session", context_id)
        return found


def full(taken: int, size: int, most: int) -> str:
    """What is said where a user's artifacts would come to more than they may."""
    return (
        f"the artifacts of this user take {taken:,} bytes, and {size:,} more would exceed "
        f"storage.artifacts.max_total ({most:,}): nothing was saved"
    )


def _mark(place: _Place) -> _Place:
    """Where the last number of deleted versions stands: no artifact has such a name, and the name itself is gone."""
    return *place[:3], "\x01" + hashlib.sha256(place[3].encode("utf-8", "replace")).hexdigest()


def _place(caller: Caller, session: int, name: str) -> _Place:
    of_user = name.startswith(OF_USER)
    return caller.app, caller.user, 0 if of_user else session, name.removeprefix(OF_USER)


def _head(prefix: str, row: Row) -> StoredArtifact:
    name, version, media_type, size, agent, created = row
    return StoredArtifact(prefix + name, version, media_type, size, agent, created / 1000)


def _artifact(row: Row) -> Artifact:
    key, _, _, body = row
    return decoded("artifact_versions", key, artifact_from_text, body)
