"""A call to a server as everyone sees it, whatever carries it: the options, the answer, the caller."""

import zlib
from collections.abc import Mapping
from dataclasses import field
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self

from hector.core.record import dataclass
from hector.net.errors import ProtocolViolation
from hector.version import __version__

if TYPE_CHECKING:
    from hector.net.egress import Policy
    from hector.net.policy import Purpose

BODY_LIMIT: Final = 256 * 1024 * 1024
"""Bytes that `Answer.read` takes by default."""


@dataclass(frozen=True, slots=True)
class CallerOptions:
    """One server to call. Times in seconds; `read_timeout` is the longest silence, not the length of a call.

    `purpose` is what it is called for, as the egress policy (server.egress) tells it. `outside` is given where somebody
    else than the operator has chosen the address, and says which private ones are open to them.
    """

    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    proxy: str | None = None
    ca_bundle: str | None = None
    connect_timeout: float = 10.0
    read_timeout: float = 120.0
    write_timeout: float = 60.0
    purpose: "Purpose" = "other"
    outside: "Policy | None" = None


class Body(Protocol):
    """The undecoded body of a response."""

    async def read(self) -> bytes:
        """What has arrived since the last call, at least one byte; b"" at the end. Raises NetError."""

    async def aclose(self) -> None:
        """No more is wanted."""


class Answer:
    """A response whose head has come. `headers` has lower-case names.

    Iterate for the body as it arrives, one item per network read, or `read` it whole. An answer that is not read to
    its end must be closed: that cuts the connection, and the server notices.
    """

    __slots__ = ("_body", "_inflater", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], body: Body) -> None:
        self.status = status
        self.headers = headers
        self._body = body
        self._inflater: _Inflater | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while data := await self._body.read():
            if "content-encoding" in self.headers:
                data = self._inflate(data, BODY_LIMIT)
            if data:
                return data
        raise StopAsyncIteration

    async def read(self, limit: int = BODY_LIMIT) -> bytes:
        """The whole body. Raises NetError; ProtocolViolation when it is longer than `limit`."""
        pieces: list[bytes] = []
        size = 0
        try:
            while data := await self._body.read():
                if "content-encoding" in self.headers:
                    data = self._inflate(data, limit)
                pieces.append(data)
                size += len(data)
                if size > limit:
                    raise ProtocolViolation(f"the response is longer than {limit} bytes", answered=True)
        finally:
            await self._body.aclose()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def aclose(self) -> None:
        """Done with it: the connection goes back, or is cut when the body was not read to its end."""
        await self._body.aclose()

    def _inflate(self, data: bytes, limit: int) -> bytes:
        if self._inflater is None:
            self._inflater = _Inflater(self.headers["content-encoding"])
        return self._inflater.feed(data, limit)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._body.aclose()


class Caller(Protocol):
    """Sends requests to one server."""

    async def send(
        self, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request; returns when the response head is there, whatever its status.

        `path` is added to the base URL and may carry a query. Raises NetError. Cancelling closes the connection.
        """

    async def aclose(self) -> None:
        """Close every connection."""


def default_headers() -> dict[str, str]:
    """What every request carries. No compression: on small JSON and on streams it costs more than it saves."""
    return {"user-agent": f"hector/{__version__}", "accept": "*/*", "accept-encoding": "identity"}


class _Inflater:
    """For servers that compress although they were asked not to."""

    __slots__ = ("_inflate",)

    def __init__(self, coding: str) -> None:
        if coding.lower() not in ("gzip", "x-gzip", "deflate", "identity"):
            raise ProtocolViolation(f"unsupported Content-Encoding {coding[:40]!r}", answered=True)
        self._inflate = None if coding.lower() == "identity" else zlib.decompressobj(zlib.MAX_WBITS | 32)

    def feed(self, data: bytes, limit: int) -> bytes:
        """Decompressed bytes, at most `limit` of them: a small body must not fill the memory."""
        if self._inflate is None:
            return data
        try:
            plain = self._inflate.decompress(data, limit)
        except zlib.error as error:
            raise ProtocolViolation(f"the compressed response is damaged: {error}", answered=True) from error
        if self._inflate.unconsumed_tail:
            raise ProtocolViolation(f"the response is longer than {limit} bytes", answered=True)
        return plain
