"""The older HTTP transport: one stream of events from the server, and an address that it names for our messages."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, Final, TypeVar
from urllib.parse import urljoin, urlsplit

import anyio
from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCRequest

from hector.mcp.errors import ServerFault
from hector.mcp.events import SentEvent, events
from hector.mcp.http import Http, media_type, refusal
from hector.mcp.link import NO_ANSWER, NOT_SENT, NOTE_SECONDS, Ends, Fate, encode
from hector.net.call import Answer
from hector.net.errors import ConnectFailed, NetError

_GET: Final = {"accept": "text/event-stream"}
_POST: Final = {"content-type": "application/json", "accept": "application/json"}
_T = TypeVar("_T")


class NoStream(ServerFault):
    """The server is there, and has no event stream at this address: it may speak the newer transport."""


@asynccontextmanager
async def open_sse(http: Http, fate: Fate) -> AsyncIterator[Ends]:
    """A connection whose address for messages is known. Raises ServerFault."""
    ends = Ends()
    try:
        stream = await _in_time(http, _open(http))
        async with stream, aclosing(events(stream)) as found:
            path = await _in_time(http, _address(http, found))
            async with asyncio.TaskGroup() as group:
                pumps = (
                    group.create_task(_read(found, ends, fate)),
                    group.create_task(_write(http, path, ends, fate)),
                )
                try:
                    yield ends
                finally:
                    for task in pumps:
                        task.cancel()
    finally:
        ends.close()
        await http.aclose()


async def _in_time(http: Http, opening: Coroutine[Any, Any, _T]) -> _T:
    """What is to be there before a connection counts as one. Raises ServerFault."""
    seconds = http.endpoint.connect_timeout
    try:
        async with asyncio.timeout(seconds):
            return await opening
    except TimeoutError:
        raise ServerFault(f"it said nothing within {seconds:g} seconds (connect_timeout)") from None


async def _open(http: Http) -> Answer:
    try:
        answer = await http.send("GET", http.path, b"", _GET)
    except NetError as error:
        raise ServerFault(str(error)) from None
    if answer.status == 200 and media_type(answer) == "text/event-stream":
        return answer
    kind = NoStream if answer.status in (200, 400, 404, 405, 406, 415, 426) else ServerFault
    raise kind(await refusal(answer))


async def _address(http: Http, found: AsyncGenerator[SentEvent]) -> str:
    """Where messages go; only to the server itself: headers may hold secrets."""
    try:
        async for event in found:
            if event.name == "endpoint":
                parts = urlsplit(urljoin(http.endpoint.url, event.data))
                if f"{parts.scheme}://{parts.netloc}" != http.origin:
                    raise ServerFault(f"the server names an address of somebody else for messages: {event.data[:200]}")
                return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    except NetError as error:
        raise ServerFault(str(error)) from None
    raise ServerFault("the server hung up before it had named an address for messages")


async def _read(found: AsyncGenerator[SentEvent], ends: Ends, fate: Fate) -> None:
    reason = "the server has hung up"
    try:
        async for event in found:
            if event.name == "message" and event.data:
                await ends.take(event.data)
    except (NetError, ServerFault) as error:
        reason = str(error)
    fate.end(reason)
    ends.arrived.close()


async def _write(http: Http, path: str, ends: Ends, fate: Fate) -> None:
    """Requests side by side: some servers take one only when they have done what it asks for."""
    async with asyncio.TaskGroup() as group:
        with suppress(anyio.ClosedResourceError):
            async for message in ends.leaving:
                if isinstance(message.message.root, JSONRPCRequest):
                    group.create_task(_post(http, path, message, ends, fate))
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(NOTE_SECONDS):
                        await _post(http, path, message, ends, fate)


async def _post(http: Http, path: str, message: SessionMessage, ends: Ends, fate: Fate) -> None:
    try:
        async with await http.send("POST", path, encode(message), _POST) as answer:
            if answer.status >= 300:
                await ends.refuse(message.message, -answer.status, await refusal(answer))
    except ConnectFailed as error:
        await ends.refuse(message.message, NOT_SENT, str(error))
        fate.end(str(error))
    except (NetError, ServerFault) as error:
        await ends.refuse(message.message, NO_ANSWER, str(error))
        fate.end(str(error))
