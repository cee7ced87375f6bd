"""The hot path against servers that misbehave, over real sockets."""

import asyncio
import gzip
import socket
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

import hector
from hector.core.errors import ConfigError
from hector.net.call import Caller, CallerOptions
from hector.net.caller import open_caller
from hector.net.connection import HIGH_WATER
from hector.net.errors import (
    BadRequestHead,
    ConnectFailed,
    ConnectionLost,
    NetError,
    NetTimeout,
    ProtocolViolation,
)
from tests.net.hostile import CHUNKED, HEAD, Hostile, Peer, echo, replies, serving


@asynccontextmanager
async def calling(
    hostile: Hostile,
    base: str = "",
    *,
    headers: Mapping[str, str] | None = None,
    read_timeout: float = 10.0,
    write_timeout: float = 10.0,
) -> AsyncIterator[Caller]:
    """A caller for this server."""
    url = hostile.url + base
    caller = open_caller(CallerOptions(url, headers or {}, read_timeout=read_timeout, write_timeout=write_timeout))
    try:
        yield caller
    finally:
        await caller.aclose()


async def ask(caller: Caller, body: bytes = b"hello") -> bytes:
    """One POST, read whole."""
    answer = await caller.send("POST", "/x", body=body)
    return await answer.read()


async def test_a_connection_is_kept_and_used_again() -> None:
    async with serving(echo()) as server, calling(server) as caller:
        for number in range(5):
            assert await ask(caller, b"%d" % number) == b"%d" % number
        assert server.connections == 1


async def test_what_is_sent() -> None:
    async with serving(echo()) as server, calling(server, "/v1/", headers={"X-Key": "secret"}) as caller:
        answer = await caller.send("POST", "/chat?a=1", body=b"{}", headers={"content-type": "text/x", "x-key": "mine"})
        assert await answer.read() == b"{}"
        head, _ = server.requests[0]
        assert head.decode().split("\r\n") == [
            "POST /v1/chat?a=1 HTTP/1.1",
            f"host: 127.0.0.1:{server.port}",
            f"user-agent: hector/{hector.__version__}",
            "accept: */*",
            "accept-encoding: identity",
            "x-key: mine",
            "content-type: text/x",
            "content-length: 2",
            "",
            "",
        ]


async def test_get_has_no_body() -> None:
    async with serving(echo()) as server, calling(server) as caller:
        assert await (await caller.send("GET", "tags")).read() == b""
        head, _ = server.requests[0]
        assert head.startswith(b"GET /tags HTTP/1.1\r\n")
        assert b"content-length" not in head


async def test_an_answer_to_head_has_no_body() -> None:
    async with serving(replies(HEAD % 500), echo()) as server, calling(server) as caller:
        answer = await caller.send("HEAD", "/x")
        assert (await answer.read(), answer.headers) == (b"", {"content-length": "500"})
        assert await ask(caller) == b"hello"


@pytest.mark.proves("models.faults")
async def test_many_at_once_do_not_mix() -> None:
    async with serving(echo()) as server, calling(server) as caller:

        async def some(worker: int) -> None:
            for number in range(20):
                body = b"%d-%d-" % (worker, number) + b"x" * 1000 * worker
                assert await ask(caller, body) == body

        async with asyncio.TaskGroup() as group:
            for worker in range(20):
                group.create_task(some(worker))
        assert server.connections <= 20


async def test_the_body_comes_as_it_arrives() -> None:
    step = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"3\r\none\r\n3\r\n-tw\r\n")
        await step.wait()
        await peer.send(b"1\r\no\r\n0\r\n\r\n")

    async with serving(script) as server, calling(server) as caller:
        answer = await caller.send("POST", "/x", body=b"")
        assert await anext(answer) == b"one-tw"
        step.set()
        assert [piece async for piece in answer] == [b"o"]


