"""One request to an address that somebody else chose, with its redirects: each judged, the response bounded."""

import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

import httpx

from hector.core.record import dataclass
from hector.net.client import open_client
from hector.net.egress import EgressRefused, Policy
from hector.net.errors import ConnectFailed, NetTimeout, ProtocolViolation
from hector.net.transport import Refused

if TYPE_CHECKING:
    from hector.net.gate import Resolve

_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_CARRIED: Final = frozenset(("accept", "accept-language", "content-type", "user-agent"))
"""Headers that another origin than the one that they were meant for gets, too; any other may be a credential."""
_PACKED: Final = frozenset(("gzip", "x-gzip", "deflate"))
_ANY_ZLIB: Final = 32 + zlib.MAX_WBITS
"""Both of gzip and zlib, whichever it is."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What is asked for. `check` is asked about each URL and raises for what it does not like.

    `most`: bytes of the response; `redirects`: how many are followed; `resolve` stands in for DNS, in tests.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    check: Callable[[str], None]
    most: int
    redirects: int = 0
    resolve: "Resolve | None" = None


@dataclass(frozen=True, slots=True)
class Visited:
    """What came back from `url`, the last of the redirects. `headers` have lower-case names."""

    url: str
    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


async def visit(asked: Visit, outside: Policy) -> Visited:
    """Raises NetError, EgressRefused among them, and what `check` raises."""
    async with open_client(purpose="tool", outside=outside, resolve=asked.resolve, read_timeout=30.0) as client:
        try:
            return await _follow(client, asked)
        except Refused as error:
            raise EgressRefused(str(error)) from None
        except httpx.TimeoutException:
            raise NetTimeout(f"{_place(asked.url)} did not answer in time", phase="read") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise ConnectFailed(f"the request to {_place(asked.url)} failed: {reason}") from None


async def _follow(client: httpx.AsyncClient, asked: Visit) -> Visited:  # noqa: TID251 - a type
    method, url, headers, body = asked.method, asked.url, dict(asked.headers), asked.body
    for _ in range(asked.redirects + 1):
        asked.check(url)
        async with client.stream(method, url, headers=headers, content=body, follow_redirects=False) as answer:
            target = answer.headers.get("location")
            if answer.status_code not in _REDIRECTS or not target or not asked.redirects:
                data = b"" if method == "HEAD" else await _read(answer, asked.most)
                return Visited(url, answer.status_code, answer.reason_phrase, dict(answer.headers), data)
        following = urljoin(url, target)
        if _origin(following) != _origin(url):
            headers = {name: value for name, value in headers.items() if name.lower() in _CARRIED}
        if answer.status_code == 303 or (answer.status_code in {301, 302} and method == "POST"):
            method, body = ("HEAD" if method == "HEAD" else "GET"), None
            headers = {name: value for name, value in headers.items() if name.lower() != "content-type"}
        if body is not None and not _same_place(url, following):
            raise ProtocolViolation(
                f"{_place(url)} wants the body of the request to be sent to {_place(following)}", answered=True
            )
        url = following
    raise ProtocolViolation(f"{_place(url)} redirects more than {asked.redirects} times", answered=True)


async def _read(answer: httpx.Response, most: int) -> bytes:
    """The body, unpacked here: what a small piece comes to is known only once it has taken the memory."""
    pieces: list[bytes] = []
    size, unpack = 0, _unpacking(answer.headers.get("content-encoding", ""))
    async for raw in answer.aiter_raw():
        try:
            piece = raw if unpack is None else unpack(raw, most - size + 1)
        except zlib.error as error:
            raise ProtocolViolation(f"the response cannot be unpacked: {error}", answered=True) from None
        size += len(piece)
        if size > most:
            raise ProtocolViolation(f"the response is longer than {most} bytes", answered=True)
        pieces.append(piece)
    return b"".join(pieces)


def _unpacking(encoding: str) -> Callable[[bytes, int], bytes] | None:
    """What unpacks a response piece by piece, up to a number of bytes; None: it is not packed."""
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return None
    if name not in _PACKED:
        raise ProtocolViolation(f"the response is packed ({name[:60]}), which was not asked for", answered=True)
    return zlib.decompressobj(_ANY_ZLIB).decompress


def _same_place(url: str, following: str) -> bool:
    """The same origin, or the same host with encryption from now on."""
    here, there = urlsplit(url), urlsplit(following)
    encrypts = (here.scheme, here.port, there.scheme, there.port) == ("http", None, "https", None)
    return _origin(url) == _origin(following) or (encrypts and here.hostname == there.hostname)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}"
