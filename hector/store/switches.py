"""Switches: what operators have switched off, and the runs that wait for it to be switched on again."""

from collections.abc import Awaitable, Sequence
from typing import Final

from hector.core.clock import milliseconds
from hector.core.job import READY, Claim
from hector.core.record import dataclass
from hector.store.database import Connection, Database, Work
from hector.store.queries import load

SWITCHES: Final = "hector_switches"
"""The channel on which a change is announced, by its scope."""
PAUSED: Final = "paused"
"""How the cause begins of a run that was handed back because something is switched off."""


@dataclass(frozen=True, slots=True)
class Switch:
    """Something that is off. `scope`: "server", "app:<id>" or "agent:<app>/<id>"; `at`: seconds since the epoch."""

    scope: str
    reason: str
    author: str
    at: float


class Switches:
    """The repository. Every method is one unit of work."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("switches", database.dialect)

    def all(self) -> Awaitable[tuple[Switch, ...]]:
        """What is off."""

        async def unit(con: Connection) -> tuple[Switch, ...]:
            rows = await con.all(self._sql["all"])
            return tuple(Switch(scope, reason, author, at / 1000) for scope, reason, author, at in rows)

        return self._database.read(unit)

    def off(self, switch: Switch, beside: Work[None] | None = None) -> Awaitable[None]:
        """Switch it off, or change the reason. `beside` is done in the same transaction."""

        async def unit(con: Connection) -> None:
            if beside is not None:
                await beside(con)
            values = (switch.scope, switch.reason, switch.author, milliseconds(switch.at))
            await con.execute(self._sql["off"], values)
            await con.notify(SWITCHES, switch.scope)

        return self._database.write(unit)

    def on(self, scope: str, beside: Work[None] | None = None) -> Awaitable[bool]:
        """Switch it on again and wake what was paused; whether it was off. `beside`: in the same transaction."""

        async def unit(con: Connection) -> bool:
            if beside is not None:
                await beside(con)
            found = await con.execute(self._sql["on"], (scope,))
            kind, _, name = scope.partition(":")
            app = None if kind == "server" else name.partition("/")[0]
            await con.execute(self._sql["wake"], (app,))
            await con.notify(SWITCHES, scope)
            await con.notify(READY)
            return found > 0

        return self._database.write(unit)

    def pause(
        self, claims: Sequence[Claim], run_at: float, reason: str, switch: tuple[str, float] = ("", 0.0)
    ) -> Awaitable[None]:
        """Hand runs back as if they had not been claimed, to be looked at again from `run_at` on (epoch).

        `switch`: the scope of the one that stops them, and when to look again if it is on by now: whoever switched it
        on woke the runs that were paused then, and these were not. Runs that are no longer ours are passed over.
        """
        scope, soon = switch

        async def unit(con: Connection) -> None:
            void = scope and await con.one(self._sql["held"], (scope,)) is None
            at = milliseconds(soon if void else run_at)
            rows = [(at, f"{PAUSED}: {reason}", claim.key, claim.fence) for claim in claims]
            await con.many(self._sql["pause"], rows)

        return self._database.write(unit)