@pytest.mark.proves("models.faults")
@pytest.mark.parametrize(
    "pieces",
    [
        (HEAD % 10, b"half"),
        (CHUNKED, b"5\r\nhel"),
        (CHUNKED, b"5\r\nhello\r\n"),
        (CHUNKED + b"5\r\nhello\r\n0\r\n",),
    ],
    ids=["length", "mid-chunk", "between chunks", "before the last line"],
)
async def test_a_cut_off_body_is_an_error(pieces: tuple[bytes, ...]) -> None:
    async with serving(replies(*pieces)) as server, calling(server) as caller:
        answer = await caller.send("POST", "/x", body=b"")
        with pytest.raises(ConnectionLost, match="in the middle of its response") as caught:
            await answer.read()
        assert caught.value.answered
        assert server.connections == 1


@pytest.mark.proves("models.faults")
async def test_a_cut_off_head_is_an_error_and_not_sent_twice() -> None:
    async with serving(replies(b"HTTP/1.1 200 OK\r\ncontent-")) as server, calling(server) as caller:
        with pytest.raises(ConnectionLost) as caught:
            await ask(caller)
        assert caught.value.answered
        assert server.connections == 1


@pytest.mark.proves("models.faults")
async def test_a_hang_up_without_a_response() -> None:
    async with serving(replies()) as server, calling(server) as caller:
        with pytest.raises(ConnectionLost, match="without a response") as caught:
            await ask(caller)
        assert not caught.value.answered
        assert server.connections == 1


@pytest.mark.proves("models.faults")
async def test_a_reset_in_the_middle() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"5\r\nhello\r\n")
        await seen.wait()
        await peer.reset()

    seen = asyncio.Event()
    async with serving(script) as server, calling(server) as caller:
        answer = await caller.send("POST", "/x", body=b"")
        assert await anext(answer) == b"hello"
        seen.set()
        with pytest.raises(ConnectionLost):
            await anext(answer)


@pytest.mark.proves("models.faults")
@pytest.mark.parametrize("how", ["close", "reset", "unread"])
async def test_a_stale_connection_is_replaced_once(how: str) -> None:
    """It looked alive when the request was written, and died before the first byte of a response."""

    async def stale(peer: Peer) -> None:
        body = await peer.request()
        await peer.send(HEAD % len(body) + body)
        if how != "unread":
            await peer.request()
        if how == "reset":
            await peer.reset()

    async with serving(stale, echo()) as server, calling(server) as caller:
        assert await ask(caller, b"one") == b"one"
        assert await ask(caller, b"two") == b"two"
        assert server.connections == 2


@pytest.mark.proves("models.faults")
async def test_a_fresh_connection_is_not_tried_twice() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()

    async def first(peer: Peer) -> None:
        await peer.send(HEAD % len(await peer.request()) + b"hello")
        await peer.request()

    async with serving(first, script) as server, calling(server) as caller:
        assert await ask(caller) == b"hello"
        with pytest.raises(ConnectionLost):
            await ask(caller)
        assert server.connections == 2


async def test_a_connection_that_closed_while_idle_is_not_even_tried() -> None:
    async with serving(replies(HEAD % 2 + b"ok"), echo()) as server, calling(server) as caller:
        assert await ask(caller) == b"ok"
        await server.left.wait()
        await asyncio.sleep(0.02)
        assert await ask(caller) == b"hello"
        assert len(server.requests) == 2


async def test_unasked_bytes_end_a_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD % 2 + b"ok")
        await asyncio.sleep(0.01)
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
        await peer.gone()

    async with serving(script, echo()) as server, calling(server) as caller:
        assert await ask(caller) == b"ok"
        await asyncio.wait_for(server.left.wait(), 60)
        assert await ask(caller) == b"hello"


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello",
        HEAD % 5 + b"hello and garbage",
    ],
    ids=["until close", "1.0", "close", "garbage"],
)
async def test_no_reuse_where_it_is_not_safe(response: bytes) -> None:
    async with serving(replies(response)) as server, calling(server) as caller:
        assert await ask(caller) == b"hello"
        assert await ask(caller) == b"hello"
        assert server.connections == 2


async def test_interim_responses_are_skipped() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    async with serving(replies(interim, interim + HEAD % 2, b"ok")) as server, calling(server) as caller:
        assert await ask(caller) == b"ok"


