"""Streamable HTTP: each request is a POST that is answered with JSON or with a stream of events."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from typing import Final

import anyio
from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCError, JSONRPCMessage, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from hector.mcp.errors import ServerFault
from hector.mcp.events import events
from hector.mcp.http import Http, media_type, refusal, require_stream
from hector.mcp.link import MESSAGE_LIMIT, NO_ANSWER, NOT_SENT, NOTE_SECONDS, Ends, Fate, encode, log
from hector.net.call import Answer
from hector.net.errors import ConnectFailed, NetError

_POST: Final = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
_GET: Final = {"accept": "text/event-stream"}
_RESUMES: Final = 5
"""How often in a row an answer that was cut off is looked for again."""
_PAUSE: Final = 1.0
_LEAVE_SECONDS: Final = 2.0


@asynccontextmanager
async def open_streamable(http: Http, fate: Fate) -> AsyncIterator[Ends]:
    """A connection; nothing is sent before the session says something. Ending it ends the server's session."""
    ends = Ends()
    try:
        async with asyncio.TaskGroup() as group:
            link = _Link(http, ends, fate, group)
            writer = group.create_task(link.write())
            try:
                yield ends
            finally:
                writer.cancel()
                link.cancel()
                await link.leave()
    finally:
        ends.close()
        await http.aclose()


