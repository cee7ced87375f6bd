"""Responses, whatever way the bytes are cut, and against h11 as a judge."""

import random

import h11
import pytest

from hector.net.errors import BadRequestHead, ProtocolViolation
from hector.net.http1 import HEAD_LIMIT, ResponseParser, encode_head

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n1;name=value\r\n \r\n0005\r\nworld\r\n0\r\nTrailer: yes\r\n\r\n"
)
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + LENGTH


def read(*pieces: bytes) -> tuple[ResponseParser, bytes]:
    parser = ResponseParser()
    return parser, b"".join([parser.feed(piece) for piece in pieces])


@pytest.mark.parametrize(
    ("raw", "body"),
    [(LENGTH, b"hello"), (CHUNKED, b"hello world"), (INTERIM, b"hello")],
    ids=["length", "chunked", "interim"],
)
def test_every_cut_gives_the_same_response(raw: bytes, body: bytes) -> None:
    for at in range(len(raw) + 1):
        parser, got = read(raw[:at], raw[at:])
        assert (got, parser.done, parser.reusable) == (body, True, True), at
    parser, got = read(*(raw[at : at + 1] for at in range(len(raw))))
    assert (got, parser.done) == (body, True)


@pytest.mark.parametrize("raw", [LENGTH, CHUNKED], ids=["length", "chunked"])
def test_a_cut_off_response_is_never_complete(raw: bytes) -> None:
    for at in range(len(raw)):
        parser, _ = read(raw[:at])
        assert not parser.eof(), at


def test_headers_are_lower_case_and_joined() -> None:
    raw = b"HTTP/1.1 204 \r\nX-A: 1\r\nEmpty:\r\nx-a:  2 \t\r\nSet-Cookie: \xe9\r\nSet-Cookie: b\r\n\r\n"
    for pieces in ([raw], [raw[at : at + 1] for at in range(len(raw))]):
        parser, _ = read(*pieces)
        assert parser.head is not None
        assert parser.head.status == 204
        assert parser.head.headers == {"x-a": "1, 2", "empty": "", "set-cookie": "\xe9, b"}
        assert parser.head.raw == (
            ("x-a", "1"),
            ("empty", ""),
            ("x-a", "2"),
            ("set-cookie", "\xe9"),
            ("set-cookie", "b"),
        )
        assert (parser.done, parser.reusable) == (True, True)


def test_one_response_after_the_other() -> None:
    parser = ResponseParser()
    for raw, body in [(CHUNKED, b"hello world"), (LENGTH, b"hello"), (INTERIM, b"hello"), (CHUNKED, b"hello world")]:
        parser.expect()
        assert (parser.head, parser.done, parser.started) == (None, False, False)
        assert parser.feed(raw) == body
        assert (parser.done, parser.reusable, parser.started) == (True, True, True)
        assert parser.head is not None
        assert len(parser.head.raw) == len(parser.head.headers) == (1 if raw == CHUNKED else 2)


@pytest.mark.parametrize("status", [204, 304])
def test_some_responses_have_no_body_whatever_they_say(status: int) -> None:
    parser, got = read(b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % status)
    assert (got, parser.done, parser.reusable) == (b"", True, True)