@pytest.mark.parametrize(
    "response", [b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000], ids=["garbage", "huge head"]
)
async def test_nonsense_is_refused_with_the_server_named(response: bytes) -> None:
    async with serving(replies(response)) as server, calling(server) as caller:
        with pytest.raises(ProtocolViolation, match=f"127.0.0.1:{server.port}"):
            await ask(caller)


@pytest.mark.proves("models.faults")
async def test_silence_is_a_timeout() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    async with serving(script) as server, calling(server, read_timeout=0.05) as caller:
        with pytest.raises(NetTimeout, match=r"sent nothing for 0\.05 seconds") as caught:
            await ask(caller)
        assert (caught.value.phase, caught.value.answered) == ("read", False)
        await asyncio.wait_for(server.left.wait(), 60)


@pytest.mark.proves("models.faults")
async def test_silence_in_the_middle_is_a_timeout_but_slowness_is_not() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED)
        for _ in range(6):
            await asyncio.sleep(0.06)
            await peer.send(b"1\r\nx\r\n")
        await peer.gone()

    async with serving(script) as server, calling(server, read_timeout=0.2) as caller:
        answer = await caller.send("POST", "/x", body=b"")
        got = b"".join([await anext(answer) for _ in range(6)])
        assert got == b"xxxxxx"
        with pytest.raises(NetTimeout) as caught:
            await anext(answer)
        assert caught.value.answered


async def test_a_server_that_takes_no_data_is_a_timeout() -> None:
    release = asyncio.Event()

    async def script(peer: Peer) -> None:
        await release.wait()

    async with serving(script) as server, calling(server, write_timeout=0.1, read_timeout=30) as caller:
        with pytest.raises(NetTimeout, match="took no data") as caught:
            await ask(caller, b"x" * 50_000_000)
        assert caught.value.phase == "write"
        release.set()


async def test_a_long_upload_that_moves_is_no_timeout() -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        left = 8_000_000
        while left:
            left -= len(await peer.reader.read(400_000))
            await asyncio.sleep(0.1)  # 20 times: twice the limit in all, a small part of it each
        await peer.send(HEAD % 2 + b"ok")

    async with serving(script) as server, calling(server, write_timeout=1.0, read_timeout=10.0) as caller:
        assert await ask(caller, b"x" * 8_000_000) == b"ok"


async def test_no_connection_in_time() -> None:
    with socket.socket() as full:  # a full backlog swallows SYNs
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        caller = open_caller(CallerOptions(f"http://127.0.0.1:{port}", connect_timeout=0.1))
        with pytest.raises(NetTimeout, match=r"within 0\.1 seconds") as caught:
            await ask(caller)
        assert caught.value.phase == "connect"
        await caller.aclose()
        for filler in fillers:
            filler.close()


async def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        caller = open_caller(CallerOptions(f"http://127.0.0.1:{port}"))
        with pytest.raises(ConnectFailed, match=rf"127\.0\.0\.1:{port}: connection refused"):
            await ask(caller)


async def test_unknown_host() -> None:
    caller = open_caller(CallerOptions("http://nowhere.invalid"))
    with pytest.raises(ConnectFailed, match="host name is unknown"):
        await ask(caller)


@pytest.mark.proves("models.cancel")
@pytest.mark.parametrize("started", [False, True], ids=["before the head", "in the body"])
async def test_cancelling_hangs_up(started: bool) -> None:
    hung_up, received = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        if started:
            await peer.send(CHUNKED + b"5\r\nhello\r\n")
        received.set()
        await peer.gone()
        hung_up.set()

    async with serving(script) as server, calling(server) as caller:
        task = asyncio.create_task(ask(caller))
        await received.wait()
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(hung_up.wait(), 60)


@pytest.mark.proves("models.cancel")
async def test_closing_an_unfinished_answer_hangs_up() -> None:
    hung_up = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"5\r\nhello\r\n")
        await peer.gone()
        hung_up.set()

    async with serving(script, echo()) as server, calling(server) as caller:
        async with await caller.send("POST", "/x", body=b"") as answer:
            assert await anext(answer) == b"hello"
        await asyncio.wait_for(hung_up.wait(), 60)
        with pytest.raises(StopAsyncIteration):
            await anext(answer)
        assert await ask(caller) == b"hello"


