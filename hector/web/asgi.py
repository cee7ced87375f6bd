"""One HTTP exchange over ASGI: bounded reading, whole replies, streamed replies."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl

from hector.a2a.errors import BODY_NOT_JSON, TIMED_OUT, ProtocolError
from hector.core.errors import TooLarge
from hector.core.ids import new_id

Scope: TypeAlias = Mapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]
Send: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[None]]
Headers: TypeAlias = Iterable[tuple[bytes, bytes]]

JSON: Final = b"application/json"
BODY_SECONDS: Final = 60.0
"""Longest wait for a request body to arrive as a whole."""

_JSON_TYPES: Final = frozenset({"application/json", "application/a2a+json"})
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_SAFE: Final = (b"x-content-type-options", b"nosniff")


class Disconnected(Exception):  # noqa: N818 - not an error of ours
    """The client went away before its request was complete."""


class Exchange:
    """A request and the way to answer it."""

    __slots__ = ("_receive", "_send", "answered", "headers", "id", "method", "path", "scope")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        asked = self.headers.get(b"x-request-id")
        self.id = asked if asked and _REQUEST_ID.fullmatch(asked) else new_id().encode()
        self.answered = False
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

    async def body(self, most: int) -> bytes:
        """The whole request body. Raises TooLarge as soon as it is, ProtocolError when it takes too long."""
        if int(self.headers.get(b"content-length", b"0")) > most:
            raise _too_large(most)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return await self._read(most)
        except TimeoutError:
            raise ProtocolError(TIMED_OUT, f"the body did not arrive within {BODY_SECONDS:.0f} seconds") from None

    async def _read(self, most: int) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size > most:
                raise _too_large(most)
            if not message.get("more_body", False):
                return b"".join((*chunks, chunk)) if chunks else chunk
            chunks.append(chunk)

    async def disconnected(self) -> None:
        """Return when the client has gone. To be awaited only after the body has been read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def reply(self, status: int, body: bytes, content_type: bytes = JSON, extra: Headers = ()) -> None:
        """Answer in one piece."""
        self.answered = True
        headers = [
            (b"content-type", content_type),
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", self.id),
            _SAFE,
            *extra,
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def begin(self, content_type: bytes, extra: Headers = ()) -> None:
        """Start a streamed answer."""
        self.answered = True
        headers = [(b"content-type", content_type), (b"x-request-id", self.id), _SAFE, *extra]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def write(self, chunk: bytes, *, last: bool = False) -> None:
        """Send a piece; waits while the client reads too slowly."""
        await self._send({"type": "http.response.body", "body": chunk, "more_body": not last})


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"the request body is larger than {most} bytes (server.max_body_bytes)")
