"""A small A2A 1.0 client over JSON-RPC: as much as a conversation in a terminal needs."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any, Final
from urllib.parse import quote

from hector.core.content import JsonObject
from hector.core.errors import HectorError
from hector.core.ids import new_id
from hector.core.record import dataclass
from hector.net.call import Answer, CallerOptions
from hector.net.caller import open_caller
from hector.net.sse import SseDecoder, SseEvent
from hector.observe.redact import remember

_HEADERS: Final = {"content-type": "application/json", "a2a-version": "1.0"}
_SILENCE: Final = 600.0


class RemoteError(HectorError):
    """The server refused, or said something that is no A2A."""

    code = "remote"


@dataclass(frozen=True, slots=True)
class AgentInfo:
    """An agent of a server. `id` is its name in URLs."""

    id: str
    name: str = ""
    description: str = ""


class Client:
    """One server. All calls raise HectorError: NetError for the way there, RemoteError for what it says."""

    def __init__(self, url: str, *, connect_timeout: float = 5.0, token: str = "") -> None:
        self.url = url.rstrip("/")
        remember(token)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._caller = open_caller(
            CallerOptions(self.url, headers, connect_timeout=connect_timeout, read_timeout=_SILENCE, purpose="console")
        )

    async def agents(self) -> list[AgentInfo]:
        """Who can be talked to."""
        async with await self._caller.send("GET", "/agents", headers={"accept": "application/json"}) as answer:
            document = _json(answer, await answer.read())
        if "error" in document:
            raise RemoteError(_refusal(document) or f"the server answered with HTTP {answer.status}")
        cards = document.get("agents")
        if not isinstance(cards, list):
            raise RemoteError(f"{self.url} is not a Hector server: it lists no agents")
        return [_agent(card) for card in cards if isinstance(card, dict)]

    async def stream(
        self, agent: str, said: str | Sequence[JsonObject], context_id: str = "", task_id: str = ""
    ) -> AsyncGenerator[JsonObject, None]:
        """Say something, a text or structured values; the StreamResponses as they come."""
        parts = [{"text": said}] if isinstance(said, str) else [{"data": value} for value in said]
        message: JsonObject = {"messageId": new_id(), "role": "ROLE_USER", "parts": parts}
        message |= {key: value for key, value in (("contextId", context_id), ("taskId", task_id)) if value}
        async with await self._post(agent, "SendStreamingMessage", {"message": message}) as answer:
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                yield _result(_json(answer, await answer.read()))
                return
            async for event in _events(answer):
                yield _result(_parsed(event.data))

    async def cancel(self, agent: str, task_id: str) -> None:
        """Ask for the end of a task."""
        async with await self._post(agent, "CancelTask", {"id": task_id}) as answer:
            _result(_json(answer, await answer.read()))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._caller.aclose()

    async def _post(self, agent: str, method: str, params: JsonObject) -> Answer:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        return await self._caller.send("POST", f"/agents/{quote(agent, safe='')}", body=body, headers=_HEADERS)


async def _events(answer: Answer) -> AsyncIterator[SseEvent]:
    decoder = SseDecoder()
    async for chunk in answer:
        for event in decoder.feed(chunk):
            yield event
    for event in decoder.finish():
        yield event


def _agent(card: JsonObject) -> AgentInfo:
    """The id is the last step of the agent's own address."""
    interfaces = card.get("supportedInterfaces")
    first = interfaces[0] if isinstance(interfaces, list) and interfaces else {}
    url = str(first.get("url", "")) if isinstance(first, dict) else ""
    name = str(card.get("name") or "")
    return AgentInfo(url.rstrip("/").rpartition("/")[2] or name, name, str(card.get("description") or ""))


def _parsed(text: str | bytes) -> JsonObject:
    try:
        document: Any = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise RemoteError("the server's answer is no JSON object; is this a Hector server?")
    return document


def _json(answer: Answer, body: bytes) -> JsonObject:
    if answer.status >= 500 and not body.startswith(b"{"):
        raise RemoteError(f"the server answered with HTTP {answer.status}")
    document = _parsed(body)
    if answer.status == 401:
        why = _refusal(document) or "the server lets nobody in"
        raise RemoteError(f"{why}\nGive a credential with --token or HECTOR_TOKEN")
    if answer.status == 403:
        raise RemoteError(_refusal(document) or "the server does not allow this")
    if answer.status >= 400 and "error" not in document:
        raise RemoteError(f"the server answered with HTTP {answer.status}")
    return document


def _refusal(document: JsonObject) -> str:
    said = document.get("error")
    return str((said.get("message") if isinstance(said, dict) else said) or "")


def _result(document: JsonObject) -> JsonObject:
    """The `result` of a JSON-RPC response. Raises RemoteError with the text of its `error`."""
    error = document.get("error")
    if error is not None:
        raise RemoteError(str(error.get("message") if isinstance(error, dict) else error))
    result = document.get("result")
    return result if isinstance(result, dict) else {}
