"""HTTP/1.1 for a client, without I/O: a request becomes bytes, the bytes of a response become a head and body pieces.

Follows RFC 9112. Written for speed on streams: one regular-expression match per chunk, and all body bytes of one
network read come out as one piece. Whatever would be ambiguous to another reader of the same bytes is refused.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from hector.core.record import dataclass
from hector.net.errors import BadRequestHead, ProtocolViolation

HEAD_LIMIT: Final = 64 * 1024
"""Bytes of a response head, or of all trailers."""

_LINE_LIMIT: Final = 4096
_INFORMATIONAL_LIMIT: Final = 16
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_LINE_END: Final = re.compile(r"\r?\n")
_STATUS_LINE: Final = re.compile(r"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\0]*)?\Z")
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_VALUE: Final = re.compile(r"[^\0\r\n]*\Z")
_TARGET: Final = re.compile(r"[!-~]+\Z")
_FIRST_SIZE: Final = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_NEXT_SIZE: Final = re.compile(rb"\r?\n([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_FIRST_SIZE_PART: Final = re.compile(rb"(?:[0-9a-fA-F]{1,15}[ \t]*(?:;[^\r\n]*)?\r?)?\Z")
_NEXT_SIZE_PART: Final = re.compile(rb"(?:\r?\n?|\r?\n[0-9a-fA-F]{1,15}[ \t]*(?:;[^\r\n]*)?\r?)\Z")
_BODYLESS: Final = frozenset({204, 304})

_HEAD, _LENGTH, _CHUNKED, _TRAILERS, _UNTIL_CLOSE, _DONE = range(6)


def encode_head(method: str, target: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Request line and headers up to, but without, the empty line. Raises BadRequestHead."""
    if not _TOKEN.match(method) or not _TARGET.match(target):
        raise BadRequestHead(f"the request {method!r} {target!r} holds characters that may not be sent")
    lines = [f"{method} {target} HTTP/1.1\r\n"]
    for name, value in headers:
        if not _TOKEN.match(name) or not _VALUE.match(value):
            raise BadRequestHead(f"header {name!r} holds a line break or another character that may not be sent")
        lines.append(f"{name}: {value}\r\n")
    try:
        return "".join(lines).encode("latin-1")
    except UnicodeEncodeError as error:
        raise BadRequestHead("a header holds characters outside Latin-1") from error


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers of a response. `headers` has lower-case names, repeated ones joined by ", "."""

    status: int
    headers: Mapping[str, str]
    raw: tuple[tuple[str, str], ...]


def _parse_head(text: str) -> tuple[Head, bool]:
    """The head, and whether the protocol is 1.1."""
    first, *lines = _LINE_END.split(text)
    status = _STATUS_LINE.match(first)
    if status is None or "\0" in text:
        raise ProtocolViolation(f"the server does not answer in HTTP/1.1: {first[:80]!r}", answered=True)
    raw: list[tuple[str, str]] = []
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.match(name):
            raise ProtocolViolation(f"malformed response header {line[:80]!r}", answered=True)
        name, value = name.lower(), value.strip(" \t")
        raw.append((name, value))
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Head(int(status[2]), headers, tuple(raw)), status[1] == "1"


def _content_length(value: str) -> int:
    """The one number in a Content-Length header; repeated equal numbers are one."""
    numbers = {part.strip() for part in value.split(",")}
    number = numbers.pop()
    if numbers or not (number.isascii() and number.isdigit() and len(number) < 19):
        raise ProtocolViolation(f"malformed Content-Length {value[:80]!r}", answered=True)
    return int(number)


def _tokens(value: str) -> set[str]:
    return {token.strip().lower() for token in value.split(",")}


class ResponseParser:
    """Reads one response. Feed it what arrives; it gives back the body bytes that were in it.

    `head` is None until the final head (not a 1xx one) has come; `done` says that the body is complete;
    `reusable` then says whether the connection may carry another request.
    """

    __slots__ = ("_informational", "_pending", "_remaining", "_size_line", "_state", "_bodyless", "head", "reusable")

    def __init__(self, *, bodyless: bool = False) -> None:
        self.head: Head | None = None
        self.reusable = False
        self._bodyless = bodyless
        self._state = _HEAD
        self._pending = b""
        self._remaining = 0
        self._informational = 0
        self._size_line = _FIRST_SIZE

    @property
    def done(self) -> bool:
        """The response is complete."""
        return self._state == _DONE

    @property
    def started(self) -> bool:
        """Any byte of the response has come."""
        return self._state != _HEAD or bool(self._pending) or self._informational > 0

    def feed(self, data: bytes) -> bytes:
        """Body bytes that `data` completes. Raises ProtocolViolation."""
        if self._pending:
            data, self._pending = self._pending + data, b""
        if self._state == _HEAD:
            data = self._read_head(data)
        state = self._state
        if state == _CHUNKED:
            return self._read_chunks(data)
        if state == _LENGTH:
            return self._read_length(data)
        if state == _UNTIL_CLOSE:
            return data
        if state == _TRAILERS:
            self._read_trailers(data)
        elif state == _DONE and data:  # nobody asked for more
            self.reusable = False
        return b""

    def eof(self) -> bool:
        """The other side has closed: True when the response is complete by that."""
        if self._state == _UNTIL_CLOSE:
            self._state = _DONE
        self.reusable = False
        return self._state == _DONE

    def _read_head(self, data: bytes) -> bytes:
        """Heads from the start of `data`; gives back what follows the final one."""
        while self._state == _HEAD:
            if data.startswith((b"\r\n", b"\n")):  # leftover line break of a sloppy server before the status line
                data = data.lstrip(b"\r\n")
            end = _HEAD_END.search(data)
            if end is None or end.start() > HEAD_LIMIT:
                if len(data) > HEAD_LIMIT:
                    raise ProtocolViolation(f"the response head is over {HEAD_LIMIT // 1024} KiB", answered=True)
                self._pending = data
                return b""
            head, modern = _parse_head(data[: end.start()].decode("latin-1"))
            data = data[end.end() :]
            self._accept(head, modern)
        return data

    def _accept(self, head: Head, modern: bool) -> None:
        if head.status < 200:
            self._informational += 1
            if head.status == 101 or self._informational > _INFORMATIONAL_LIMIT:
                raise ProtocolViolation(f"unexpected interim response {head.status}", answered=True)
            return
        self.head = head
        connection = _tokens(head.headers.get("connection", ""))
        self.reusable = "close" not in connection if modern else "keep-alive" in connection
        self._frame(head)

    def _frame(self, head: Head) -> None:
        """Decide how the body ends (RFC 9112, 6.3)."""
        coding = head.headers.get("transfer-encoding")
        length = head.headers.get("content-length")
        if self._bodyless or head.status in _BODYLESS:
            self._state = _DONE
        elif coding is not None:
            if coding.lower() != "chunked":
                raise ProtocolViolation(f"unsupported Transfer-Encoding {coding[:80]!r}", answered=True)
            self._state = _CHUNKED
            self.reusable = self.reusable and length is None
        elif length is not None:
            self._remaining = _content_length(length)
            self._state = _LENGTH if self._remaining else _DONE
        else:
            self._state = _UNTIL_CLOSE
            self.reusable = False

    def _read_length(self, data: bytes) -> bytes:
        extra = len(data) - self._remaining
        if extra < 0:
            self._remaining = -extra
            return data
        self._state = _DONE
        if extra:
            self.reusable = False
            return data[: self._remaining]
        return data

    def _read_chunks(self, data: bytes) -> bytes:
        """All chunk bodies in `data`, joined."""
        pieces: list[bytes] = []
        at, have, remaining, size_line = 0, len(data), self._remaining, self._size_line
        while True:
            if remaining:
                stop = at + remaining
                if stop > have:
                    pieces.append(data[at:])
                    self._remaining, self._size_line = stop - have, size_line
                    return b"".join(pieces)
                pieces.append(data[at:stop])
                at, remaining = stop, 0
            found = size_line.match(data, at)
            if found is None:
                self._remaining, self._size_line = 0, size_line
                self._hold(data[at:])
                return b"".join(pieces)
            at, size_line = found.end(), _NEXT_SIZE
            remaining = int(found[1], 16)
            if not remaining:
                self._state = _TRAILERS
                self._read_trailers(b"\n" + data[at:])
                return b"".join(pieces)

    def _hold(self, rest: bytes) -> None:
        """Keep an unfinished size line for the next read."""
        part = _NEXT_SIZE_PART if self._size_line is _NEXT_SIZE else _FIRST_SIZE_PART
        if len(rest) > _LINE_LIMIT or not part.match(rest):
            raise ProtocolViolation("malformed chunk in the response body", answered=True)
        self._pending = rest

    def _read_trailers(self, data: bytes) -> None:
        """Skip trailers. `data` begins with the line break before them."""
        end = _HEAD_END.search(data)
        if end is None:
            if len(data) > HEAD_LIMIT:
                raise ProtocolViolation(f"the response trailers are over {HEAD_LIMIT // 1024} KiB", answered=True)
            self._pending = data
            return
        self._state = _DONE
        if end.end() != len(data):
            self.reusable = False
