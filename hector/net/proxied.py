"""Calls through a proxy: stock httpx behind the same interface as the lean caller."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager

import httpx

from hector.net.call import Answer, CallerOptions
from hector.net.client import open_client
from hector.net.egress import EgressRefused
from hector.net.errors import (
    BadRequestHead,
    ConnectionLost,
    NetError,
    NetTimeout,
    ProtocolViolation,
    ProxyFailed,
    TlsFailed,
)
from hector.net.transport import Refused


class ProxiedCaller:
    """Satisfies Caller."""

    def __init__(self, options: CallerOptions, proxy: str) -> None:
        self._client = open_client(
            purpose=options.purpose,
            outside=options.outside,
            base_url=options.base_url,
            headers=options.headers,
            proxy=proxy,
            ca_bundle=options.ca_bundle,
            connect_timeout=options.connect_timeout,
            read_timeout=options.read_timeout,
            write_timeout=options.write_timeout,
        )

    async def send(
        self, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        with _net_errors(answered=False):
            request = self._client.build_request(method, path, content=body, headers=headers)
            response = await self._client.send(request, stream=True)
        names = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, names, _Body(response))

    async def aclose(self) -> None:
        await self._client.aclose()


class _Body:
    """Satisfies Body."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._pieces: AsyncIterator[bytes] = response.aiter_raw()

    async def read(self) -> bytes:
        with _net_errors(answered=True):
            return await anext(self._pieces, b"")

    async def aclose(self) -> None:
        await self._response.aclose()


@contextmanager
def _net_errors(*, answered: bool) -> Iterator[None]:
    try:
        yield
    except Refused as error:
        raise EgressRefused(str(error)) from error
    except httpx.TransportError as error:
        raise _translated(error, answered=answered) from error
    except (httpx.InvalidURL, httpx.StreamError) as error:
        raise BadRequestHead(str(error)) from error


def _translated(error: httpx.TransportError, *, answered: bool) -> NetError:
    text = str(error) or type(error).__name__
    match error:
        case httpx.ConnectTimeout() | httpx.PoolTimeout():
            return NetTimeout(f"no connection in time: {text}", phase="connect")
        case httpx.WriteTimeout():
            return NetTimeout(f"the server took no data for too long: {text}", phase="write", answered=answered)
        case httpx.TimeoutException():
            return NetTimeout(f"the server sent nothing for too long: {text}", phase="read", answered=answered)
        case httpx.ProxyError():
            return ProxyFailed(f"the proxy refuses the connection: {text}")
        case httpx.ConnectError():
            return TlsFailed(text) if "[SSL" in text else ProxyFailed(f"no connection to the proxy: {text}")
        case httpx.LocalProtocolError():
            return BadRequestHead(text)
        case httpx.RemoteProtocolError():
            return _broken(text, answered=answered)
        case _:
            return ConnectionLost(f"the connection broke: {text}", answered=answered)


def _broken(text: str, *, answered: bool) -> NetError:
    """httpx has one class for a hang-up and for nonsense; only the first is worth a second try."""
    if "disconnected" in text or "closed" in text:
        return ConnectionLost(text, answered=answered)
    return ProtocolViolation(text, answered=answered)
