"""The hot path: one request out, one response in, nothing of httpx between.

Measured per call on one core: httpx.AsyncClient about 320 us above the wire work, h11 140 us and 16 us per chunk; this
path about 60 us in all. When a proxy applies the same calls go through stock httpx (proxied.py).
"""

import os
from collections.abc import Mapping
from dataclasses import field
from types import TracebackType
from typing import Final, Protocol, Self
from urllib.parse import urlsplit

import hector
from hector.core.errors import ConfigError
from hector.core.record import dataclass
from hector.net.errors import ProtocolViolation
from hector.net.http1 import encode_head
from hector.net.pool import Origin, Pool, Timeouts
from hector.net.proxy import proxy_for

BODY_LIMIT: Final = 256 * 1024 * 1024
"""Bytes that `Answer.read` takes by default."""

_PORTS: Final = {"http": 80, "https": 443}
_CACHED_HEADS: Final = 64


@dataclass(frozen=True, slots=True)
class CallerOptions:
    """One server to call. Times in seconds; `read_timeout` is the longest silence, not the length of a call."""

    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    proxy: str | None = None
    ca_bundle: str | None = None
    connect_timeout: float = 10.0
    read_timeout: float = 120.0
    write_timeout: float = 60.0


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


def open_caller(options: CallerOptions) -> Caller:
    """A caller for one server; opens no connection yet. Raises ConfigError for a URL, proxy or CA bundle of no use."""
    proxy = proxy_for(options.base_url, options.proxy, os.environ)
    if proxy is None:
        return _LeanCaller(options)
    from hector.net.proxied import ProxiedCaller  # noqa: PLC0415 - imports httpx

    return ProxiedCaller(options, proxy)


def origin_of(url: str) -> Origin:
    """Scheme, host and port. Raises ConfigError when there is no such thing."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in _PORTS or not parts.hostname or port == -1:
        raise ConfigError(f"{url!r} is not a usable URL: give http://host:port or https://host:port, and a path")
    return Origin(parts.scheme, parts.hostname, port or _PORTS[parts.scheme])


def default_headers() -> dict[str, str]:
    """What every request carries. No compression: on small JSON and on streams it costs more than it saves."""
    return {"user-agent": f"hector/{hector.__version__}", "accept": "*/*", "accept-encoding": "identity"}


def _host_header(origin: Origin) -> str:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return host if origin.port == _PORTS[origin.scheme] else f"{host}:{origin.port}"


class _LeanCaller:
    """Straight to the server. Encoded heads are remembered: calls to one model differ in little but their body."""

    def __init__(self, options: CallerOptions) -> None:
        origin = origin_of(options.base_url)
        self._pool = Pool(origin, options.ca_bundle)
        self._timeouts = Timeouts(options.connect_timeout, options.read_timeout, options.write_timeout)
        self._prefix = urlsplit(options.base_url).path.rstrip("/")
        self._headers = {"host": _host_header(origin), **default_headers()}
        self._headers |= {name.lower(): value for name, value in options.headers.items()}
        self._heads: dict[tuple[object, ...], bytes] = {}

    async def send(
        self, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        head = self._head(method, path, headers or {})
        length = b"" if not body and method in ("GET", "HEAD") else b"content-length: %d\r\n" % len(body)
        exchange = await self._pool.exchange(
            b"".join((head, length, b"\r\n", body)), self._timeouts, bodyless=method == "HEAD"
        )
        return Answer(exchange.head.status, exchange.head.headers, exchange)

    async def aclose(self) -> None:
        await self._pool.aclose()

    def _head(self, method: str, path: str, headers: Mapping[str, str]) -> bytes:
        key = (method, path, *headers.items())
        head = self._heads.get(key)
        if head is None:
            merged = self._headers | {name.lower(): value for name, value in headers.items()}
            head = encode_head(method, f"{self._prefix}/{path.lstrip('/')}", merged.items())
            if len(self._heads) >= _CACHED_HEADS:
                self._heads.clear()
            self._heads[key] = head
        return head


class _Inflater:
    """For servers that compress although they were asked not to."""

    __slots__ = ("_inflate",)

    def __init__(self, coding: str) -> None:
        if coding.lower() not in ("gzip", "x-gzip", "deflate", "identity"):
            raise ProtocolViolation(f"unsupported Content-Encoding {coding[:40]!r}", answered=True)
        import zlib  # noqa: PLC0415 - hardly ever needed

        self._inflate = None if coding.lower() == "identity" else zlib.decompressobj(zlib.MAX_WBITS | 32)

    def feed(self, data: bytes, limit: int) -> bytes:
        """Decompressed bytes, at most `limit` of them: a small body must not fill the memory."""
        if self._inflate is None:
            return data
        import zlib  # noqa: PLC0415

        try:
            plain = self._inflate.decompress(data, limit)
        except zlib.error as error:
            raise ProtocolViolation(f"the compressed response is damaged: {error}", answered=True) from error
        if self._inflate.unconsumed_tail:
            raise ProtocolViolation(f"the response is longer than {limit} bytes", answered=True)
        return plain