@pytest.mark.parametrize(
    ("raw", "reusable"),
    [
        (LENGTH, True),
        (LENGTH + b"x", False),
        (LENGTH.replace(b"HTTP/1.1", b"HTTP/1.0"), False),
        (LENGTH.replace(b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive"), True),
        (LENGTH.replace(b"\r\nContent-T", b"\r\nConnection: x, Close\r\nContent-T"), False),
        (CHUNKED + b"H", False),
        (CHUNKED + LENGTH, False),
        (LENGTH + LENGTH, False),
        (CHUNKED + b"\r\n", True),
    ],
    ids=["plain", "garbage", "1.0", "1.0 keep-alive", "close", "start of more", "more", "twice", "spare line break"],
)
def test_a_connection_is_reused_only_when_nothing_speaks_against_it(raw: bytes, reusable: bool) -> None:
    for pieces in ([raw], [raw[at : at + 1] for at in range(len(raw))]):
        parser, got = read(*pieces)
        assert got == (b"hello world" if raw.startswith(CHUNKED) else b"hello")
        assert parser.done
        assert parser.reusable is reusable


def test_a_body_without_length_ends_with_the_connection() -> None:
    parser, got = read(b"HTTP/1.1 200 OK\r\n\r\n", b"as long ", b"as it takes")
    assert (got, parser.done) == (b"as long as it takes", False)
    assert parser.eof()
    assert not parser.reusable


def test_head_requests_have_no_body() -> None:
    parser = ResponseParser()
    parser.expect(bodyless=True)
    assert parser.feed(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\nH") == b""
    assert (parser.done, parser.reusable) == (True, False)
    assert parser.feed(b"TTP") == b""
    assert parser.head is not None
    assert parser.head.headers == {"content-length": "500"}


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        LENGTH.replace(b"\r\n", b"\n"),
        LENGTH.replace(b"plain\r\n", b"plain\n"),
        b"HTTP/1.1 200 OK\r\nbad header: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: y\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx:\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nname : x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5, 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1_0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 104 X\r\ncontent-length: 5\r\n\r\n",
        b"HTTP/1.1 104 X\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 3000,
        b"\r\n" * HEAD_LIMIT,
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * HEAD_LIMIT,
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * HEAD_LIMIT + b"\r\n\r\n",
        CHUNKED[:47] + b"-5\r\nhello\r\n",
        CHUNKED[:47] + b"0x5\r\nhello\r\n",
        CHUNKED[:47] + b"5_0\r\nhello\r\n",
        CHUNKED[:47] + b"5\r\nhelloX\r\n",
        CHUNKED[:47] + b"5\r\nhello\r\n\r\n",
        CHUNKED[:47] + b"f" * 17 + b"\r\n",
        CHUNKED[:47] + b"5\nhello\r\n",
        CHUNKED[:47] + b"5\r\nhello\n0\r\n",
        CHUNKED[:47] + b"5;" + b"x" * HEAD_LIMIT,
        CHUNKED[:47] + b"0" * HEAD_LIMIT,
        CHUNKED[:47] + b"0\r\n" + b"x: y\r\n" * 20000,
    ],
)
def test_what_is_not_http_is_refused(raw: bytes) -> None:
    for size in (len(raw), 1000):
        with pytest.raises(ProtocolViolation):
            read(*(raw[at : at + size] for at in range(0, len(raw), size)))


def test_limits_begin_anew_with_every_piece_of_the_body() -> None:
    parser, got = read(CHUNKED[:47], *[b"1;" + b"x" * 1000 + b"\r\na\r\n"] * 100, b"0\r\n\r\n")
    assert (got, parser.done) == (b"a" * 100, True)


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("GET", "/", [("x", "a\r\nInjected: 1")]),
        ("GET", "/", [("x", "a\n")]),
        ("GET", "/", [("x y", "a")]),
        ("GET", "/", [("x", "\N{EURO SIGN}")]),
        ("GET", "/a b", []),
        ("GET", "/\r\nHost: evil", []),
        ("GE T", "/", []),
    ],
)
def test_requests_cannot_be_split(method: str, target: str, headers: list[tuple[str, str]]) -> None:
    with pytest.raises(BadRequestHead) as caught:
        encode_head(method, target, headers)
    assert "Injected" not in str(caught.value)


def _by_h11(raw: bytes) -> tuple[int, bytes]:
    judge = h11.Connection(h11.CLIENT)
    judge.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    judge.send(h11.EndOfMessage())
    judge.receive_data(raw)
    status, body = 0, b""
    while True:
        event = judge.next_event()
        if isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        else:
            assert isinstance(event, h11.EndOfMessage | h11.InformationalResponse)
            if isinstance(event, h11.EndOfMessage):
                return status, body


def _random_response(dice: random.Random) -> bytes:
    body = dice.randbytes(dice.randrange(200))
    head = b"HTTP/1.1 %d X\r\n" % dice.choice([200, 201, 400, 429, 500, 529])
    if dice.random() < 0.3:
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    chunks = b""
    while body:
        size = dice.randrange(1, 40)
        piece, body = body[:size], body[size:]
        form = dice.choice([b"%x", b"%X", b"0%x"])
        chunks += form % len(piece) + dice.choice([b"", b";a=b", b";c"]) + b"\r\n" + piece + b"\r\n"
    return head + b"Transfer-Encoding: Chunked\r\n\r\n" + chunks + b"0\r\n" + dice.choice([b"", b"a: b\r\n"]) + b"\r\n"


def test_random_responses_read_as_h11_reads_them() -> None:
    dice = random.Random(20261122)
    for _ in range(300):
        raw = _random_response(dice)
        status, body = _by_h11(raw)
        pieces: list[bytes] = []
        rest = raw
        while rest:
            size = dice.randrange(1, 60)
            pieces.append(rest[:size])
            rest = rest[size:]
        parser, got = read(*pieces)
        assert parser.head is not None
        assert (parser.head.status, got, parser.done) == (status, body, True), raw


def test_damaged_responses_raise_nothing_else() -> None:
    dice = random.Random(20261123)
    for _ in range(2000):
        raw = bytearray(_random_response(dice))
        for _ in range(dice.randrange(1, 4)):
            raw[dice.randrange(len(raw))] = dice.randrange(256)
        parser = ResponseParser()
        try:
            parser.feed(bytes(raw))
            parser.eof()
        except ProtocolViolation:
            continue
