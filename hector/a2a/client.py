"""A caller of one A2A agent elsewhere: JSON-RPC in 1.0 and 0.3, HTTP+JSON in 1.0."""

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlsplit

from hector.a2a import render, v03
from hector.a2a.heard import Heard, Snapshot, heard, snapshot
from hector.a2a.offered import Offered, offered
from hector.core.content import Content, JsonObject, Message
from hector.core.errors import AgentError, HectorError
from hector.core.record import dataclass
from hector.core.task import ClientMessage
from hector.net.call import Answer, Caller, CallerOptions
from hector.net.caller import open_caller, origin_of
from hector.net.sse import SseDecoder

CARD_SECONDS: Final = 300.0
"""How long a card counts as known."""
MOST_ANSWER: Final = 64 * 1024 * 1024
_NAMES: Final[Mapping[str, str]] = {
    "SendMessage": "message/send",
    "SendStreamingMessage": "message/stream",
    "GetTask": "tasks/get",
    "CancelTask": "tasks/cancel",
    "SubscribeToTask": "tasks/resubscribe",
}
"""Operations in the words of 0.3."""
NOT_FOUND: Final = -32001
UNSUPPORTED: Final = -32004
_BY_STATUS: Final = {404: NOT_FOUND}


class Refused(AgentError):  # noqa: N818 - an answer
    """What the other server says no with. `reason` is its JSON-RPC code, 0 for none."""

    def __init__(self, message: str, reason: int = 0) -> None:
        super().__init__(message)
        self.reason = reason


class Away(HectorError):  # noqa: N818 - a state
    """The other server cannot answer now; the same may go well later. `unsent`: it took nothing."""

    code, http_status, retryable = "remote_agent", 502, True

    def __init__(self, message: str, *, unsent: bool = False) -> None:
        super().__init__(message)
        self.unsent = unsent


@dataclass(frozen=True, slots=True)
class Place:
    """Where an agent is: the address of its card, or the card itself; the hosts that may be called for it."""

    card_url: str = ""
    card: JsonObject | None = None
    hosts: frozenset[str] = frozenset()