class _Link:
    def __init__(self, http: Http, ends: Ends, fate: Fate, group: asyncio.TaskGroup) -> None:
        self._http = http
        self._ends = ends
        self._fate = fate
        self._group = group
        self._session = ""
        self._version = ""
        self._calls: dict[str | int, asyncio.Task[None]] = {}
        self._listener: asyncio.Task[None] | None = None

    def cancel(self) -> None:
        """Cut what is under way."""
        for task in (*self._calls.values(), *([self._listener] if self._listener else ())):
            task.cancel()

    async def leave(self) -> None:
        """Tell the server that its session is over, if it has one."""
        if self._session and not self._fate.ended.is_set():
            with suppress(NetError, ServerFault, TimeoutError):
                async with asyncio.timeout(_LEAVE_SECONDS):
                    await (await self._http.send("DELETE", self._http.path, b"", self._headers(_GET))).aclose()

    async def write(self) -> None:
        """Send what the session says, requests side by side."""
        with suppress(anyio.ClosedResourceError):
            async for message in self._ends.leaving:
                root = message.message.root
                if isinstance(root, JSONRPCRequest):
                    task = self._group.create_task(self._request(message, root))
                    self._calls[root.id] = task
                    task.add_done_callback(partial(self._done, root.id))
                else:
                    await self._notify(message)

    def _done(self, name: str | int, _: object) -> None:
        self._calls.pop(name, None)

    def _headers(self, base: dict[str, str]) -> dict[str, str]:
        own = {"mcp-session-id": self._session, "mcp-protocol-version": self._version}
        return {**base, **{name: value for name, value in own.items() if value}}

    async def _notify(self, message: SessionMessage) -> None:
        """Send what is no request. A server that does not take it holds up the requests behind it for seconds only."""
        root = message.message.root
        method = root.method if isinstance(root, JSONRPCNotification) else ""
        if method == "notifications/cancelled" and isinstance(root, JSONRPCNotification):
            task = self._calls.get((root.params or {}).get("requestId", ""))
            if task is not None:
                task.cancel()
        try:
            async with asyncio.timeout(NOTE_SECONDS):
                answer = await self._http.send("POST", self._http.path, encode(message), self._headers(_POST))
                await answer.aclose()
        except (NetError, ServerFault, TimeoutError) as error:
            log.debug("a notification did not reach its server", extra={"error": str(error)})
        if method == "notifications/initialized" and self._listener is None:
            self._listener = self._group.create_task(self._listen())

    async def _request(self, message: SessionMessage, root: JSONRPCRequest) -> None:
        """One request up to its answer; whatever happens instead of one becomes the answer."""
        try:
            async with await self._http.send("POST", self._http.path, encode(message), self._headers(_POST)) as answer:
                await self._answered(message.message, root, answer)
        except ConnectFailed as error:
            await self._lost(message.message, NOT_SENT, str(error))
        except (NetError, ServerFault) as error:
            code = NOT_SENT if isinstance(error, ServerFault) and not error.sent else NO_ANSWER
            await self._lost(message.message, code, str(error))

    async def _lost(self, message: JSONRPCMessage, code: int, reason: str) -> None:
        await self._ends.refuse(message, code, reason)
        self._fate.end(reason)

    async def _answered(self, message: JSONRPCMessage, root: JSONRPCRequest, answer: Answer) -> None:
        if answer.status == 404 and self._session:
            await self._lost(message, NOT_SENT, "the server has been started anew and knows nothing of our session")
        elif answer.status != 200:
            await self._ends.refuse(message, -answer.status, await refusal(answer))
        elif media_type(answer) == "text/event-stream":
            self._opened(root, answer)
            await self._stream(message, root, answer)
        else:
            self._opened(root, answer)
            found = await self._ends.take(await answer.read(MESSAGE_LIMIT))
            self._settled(root, found)
            if found is None:
                await self._ends.refuse(message, NO_ANSWER, "the server's answer is no JSON-RPC message")

    def _opened(self, root: JSONRPCRequest, answer: Answer) -> None:
        if root.method == "initialize":
            self._session = answer.headers.get("mcp-session-id", "")

    def _settled(self, root: JSONRPCRequest, found: JSONRPCMessage | None) -> bool:
        """Whether a message is the answer. The first one of all says which version is spoken."""
        if found is None or not isinstance(found.root, JSONRPCResponse | JSONRPCError) or found.root.id != root.id:
            return False
        if root.method == "initialize" and isinstance(found.root, JSONRPCResponse):
            self._version = str(found.root.result.get("protocolVersion", ""))
        return True

    async def _stream(self, message: JSONRPCMessage, root: JSONRPCRequest, answer: Answer) -> None:
        """Events up to the answer; where the server hangs up before that, from the last event on, if it can."""
        mark, pause = "", _PAUSE
        current, tries = answer, 0
        while True:
            try:
                async with aclosing(events(current)) as found:
                    async for event in found:
                        mark, pause = event.id or mark, pause if event.retry is None else event.retry
                        if event.data and self._settled(root, await self._ends.take(event.data)):
                            return
                        tries = 0
            except NetError as error:
                if not mark:
                    raise
                log.debug("a stream was cut", extra={"error": str(error)})
            finally:
                if current is not answer:
                    await current.aclose()
            tries += 1
            if not mark or tries > _RESUMES:
                await self._ends.refuse(message, NO_ANSWER, "the server hung up before it had answered")
                return
            await asyncio.sleep(pause)
            current = await self._http.send("GET", self._http.path, b"", {**self._headers(_GET), "last-event-id": mark})
            if current.status != 200:
                reason = await refusal(current)
                await self._ends.refuse(message, NO_ANSWER, f"the server hung up before it had answered; then {reason}")
                return

    async def _listen(self) -> None:
        """Take what the server says unasked; one that offers no stream for it has nothing to say."""
        mark, pause = "", _PAUSE
        while not self._fate.ended.is_set():
            headers = self._headers(_GET) | ({"last-event-id": mark} if mark else {})
            try:
                async with await self._http.send("GET", self._http.path, b"", headers) as answer:
                    if answer.status == 404 and self._session:
                        self._fate.end("the server has been started anew and knows nothing of our session")
                    if answer.status != 200:
                        return
                    require_stream(answer)
                    async with aclosing(events(answer)) as found:
                        async for event in found:
                            mark, pause = event.id or mark, pause if event.retry is None else event.retry
                            if event.data:
                                await self._ends.take(event.data)
            except ConnectFailed as error:
                self._fate.end(str(error))
            except (NetError, ServerFault) as error:
                log.debug("the stream of a server has ended", extra={"error": str(error)})
            await asyncio.sleep(pause)
