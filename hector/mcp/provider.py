"""A declared server: connected when it is first needed, started again when it ends, asked for what it offers."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

from hector.core.content import JsonObject
from hector.core.errors import ToolError
from hector.mcp import sdk
from hector.mcp.errors import ServerFault
from hector.mcp.offering import Catalogue, offered, wanted
from hector.mcp.settings import ServerSettings

log = logging.getLogger("hector.mcp")
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
STEADY: Final = 60.0
"""Seconds after which a connection counts as one that works, so that the next pause is the first again."""
PATIENT: Final = 3
"""Failures in a row after which nothing is tried before somebody asks for it."""
_MARGIN: Final = 5.0
_NEAR: Final = 2.0
"""Seconds to the next attempt that a call waits for; with more to go it fails at once."""
_T = TypeVar("_T")


class Provider:
    """One server of one app, shared by all of its agents and users. Close it with the app."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self._session: Any = None
        self._catalogue: Catalogue | None = None
        self._stale = False
        self._fault = ServerFault("it was not connected yet")
        self._said = ""
        self._keeper: asyncio.Task[None] | None = None
        self._turned = asyncio.Event()
        self._wanted = asyncio.Event()
        self._stopping = asyncio.Event()
        self._failed = 0
        self._was_awaited = False
        self._next = 0.0
        self._listing = asyncio.Lock()

    @property
    def fault(self) -> ServerFault | None:
        """Why it is away; None while it is there."""
        return None if self._session is not None else self._fault

    @property
    def due(self) -> bool:
        """Whether asking for the catalogue may bring something new."""
        if self._session is not None:
            return self._stale or self._catalogue is None
        missing = self._catalogue is None and self._wait() <= 0
        return missing and not (self._was_awaited and self._wanted.is_set())

    async def catalogue(self) -> Catalogue | None:
        """What it offers now: as it was, while it is away; None if it has never been there. Raises nothing."""
        session = await self._first_time() if self._catalogue is None else self._session
        if session is not None and self._stale:
            await self._refresh(session)
        if session is None:
            self._want()
        return self._catalogue

    async def call(self, name: str, args: JsonObject, report: Callable[..., None]) -> Any:
        """The result of a tool, of the official package's kind. Raises ServerFault."""
        return await self._with(lambda session: session.call(name, args, report))

    async def ask(self, method: str, *args: Any) -> Any:
        """One of the session's other requests. Raises ServerFault."""
        return await self._with(lambda session: session.ask(method, *args))

    async def read(self, uri: str) -> Any:
        """One resource. Raises ToolError for what is no URI, ServerFault."""
        from pydantic import AnyUrl, ValidationError  # noqa: PLC0415 - loaded with the session

        try:
            address = AnyUrl(uri)
        except ValidationError:
            raise ToolError(f"{uri[:200]!r} is no URI") from None
        return await self.ask("read_resource", address)

    async def listed(self, kind: str) -> list[Any]:
        """All resources, templates of them, or prompts. Raises ServerFault."""
        return await self._with(lambda session: session.listed(kind, self.settings.connect_timeout))

    async def aclose(self) -> None:
        """End the connection, and the server where we have started it."""
        self._stopping.set()
        self._wanted.set()
        if self._keeper is not None:
            if self._session is None:  # a server that does not greet is not waited for
                self._keeper.cancel()
            await asyncio.wait((self._keeper,))
            self._turn()

    async def _with(self, use: Callable[[Any], Awaitable[_T]]) -> _T:
        """Use the session; once more if the server had gone before the request had reached it."""
        session = await self._connected()
        try:
            return await use(session)
        except ServerFault as error:
            if error.sent or not (session.ended.is_set() or session is not self._session):
                raise self._named(error) from None
        again = await self._connected(session)
        try:
            return await use(again)
        except ServerFault as error:
            raise self._named(error) from None

    def _away(self) -> bool:
        return self._session is None or self._session.ended.is_set()

    def _named(self, error: ServerFault) -> ServerFault:
        doubt = "; it is not known whether the call took effect" if error.sent and self._away() else ""
        return ServerFault(f"MCP server {self.settings.name!r}: {error}{doubt}", sent=error.sent)

    async def _first_time(self) -> Any:
        """The session of a server that has not been seen yet, if it comes up now. Only the first turn waits for that:
        a server that hangs would hold up each one.
        """
        try:
            if not self._was_awaited:
                return await self._connected()
        except ToolError:
            self._was_awaited = True
        if self._session is None:
            log.info("the tools of MCP server %s are missing for now", self.settings.name)
        return self._session

    async def _connected(self, gone: Any = None) -> Any:
        """The session, other than one that is gone; waits for one attempt if that is near. Raises ServerFault."""
        failed = self._failed
        try:
            async with asyncio.timeout(self.settings.connect_timeout + _MARGIN):
                while (session := self._session) is None or session is gone or session.ended.is_set():
                    if self._stopping.is_set() or self._failed > failed or self._wait() > _NEAR:
                        break
                    self._want()
                    await self._turned.wait()
                else:
                    return session
        except TimeoutError:
            pass
        later = f"; tried again in {wait:.0f} s" if (wait := self._wait()) >= 1 else ""
        raise ServerFault(f"MCP server {self.settings.name!r} cannot be used now: {self._fault}{later}")

    def _wait(self) -> float:
        """Seconds until the next attempt."""
        return self._next - time.monotonic()

    def _want(self) -> None:
        self._wanted.set()
        if (self._keeper is None or self._keeper.done()) and not self._stopping.is_set():
            self._keeper = asyncio.create_task(self._keep(), name=f"mcp-{self.settings.name}")

    async def _keep(self) -> None:
        """Have a connection whenever there is one to be had, until closed."""
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            up = await self._attempt()
            failures = 0 if up and time.monotonic() - began >= STEADY else failures + 1
            pause = min(FIRST_PAUSE * 2 ** min(max(failures - 1, 0), 10), LONGEST_PAUSE)
            self._next = time.monotonic() + pause
            self._failed += not up
            self._wanted.clear()
            self._turn()
            await self._rest(pause, asked=failures >= PATIENT)

    async def _rest(self, pause: float, *, asked: bool) -> None:
        """Wait before the next attempt; with `asked`, until somebody needs it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._stopping.wait()
        if asked and not self._stopping.is_set():
            await self._wanted.wait()

    async def _attempt(self) -> bool:
        """One connection, from its beginning to its end; whether it came up."""
        up = False
        try:
            module = await asyncio.to_thread(sdk.load)
            async with module.connect(self.settings, self._changed) as session:
                self._catalogue, self._stale = await self._list(session), False
                self._session, up = session, True
                log.info("connected to MCP server %s", self.settings.name, extra={"tools": len(self._catalogue.tools)})
                self._turn()
                await self._over(session)
                self._fault = ServerFault(session.reason or "it was closed")
        except ServerFault as error:
            self._fault = error
        except Exception as error:
            log.exception("MCP server %s", self.settings.name)
            self._fault = ServerFault(f"{type(error).__name__}: {error}")
        finally:
            self._session = None
        if not self._stopping.is_set():
            self._say(str(self._fault), anew=up)
        return up

    def _say(self, fault: str, *, anew: bool) -> None:
        """Log why the server is away: the same reason at one attempt after the other only once."""
        level = logging.WARNING if anew or fault != self._said else logging.DEBUG
        log.log(level, "MCP server %s is away: %s", self.settings.name, fault)
        self._said = fault

    async def _over(self, session: Any) -> None:
        """Until the connection has ended, or is to be."""
        waiting = [asyncio.create_task(one.wait()) for one in (session.ended, self._stopping)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()

    def _turn(self) -> None:
        """Wake all who wait for a change."""
        self._turned.set()
        self._turned = asyncio.Event()

    def _changed(self, kind: str) -> None:
        """The server says that a list of its own has changed; it is read again before the next turn."""
        if kind == "tools":
            self._stale = True

    async def _refresh(self, session: Any) -> None:
        async with self._listing:
            if not self._stale:
                return
            self._stale = False
            try:
                self._catalogue = await self._list(session)
            except ServerFault as error:
                self._stale = True
                log.warning("MCP server %s does not say what it offers now: %s", self.settings.name, error)

    async def _list(self, session: Any) -> Catalogue:
        can = session.facts.capabilities
        seconds = self.settings.connect_timeout
        found = await session.listed("tools", seconds) if can.tools else []
        tools = wanted((offered(tool) for tool in found), self.settings.filter)
        return Catalogue(
            tools, self.settings.resources and bool(can.resources), self.settings.prompts and bool(can.prompts)
        )
