"""One connection to a server: the official session over one of our transports, with time limits and cancellation.

Imports the official package; only `sdk.load` may bring this module in.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import Any, Final, TypeAlias

import anyio
from mcp.client.session import ClientSession
from mcp.shared.exceptions import McpError
from mcp.types import (
    CONNECTION_CLOSED,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    CancelledNotification,
    CancelledNotificationParams,
    ClientNotification,
    ClientRequest,
    Implementation,
    InitializeResult,
    LoggingMessageNotificationParams,
    PromptListChangedNotification,
    ResourceListChangedNotification,
    ServerNotification,
    ToolListChangedNotification,
)
from pydantic import ValidationError

from hector.core.content import JsonObject
from hector.mcp.endpoint import Endpoint
from hector.mcp.errors import ServerFault, SessionGone
from hector.mcp.http import Http
from hector.mcp.link import NOT_SENT, Ends, Fate, log
from hector.mcp.settings import ServerSettings
from hector.mcp.sse import NoStream, open_sse
from hector.mcp.stdio import Program, open_stdio
from hector.mcp.streamable import open_streamable
from hector.observe.redact import redact
from hector.version import __version__

_TELL_SECONDS: Final = 0.25
"""How long the word to a server may take that nobody waits for an answer any more."""
_LAST_WORDS: Final = 0.2
"""How long an answer may still come through after the end of its connection."""
_PAGES: Final = 50
"""Pages of a list that are read."""
_LONGEST_LOG: Final = 2000
_LEVELS: Final = {"debug": 10, "info": 20, "notice": 20, "warning": 30}
Progress: TypeAlias = Callable[[float, float | None, str | None], None]


class Session:
    """What a server can be asked. All methods raise ServerFault, also for what the server refuses."""

    def __init__(self, client: ClientSession, facts: InitializeResult, fate: Fate) -> None:
        self._client = client
        self._fate = fate
        self.facts = facts

    @property
    def ended(self) -> asyncio.Event:
        """Set when the connection is of no use any more; `reason` says why."""
        return self._fate.ended

    @property
    def reason(self) -> str:
        """Why it has ended."""
        return self._fate.reason

    async def listed(self, kind: str, seconds: float) -> list[Any]:
        """All of its "tools", "resources", "resource_templates" or "prompts", page by page."""
        found: list[Any] = []
        cursor: str | None = None
        read: Any = getattr(self._client, f"list_{kind}")
        field = {"resource_templates": "resourceTemplates"}.get(kind, kind)
        from mcp.types import PaginatedRequestParams  # noqa: PLC0415 - part of what is loaded already

        for _ in range(_PAGES):
            params = PaginatedRequestParams(cursor=cursor) if cursor else None
            page = await self._within(seconds, f"{kind}/list", partial(read, params=params))
            found += getattr(page, field)
            cursor = page.nextCursor
            if not cursor:
                break
        return found

    async def call(self, name: str, args: JsonObject, tell: Progress) -> CallToolResult:
        """Call a tool. Cancelling tells the server."""

        async def report(progress: float, total: float | None, message: str | None) -> None:
            tell(progress, total, message)

        request = CallToolRequest(params=CallToolRequestParams(name=name, arguments=args))
        found: CallToolResult = await self._within(
            None,
            name,
            lambda: self._client.send_request(ClientRequest(request), CallToolResult, progress_callback=report),
        )
        return found

    async def ask(self, method: str, *args: Any) -> Any:
        """One of the session's own requests, such as "read_resource"."""
        return await self._within(None, method, lambda: getattr(self._client, method)(*args))

    async def _within(self, seconds: float | None, what: str, send: Callable[[], Any]) -> Any:
        numbers: list[int] = []

        async def numbered() -> Any:
            """Look and send in one step of the loop: another request that begins meanwhile would take the number."""
            numbers.append(self._client._request_id)  # what this request gets; the package tells it nowhere else
            return await send()

        try:
            async with asyncio.timeout(seconds):
                return await self._answer(numbered)
        except TimeoutError:
            await self._forget(numbers, "no answer in time")
            raise ServerFault(f"{what} was not answered within {seconds:g} seconds", sent=True) from None
        except asyncio.CancelledError:
            await self._forget(numbers, "cancelled")
            raise
        except McpError as error:
            raise self._fault(error) from None
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            raise ServerFault(self.reason or "the connection is closed") from None
        except ValidationError as error:
            raise ServerFault(
                f"the answer to {what} is not what the protocol says: {_first(error)}", sent=True
            ) from None

    async def _answer(self, send: Callable[[], Any]) -> Any:
        """The answer, unless the connection ends: what has arrived by then still counts."""
        asking = asyncio.create_task(send())
        ending = asyncio.create_task(self._fate.ended.wait())
        try:
            await asyncio.wait((asking, ending), return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                await asyncio.wait((asking,), timeout=_LAST_WORDS)
            if asking.done():
                return asking.result()
            raise ServerFault(self.reason, sent=True)
        finally:
            ending.cancel()
            asking.cancel()
            await asyncio.wait((asking, ending))

    def _fault(self, error: McpError) -> ServerFault:
        code, text = error.error.code, redact(error.error.message)
        if code == CONNECTION_CLOSED and self._fate.ended.is_set():
            return ServerFault(self.reason, sent=True)
        if code == NOT_SENT:
            return SessionGone(text) if "anew" in text else ServerFault(text)
        return ServerFault(text, sent=True)

    async def _forget(self, numbers: Sequence[int], reason: str) -> None:
        """Tell the server that nobody waits any more, unless nothing was asked yet."""
        for number in numbers:
            gone = CancelledNotificationParams(requestId=number, reason=reason)
            note = ClientNotification(CancelledNotification(params=gone))
            with suppress(TimeoutError, anyio.ClosedResourceError, anyio.BrokenResourceError):
                async with asyncio.timeout(_TELL_SECONDS):
                    await self._client.send_notification(note)


def _first(error: ValidationError) -> str:
    found = error.errors()[0]
    return f"{'.'.join(map(str, found['loc']))}: {found['msg']}"


@asynccontextmanager
async def connect(settings: ServerSettings, changed: Callable[[str], None]) -> AsyncIterator[Session]:
    """A session that has been greeted. `changed` hears which list the server says has changed. Raises ServerFault."""
    error: Exception = ServerFault("no transport")
    for open_link in _transports(settings):
        fate = Fate()
        try:
            async with open_link(fate) as ends, _session(settings, ends, fate, changed) as session:
                yield session
                return
        except ExceptionGroup as group:  # what is raised within the groups of tasks that keep a connection
            error = _cause(group)
        except ServerFault as fault:
            error = fault
        if not isinstance(error, _Mismatch):
            raise error
        log.debug("trying the other transport", extra={"server": settings.name, "error": str(error)})
    raise ServerFault(str(error))


class _Mismatch(ServerFault):
    """The server does not speak this transport."""


def _cause(group: ExceptionGroup[Exception]) -> Exception:
    """The one fault that counts; a defect comes before it."""
    found: list[Exception] = []
    left: list[Exception] = [group]
    while left:
        error = left.pop()
        if isinstance(error, ExceptionGroup):
            left += error.exceptions
        else:
            found.append(error)
    return next((error for error in found if not isinstance(error, ServerFault)), found[0])


def _transports(settings: ServerSettings) -> list[Callable[[Fate], AbstractAsyncContextManager[Ends]]]:
    """Those to try, in this order: servers of the older HTTP transport are still called by either name."""
    if settings.command:
        program = Program(settings.command, settings.args, settings.env, settings.cwd)
        return [lambda fate: open_stdio(program, fate)]
    endpoint = Endpoint(settings.url, settings.headers, settings.proxy, settings.ca_bundle, settings.connect_timeout)

    def newer(fate: Fate) -> AbstractAsyncContextManager[Ends]:
        return open_streamable(Http(endpoint, settings.oauth), fate)

    def older(fate: Fate) -> AbstractAsyncContextManager[Ends]:
        return _older(Http(endpoint, settings.oauth), fate)

    match settings.transport:
        case "sse":
            return [older, newer]
        case "streamable-http":
            return [newer]
        case _:
            return [newer, older]


@asynccontextmanager
async def _older(http: Http, fate: Fate) -> AsyncIterator[Ends]:
    try:
        async with open_sse(http, fate) as ends:
            yield ends
    except NoStream as error:
        raise _Mismatch(str(error)) from None


@asynccontextmanager
async def _session(
    settings: ServerSettings, ends: Ends, fate: Fate, changed: Callable[[str], None]
) -> AsyncIterator[Session]:
    async def hear(message: Any) -> None:
        if isinstance(message, ServerNotification):
            match message.root:
                case ToolListChangedNotification():
                    changed("tools")
                case ResourceListChangedNotification():
                    changed("resources")
                case PromptListChangedNotification():
                    changed("prompts")
                case _:
                    pass

    async def record(params: LoggingMessageNotificationParams) -> None:
        level = _LEVELS.get(params.level, 40)
        text = params.data if isinstance(params.data, str) else repr(params.data)
        log.log(level, "%s", redact(text[:_LONGEST_LOG]), extra={"server": settings.name, "logger": params.logger})

    client = ClientSession(
        ends.inbox,
        ends.outbox,
        logging_callback=record,
        message_handler=hear,
        client_info=Implementation(name="hector", version=__version__),
    )
    async with client:
        yield Session(client, await _greet(client, settings, fate), fate)


async def _greet(client: ClientSession, settings: ServerSettings, fate: Fate) -> InitializeResult:
    try:
        async with asyncio.timeout(settings.connect_timeout):
            return await client.initialize()
    except TimeoutError:
        raise ServerFault(f"it said nothing within {settings.connect_timeout:g} seconds (connect_timeout)") from None
    except McpError as error:
        if -500 < error.error.code <= -400 and error.error.code not in (-401, -403, -429):
            raise _Mismatch(redact(error.error.message)) from None
        raise ServerFault(fate.reason or redact(error.error.message)) from None
    except (anyio.ClosedResourceError, anyio.BrokenResourceError):
        raise ServerFault(fate.reason or "it hung up at once") from None
    except (RuntimeError, ValidationError) as error:
        raise ServerFault(f"it does not speak a version of the protocol that is known here: {error}") from None
