"""What is switched off, as this process knows it: asked without waiting, told to all processes within seconds."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Literal

from hector.core.errors import StoreError, SwitchedOff
from hector.core.record import dataclass
from hector.limits.windows import subject
from hector.store import Store
from hector.store.switches import SWITCHES, Switch

log = logging.getLogger("hector.limits")
LOOK: Final = 2.0
"""Seconds between two looks, for what was not heard of."""
AGAIN: Final = 60.0
"""Seconds after which a paused run is looked at again, in case nobody woke it."""
SOON: Final = 0.2
"""The same for one whose switch turns out to be on again."""
SERVER: Final = "server"


def app_scope(app: str) -> str:
    """The scope of an app."""
    return subject("app", app)


def agent_scope(app: str, agent: str) -> str:
    """The scope of an agent of an app."""
    return subject("agent", app, agent)


@dataclass(frozen=True, slots=True)
class Pause:
    """Why a run may not go on now, and when (epoch) it is to be looked at again.

    `scope` is of the switch that stops it, if one does; `soon` is when to look again (epoch) should that one be on by
    now, which this process has then not heard yet.
    """

    reason: str
    until: float
    scope: str = ""
    soon: float = 0.0


class Switchboard:
    """The switches of this process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._off: dict[str, Switch] = {}
        self._woken = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call this, on the event loop, whenever something was switched off or on."""
        self._listeners.append(listener)

    def why(self, app: str, agent: str) -> Switch | None:
        """The switch that stops an agent, if there is one."""
        off = self._off
        if not off:
            return None
        return off.get(SERVER) or off.get(app_scope(app)) or off.get(agent_scope(app, agent))

    def check(self, app: str, agent: str) -> None:
        """Raises SwitchedOff."""
        if (switch := self.why(app, agent)) is not None:
            raise SwitchedOff(f"{what(switch.scope)} is switched off: {switch.reason or 'no reason was given'}")

    async def look(self) -> None:
        """Read them again. Raises StoreError."""
        found = {switch.scope: switch for switch in await self._store.switches.all()}
        if found == self._off:
            return
        before, self._off = self._off, found
        for scope in found.keys() - before.keys():
            log.warning("switched off", extra={"scope": scope, "reason": found[scope].reason})
        for scope in before.keys() - found.keys():
            log.warning("switched on again", extra={"scope": scope})
        for listener in self._listeners:
            listener()

    async def keep(self) -> None:
        """Stay up to date until cancelled."""
        deaf = self._store.database.listen(SWITCHES, lambda _: self._woken.set())
        try:
            while True:
                try:
                    await self.look()
                except StoreError as error:
                    log.debug("switches could not be read", extra={"error": str(error)})
                except Exception:
                    log.exception("switches could not be read")
                await self._rest()
        finally:
            deaf()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(LOOK):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()


def parts_of(scope: str) -> tuple[Literal["server", "app", "agent"], str | None, str | None]:
    """Its kind, app and agent. Ids of apps and agents hold no signs that a scope would spell otherwise."""
    kind, _, name = scope.partition(":")
    app, _, agent = name.partition("/")
    match kind:
        case "app":
            return "app", app, None
        case "agent":
            return "agent", app, agent
        case _:
            return "server", None, None


def what(scope: str) -> str:
    """A scope for people."""
    match parts_of(scope):
        case "app", app, _:
            return f"app {app!r}"
        case "agent", app, agent:
            return f"agent {agent!r} of app {app!r}"
        case _:
            return "the server"
