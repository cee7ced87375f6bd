"""HTTP/1.1 for a client, without I/O: a request becomes bytes, the bytes of a response become a head and body pieces.

Responses are parsed by llhttp (httptools), in its strict mode: what would be ambiguous to another reader of the same
bytes is refused. Here is what llhttp leaves to its user: heads for which no body comes, limits, and what may follow.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from httptools import HttpParserError, HttpResponseParser

from hector.core.pattern import pattern
from hector.core.record import dataclass
from hector.net.errors import BadRequestHead, ProtocolViolation

HEAD_LIMIT: Final = 64 * 1024
"""Bytes that may come in a row without a byte of body: heads (interim ones too), chunk extensions, trailers. Checked
after each read, so a connection never holds more of them than this and one read."""

_TOKEN: Final = pattern(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_VALUE: Final = pattern(r"[^\0\r\n]*\Z")
_TARGET: Final = pattern(r"[!-~]+\Z")
_FRAMING: Final = frozenset({"content-length", "transfer-encoding"})


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


class ResponseParser:
    """Reads the responses of one connection, one at a time: `expect`, then feed it what arrives.

    `feed` gives back the body bytes that were in it. `head` is None until the final head (not a 1xx one) has come;
    `done` says that the body is complete; `reusable` then says whether the connection may carry another request;
    `started` that any byte has come. After a ProtocolViolation it is of no further use.
    """

    __slots__ = (
        "_bodyless",
        "_fields",
        "_llhttp",
        "_pieces",
        "_without_body",
        "done",
        "head",
        "on_body",
        "reusable",
        "started",
    )

    def __init__(self) -> None:
        self._fields: list[tuple[str, str]] = []
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append
        self.expect()
        self._llhttp = HttpResponseParser(self)

    def expect(self, *, bodyless: bool = False) -> None:
        """A response is to come. `bodyless`: to HEAD, so without a body whatever it says; nothing can follow it."""
        self.head: Head | None = None
        self.done = self.reusable = self.started = False
        self._bodyless = bodyless
        self._without_body = 0
        self._fields.clear()

    def feed(self, data: bytes) -> bytes:
        """Body bytes that `data` completes. Raises ProtocolViolation."""
        self.started = True
        try:
            self._llhttp.feed_data(data)
        except HttpParserError as error:
            self._stopped(error)
        pieces = self._pieces
        if not pieces:
            self._limit(len(data))
            return b""
        self._without_body = 0
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return body

    def eof(self) -> bool:
        """The other side has closed: True when the response is complete by that."""
        if self.head is not None and not self.head.headers.keys() & _FRAMING:
            self.done = True
        self.reusable = False
        return self.done

    def _stopped(self, error: HttpParserError) -> None:
        """What stands behind the end is not looked at, and ends the use of the connection."""
        if self.done:
            self.reusable = False
            return
        if isinstance(error.__context__, ProtocolViolation):
            raise error.__context__ from None
        raise ProtocolViolation(f"the response is not valid HTTP/1.1: {error}", answered=True) from error

    def _limit(self, size: int) -> None:
        self._without_body += size
        if self._without_body > HEAD_LIMIT and not self.done:
            raise ProtocolViolation(f"over {HEAD_LIMIT // 1024} KiB of headers or trailers in a row", answered=True)

    # -- called by llhttp; what they raise comes back as the context of an HttpParserError -----------------------------

    def on_message_begin(self) -> None:
        if self.done:
            raise _EndOfResponse

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t")))

    def on_headers_complete(self) -> None:
        status = self._llhttp.get_status_code()
        headers = _joined(self._fields)
        if status < 200:
            _check_interim(status, headers)
        else:
            _check_coding(headers)
            self.head = Head(status, headers, tuple(self._fields))
            self.reusable = self._llhttp.should_keep_alive()
        self._fields.clear()
        if self._bodyless and self.head is not None:  # llhttp cannot be told, and would wait for a body
            self.done = True
            raise _EndOfResponse

    def on_message_complete(self) -> None:
        if self.head is not None:  # not of an interim response
            self.done = True


class _EndOfResponse(Exception):  # noqa: N818 - a state, not a mistake
    """Makes llhttp stop."""


def _joined(fields: list[tuple[str, str]]) -> dict[str, str]:
    """Values by name, those of one name joined."""
    headers = dict(fields)
    if len(headers) < len(fields):
        values: dict[str, list[str]] = {name: [] for name in headers}
        for name, value in fields:
            values[name].append(value)
        headers = {name: ", ".join(found) for name, found in values.items()}
    return headers


def _check_interim(status: int, headers: Mapping[str, str]) -> None:
    """An interim response has no body (RFC 9110, 15.2), but llhttp would read one. We never ask to switch protocols."""
    if status < 100 or status == 101 or headers.keys() & _FRAMING:
        raise ProtocolViolation(f"unexpected response status {status}", answered=True)


def _check_coding(headers: Mapping[str, str]) -> None:
    """llhttp passes other codings than chunked on, undecoded or until the connection ends."""
    coding = headers.get("transfer-encoding", "chunked")
    if coding.lower() != "chunked":
        raise ProtocolViolation(f"unsupported Transfer-Encoding {coding[:80]!r}", answered=True)
