"""The lean connections as an httpx transport: the whole httpx API, without its connection pool."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpx

from hector.net.dial import OPERATOR, Way
from hector.net.egress import EgressRefused
from hector.net.errors import ConnectFailed, ConnectionLost, NetError, NetTimeout, ProtocolViolation
from hector.net.http1 import encode_head
from hector.net.pool import IDLE_SECONDS, Exchange, Origin, Pool, Timeouts

_PORTS = {"http": 80, "https": 443}


class Refused(httpx.ConnectError):
    """The egress policy, or that for addresses that others choose, forbids it; trying again changes nothing."""


class LeanTransport(httpx.AsyncBaseTransport):
    """HTTP/1.1 only. Raises httpx's own exceptions; leaves Content-Encoding, redirects and cookies to httpx."""

    def __init__(
        self, *, ca_bundle: str | None = None, idle_seconds: float = IDLE_SECONDS, way: Way = OPERATOR
    ) -> None:
        self._ca_bundle = ca_bundle
        self._way = way
        self._idle_seconds = idle_seconds
        self._pools: dict[Origin, Pool] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        timeouts = _timeouts(request)
        with httpx_errors(request):
            head = encode_head(request.method, request.url.raw_path.decode("ascii"), _headers(request, len(body)))
            exchange = await self._pool(request.url).exchange(
                b"".join((head, b"\r\n", body)), timeouts, bodyless=request.method == "HEAD"
            )
        return httpx.Response(
            exchange.head.status, headers=list(exchange.head.raw), stream=_Stream(exchange, request), request=request
        )

    async def aclose(self) -> None:
        pools = list(self._pools.values())
        self._pools.clear()
        for pool in pools:
            await pool.aclose()

    def _pool(self, url: httpx.URL) -> Pool:
        if url.scheme not in _PORTS or not url.host:
            raise httpx.UnsupportedProtocol(f"{url} is neither http:// nor https://")
        origin = Origin(url.scheme, url.raw_host.decode("ascii").strip("[]"), url.port or _PORTS[url.scheme])
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = Pool(origin, self._ca_bundle, idle_seconds=self._idle_seconds, way=self._way)
        return pool


class _Stream(httpx.AsyncByteStream):
    """One item per network read."""

    def __init__(self, exchange: Exchange, request: httpx.Request) -> None:
        self._exchange = exchange
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with httpx_errors(self._request):
            while data := await self._exchange.read():
                yield data

    async def aclose(self) -> None:
        self._exchange.close()


def _headers(request: httpx.Request, length: int) -> list[tuple[str, str]]:
    """The request's headers; the body goes out in one piece with its length."""
    headers = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in request.headers.raw
        if name.lower() not in (b"transfer-encoding", b"content-length")
    ]
    if length or request.method not in ("GET", "HEAD"):
        headers.append(("content-length", str(length)))
    return headers


def _timeouts(request: httpx.Request) -> Timeouts:
    """httpx's own settings; None means for ever."""
    chosen = request.extensions.get("timeout", {})
    default = Timeouts()

    def pick(name: str, fallback: float) -> float:
        value = chosen.get(name, fallback)
        return float("inf") if value is None else float(value)

    return Timeouts(
        connect=pick("connect", default.connect), read=pick("read", default.read), write=pick("write", default.write)
    )


@contextmanager
def httpx_errors(request: httpx.Request) -> Iterator[None]:
    """NetError turned into httpx's own exceptions."""
    try:
        yield
    except NetError as error:
        raise _translated(error, request) from error


def _translated(error: NetError, request: httpx.Request) -> httpx.TransportError:
    text = str(error)
    match error:
        case EgressRefused():
            return Refused(text, request=request)
        case NetTimeout(phase="connect"):
            return httpx.ConnectTimeout(text, request=request)
        case NetTimeout(phase="write"):
            return httpx.WriteTimeout(text, request=request)
        case NetTimeout():
            return httpx.ReadTimeout(text, request=request)
        case ConnectFailed():
            return httpx.ConnectError(text, request=request)
        case ConnectionLost() | ProtocolViolation():
            return httpx.RemoteProtocolError(text, request=request)
        case _:
            return httpx.LocalProtocolError(text, request=request)
