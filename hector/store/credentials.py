"""Credentials: the admin secret, API keys, sessions and one-time codes. Of none is more kept than a hash."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final, TypeAlias

from hector.core.clock import Clock, SystemClock, milliseconds
from hector.core.errors import NotFound
from hector.core.identity import Role
from hector.core.record import dataclass
from hector.store.database import Connection, Database, Row
from hector.store.queries import load

CHANNEL: Final = "hector_apps"
"""Where it is announced, under the id of its app or under nothing, that a credential has changed."""
ADMIN_ID: Final = "admin"
"""There is one admin secret."""

Aside: TypeAlias = Callable[[Connection], Awaitable[None]]
"""What is written in the same transaction as a change, such as an entry of the audit log."""


class Kind(StrEnum):
    """What a credential is. A `session` is what an `unlock` code, which works once, is exchanged for."""

    ADMIN = "admin"
    KEY = "key"
    SESSION = "session"
    UNLOCK = "unlock"


@dataclass(frozen=True, slots=True)
class Credential:
    """`hash` is that of its secret part; `app` None: any. `used` is rough. Times in seconds since the epoch."""

    id: str
    kind: Kind
    name: str
    hash: str
    role: Role
    app: str | None
    user: str
    author: str
    created: float
    expires: float | None = None
    used: float | None = None
    revoked: float | None = None

    def valid(self, now: float) -> bool:
        """Neither revoked nor over."""
        return self.revoked is None and (self.expires is None or now < self.expires)


class Credentials:
    """The repository. Every public method is one unit of work; changes are announced on CHANNEL.

    `aside` runs in the transaction of the change.
    """

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()
        self._sql = load("credentials", database.dialect)

    def add(self, new: Credential, aside: Aside | None = None) -> Awaitable[bool]:
        """Keep one; False if there is one of this id already."""

        async def unit(con: Connection) -> bool:
            await con.execute(self._sql["remove_ended"], (milliseconds(self._clock.now()),))
            added = bool(await con.execute(self._sql["add"], _values(new)))
            if added:
                await self._told(con, new.app, aside)
            return added

        return self._database.write(unit)

    def replace(self, new: Credential, aside: Aside | None = None) -> Awaitable[None]:
        """Put one in the place of that of the same id; sessions and one-time codes of before end, too."""

        async def unit(con: Connection) -> None:
            for kind in (Kind.SESSION, Kind.UNLOCK):
                await con.execute(self._sql["remove_kind"], (kind.value,))
            await con.execute(self._sql["replace"], _values(new))
            await self._told(con, new.app, aside)

        return self._database.write(unit)

    def find(self, key: str) -> Awaitable[Credential | None]:
        """One by its id."""

        async def unit(con: Connection) -> Credential | None:
            row = await con.one(self._sql["find"], (key,))
            return None if row is None else _credential(row)

        return self._database.read(unit)

    def list(
        self, kind: Kind = Kind.KEY, *, app: str | None = None, after: str = "", limit: int = 100
    ) -> Awaitable[tuple[Credential, ...]]:
        """Those of a kind in the order of their ids, revoked ones included: of one app, or of all."""

        async def unit(con: Connection) -> tuple[Credential, ...]:
            rows = await con.all(self._sql["page"], (kind.value, after, app, limit))
            return tuple(_credential(row) for row in rows)

        return self._database.read(unit)

    def revoke(self, key: str, *, app: str | None = None, aside: Aside | None = None) -> Awaitable[Credential]:
        """End an API key or a session for good; again is no error.

        Raises NotFound, also for one of another app than `app`.
        """

        async def unit(con: Connection) -> Credential:
            row = await con.one(self._sql["find"], (key,))
            found = None if row is None else _credential(row)
            if found is None or found.kind not in (Kind.KEY, Kind.SESSION) or app not in (None, found.app):
                raise NotFound("key", key)
            now = self._clock.now()
            if await con.execute(self._sql["revoke"], (milliseconds(now), key)):
                await self._told(con, found.app, aside)
            return found

        return self._database.write(unit)

    def note_use(self, key: str) -> Awaitable[None]:
        """That it was used now."""

        async def unit(con: Connection) -> None:
            await con.send(self._sql["use"], (milliseconds(self._clock.now()), key))

        return self._database.write(unit, f"credential {key}")

    def exchange(self, code: str, code_hash: str, session: Credential, aside: Aside | None = None) -> Awaitable[bool]:
        """Take a one-time code, by its id and hash, for a session; False for a code that is no good (any more)."""

        async def unit(con: Connection) -> bool:
            now = milliseconds(self._clock.now())
            if not await con.execute(self._sql["use_once"], (now, code, code_hash, now)):
                return False
            await con.execute(self._sql["add"], _values(session))
            await self._told(con, session.app, aside)
            return True

        return self._database.write(unit)

    async def _told(self, con: Connection, app: str | None, aside: Aside | None) -> None:
        if aside is not None:
            await aside(con)
        await con.notify(CHANNEL, app or "")


def _values(one: Credential) -> tuple[object, ...]:
    times = (milliseconds(one.created), None if one.expires is None else milliseconds(one.expires))
    return (one.id, one.kind.value, one.name, one.hash, one.role.value, one.app, one.user, one.author, *times)


def _credential(row: Row) -> Credential:
    key, kind, name, hashed, role, app, user, author, *times = row
    created, expires, used, revoked = (None if time is None else time / 1000 for time in times)
    return Credential(
        key, Kind(kind), name, hashed, Role(role), app, user, author, created or 0.0, expires, used, revoked
    )
