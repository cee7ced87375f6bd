"""HTTP as both of its transports use it: one server, its headers, its access token."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from hector.mcp.endpoint import Endpoint
from hector.mcp.errors import ServerFault
from hector.mcp.oauth import Tokens
from hector.mcp.settings import OAuth
from hector.net.call import Answer, CallerOptions
from hector.net.caller import open_caller
from hector.net.errors import NetError
from hector.observe.redact import redact

SILENCE: Final = 24 * 3600.0
"""Seconds that a stream may be silent; how long a request may take is up to whoever waits for it."""
_SHOWN: Final = 300
_BODY: Final = 64 * 1024


class Http:
    """Requests to one server. Use as an async context manager."""

    def __init__(self, endpoint: Endpoint, credentials: OAuth | None = None) -> None:
        self.endpoint = endpoint
        self._tokens = Tokens(credentials, endpoint) if credentials else None
        parts = urlsplit(endpoint.url)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._caller = open_caller(
            CallerOptions(
                self.origin,
                endpoint.headers,
                endpoint.proxy,
                endpoint.ca_bundle,
                endpoint.connect_timeout,
                SILENCE,
                purpose="mcp",
            )
        )

    async def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """One request, with a fresh token if the server refuses the old one. Raises NetError, ServerFault."""
        if self._tokens is None:
            return await self._caller.send(method, path, body=body, headers=headers)
        answer = await self._with_token(method, path, body, headers, self._tokens)
        if answer.status == 401:
            await answer.aclose()
            self._tokens.forget()
            answer = await self._with_token(method, path, body, headers, self._tokens)
        return answer

    async def _with_token(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], tokens: Tokens
    ) -> Answer:
        return await self._caller.send(
            method, path, body=body, headers={**headers, "authorization": await tokens.header()}
        )

    async def aclose(self) -> None:
        """Cut all connections."""
        await self._caller.aclose()


async def refusal(answer: Answer) -> str:
    """What a server says in an answer that is no success."""
    try:
        text = (await answer.read(_BODY)).decode("utf-8", "replace").strip()
    except NetError:
        text = ""
    hint = {401: "; set `headers` or `oauth` of the tool", 404: "; look at the path of `url`"}.get(answer.status, "")
    if where := answer.headers.get("location"):
        hint = f"; it points to {where[:_SHOWN]}, which is not followed: use that as `url` if it is right"
    return redact(f"HTTP {answer.status}{': ' + text[:_SHOWN] if text else ''}{hint}")


def media_type(answer: Answer) -> str:
    """The type of a body, without parameters."""
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


def require_stream(answer: Answer) -> None:
    """Raises ServerFault for what is no event stream."""
    if media_type(answer) != "text/event-stream":
        raise ServerFault(f"the server answered with {media_type(answer) or 'no content type'}, not an event stream")
