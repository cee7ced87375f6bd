"""The httpx client: over the lean transport, and through a proxy."""

import asyncio
import gzip
import socket

import httpx
import pytest

from hector.net.call import CallerOptions
from hector.net.caller import open_caller
from hector.net.client import open_client
from hector.net.errors import ConnectFailed, ConnectionLost, NetTimeout, ProtocolViolation, ProxyFailed
from tests.net.hostile import CHUNKED, HEAD, Peer, echo, replies, serving


async def test_httpx_over_the_lean_transport() -> None:
    async with serving(echo()) as server, open_client(base_url=server.url, headers={"x-key": "1"}) as client:
        for _ in range(3):
            response = await client.post("/v1/chat", json={"a": 1})
            assert response.json() == {"a": 1}
        assert server.connections == 1
        head, _ = server.requests[0]
        assert head.startswith(b"POST /v1/chat HTTP/1.1\r\n")
        assert b"x-key: 1\r\n" in head.lower()


async def test_httpx_decodes_and_streams() -> None:
    body = gzip.compress(b"hello")
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n\r\n"
    async with serving(replies(head + body)) as server, open_client(base_url=server.url) as client:
        response = await client.get("/")
        assert response.text == "hello"
        assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ((HEAD % 10, b"half"), httpx.RemoteProtocolError),
        ((), httpx.RemoteProtocolError),
        ((b"nonsense\r\n\r\n",), httpx.RemoteProtocolError),
    ],
    ids=["cut off", "no response", "nonsense"],
)
async def test_failures_are_those_of_httpx(pieces: tuple[bytes, ...], expected: type[Exception]) -> None:
    async with serving(replies(*pieces)) as server, open_client(base_url=server.url) as client:
        with pytest.raises(expected):
            await client.post("/", content=b"x")


async def test_timeouts_are_those_of_httpx() -> None:
    async def script(peer: Peer) -> None:
        await peer.gone()

    async with serving(script) as server, open_client(base_url=server.url, read_timeout=0.05) as client:
        with pytest.raises(httpx.ReadTimeout, match="sent nothing"):
            await client.get("/")
        with pytest.raises(httpx.ReadTimeout, match=r"0\.02 seconds"):
            await client.get("/", timeout=httpx.Timeout(5, read=0.02))


async def test_refused_connections_are_those_of_httpx() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with open_client(base_url=f"http://127.0.0.1:{unused.getsockname()[1]}") as client:
            with pytest.raises(httpx.ConnectError, match="connection refused"):
                await client.get("/")
            with pytest.raises(httpx.UnsupportedProtocol):
                await client.get("ftp://x/")


async def test_closing_a_stream_early_hangs_up() -> None:
    hung_up = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"5\r\nhello\r\n")
        await peer.gone()
        hung_up.set()

    async with serving(script) as server, open_client(base_url=server.url) as client:
        async with client.stream("POST", "/", content=b"x") as response:
            assert await anext(response.aiter_raw()) == b"hello"
        await asyncio.wait_for(hung_up.wait(), 60)


def forward(peer_port: int, seen: list[bytes]) -> "Forward":
    return Forward(peer_port, seen)


class Forward:
    """A plain forward proxy for http:// URLs: notes the request line and answers from one server."""

    def __init__(self, port: int, seen: list[bytes]) -> None:
        self._port = port
        self._seen = seen

    async def __call__(self, peer: Peer) -> None:
        head = await peer.reader.readuntil(b"\r\n\r\n")
        self._seen.append(head)
        at = head.lower().index(b"content-length:")
        body = await peer.reader.readexactly(int(head[at + 15 : head.index(b"\r\n", at)]))
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        line, _, rest = head.partition(b"\r\n")
        method, url, version = line.split(b" ")
        path = b"/" + url.split(b"/", 3)[3]
        writer.write(b" ".join((method, path, version)) + b"\r\n" + rest + body)
        writer.write_eof()
        while data := await reader.read(65536):
            await peer.send(data)
        writer.close()
        await writer.wait_closed()


@pytest.mark.proves("models.proxy")
async def test_an_explicit_proxy_carries_the_calls() -> None:
    seen: list[bytes] = []
    async with serving(echo()) as server, serving(forward(server.port, seen)) as proxy:
        caller = open_caller(CallerOptions(f"{server.url}/v1", {"x-key": "k"}, proxy=f"http://me:pass@127.0.0.1:{proxy.port}"))  # fmt: skip  # noqa: E501
        answer = await caller.send("POST", "/chat", body=b"hello", headers={"x-more": "m"})
        assert answer.status == 200
        assert b"".join([piece async for piece in answer]) == b"hello"
        await answer.aclose()
        await caller.aclose()
        assert seen[0].startswith(f"POST {server.url}/v1/chat HTTP/1.1\r\n".encode())
        assert b"proxy-authorization: basic" in seen[0].lower()
        assert b"x-more: m" in seen[0].lower()


@pytest.mark.proves("models.proxy")
async def test_the_environment_names_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    async with serving(echo()) as server, serving(forward(server.port, seen)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        caller = open_caller(CallerOptions("http://model.invalid/v1"))
        assert await (await caller.send("POST", "/chat", body=b"hello")).read() == b"hello"
        await caller.aclose()
        assert seen[0].startswith(b"POST http://model.invalid/v1/chat HTTP/1.1\r\n")


@pytest.mark.proves("models.proxy")
async def test_a_proxy_that_is_away_or_refuses() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        caller = open_caller(CallerOptions("http://x.invalid", proxy=f"http://127.0.0.1:{unused.getsockname()[1]}"))
        with pytest.raises(ConnectFailed):
            await caller.send("POST", "/", body=b"x")
        await caller.aclose()
    refusal = replies(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
    async with serving(refusal) as proxy:
        caller = open_caller(CallerOptions("https://x.invalid", proxy=f"http://127.0.0.1:{proxy.port}"))
        with pytest.raises(ProxyFailed, match="407"):
            await caller.send("POST", "/", body=b"x")
        await caller.aclose()


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [((), ConnectionLost), ((HEAD % 9 + b"x",), ConnectionLost), ((b"nonsense\r\n\r\n",), ProtocolViolation)],
    ids=["no response", "cut off", "nonsense"],
)
async def test_failures_through_a_proxy_are_ours(pieces: tuple[bytes, ...], expected: type[Exception]) -> None:
    async with serving(replies(*pieces)) as proxy:
        caller = open_caller(CallerOptions("http://x.invalid", proxy=f"http://127.0.0.1:{proxy.port}"))
        with pytest.raises(expected):
            await (await caller.send("POST", "/", body=b"x")).read()
        await caller.aclose()


async def test_timeouts_through_a_proxy_are_ours() -> None:
    async def script(peer: Peer) -> None:
        await peer.gone()

    async with serving(script) as proxy:
        options = CallerOptions("http://x.invalid", proxy=f"http://127.0.0.1:{proxy.port}", read_timeout=0.05)
        caller = open_caller(options)
        with pytest.raises(NetTimeout) as caught:
            await caller.send("POST", "/", body=b"x")
        assert caught.value.phase == "read"
        await caller.aclose()