class Client:
    """Calls raise NetError for the way there, Away and Refused for what the other server says."""

    def __init__(self, place: Place, options: CallerOptions) -> None:
        self._place, self._options = place, options
        self._callers: dict[str, Caller] = {}
        self._known: tuple[float, Offered] | None = None

    async def offered(self) -> Offered:
        """What the agent's card says."""
        if self._known is None or time.monotonic() - self._known[0] > CARD_SECONDS:
            self._known = (time.monotonic(), self._allowed(offered(self._place.card or await self._card())))
        return self._known[1]

    def _allowed(self, found: Offered) -> Offered:
        """A card may not send our credentials elsewhere."""
        host = urlsplit(found.url).netloc
        if self._place.hosts and host not in self._place.hosts:
            raise AgentError(
                f"its card names the address {found.url}, which is at another host than the configuration says; "
                "set url to that address if it is right"
            )
        return found

    async def _card(self) -> JsonObject:
        url = self._place.card_url
        headers = {"accept": "application/json", "a2a-version": "1.0"}
        async with await self._send("GET", url, b"", headers) as answer:
            return _document(answer, await answer.read(MOST_ANSWER))

    async def send(self, parts: Sequence[Content], message_id: str, context: str, task: str) -> Heard | None:
        """Send a message; the server answers at once, or when the task has ended or waits."""
        found = await self.offered()
        body = _sending(found, parts, message_id, context, task, at_once=True)
        return heard(await self._call(found, "SendMessage", "POST", "/message:send", body))

    async def stream(
        self, parts: Sequence[Content], message_id: str, context: str, task: str
    ) -> AsyncGenerator[Heard, None]:
        """Send a message and follow what comes of it."""
        found = await self.offered()
        body = _sending(found, parts, message_id, context, task, at_once=False)
        async for one in self._events(found, "SendStreamingMessage", "/message:stream", body):
            yield one

    async def subscribe(self, task: str) -> AsyncGenerator[Heard, None]:
        """Follow a task from its present state."""
        found = await self.offered()
        async for one in self._events(
            found, "SubscribeToTask", f"/tasks/{quote(task, safe='')}:subscribe", {"id": task}
        ):
            yield one

    async def get(self, task: str) -> Snapshot:
        """A task as it is now."""
        found = await self.offered()
        return snapshot(await self._call(found, "GetTask", "GET", f"/tasks/{quote(task, safe='')}", {"id": task}))

    async def cancel(self, task: str) -> None:
        """End a task."""
        found = await self.offered()
        await self._call(found, "CancelTask", "POST", f"/tasks/{quote(task, safe='')}:cancel", {"id": task})

    async def tasks_of(self, context: str) -> list[Snapshot]:
        """The newest tasks of a conversation, with their messages. Version 0.3 cannot be asked."""
        found = await self.offered()
        if found.old:
            raise Refused("A2A 0.3 lists no tasks", UNSUPPORTED)
        wanted = {"contextId": context, "pageSize": 20, "historyLength": 50}
        path = f"/tasks?contextId={quote(context, safe='')}&pageSize=20&historyLength=50"
        result = await self._call(found, "ListTasks", "GET", path, wanted)
        tasks = result.get("tasks")
        return [snapshot(one) for one in tasks if isinstance(one, dict)] if isinstance(tasks, list) else []

    async def aclose(self) -> None:
        """Close the connections."""
        while self._callers:
            await self._callers.popitem()[1].aclose()

    async def _call(self, found: Offered, name: str, verb: str, path: str, body: JsonObject) -> JsonObject:
        async with await self._ask(found, name, verb, path, body, "application/json") as answer:
            return _result(_document(answer, await answer.read(MOST_ANSWER)), found)

    async def _events(self, found: Offered, name: str, path: str, body: JsonObject) -> AsyncGenerator[Heard, None]:
        async with await self._ask(found, name, "POST", path, body, "text/event-stream") as answer:
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                result = heard(_result(_document(answer, await answer.read(MOST_ANSWER)), found))
                if result is not None:
                    yield result
                return
            async for data in _data(answer):
                result = heard(_result(_object(data), found))
                if result is not None:
                    yield result

    async def _ask(self, found: Offered, name: str, verb: str, path: str, body: JsonObject, accept: str) -> Answer:
        headers = {"accept": accept, "content-type": "application/json", "a2a-version": "0.3" if found.old else "1.0"}
        if found.binding == "REST":
            tenant = f"/{quote(found.tenant, safe='')}" if found.tenant else ""
            data = json.dumps(body).encode() if verb == "POST" and name.startswith("Send") else b""
            return await self._send(verb, f"{found.url}{tenant}{path}", data, headers)
        params = {**body, "tenant": found.tenant} if found.tenant else body
        method = _NAMES.get(name, name) if found.old else name
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return await self._send("POST", found.url, json.dumps(call).encode(), headers)

    async def _send(self, verb: str, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        parts = urlsplit(url)
        base = f"{parts.scheme}://{parts.netloc}"
        if base not in self._callers:
            origin_of(base)
            options = self._options
            self._callers[base] = open_caller(
                CallerOptions(
                    base,
                    options.headers,
                    options.proxy,
                    options.ca_bundle,
                    options.connect_timeout,
                    options.read_timeout,
                    options.write_timeout,
                    options.purpose,
                )
            )
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        return await self._callers[base].send(verb, path, body=body, headers=headers)


def _sending(
    found: Offered, parts: Sequence[Content], message_id: str, context: str, task: str, *, at_once: bool
) -> JsonObject:
    message = ClientMessage(message_id, Message("user", tuple(parts)), context or None, task or None)
    if found.old:
        settings = {"configuration": {"blocking": False}} if at_once else {}
        return {"message": v03.message(message), **settings}
    settings = {"configuration": {"returnImmediately": True}} if at_once else {}
    return {"message": render.message(message), **settings}


async def _data(answer: Answer) -> AsyncIterator[str]:
    decoder = SseDecoder()
    async for chunk in answer:
        for event in decoder.feed(chunk):
            yield event.data
    for event in decoder.finish():
        yield event.data


def _object(text: str | bytes) -> JsonObject:
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refused("what it answers is no JSON object, so it does not speak A2A")
    return value


def _document(answer: Answer, body: bytes) -> JsonObject:
    """The JSON of a response. Raises what its status means."""
    status = answer.status
    if status < 400:
        return _object(body)
    why = _reason(body) or f"HTTP {status}"
    if status in {408, 425, 429} or status >= 500:
        raise Away(f"it is not available: {why}", unsent=status in {429, 503})
    if status in {401, 403}:
        raise Refused(f"it lets us not in: {why}; see credentials and headers")
    raise Refused(f"it refuses: {why}", _BY_STATUS.get(status, UNSUPPORTED))


def _reason(body: bytes) -> str:
    try:
        error = json.loads(body).get("error")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return str(error.get("message") or "" if isinstance(error, dict) else error or "")[:500]


def _result(document: JsonObject, found: Offered) -> JsonObject:
    """What a call gave. Raises Refused with the text of an error."""
    error = document.get("error")
    if error is not None:
        facts = error if isinstance(error, dict) else {"message": str(error)}
        code = facts.get("code")
        raise Refused(f"it refuses: {str(facts.get('message') or code)[:500]}", code if isinstance(code, int) else 0)
    result = document if found.binding == "REST" else document.get("result")
    return result if isinstance(result, dict) else {}
