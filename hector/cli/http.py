"""HTTP connections as uvicorn parses them, with bounds on request heads: their size, their headers, their time.

The head of an answer leaves together with what follows it.
"""

import asyncio
from itertools import chain
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hector.config.transport import Heads
from hector.web.asgi import COMPLETE

TOO_LARGE: Final = "431 Request Header Fields Too Large"
TOO_SLOW: Final = "408 Request Timeout"
LINGER_SECONDS: Final = 60.0
"""How long a connection that is to be closed stays for a client that does not take what was sent to it."""
_STATUS: Final = b"HTTP/1.1 "
_LENGTH: Final = b"\r\ncontent-length: "


class HeadRefusedError(Exception):
    """Ends the parsing of a head that is over its bounds."""


class _Joining:
    """A transport that holds the head of an answer back until there is some of its body.

    uvicorn writes the two one by one: that would be two system calls, two packets, and a client that wakes up twice.
    A head that does not say how much follows, as those of streams, leaves when the loop has gone round at the latest;
    one for which nothing follows, at the end of its answer (`flush`).
    """

    __slots__ = ("_head", "_leaving", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""
        self._leaving: asyncio.TimerHandle | None = None

    def write(self, data: bytes) -> None:
        """Write it, or keep it for a moment."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(_STATUS):
            self._head = data
            if _LENGTH not in data:
                self._loop.call_soon(self.flush)
            return
        self._transport.write(data)

    def close(self) -> None:
        """Close once everything has been sent, or the client has had time enough to take it."""
        self.flush()
        self._transport.close()
        if self._leaving is None and self._transport.get_write_buffer_size():
            self._leaving = self._loop.call_later(LINGER_SECONDS, self._transport.abort)

    def closed(self) -> None:
        """There is no connection any more."""
        if self._leaving is not None:
            self._leaving.cancel()

    def flush(self) -> None:
        """Send a head that still waits."""
        if self._head:
            self.write(b"")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol. A head that is too large or too slow is answered and its connection closed.

    llhttp bounds nothing, and uvicorn waits for ever for the rest of a head. A timer runs only while there is an
    incomplete head, which for almost all requests there never is: they arrive in one piece.
    """

    heads = Heads()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come; its first head is awaited."""
        self._joining = _Joining(cast(asyncio.Transport, transport), self.loop)
        super().connection_made(cast(asyncio.Transport, self._joining))
        self._refusal = ""
        self._unread = self._came = self._most = 0
        self._inside = True
        self._timer: asyncio.TimerHandle | None = None
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._stop_waiting()
        self._joining.closed()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has come, unless there has been too much of a head already."""
        self._came = len(data)
        if self._inside:
            self._unread += self._came
        super().data_received(data)
        if self._inside and not self.transport.is_closing():
            if self._unread > self.heads.max_bytes:
                self._refuse(TOO_LARGE)
            elif self._unread and self._timer is None:
                self._await_head()

    def on_message_begin(self) -> None:
        """A head begins, somewhere in what has just come: with what comes later, that bounds its size."""
        self._inside = True
        self._most = self._came
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there: judge its size."""
        self._inside = False
        came, self._unread = self._most + self._unread, 0
        self._stop_waiting()
        most, count = self.heads, len(self.headers)
        if count > most.max_count or (came + count > most.max_bytes and self._size() > most.max_bytes):
            self._refusal = TOO_LARGE
            raise HeadRefusedError
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of the request is there: whoever reads it need not wait."""
        self.scope[COMPLETE] = True  # type: ignore[typeddict-unknown-key]
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """There is no more to come of an answer."""
        self._joining.flush()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls when the parser gave up, which it also did if we have refused."""
        if self._refusal:
            self._refuse(self._refusal)
        else:
            super().send_400_response(msg)

    def _size(self) -> int:
        """Bytes of the head, with a colon, a blank and a line end for each header."""
        return len(self.url) + sum(map(len, chain.from_iterable(self.headers))) + 4 * len(self.headers)

    def _await_head(self) -> None:
        self._timer = self.loop.call_later(self.heads.timeout, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if self._unread:
            self._refuse(TOO_SLOW)
        else:
            self.transport.close()

    def _refuse(self, status: str) -> None:
        """Answer and close. While an earlier request waits for its answer, only close: it must not get this one."""
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            text = status.encode()
            self.transport.write(
                b"HTTP/1.1 %b\r\ncontent-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
                % (text, len(text), text)
            )
        self.transport.close()


def bounded(heads: Heads) -> type[Any]:
    """The protocol with other bounds."""
    return type("BoundedHttp", (BoundedHttp,), {"heads": heads})