async def test_closing_after_the_last_byte_keeps_the_connection() -> None:
    async with serving(echo()) as server, calling(server) as caller:
        for _ in range(3):
            answer = await caller.send("POST", "/x", body=b"abc")
            assert await anext(answer) == b"abc"
            await answer.aclose()
        assert server.connections == 1


async def test_a_slow_reader_holds_the_server_back() -> None:
    size = 40 * HIGH_WATER

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.writer.write(HEAD % size)
        left = size
        while left:
            peer.writer.write(b"x" * 65536)
            await peer.writer.drain()
            left -= 65536
        await peer.gone()

    async with serving(script) as server, calling(server) as caller:
        answer = await caller.send("POST", "/x", body=b"")
        first = len(await anext(answer))
        await asyncio.sleep(0.3)
        held = len(await anext(answer))
        assert held < 2 * HIGH_WATER
        rest = [len(piece) async for piece in answer]
        assert first + held + sum(rest) == size
        assert max(rest) < 2 * HIGH_WATER


async def test_a_body_over_the_limit_is_refused() -> None:
    async with serving(echo()) as server, calling(server) as caller:
        answer = await caller.send("POST", "/x", body=b"x" * 1000)
        with pytest.raises(ProtocolViolation, match="longer than 999 bytes"):
            await answer.read(999)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(b"hello" * 100, mtime=0)),
        ("deflate", zlib.compress(b"hello" * 100)),
        ("identity", b"hello" * 100),
    ],
)
async def test_compressed_answers_are_read_all_the_same(coding: str, body: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    async with serving(replies(head, body[:9], body[9:])) as server, calling(server) as caller:
        assert await ask(caller) == b"hello" * 100
        answer = await caller.send("POST", "/x", body=b"")
        assert b"".join([piece async for piece in answer]) == b"hello" * 100


@pytest.mark.parametrize(
    ("coding", "body", "problem"),
    [
        ("br", b"x", "unsupported Content-Encoding 'br'"),
        ("gzip", b"plain", "damaged"),
        ("gzip", gzip.compress(bytes(50_000_000), mtime=0), "longer than 1000 bytes"),
    ],
)
async def test_compressed_nonsense_is_refused(coding: str, body: bytes, problem: str) -> None:
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    async with serving(replies(head + body)) as server, calling(server) as caller:
        answer = await caller.send("POST", "/x", body=b"")
        with pytest.raises(ProtocolViolation, match=problem):
            await answer.read(1000)


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "http://x:99999", "x.example/v1"])
def test_a_url_of_no_use_is_named(url: str) -> None:
    with pytest.raises(ConfigError, match="is not a usable URL"):
        open_caller(CallerOptions(url))


async def test_a_key_with_a_line_break_is_named_and_not_shown() -> None:
    async with serving(echo()) as server, calling(server, headers={"x-api-key": "sk-123\n"}) as caller:
        with pytest.raises(BadRequestHead, match="'x-api-key'") as caught:
            await ask(caller)
        assert "sk-123" not in str(caught.value)
        assert not caught.value.retryable


async def test_a_closed_caller_says_so() -> None:
    async with serving(echo()) as server, calling(server) as caller:
        assert await ask(caller) == b"hello"
        await caller.aclose()
        with pytest.raises(NetError, match="is closed"):
            await ask(caller)


async def test_closing_ends_what_is_under_way() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        received.set()
        await peer.gone()

    received = asyncio.Event()
    async with serving(script) as server, calling(server) as caller:
        task = asyncio.create_task(ask(caller))
        await received.wait()
        await caller.aclose()
        with pytest.raises(ConnectionLost):
            await task


async def test_ipv6() -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        hosts.append(head)
        writer.write(HEAD % 2 + b"ok")
        await reader.read()
        writer.close()

    hosts: list[bytes] = []
    try:
        server = await asyncio.start_server(accept, "::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    async with server:
        port = server.sockets[0].getsockname()[1]
        caller = open_caller(CallerOptions(f"http://[::1]:{port}"))
        assert await (await caller.send("GET", "/")).read() == b"ok"
        assert f"host: [::1]:{port}\r\n".encode() in hosts[0]
        await caller.aclose()
