"""One HTTP exchange over bare ASGI, for A2A's operations: bounded reading, whole replies, streamed replies.

Everything else uses starlette's Request and Response. Operations take the shortcut because they are what a server does
all day, because too large a body must not be read to its end, and because streams have to notice clients that leave or
do not read.
"""

import asyncio
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from hector.a2a.errors import BODY_NOT_JSON, TIMED_OUT, ProtocolError
from hector.core.errors import TooLarge
from hector.web.answers import JSON, Headers, marks

BODY_SECONDS: Final = 60.0
"""Longest wait for a request body to arrive as a whole."""

LARGEST: Final = "server.max_body_bytes"
"""The setting that bounds bodies, where nothing else does."""

COMPLETE: Final = "hector.complete"
"""Where a scope says that all of its request has arrived; servers that do not say it are waited for."""

_JSON_TYPES: Final = frozenset({"application/json", "application/a2a+json"})


class Exchange:
    """A request and the way to answer it."""

    __slots__ = ("_receive", "_send", "headers", "method", "scope")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self._receive = receive
        self._send = send

    def header(self, name: bytes) -> str | None:
        """The value of a header, by its name in lower case."""
        found = self.headers.get(name)
        return None if found is None else found.decode("latin-1")

    def query(self) -> dict[str, str]:
        """Query parameters; of several with one name the last one counts."""
        text: bytes = self.scope["query_string"]
        return dict(parse_qsl(text.decode("latin-1"), keep_blank_values=True)) if text else {}

    def place(self, name: str) -> str | None:
        """What a placeholder of the route stands for in this path; None for nothing."""
        found: str | None = self.scope["path_params"].get(name)
        return found

    @property
    def has_body(self) -> bool:
        """Whether the client announced a body."""
        return self.headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in self.headers

    def require_json(self) -> None:
        """Refuse bodies that say that they are something else; browsers cannot send JSON across sites unasked."""
        given = self.headers.get(b"content-type")
        if given is None or given == JSON:
            return
        media_type = given.partition(b";")[0].strip().lower().decode("latin-1")
        if media_type not in _JSON_TYPES:
            raise ProtocolError(BODY_NOT_JSON, f"content type {media_type[:80]!r} is not taken; send application/json")

    async def body(self, most: int, setting: str = LARGEST) -> bytes:
        """The whole request body. Raises TooLarge as soon as it is, ProtocolError when it takes too long.

        ClientDisconnect when nobody waits for an answer any more. `setting` says `most`; empty: it is fixed.
        """
        if int(self.headers.get(b"content-length", b"0")) > most:
            raise _too_large(most, setting)
        if COMPLETE in self.scope:
            return await self._read(most, setting)  # without a timer, which costs more than the reading
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return await self._read(most, setting)
        except TimeoutError:
            raise ProtocolError(TIMED_OUT, f"the body did not arrive within {BODY_SECONDS:.0f} seconds") from None

    async def _read(self, most: int, setting: str) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size > most:
                raise _too_large(most, setting)
            if not message.get("more_body", False):
                return b"".join((*chunks, chunk)) if chunks else chunk
            chunks.append(chunk)

    async def disconnected(self) -> None:
        """Return when the client has gone. To be awaited only after the body has been read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def reply(self, status: int, body: bytes, content_type: bytes = JSON, extra: Headers = ()) -> None:
        """Answer in one piece."""
        headers = [
            (b"content-type", content_type),
            (b"content-length", b"%d" % len(body)),
            *marks(self.scope),
            *extra,
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def begin(self, content_type: bytes, extra: Headers = ()) -> None:
        """Start a streamed answer."""
        headers = [(b"content-type", content_type), *marks(self.scope), *extra]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def write(self, chunk: bytes, *, last: bool = False) -> None:
        """Send a piece; waits while the client reads too slowly."""
        await self._send({"type": "http.response.body", "body": chunk, "more_body": not last})


def _too_large(most: int, setting: str) -> TooLarge:
    return TooLarge(f"the request body is larger than {most} bytes{setting and f' ({setting})'}")
